"""The mirror plane of a face, and how far it is from symmetry."""

from functools import lru_cache
from math import cos, radians

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, Skin, measure_head_box

Array = NDArray[np.float64]

_CELL_MM = 5.0  # points are thinned to one per cell
_NORMAL_MM = 10.0  # a normal turned by a right angle counts as this distance times the root of two
_FACE_BELOW_TOP_MM = 200.0
_FARTHEST_SCALES = 5.0  # pairs that lie further apart do not belong together at all
_MIRROR_SCALE_MM = 4.0  # residual at which a pair of points begins to count as a real asymmetry
_ONE_SIDED_MM = 5.0
_ONE_SIDED_CM2 = 10.0


def thin_points(points: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return which points (n, 3) are the first in their cell of 5 mm."""
    if not len(points):
        return np.zeros(0, np.intp)
    cells = [np.floor(np.divide(along, _CELL_MM, dtype=np.float64)).astype(np.intp) for along in points.T]
    cells = [along - along.min() for along in cells]
    shape = tuple(int(along.max()) + 1 for along in cells)
    first = np.full(np.prod(shape), -1)
    first[np.ravel_multi_index(cells, shape)[::-1]] = np.arange(len(points))[::-1]  # the last written stays
    return np.asarray(first[first >= 0])


@lru_cache(maxsize=1)  # asked for twice, by the mirror plane and by what lies on one side of it
def _front(skin: Skin) -> tuple[Array, Array]:
    """Points of the front half of the head and their normals, about one per 5 mm cell. Not to be written to."""
    points = skin.vertices_ras_mm
    head_box = measure_head_box(points)
    keep = (points[:, 2] > head_box.top_mm - _FACE_BELOW_TOP_MM) & (points[:, 1] > head_box.middle_mm[1])
    which = np.flatnonzero(keep)
    which = which[thin_points(points[which])]
    return points[which].astype(np.float64), skin.normals[which].astype(np.float64)


def weigh(residual: Array, distance: Array, scale: float) -> Array:
    """Geman and McClure's weight; 0 for pairs that do not belong together at all."""
    weight: Array = np.where(distance < _FARTHEST_SCALES * scale, (1 + (residual / scale) ** 2) ** -2, 0.0)
    return weight


@lru_cache(maxsize=1)  # asked for twice in a row: by the pose, and for what lies on one side
def find_mirror_plane(skin: Skin) -> tuple[Array, float]:
    """Find the plane about which the front of a head is its own mirror image.

    Points are reflected, joined with the nearest points that face the same way, and the plane is moved until the
    reflected points lie on the tangent planes of their partners (Chen and Medioni 1992), each pair weighted by how well
    it fits, so that an ear or a bandage on one side does not turn the head.

    Returns
    -------
    normal : (3,) float64
        Unit vector to the right, within about 25 degrees of RAS x. Not to be written to: the next caller gets it too.
    offset_mm : float
        The plane holds the points p with ``normal @ p == offset_mm``.
    """
    from scipy.spatial import cKDTree

    points, normals = _front(skin)
    plane = np.array([1.0, 0.0, 0.0])
    if len(points) < 50:
        return plane, float(np.median(skin.vertices_ras_mm[:, 0]))
    offset = float(np.percentile(points[:, 0], [2, 98]).mean())
    tree = cKDTree(np.hstack([points, _NORMAL_MM * normals]))
    scale = 3 * _MIRROR_SCALE_MM
    for _ in range(40):
        height = points @ plane - offset
        image = points - 2 * np.outer(height, plane)
        image_normals = normals - 2 * np.outer(normals @ plane, plane)
        near = np.hstack([image, _NORMAL_MM * image_normals])
        distance, partner = tree.query(near, distance_upper_bound=_FARTHEST_SCALES * scale)
        partner[np.isinf(distance)] = 0  # none near enough to count
        n = normals[partner]
        residual = ((image - points[partner]) * n).sum(axis=1)
        weight = weigh(residual, distance, scale)
        tangents = np.array([[-plane[1], plane[0], 0.0], [0.0, 0.0, 0.0]])
        tangents[0] /= np.linalg.norm(tangents[0])
        tangents[1] = np.cross(plane, tangents[0])
        across = n @ plane
        jacobian = np.stack([-2 * ((points @ t) * across + height * (n @ t)) for t in tangents] + [2 * across], axis=1)
        normal_matrix = jacobian.T @ (weight[:, None] * jacobian) + 1e-9 * np.eye(3)
        step = -np.linalg.solve(normal_matrix, jacobian.T @ (weight * residual))
        plane = plane + step[:2] @ tangents
        length = float(np.linalg.norm(plane))
        plane, offset = plane / length, (offset + float(step[2])) / length
        settled = scale == _MIRROR_SCALE_MM and np.abs(step[:2]).max() < 5e-4
        scale = max(_MIRROR_SCALE_MM, 0.8 * scale)
        if settled:
            break
    if plane[0] < cos(radians(35)):  # nothing like a head: leave it as it lies
        return np.array([1.0, 0.0, 0.0]), float(np.percentile(points[:, 0], [2, 98]).mean())
    plane.flags.writeable = False
    return plane, offset


def check_one_sided(skin: Skin) -> tuple[Finding, ...]:
    """Find what lies on one half of a face alone: a bolus, a dressing, a tube, a swelling.

    Returns
    -------
    tuple of Finding
        One warning ``one_sided``, its value in mm, where at least 10 cm2 of the front of the head stand more than 5 mm
        before the mirror image of the other half; else empty. The shape cannot tell cloth from flesh.
    """
    from scipy.spatial import cKDTree

    points, normals = _front(skin)
    if len(points) < 50:
        return ()
    plane, offset = find_mirror_plane(skin)
    height = points @ plane - offset
    image = points - 2 * np.outer(height, plane)
    image_normals = normals - 2 * np.outer(normals @ plane, plane)
    distance, nearest = cKDTree(np.hstack([image, _NORMAL_MM * image_normals])).query(
        np.hstack([points, _NORMAL_MM * normals])
    )
    before_mm = ((points - image[nearest]) * image_normals[nearest]).sum(axis=1)
    middle = np.percentile(points[:, 1], 30)
    out = (before_mm > _ONE_SIDED_MM) & (distance < 40) & (points[:, 1] > middle)
    area_cm2 = float(out.sum()) * _CELL_MM**2 / 100
    if area_cm2 < _ONE_SIDED_CM2:
        return ()
    most_mm = float(np.percentile(before_mm[out], 90))
    text = f"{area_cm2:.0f} cm2 on one side of the face stand up to {most_mm:.0f} mm before the other: is it covered?"
    return (Finding("one_sided", "warning", text, most_mm),)
