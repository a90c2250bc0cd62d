"""The surface of a mask in two forms: its outermost voxels, and the patches of area between its voxels.

Words
-----
surface voxel
    A voxel of the mask that shares a face with a voxel outside of it. What lies beyond the edge of the image is
    outside. This is the surface of Sahlsten 2023, of ITK's contour filters and of MONAI.
surfel
    A corner between eight voxels of which some, not all, belong to the mask. Its area is that of classic marching
    cubes through the eight; this is the surface of Nikolov et al. 2018 (arXiv:1809.04430), whose surface Dice weighs
    by area, so that anisotropic voxels do not weigh their narrow faces too much.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float, float, float]

_CORNERS = tuple((a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1))


def find_surface_voxels(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the voxels of a mask that share a face with the outside."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(start, padded.shape[axis] - 2 + start)
            inside &= padded[tuple(window)]
    return mask & ~inside


@lru_cache(maxsize=32)
def surfel_areas_mm2(spacing_mm: Spacing) -> NDArray[np.float64]:
    """Area of the surface through eight voxels for each of their 256 states.

    Classic marching cubes (Lorensen and Cline 1987) by scikit-image, with the smaller side of the eight in front:
    where a face is ambiguous, up to four corners are kept apart, and more than four are those without them. So the
    areas are symmetric in inside and outside, and equal to DeepMind's table.
    """
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for code in range(1, 128):
        cube = np.array([code >> bit & 1 for bit in range(8)], dtype=np.float32).reshape(2, 2, 2)
        if cube.sum() > 4:
            cube = 1 - cube
        vertices, faces, _, _ = marching_cubes(cube, 0.5, spacing=spacing_mm, method="lorensen")
        areas[code] = areas[255 - code] = mesh_surface_area(vertices, faces)
    areas.flags.writeable = False
    return areas


def find_surfels(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Encode the eight voxels around each corner: (i + 1, j + 1, k + 1) uint8, 0 and 255 = no surface there."""
    padded = np.pad(mask, 1).astype(np.uint8)
    n = tuple(size + 1 for size in mask.shape)
    code = np.zeros(n, dtype=np.uint8)
    for bit, corner in enumerate(_CORNERS):
        window = tuple(slice(c, c + size) for c, size in zip(corner, n, strict=True))
        code |= padded[window] << np.uint8(bit)
    return code


def directed_distances_mm(
    source: NDArray[np.bool_], target: NDArray[np.bool_], spacing_mm: Spacing, *, at_most_mm: float = np.inf
) -> tuple[NDArray[np.float64], tuple[NDArray[np.intp], ...]]:
    """Distance from each point of one set to the nearest of another, on one lattice.

    Points that both sets hold are at 0 without being looked up: two nearly equal surfaces cost next to nothing.

    Parameters
    ----------
    source, target : (i, j, k) bool
        ``target`` must not be empty.
    at_most_mm : float
        Distances beyond it become infinite.

    Returns
    -------
    distances_mm : (n,) float64
    points : tuple of three (n,) int
        Where each of them starts.
    """
    from scipy.spatial import cKDTree

    apart = np.nonzero(source & ~target)
    shared = np.nonzero(source & target)
    distances = np.zeros(len(apart[0]) + len(shared[0]))
    if len(apart[0]):
        spacing = np.asarray(spacing_mm)
        tree = cKDTree(np.argwhere(target) * spacing, balanced_tree=False, compact_nodes=False)
        points = np.stack(apart, axis=1) * spacing
        distances[: len(points)] = tree.query(points, distance_upper_bound=at_most_mm)[0]
    where: tuple[Any, ...] = tuple(np.concatenate(pair) for pair in zip(apart, shared, strict=True))
    return distances, where
