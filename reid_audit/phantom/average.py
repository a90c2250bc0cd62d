"""The average synthetic head as a shape: nobody's, not even a synthetic person's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.broad import find_anchors
from reid_audit.phantom.field import Grid
from reid_audit.phantom.person import Person, Visit
from reid_audit.phantom.skin import skin_distance

_LOW_MM, _HIGH_MM = np.array([-110.0, -120.0, -150.0]), np.array([110.0, 130.0, 130.0])
_NEUTRAL = Visit(
    rotation_deg=(0.0, 0.0, 0.0),
    shift_mm=(0.0, 0.0, 0.0),
    spacing_mm=(2.0, 2.0, 2.0),
    weight=0.0,
    mouth_gap_mm=0.0,
    lid_drop_mm=0.0,
    noise=0.0,
    scale=1.0,
    bias=(0.0, 0.0, 0.0),
    noise_seed=0,
)


def average_head(spacing_mm: float = 2.0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Make the head that has the mean of every trait.

    Parameters
    ----------
    spacing_mm : float
        Edge of the voxels.

    Returns
    -------
    distance_mm : (i, j, k) float32
        Signed distance to the skin, negative inside; holds within some 20 mm of it, further off only the sign does.
    voxel_to_head_mm : (4, 4) float64
        Head frame: x right, y front of the ear canals, z above the eyes.
    """
    n = np.ceil((_HIGH_MM - _LOW_MM) / spacing_mm).astype(int) + 1
    voxel_to_head_mm = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    voxel_to_head_mm[:3, 3] = _LOW_MM
    person = Person()
    grid = Grid((int(n[0]), int(n[1]), int(n[2])), voxel_to_head_mm, person.warp_centres_mm, person.warp_shifts_mm)
    distance_mm = skin_distance(person, _NEUTRAL, find_anchors(person, _NEUTRAL), grid)
    return np.ascontiguousarray(distance_mm, dtype=np.float32), voxel_to_head_mm
