"""The facial skin of a scan: what is seen of the head from the front, and how far behind it something lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Volume
from reid_audit.utility.structures import Structure
from reid_audit.utility.surfaces import Spacing, find_surface_voxels

SKIN_HU = -300.0
NEAR_FACE_MM = 5.0
"""Within this distance of the facial skin a structure lies on the face (Ammar 2025)."""

_HEAD_MM = 260.0
"""From the crown of a large head to below its chin: what lies lower is neck, shoulders and chest."""

_LOOK_MM = 60.0
"""Distances to the face beyond this are not looked up."""


@dataclass(frozen=True, slots=True, eq=False)
class FacialSkin:
    """The first head voxel of each row that runs from front to back, in the front half of the head.

    Attributes
    ----------
    front : (i, k) int32
        Index along j; -1 where no row of the front half meets the head.
    spacing_mm : tuple of three float
    level : float
        The intensity that separates head from air.
    """

    front: NDArray[np.int32]
    spacing_mm: Spacing
    level: float

    @property
    def points_mm(self) -> NDArray[np.float64]:
        """Centres of the skin voxels, (n, 3), along the image axes."""
        i, k = np.nonzero(self.front >= 0)
        return np.asarray(np.stack([i, self.front[i, k], k], axis=1) * np.asarray(self.spacing_mm))


def head_level(volume: Volume) -> float:
    """Intensity that separates the head from air: -300 HU in CT, half of Otsu's threshold in MR."""
    if volume.is_hu:
        return SKIN_HU
    from skimage.filters import threshold_otsu

    return 0.5 * float(threshold_otsu(volume.intensity[::2, ::2, ::2]))


def find_facial_skin(volume: Volume) -> FacialSkin:
    """Find the facial skin of an original scan.

    The head is the largest connected region above the skin level: -300 HU in CT, half of Otsu's threshold in MR. Its
    front half is in front of the middle between its first and last voxel along j. Only the uppermost 260 mm count, so
    that shoulders and chest are no face.

    Raises
    ------
    InputError
        Nothing lies above the level.
    """
    from scipy import ndimage

    level = head_level(volume)
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
    middle = (rows[0] + rows[-1]) / 2
    last = above.shape[1] - 1
    front = (last - np.argmax(above[:, ::-1, :], axis=1)).astype(np.int32)
    front[~above.any(axis=1) | (front <= middle)] = -1
    return FacialSkin(front, volume.spacing_mm, level)


def distance_to_face_mm(structure: Structure, skin: FacialSkin) -> float:
    """Distance between the nearest voxel centres of a structure and the facial skin; infinite beyond 60 mm."""
    from scipy.spatial import cKDTree

    points = skin.points_mm
    if not len(points):
        return float("inf")
    spacing = np.asarray(skin.spacing_mm)
    start = np.array([s.start for s in structure.box])
    surface = (np.argwhere(find_surface_voxels(structure.mask)) + start) * spacing
    # Only skin that can be nearer than the limit to the structure's box is looked at.
    low, high = surface.min(axis=0) - _LOOK_MM, surface.max(axis=0) + _LOOK_MM
    near = points[((points >= low) & (points <= high)).all(axis=1)]
    if not len(near):
        return float("inf")
    tree = cKDTree(near, balanced_tree=False, compact_nodes=False)
    best = float(tree.query(surface[::16], distance_upper_bound=_LOOK_MM)[0].min())  # a first guess bounds the rest
    bound = min(best + 1e-6, _LOOK_MM)
    return float(min(best, tree.query(surface, distance_upper_bound=bound)[0].min()))


def depths_of_change_mm(changed: NDArray[np.bool_], skin: FacialSkin) -> NDArray[np.float64]:
    """Depth of the deepest changed voxel behind the facial skin, along j, for each row that has one (Ammar 2025).

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
