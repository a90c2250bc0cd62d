"""The cut of O'Sullivan-Steben 2025 (II.A-B): where it lies, and which voxels it takes.

Words
-----
voxel
    i, j, k along axes that grow to the right, front and top; centres at whole numbers.
cut
    Everything from the lowest slice that shows an eye upwards, and in front of the eyes' centre. The centre is the
    mean of all eye voxels of both sides, so that a head that is turned is cut along one plane. The row that holds the
    centre stays.
kept
    Voxels of targets (PTV, CTV, GTV) and of the brain. They stay where they are in front of the cut, as islets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError

Mask = NDArray[np.bool_]

EYE_RADIUS_MM = 12.0
"""Of an adult's eyeball: how far below its centre an eye ends that is known by its place on the skin alone."""

EYE_DEPTH_MM = 14.0
"""From the skin before an eye (lid or cornea) back to the eye's centre."""


@dataclass(frozen=True, slots=True)
class EyeCut:
    """`bottom`: lowest slice k of what is removed. `front`: the last row j that stays; what has a larger j goes."""

    bottom: int
    front: int

    def beyond(self, j: NDArray[np.float64], k: NDArray[np.float64]) -> Mask:
        """Whether voxel coordinates, which need not be whole or inside the scan, lie in what the cut takes."""
        mask: Mask = (j > self.front + 0.5) & (k > self.bottom - 0.5)
        return mask


def find_cut(eyes: Mask) -> EyeCut:
    """Return the cut of a non-empty mask of the eyes, (i, j, k).

    One eye, or an eye on a single slice, is enough: the cut then follows what there is.
    """
    slices = np.flatnonzero(eyes.any(axis=(0, 1)))
    rows = eyes.sum(axis=(0, 2))
    centre = float(np.average(np.arange(rows.size), weights=rows))
    return EyeCut(int(slices[0]), int(np.floor(centre)))


def cut_at_skin(points_ras_mm: Sequence[Sequence[float]], voxel_to_ras_mm: NDArray[np.float64]) -> EyeCut:
    """Return the cut of eyes that are known by where a look straight ahead leaves the skin.

    The centre of an eye is taken `EYE_DEPTH_MM` behind that point, its lower end `EYE_RADIUS_MM` below its centre.

    Parameters
    ----------
    points_ras_mm : sequence of (3,) float
        One or two.
    voxel_to_ras_mm : (4, 4) float

    Raises
    ------
    InputError
        No point, or one that is not finite.
    """
    points = np.asarray(points_ras_mm, dtype=float).reshape(-1, 3)
    if not len(points) or not np.isfinite(points).all():
        raise InputError("eyes_ras_mm: give the skin before one or both eyes as x, y, z in RAS mm")
    spacing_mm = np.linalg.norm(voxel_to_ras_mm[:3, :3], axis=0)
    voxels = np.linalg.solve(voxel_to_ras_mm, np.column_stack([points, np.ones(len(points))]).T)[:3]
    front = float(voxels[1].mean()) - EYE_DEPTH_MM / spacing_mm[1]
    bottom = float(voxels[2].min()) - EYE_RADIUS_MM / spacing_mm[2]
    return EyeCut(int(np.floor(bottom + 0.5)), int(np.floor(front)))


def removed_by(cut: EyeCut, kept: Mask, where: str = "eyes") -> Mask:
    """Return the voxels that the cut takes, without the kept ones, on the grid of `kept`.

    Raises
    ------
    InputError
        Where the cut leaves the grid, so that nothing would be removed; the message begins with `where`.
    """
    _, n_j, n_k = kept.shape
    if not (0 <= cut.front < n_j - 1 and cut.bottom < n_k):
        raise InputError(
            f"{where}: lie outside the scan, so that there is nothing to cut; do they belong to this scan?"
        )
    removed = np.zeros(kept.shape, dtype=bool)
    removed[:, cut.front + 1 :, max(cut.bottom, 0) :] = True
    removed &= ~kept
    return removed
