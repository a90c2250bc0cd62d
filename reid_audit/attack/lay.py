"""The average synthetic head laid on a skin: how a head lies, told from whatever is left of it.

Words
-----
shape
    A head as a signed distance, in a frame of its own. The average head is nobody's: no scan of a person took part.
laid
    The shape moved, turned and scaled onto a skin.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reid_audit.portrait import ScanContext
from reid_audit.records import Skin, View
from reid_audit.render.camera import place_camera
from reid_audit.render.pose import face_axes
from reid_audit.render.symmetry import thin_points
from reid_audit.volume.sample import interpolate

NEAR_MM = 4.0
"""Points nearer than this to the laid shape lie on it; those further away pull the less, and on a cut at nothing."""

_FIRST_MM, _NARROWING = 20.0, 0.7  # how far a point may lie to pull, at first, and from one step to the next
_STEPS = 60
_SETTLED = 3e-4  # radians, and decimetres
_HEAD_MM = 245.0  # what lies further below the top is no head
_NECK_MM, _FADE_MM = -110.0, 15.0  # below this height in the shape's frame everybody is cut off elsewhere
_STIFF_MM2 = 80.0  # what keeps the scales near 1: squared residual per point of a head e times as large along an axis
_SCALES = (0.6, 1.6)
_NODS_DEG = (0.0, -20.0, 20.0)  # further starts where the first leads to no fit
_WELL_LAID = 0.6  # share of the points; no other start is tried

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class HeadShape:
    """A head without a person.

    Attributes
    ----------
    distance_mm : (i, j, k) float32
        Signed distance to the skin, negative inside.
    voxel_to_head_mm : (4, 4) float64
        To a frame whose axes are the head's right, front and top; cubes without rotation.
    """

    distance_mm: NDArray[np.float32]
    voxel_to_head_mm: Array

    def measure(self, points_mm: Array) -> tuple[Array, Array]:
        """Return the distance of points (n, 3) from the skin, and how it grows along each axis: (n,), (n, 3).

        Trilinear, and its exact gradient; beyond the grid as far as from its nearest voxel, and more.
        """
        spacing_mm = float(self.voxel_to_head_mm[0, 0])
        index = (points_mm - self.voxel_to_head_mm[:3, 3]) / spacing_mm
        inside = np.clip(index, 0, np.array(self.distance_mm.shape) - 1.001)
        distance_mm, gradient = interpolate(self.distance_mm, inside, gradient=True)
        outside_mm = (index - inside) * spacing_mm
        beyond_mm = np.linalg.norm(outside_mm, axis=1)
        direction = outside_mm / np.maximum(beyond_mm, 1e-9)[:, None]
        slope = np.where((beyond_mm > 0.01 * spacing_mm)[:, None], direction, gradient / spacing_mm)
        return distance_mm + beyond_mm, slope


@lru_cache(maxsize=2)
def _middle_mm(shape: HeadShape) -> Array:
    """Return the point that `reid_audit.render.find_frontal_view` aims at, in the frame of the shape: (3,)."""
    inside = np.argwhere(shape.distance_mm < 0).astype(np.float64)
    points = inside @ shape.voxel_to_head_mm[:3, :3].T + shape.voxel_to_head_mm[:3, 3]
    top = points[:, 2].max()
    upper = points[points[:, 2] > top - 150.0, :2]
    return np.array([*(upper.min(axis=0) + upper.max(axis=0)) / 2, top - 115.0])


@lru_cache(maxsize=1)
def average_shape() -> HeadShape:
    """Return the average synthetic head; z = 0 is the height of its eyes, y = 0 that of its ear canals."""
    from reid_audit.phantom import make_average_head

    head = make_average_head()
    return HeadShape(head.skin_mm, head.voxel_to_head_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A shape on a head.

    Attributes
    ----------
    head_to_ras_mm : (4, 4) float64
        From the frame of the shape to RAS mm: a scale for each of its axes, a rotation and a shift.
    fitting : float
        Share of the skin's points that lie within `NEAR_MM` of the laid shape.
    """

    head_to_ras_mm: Array
    fitting: float

    @property
    def scale(self) -> float:
        """Size of the head relative to the shape's: the geometric mean of the three scales."""
        return float(abs(np.linalg.det(self.head_to_ras_mm[:3, :3])) ** (1 / 3))

    @property
    def view(self) -> View:
        """The view that faces the head and looks at the origin of the shape's frame."""
        axes = self.head_to_ras_mm[:3, :3].T
        x, y, z = (round(float(value), 3) for value in self.head_to_ras_mm[:3, 3])
        return face_axes(axes / np.linalg.norm(axes, axis=1)[:, None], View(target_ras_mm=(x, y, z)))


def lay_head(skin: Skin, shape: HeadShape, start: View) -> Laid:
    """Lay a head onto what is left of a defaced one: rotation, shift and a scale for each axis.

    The skin's points are moved to where the shape's distance is smallest, by Gauss-Newton steps on a loss that levels
    off (Geman and McClure 1987) from ever nearer on: points on a cut lie far from the shape, and do not count
    (Fitzgibbon 2003, doi:10.1016/j.imavis.2003.09.004).

    Parameters
    ----------
    skin : Skin
        Of the defaced head; at least one vertex.
    shape : HeadShape
    start : View
        Where to begin: it faces the head, to some 30 degrees.

    Returns
    -------
    Laid
        Deterministic.
    """
    camera = place_camera(start)
    axes = np.array([-camera.right, camera.towards, camera.up])  # the picture's right is the head's left
    vertices = skin.vertices_ras_mm
    height = vertices @ axes[2].astype(np.float32)
    points = vertices[height > np.percentile(height, 99.9) - _HEAD_MM]
    points = points[thin_points(points)].astype(np.float64)
    best: Laid | None = None
    for nod_deg in _NODS_DEG:
        laid = _lay(points, shape, axes, np.asarray(start.target_ras_mm), np.radians(nod_deg))
        if best is None or laid.fitting > best.fitting:
            best = laid
        if best.fitting > _WELL_LAID:
            break
    assert best is not None  # there are three starts
    return best


def lay_average_head(context: ScanContext, skin: Skin) -> Laid:
    """Lay the average head on a skin of a scan, once. RenderError where the skin has no vertices."""
    return context.once(("laid", skin), lambda: lay_head(skin, average_shape(), context.find_view(skin)))


def _lay(points: Array, shape: HeadShape, axes: Array, middle_ras_mm: Array, nod: float) -> Laid:
    """Lay a head that is first nodded by so much about the point that the start looks at."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec([nod, 0.0, 0.0]).as_matrix() @ axes
    scales, shift = np.ones(3), _middle_mm(shape) - turn @ middle_ras_mm
    reach_mm, distance_mm, counts = _FIRST_MM, np.zeros(len(points)), np.ones(len(points))
    for _ in range(_STEPS):
        turned = points @ turn.T
        placed = turned * scales + shift
        distance_mm, slope = shape.measure(placed)
        counts = np.clip((placed[:, 2] - _NECK_MM) / _FADE_MM, 0.0, 1.0)
        weight = counts * (1.0 + (distance_mm / reach_mm) ** 2) ** -2
        scaled = slope * scales
        jacobian = np.hstack([np.cross(turned, scaled), slope, scaled * turned])
        normal = jacobian.T @ (weight[:, None] * jacobian) + 1e-9 * np.eye(9)
        vector = jacobian.T @ (weight * distance_mm)
        stiff = _STIFF_MM2 * weight.sum()
        normal[6:, 6:] += stiff * np.eye(3)
        vector[6:] += stiff * np.log(scales)
        step = -np.linalg.solve(normal, vector)
        turn = Rotation.from_rotvec(step[:3]).as_matrix() @ turn
        shift = shift + step[3:6]
        scales = np.clip(scales * np.exp(np.clip(step[6:], -0.1, 0.1)), *_SCALES)
        if reach_mm == NEAR_MM and max(np.abs(step[:3]).max(), np.abs(step[3:6]).max() / 100) < _SETTLED:
            break
        reach_mm = max(NEAR_MM, _NARROWING * reach_mm)
    head_to_ras_mm = np.eye(4)
    head_to_ras_mm[:3, :3] = turn.T / scales
    head_to_ras_mm[:3, 3] = -turn.T @ (shift / scales)
    on_shape = (np.abs(distance_mm) < NEAR_MM) * counts
    return Laid(head_to_ras_mm, float(on_shape.sum() / max(counts.sum(), 1e-9)))
