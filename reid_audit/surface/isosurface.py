"""Where an image has one value: a mesh in the image's own axes."""

import numpy as np
from numpy.typing import NDArray


def mesh_level(
    field: NDArray[np.float32], level: float
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Mesh the surface between what is at or above a level and what is below it.

    Marching cubes (Lorensen and Cline 1987), of the cells alone that the level passes through. The normals come from
    central differences of the image.

    Parameters
    ----------
    field : (i, j, k) float32
        At least two voxels along each axis; best with the first axis contiguous.
    level : float

    Returns
    -------
    vertices : (n, 3) float32
        In voxels, the first voxel's centre at the origin; each belongs to one edge of the lattice.
    faces : (m, 3) int32
        Seen from below the level, the corners of a triangle run counterclockwise where the axes are right-handed.
    normals : (n, 3) float32
        Unit vectors against the gradient in voxels: out of what is above the level.
    """
    from skimage.measure import marching_cubes

    level = float(np.nextafter(np.float32(level), np.float32(-np.inf)))  # a voxel at the level counts as above it
    passed = _find_passed(level < field.T)  # transposed, the image is C contiguous, and no copy is made
    if not passed.any():
        return np.empty((0, 3), np.float32), np.empty((0, 3), np.int32), np.empty((0, 3), np.float32)
    vertices_kji, faces, _, _ = marching_cubes(field.T, level, method="lorensen", mask=passed)
    vertices = np.ascontiguousarray(vertices_kji[:, ::-1], dtype=np.float32)
    before = vertices.astype(np.intp)
    part = vertices - before  # along the edge of a vertex; 0 along the two other axes
    gradient = _differentiate(field, before)
    gradient += part.max(axis=1, keepdims=True) * (_differentiate(field, before + (part > 0)) - gradient)
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    np.divide(gradient, -length, out=gradient, where=length > 0)
    return vertices, np.asarray(faces, np.int32), gradient


def _find_passed(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the last voxel of each cell of eight that are neither all above the level nor all below."""
    every = some = above
    for axis in range(3):
        first, last = ([slice(None)] * 3 for _ in range(2))
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        every = every[tuple(first)] & every[tuple(last)]
        some = some[tuple(first)] | some[tuple(last)]
    passed = np.zeros_like(above)
    passed[1:, 1:, 1:] = some & ~every
    return passed


def _differentiate(field: NDArray[np.float32], voxels: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return central differences per voxel at (n, 3) voxels, one-sided ones at the border."""
    values, steps = field.ravel(order="F"), np.cumprod((1, *field.shape[:2]))
    i, j, k = voxels.T
    places = i + steps[1] * j + steps[2] * k
    gradient = np.empty(voxels.shape, np.float32)
    for along, of_axis, step, n in zip(gradient.T, (i, j, k), steps, field.shape, strict=True):
        # Beyond the border lies another voxel of the field, or its first or last one; what is read there is mended.
        np.subtract(values.take(places + step, mode="clip"), values.take(places - step, mode="clip"), out=along)
        along /= 2
        for border, inwards in ((0, step), (n - 1, -step)):
            (at,) = np.nonzero(of_axis == border)
            along[at] = (values[places[at] + inwards] - values[places[at]]) * np.sign(inwards)
    return gradient
