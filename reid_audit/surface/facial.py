"""The facial skin of a scan: what is seen of the head from the front, and how deep behind it a change reaches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Volume
from reid_audit.surface.level import find_level

_HEAD_MM = 260.0
"""From the crown of a large head to below its chin: what lies lower is neck, shoulders and chest."""


@dataclass(frozen=True, slots=True, eq=False)
class FacialSkin:
    """The first head voxel of each row that runs from front to back, in the front half of the head.

    Attributes
    ----------
    front : (i, k) int32
        Index along j; -1 where no row of the front half meets the head.
    spacing_mm : tuple of three float
    skin_level : float
        The intensity that separates head from air.
    middle : int
        The first row of the front half.
    """

    front: NDArray[np.int32]
    spacing_mm: tuple[float, float, float]
    skin_level: float
    middle: int

    @property
    def points_mm(self) -> NDArray[np.float64]:
        """Centres of the skin voxels, (n, 3), along the image axes."""
        i, k = np.nonzero(self.front >= 0)
        return np.asarray(np.stack([i, self.front[i, k], k], axis=1) * np.asarray(self.spacing_mm))


def find_facial_skin(volume: Volume, *, skin_level: float | None = None) -> FacialSkin:
    """Find the facial skin of an original scan.

    The head is the largest connected region above the skin level, `find_level` by default. Its front half is in front
    of the middle between its first and last voxel along j. Only the uppermost 260 mm count, so that shoulders
    and chest are no face.

    Raises
    ------
    InputError
        Nothing lies above the level.
    """
    from scipy import ndimage

    level = find_level(volume) if skin_level is None else skin_level
    above = volume.intensity > level
    regions, count = ndimage.label(above)
    if not count:
        raise InputError(f"{volume.source or 'scan'}: nothing lies above the skin level {level:g}; is it a head?")
    if count > 1:
        sizes = np.bincount(regions.ravel())
        sizes[0] = 0
        above = regions == int(sizes.argmax())
    del regions
    crown = int(np.flatnonzero(above.any(axis=(0, 1)))[-1])
    above[:, :, : max(0, crown - round(_HEAD_MM / volume.spacing_mm[2]))] = False
    rows = np.flatnonzero(above.any(axis=(0, 2)))
    middle = int(rows[0] + rows[-1]) // 2 + 1
    last = above.shape[1] - 1
    front = (last - np.argmax(above[:, ::-1, :], axis=1)).astype(np.int32)
    front[~above.any(axis=1) | (front < middle)] = -1
    return FacialSkin(front, volume.spacing_mm, level, middle)


def depths_of_change_mm(changed: NDArray[np.bool_], skin: FacialSkin) -> NDArray[np.float64]:
    """Measure how deep behind the facial skin changes reach, along j, for each row that has one.

    The largest is the impacted depth of Ammar 2025: "the anterior-posterior distance from the facial surface to the
    deepest visibly altered voxel", where the facial surface is the skin in front of that voxel.

    Parameters
    ----------
    changed : (i, j, k) bool

    Returns
    -------
    (n,) float64
        In mm, from skin voxel to voxel; rows whose changes lie in front of the skin alone are left out.
    """
    deepest = np.argmax(changed, axis=1)
    depth = (skin.front - deepest)[changed.any(axis=1) & (skin.front >= 0)]
    return np.asarray(depth[depth >= 0] * float(skin.spacing_mm[1]))
