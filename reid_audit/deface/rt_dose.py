"""A DICOM RT dose after the cut: zero where the scan became air, untouched everywhere else.

The dose has a grid of its own. Each of its voxels is asked whether its centre lies beyond the cut, which needs no
resampling. Targets and brain keep their dose with a margin of one dose voxel: every voxel that a linear interpolation
at one of their scan voxels reads, so that no number of a target's dose changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask
from reid_audit.deface.pixels import set_pixels
from reid_audit.deface.rt_structures import is_taken
from reid_audit.records import InputError

_MIN_OVERLAP = 0.5  # of the planes of a dose: with fewer inside the scan, its direction was read wrongly


@dataclass(frozen=True, slots=True, eq=False)
class DoseGrid:
    """Where the voxels of a dose lie, LPS mm: first corner, steps along columns, rows, and the place of each plane."""

    corner: NDArray[np.float64]
    along_mm: NDArray[np.float64]
    down_mm: NDArray[np.float64]
    planes_mm: NDArray[np.float64]  # (frames, 3) from the corner
    shape: tuple[int, int, int]  # frames, rows, columns

    @property
    def step_mm(self) -> float:
        """Largest distance of neighbouring voxels along a row, a column or the planes."""
        planes = np.linalg.norm(np.diff(np.sort(self.planes_mm, axis=0), axis=0), axis=1).max(initial=0)
        return float(max(np.linalg.norm(self.along_mm), np.linalg.norm(self.down_mm), planes))

    def points(self, frame: int) -> NDArray[np.float64]:
        """Return the voxel centres of one plane, (rows, columns, 3)."""
        _, rows, columns = self.shape
        down = np.arange(rows)[:, None, None] * self.down_mm
        along = np.arange(columns)[None, :, None] * self.along_mm
        points: NDArray[np.float64] = self.corner + self.planes_mm[frame] + down + along
        return points

    def around(self, points: NDArray[np.float64]) -> Mask:
        """Return the voxels, (frame, row, column), that a linear interpolation at points (n, 3) reads."""
        normal = np.cross(self.along_mm, self.down_mm)
        normal /= np.linalg.norm(normal)
        away = points - self.corner
        heights = self.planes_mm @ normal
        order = np.argsort(heights)
        at = [
            np.interp(away @ normal, heights[order], order.astype(float), left=-2, right=-2)
            if len(order) > 1
            else np.zeros(len(points)),
            away @ self.down_mm / (self.down_mm @ self.down_mm),
            away @ self.along_mm / (self.along_mm @ self.along_mm),
        ]
        read = np.zeros(self.shape, dtype=bool)
        for corner in np.ndindex(2, 2, 2):
            index = [(np.ceil(a) if c else np.floor(a)).astype(np.int64) for a, c in zip(at, corner, strict=True)]
            inside = np.all([(v >= 0) & (v < n) for v, n in zip(index, self.shape, strict=True)], axis=0)
            read[index[0][inside], index[1][inside], index[2][inside]] = True
        return read


def read_grid(ds: Any, name: str) -> DoseGrid:
    """Return the grid of a dose. ``GridFrameOffsetVector`` is read in both of its forms.

    It starts with 0 and runs along the normal of rows and columns, or it starts with the z of the first plane and
    holds the z of each.

    Raises
    ------
    InputError
        A field that places the dose is missing or is not a number.
    """
    try:
        corner = np.array(ds.ImagePositionPatient, dtype=np.float64)
        row, column = np.array(ds.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        down_mm, along_mm = (float(v) for v in ds.PixelSpacing)
        frames = int(ds.get("NumberOfFrames") or 1)
        offsets = np.atleast_1d(np.array(ds.get("GridFrameOffsetVector") or [0.0] * frames, dtype=np.float64))
        shape = (frames, int(ds.Rows), int(ds.Columns))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: a field that says where the dose lies is missing or damaged; export it again"
        ) from error
    if len(offsets) != frames or (frames > 1 and len(np.unique(offsets)) < frames):
        raise InputError(f"{name}: GridFrameOffsetVector has {len(offsets)} different planes, the dose {frames}")
    if offsets[0] and np.isclose(offsets[0], corner[2], atol=1e-2):
        planes = (offsets - offsets[0])[:, None] * np.array([0.0, 0.0, 1.0])
    else:
        planes = (offsets - offsets[0])[:, None] * np.cross(row, column)
    return DoseGrid(corner, row * along_mm, column * down_mm, planes, shape)


def deface_dose(
    ds: Any, cut: EyeCut, kept: Mask, voxel_to_lps: NDArray[np.float64], frame_uid: str, name: str
) -> tuple[Mask, Mask]:
    """Set the dose to zero where the cut takes the scan, in place.

    Parameters
    ----------
    ds : pydicom.Dataset
    cut : EyeCut
    kept : (i, j, k) bool
        Voxels of targets and brain on the grid of the scan.
    voxel_to_lps : (4, 4) float
        Of the scan.
    frame_uid : str
        Frame of reference of the scan; empty = not known.
    name : str
        File name, for messages.

    Returns
    -------
    removed : (frame, row, column) bool
    stayed : (frame, row, column) bool
        Voxels beyond the cut that kept their dose for a target or the brain.

    Raises
    ------
    InputError
        No dose, another frame of reference, no place, or a place beside the scan.
    """
    if ds.get("Modality") != "RTDOSE":
        raise InputError(f"{name}: is {ds.get('Modality') or 'of no modality'}, not an RT dose")
    if frame_uid and ds.get("FrameOfReferenceUID") and str(ds.FrameOfReferenceUID) != frame_uid:
        raise InputError(f"{name}: belongs to another frame of reference than the scan; give the dose of this scan")
    grid = read_grid(ds, name)
    lps_to_voxel = np.linalg.inv(voxel_to_lps)
    heights = (grid.corner + grid.planes_mm) @ lps_to_voxel[2, :3] + lps_to_voxel[2, 3]
    share = float(np.mean((heights > -1) & (heights < kept.shape[2])))
    if share < _MIN_OVERLAP:
        raise InputError(
            f"{name}: only {share:.0%} of its planes lie within the scan; its GridFrameOffsetVector and "
            "ImageOrientationPatient disagree with the scan: export the dose again"
        )
    # Voxels behind the cut count too, where what they read may lie in front of it.
    reach = 1 + np.ceil(grid.step_mm / np.linalg.norm(voxel_to_lps[:3, :3], axis=0)).astype(int)
    from_j, from_k = max(cut.front - int(reach[1]), 0), max(cut.bottom - int(reach[2]), 0)
    near = np.argwhere(kept[:, from_j:, from_k:]) + np.array([0, from_j, from_k])
    read = grid.around(near @ voxel_to_lps[:3, :3].T + voxel_to_lps[:3, 3])
    removed = np.zeros(grid.shape, dtype=bool)
    beyond = np.zeros(grid.shape, dtype=bool)
    for frame in range(grid.shape[0]):
        voxels = grid.points(frame) @ lps_to_voxel[:3, :3].T + lps_to_voxel[:3, 3]
        beyond[frame] = cut.beyond(voxels[..., 1], voxels[..., 2])
        removed[frame] = is_taken(cut, kept, voxels)
    removed &= ~read
    set_pixels(ds, removed, 0, name)
    return removed, beyond & ~removed
