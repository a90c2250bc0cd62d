"""Matter before the face of a defaced scan that its original does not have."""

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, InputError, Relief, Skin, measure_head_box

_CELL_MM = 2.0
_LEAST_MM = 3.0
_LEAST_CM2 = 2.0
_FACE_MM = (40.0, 240.0)  # below the top of the head
_HALF_WIDTH_MM = 100.0


def _relief(points: NDArray[np.float32], low: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Foremost point of each column of cells seen from the front, -inf where there is none."""
    across, up = (np.floor((points[:, axis] - corner) / _CELL_MM) for axis, corner in zip((0, 2), low, strict=True))
    keep = (across >= 0) & (across < shape[0]) & (up >= 0) & (up < shape[1])
    cells = (across[keep] * shape[1] + up[keep]).astype(np.intp)
    relief = np.full(shape, -np.inf)
    np.maximum.at(relief.reshape(-1), cells, points[keep, 1].astype(np.float64))
    return relief


def measure_relief(original: Skin) -> Relief:
    """Take the relief of an original's face: what `check_added_surface` needs to know of it.

    Raises
    ------
    InputError
        Where the original has no vertices.
    """
    if not len(original.vertices_ras_mm):
        raise InputError("added surface: the original has no skin to compare with")
    points = original.vertices_ras_mm
    head_box = measure_head_box(points)
    across, middle = head_box.middle_mm
    low = np.array([across - _HALF_WIDTH_MM, head_box.top_mm - _FACE_MM[1]])
    shape = (round(2 * _HALF_WIDTH_MM / _CELL_MM), round((_FACE_MM[1] - _FACE_MM[0]) / _CELL_MM))
    foremost = _relief(points, low, shape).astype(np.float32)
    return Relief(foremost, (float(low[0]), float(low[1])), middle)


def check_added_surface(original: Relief, defaced: Skin) -> tuple[Finding, ...]:
    """Find what a defacer put before the face: a mask, a plane, a block, another face.

    Both skins are seen from the front in cells of 2 mm, and the foremost points are compared where the original has its
    face, and beside it.

    Parameters
    ----------
    original : Relief
    defaced : Skin
        In the original's frame and at its level.

    Returns
    -------
    tuple of Finding
        One warning ``surface_added``, its value the median distance in mm, where at least 2 cm2 stand more than 3 mm
        before the original; else empty. What was only removed is no finding.
    """
    from scipy.ndimage import binary_opening, maximum_filter

    # A vertex may fall into the next cell: the original counts with its neighbours. Beside its outline whatever lies in
    # the front half of the head has been added.
    old = maximum_filter(original.foremost_mm, size=3)
    face = old > original.middle_mm
    new = _relief(defaced.vertices_ras_mm, np.array(original.corner_mm), old.shape)
    ahead = new - np.maximum(old, original.middle_mm)
    added = binary_opening(ahead > _LEAST_MM)
    area_cm2 = float(added.sum()) * _CELL_MM**2 / 100
    if area_cm2 < _LEAST_CM2:
        return ()
    half_mm = float(np.median(ahead[added & face] if (added & face).any() else ahead[added]))
    text = f"{area_cm2:.0f} cm2 stand before the original's face, half of them by more than {half_mm:.0f} mm"
    return (Finding("surface_added", "warning", text, half_mm),)
