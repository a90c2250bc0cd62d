"""Cosine distances of vectors."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import InputError

_NEAR = 1e-4
"""Below this distance 1 - cos loses digits to cancellation; it is computed from the difference vector instead."""

_ROWS_AT_ONCE = 1 << 16


def to_units(vectors: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return vectors in float64 at unit length; raises `InputError` where one is zero or not finite."""
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    if rows.ndim != 2:
        raise InputError(f"{name} must have the shape (n, d); got {rows.shape}")
    if not np.isfinite(rows).all():
        raise InputError(f"{name} must be finite; row {int(np.nonzero(~np.isfinite(rows).all(axis=1))[0][0])} is not")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if (length == 0).any():
        raise InputError(f"{name} must not hold zero vectors; row {int(np.nonzero(length == 0)[0][0])} is one")
    return np.asarray(rows / length)


def cosine_distances(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Cosine distance of every row of ``a`` from every row of ``b``.

    Parameters
    ----------
    a, b : (n, d), (m, d) array-like
        Vectors of any length but zero; they are normalised in float64.

    Returns
    -------
    (n, m) float64
        ``1 - cos`` in [0, 2], exactly 0 where the vectors are equal. Empty where n or m is 0.

    Raises
    ------
    InputError
        Zero or non-finite vectors, or lengths d that differ.

    Examples
    --------
    >>> cosine_distances([[1, 0], [0, 1]], [[2, 0], [-1, 0]]).tolist()
    [[0.0, 2.0], [1.0, 1.0]]
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.size == 0 or b.size == 0:
        return np.zeros((len(a), len(b)))
    x, y = to_units(a, "a"), to_units(b, "b")
    if x.shape[1] != y.shape[1]:
        raise InputError(f"vectors must be equally long; got {x.shape[1]} and {y.shape[1]} numbers")
    return distances_of_units(x, y)


def distances_of_units(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine distances of unit vectors; see `cosine_distances`."""
    distance = x @ y.T
    np.subtract(1.0, distance, out=distance)
    np.clip(distance, 0.0, 2.0, out=distance)
    rows, columns = np.nonzero(distance < _NEAR)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        r, c = rows[start : start + _ROWS_AT_ONCE], columns[start : start + _ROWS_AT_ONCE]
        distance[r, c] = 0.5 * ((x[r] - y[c]) ** 2).sum(axis=1)  # |x - y|^2 = 2 (1 - cos) for unit vectors
    return distance
