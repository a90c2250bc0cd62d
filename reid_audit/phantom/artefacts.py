"""What a scanner adds where teeth are filled or a head moves."""

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.broad import Anchors
from reid_audit.phantom.field import Array

_FILLING_HU, _STREAK_HU = 3071.0, 400.0
_TEETH_Y_MM, _TEETH_X_MM = -30.0, 20.0  # behind the lips, to both sides
_REACH_MM, _HALF_HEIGHT_MM, _FILLING_MM = 35.0, 4.0, 4.0


def blur(image: Array, spacing_mm: tuple[float, float, float], sd_mm: float) -> Array:
    """Return an image as a soft kernel or a head that moves leaves it."""
    from scipy.ndimage import gaussian_filter

    blurred: Array = gaussian_filter(image, [sd_mm / step for step in spacing_mm], truncate=2.5)
    return blurred


def add_streaks(
    image: Array,
    voxel_to_ras_mm: NDArray[np.float64],
    head_to_ras_mm: NDArray[np.float64],
    anchors: Anchors,
    *,
    seed: int,
) -> None:
    """Lay rays from two fillings into whole slices of a CT, weaker with distance, as filtered back projection does."""
    rng = np.random.default_rng(seed)
    to_index = np.linalg.inv(voxel_to_ras_mm) @ head_to_ras_mm
    spacing_mm = np.linalg.norm(voxel_to_ras_mm[:3, :3], axis=0)
    lips_y = float(np.max(anchors.lip_y))
    for side in (-1, 1):
        i, j, k = (to_index @ [side * _TEETH_X_MM, lips_y + _TEETH_Y_MM, anchors.mouth_z, 1.0])[:3]
        dx = (np.arange(image.shape[0]) - i)[:, None] * spacing_mm[0]
        dy = (np.arange(image.shape[1]) - j)[None, :] * spacing_mm[1]
        angle, radius = np.arctan2(dy, dx), np.hypot(dx, dy)
        rays = sum(rng.normal() * np.cos(m * angle + rng.uniform(0, 2 * np.pi)) for m in range(5, 40, 3)) / 4
        streak = (_STREAK_HU * rays * np.exp(-radius / _REACH_MM)).astype(np.float32)
        planes = round(_HALF_HEIGHT_MM / spacing_mm[2])
        for plane in range(max(round(k) - planes, 0), min(round(k) + planes + 1, image.shape[2])):
            image[:, :, plane] += streak
            image[:, :, plane][radius < _FILLING_MM] = _FILLING_HU
