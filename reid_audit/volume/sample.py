"""Intensities between voxels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Samples(NamedTuple):
    """Intensities at points.

    Attributes
    ----------
    values : (n,) float64
        By linear interpolation; at the nearest voxel where a point lies outside.
    inside : (n,) bool
        Whether the point lies between the outermost voxel centres.
    gradient : (n, 3) float64
        Per voxel along each axis; zero outside. Where it was not asked for: (0, 3).
    """

    values: Array
    inside: NDArray[np.bool_]
    gradient: Array


def transform(matrix: NDArray[np.floating[Any]], points: Array) -> Array:
    """Apply a (4, 4) matrix to points (n, 3)."""
    moved: Array = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def interpolate(intensity: NDArray[np.float32], at: Array, *, gradient: bool = False) -> tuple[Array, Array]:
    """Return the intensity at voxel indices (n, 3) inside the array, (n,), and its gradient, (n, 3).

    Trilinear, at least two voxels along each axis. Where no gradient is asked for, it is (0, 3).
    """
    shape = np.array(intensity.shape)
    low = np.minimum(at.astype(np.int64), shape - 2)
    fortran = intensity.flags.f_contiguous
    strides = np.array([1, shape[0], shape[0] * shape[1]] if fortran else [shape[1] * shape[2], shape[2], 1])
    flat = intensity.ravel(order="F" if fortran else "C")
    first = low @ strides
    corner = np.empty((2, 2, 2, len(at)))
    for i, j, k in np.ndindex(2, 2, 2):
        corner[i, j, k] = flat.take(first + np.array([i, j, k]) @ strides, mode="clip")
    x, y, z = (at - low).T
    along_z = corner[:, :, 0] + z * (corner[:, :, 1] - corner[:, :, 0])
    along_yz = along_z[:, 0] + y * (along_z[:, 1] - along_z[:, 0])
    by_x = along_yz[1] - along_yz[0]
    values = along_yz[0] + x * by_x
    if not gradient:
        return values, np.empty((0, 3))
    by_y = (along_z[0, 1] - along_z[0, 0]) * (1 - x) + (along_z[1, 1] - along_z[1, 0]) * x
    step_z = corner[:, :, 1] - corner[:, :, 0]
    step_yz = step_z[:, 0] + y * (step_z[:, 1] - step_z[:, 0])
    by_z = step_yz[0] + x * (step_yz[1] - step_yz[0])
    return values, np.stack([by_x, by_y, by_z], axis=1)


def sample(intensity: NDArray[np.float32], index: Array, *, gradient: bool = False) -> Samples:
    """Interpolate linearly at voxel indices (n, 3). Exact where the index is that of a voxel, to rounding.

    The gradient is taken where it is asked for.
    """
    index = np.where(np.abs(index - np.rint(index)) < 1e-4, np.rint(index), index)  # rounding of an affine
    at = np.clip(index, 0, np.array(intensity.shape) - 1)
    inside: NDArray[np.bool_] = np.logical_and.reduce((at == index).T)
    values, rises = interpolate(intensity, at, gradient=gradient)
    return Samples(values, inside, np.where(inside[:, None], rises, 0.0) if gradient else rises)
