"""The grid of a DICOM RT dose; its only reader."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError


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

    def voxel_to_lps(self, source: str) -> NDArray[np.float64]:
        """Return the (4, 4) matrix from (column, row, frame) to LPS mm. InputError where the planes are uneven."""
        steps_mm = np.diff(self.planes_mm, axis=0)
        if not len(steps_mm):
            raise InputError(f"{source}: has a single plane; two or more are needed")
        mean_mm = steps_mm.mean(axis=0)
        if np.abs(steps_mm - mean_mm).max() > 1e-2 * np.linalg.norm(mean_mm):
            lengths_mm = np.linalg.norm(steps_mm, axis=1)
            raise InputError(
                f"{source}: its planes are {lengths_mm.min():g} to {lengths_mm.max():g} mm apart; even ones are needed"
            )
        matrix = np.eye(4)
        matrix[:3] = np.stack([self.along_mm, self.down_mm, mean_mm, self.corner + self.planes_mm[0]], axis=1)
        return matrix

    def points(self, frame: int) -> NDArray[np.float64]:
        """Return the voxel centres of one plane, (rows, columns, 3)."""
        _, rows, columns = self.shape
        down = np.arange(rows)[:, None, None] * self.down_mm
        along = np.arange(columns)[None, :, None] * self.along_mm
        points: NDArray[np.float64] = self.corner + self.planes_mm[frame] + down + along
        return points

    def around(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
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


def read_dose_grid(ds: Any, source: str) -> DoseGrid:
    """Return the grid of a dose. ``GridFrameOffsetVector`` is read in both of its forms.

    It starts with 0 and runs along the normal of rows and columns, or it starts with the z of the first plane and
    holds the z of each.

    Raises
    ------
    InputError
        A field that places the dose is missing or is not a number.
    """
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames > 1 and not ds.get("GridFrameOffsetVector"):
        raise InputError(f"{source}: has {frames} planes and lacks GridFrameOffsetVector, which says where they lie")
    try:
        corner = np.array(ds.ImagePositionPatient, dtype=np.float64)
        row, column = np.array(ds.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        down_mm, along_mm = (float(v) for v in ds.PixelSpacing)
        offsets = np.atleast_1d(np.array(ds.get("GridFrameOffsetVector") or [0.0], dtype=np.float64))
        shape = (frames, int(ds.Rows), int(ds.Columns))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{source}: a field that says where the dose lies is missing or damaged; export it again"
        ) from error
    if len(offsets) != frames or (frames > 1 and len(np.unique(offsets)) < frames):
        raise InputError(
            f"{source}: GridFrameOffsetVector names {len(np.unique(offsets))} different planes, the dose has {frames}"
        )
    if offsets[0] and np.isclose(offsets[0], corner[2], atol=1e-2):
        planes = (offsets - offsets[0])[:, None] * np.array([0.0, 0.0, 1.0])
    else:
        planes = (offsets - offsets[0])[:, None] * np.cross(row, column)
    return DoseGrid(corner, row * along_mm, column * down_mm, planes, shape)
