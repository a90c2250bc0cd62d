"""Turn and shift a placement until the intensities agree: one cranium, stretched a little, would fit another's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.alteration.intensity import fit_intensity
from reid_audit.volume.sample import Array, sample, transform

_STEPS = 15
_LEAST_POINTS = 200
_SETTLED_MM = 0.01
_UNIT_MM = 100.0  # a turn by one radian moves a point so far away by so much: turns and shifts weigh alike


def improve(
    placement: Array,
    points: Array,
    values: Array,
    field: NDArray[np.float32],
    to_index: NDArray[np.floating[Any]],
    *,
    contrast: float,
) -> Array:
    """Move a placement until the values at points agree with a field: Gauss-Newton, robustly weighted.

    Parameters
    ----------
    placement : (4, 4) float64
    points, values : (n, 3), (n,) float64
        RAS mm of the original, and its intensities there.
    field : (i, j, k) float32
    to_index : (4, 4) float64
        From the field's RAS mm to its indices.
    contrast : float
        In the units of the values.

    Returns
    -------
    (4, 4) float64
        As it was where fewer than 200 points lie inside the field.
    """
    from scipy.spatial.transform import Rotation

    for _ in range(_STEPS):
        places = transform(placement, points)
        seen = sample(field, transform(to_index, places), gradient=True)
        use = seen.inside
        if use.sum() < _LEAST_POINTS:
            return placement
        intensity = fit_intensity(values[use], seen.values[use], contrast)
        residual = seen.values[use] - intensity.apply(values[use])
        scale = max(3 * float(np.median(np.abs(residual))), 0.02 * abs(intensity.gain) * contrast, 1e-12)
        weight = (1 + (residual / scale) ** 2) ** -2  # Geman and McClure's
        slope = seen.gradient[use] @ to_index[:3, :3]
        centre = places[use].mean(axis=0)
        away = (places[use] - centre) / _UNIT_MM
        jacobian = np.hstack([np.cross(away, slope), slope])
        normal = jacobian.T @ (weight[:, None] * jacobian)
        normal += (1e-6 * np.trace(normal) / len(normal) + 1e-12) * np.eye(len(normal))
        step = -np.linalg.solve(normal, jacobian.T @ (weight * residual))
        move = np.eye(4)
        move[:3, :3] = Rotation.from_rotvec(step[:3] / _UNIT_MM).as_matrix()
        move[:3, 3] = centre - move[:3, :3] @ centre + step[3:]
        placement = move @ placement
        some = places[:: max(1, len(places) // 50)]
        if np.abs(transform(move, some) - some).max() < _SETTLED_MM:
            break
    return placement
