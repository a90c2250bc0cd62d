"""The broad forms of a head, and where the fine features sit on them.

Braincase, face, neck and flesh are one function of points, `broad_distance`. The places of eyes, nose, lips and ears
are found by rays that meet it from the front or the side, so that no draw of the traits can bury or detach them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.field import Array, Points, bump, capsule, ellipsoid, ridge, smooth_cut, smooth_union
from reid_audit.phantom.person import Person, Visit

_FLESH_REACH_MM = 22.0  # bumps farther from the surface than this change nothing that is seen


@dataclass(frozen=True, slots=True)
class Eye:
    """Where an eyeball is, head frame."""

    side: int  # +1 right, -1 left
    centre_mm: tuple[float, float, float]
    radius_mm: float


@dataclass(frozen=True, slots=True)
class Anchors:
    """Where the fine features sit on the broad forms, head frame, mm."""

    eyes: tuple[Eye, Eye]  # right, left
    sellion_y: float
    tip_y: float
    tip_z: float
    ala_y: float
    subnasale_z: float
    mouth_z: float
    lip_x: Any  # (n,) places across the mouth
    lip_y: Any  # (n,) depth of the skin there
    ear_x: float


# --- broad forms ---


def _braincase(person: Person, p: Points) -> Array:
    slope = person.forehead_slope * 0.01
    x, y, z = p
    y = y + slope * (z - 20)
    radii = (person.cranium_half_width, person.cranium_half_length, person.cranium_half_height)
    return ellipsoid((x, y, z), (0, -3, 28), radii)


def _face(person: Person, p: Points) -> Array:
    """Stack of rounded cross-sections from the brow to the chin, closed below by the plane of the jaw."""
    x, y, z = p
    gonion, menton, wide = person.gonion_z, person.menton_z, person.face_half_width
    heights = (menton - 25, menton - 4, menton + 12, gonion - 8, gonion + 14, -28, -8, 20, 60)
    jaw = person.jaw_half_width
    widths = (24, 35, 43, jaw - 1, 0.65 * jaw + 0.35 * wide + 1, wide, wide + 1, wide + 1, wide - 6)
    front = person.midface_y
    depths = (front - 14, front - 3, front + 3, front + 5, front + 8, front + 2, front, front + 4, front)
    w, f = (_look_up(z, menton - 40, 80, _smooth_table(menton - 40, 80, heights, row)) for row in (widths, depths))
    d = np.where(y > 0, f, np.float32(60))
    n = np.float32(person.face_squareness)
    qx, qy = np.sqrt(x * x + 16) / w, np.abs(y) / d  # not |x|: a squareness below 2 would crease the middle
    power_x, power_y = qx**n, qy**n
    total = power_x + power_y + np.float32(1e-9)
    k0 = total ** (1 / n)
    gradient = k0 / total * np.sqrt((power_x / (qx * w)) ** 2 + (power_y / (np.maximum(qy, np.float32(1e-6)) * d)) ** 2)
    stack: Array = (k0 - 1) / (gradient + np.float32(1e-3))
    stack = smooth_cut(stack, (np.float32(34) - z).astype(np.float32), 30)  # the forehead is the braincase's
    # The plane of the lower jaw: through the gonia and the chin, facing down and back.
    y0, y1 = 0.0, front - 2
    slope = (gonion - menton) / (y1 - y0)
    below = (menton + slope * (y1 - y) - z) / np.float32(np.hypot(1, slope))
    return smooth_cut(stack, -below.astype(np.float32), 22)


@lru_cache(maxsize=16)  # one head asks a dozen times
def _smooth_table(low: float, high: float, heights: tuple[float, ...], values: tuple[float, ...]) -> Array:
    from scipy.interpolate import PchipInterpolator

    at = np.clip(np.linspace(low, high, 240), heights[0], heights[-1])
    table: Array = PchipInterpolator(heights, values, extrapolate=True)(at).astype(np.float32)
    return table


def _look_up(at: Array, low: float, high: float, table: Array) -> Array:
    """Interpolate between the even places of a table from `low` to `high`, as `np.interp` does in float64."""
    place = (at - np.float32(low)) * np.float32((len(table) - 1) / (high - low))
    np.clip(place, 0, len(table) - 1, out=place)
    before = np.minimum(place.astype(np.int32), len(table) - 2)
    place -= before
    first = table[before]
    first += place * (table[before + 1] - first)
    return first


def _neck(person: Person, p: Points) -> Array:
    x, y, z = p
    r = person.neck_radius
    neck = capsule((x, y * np.float32(0.95), z), (0, -20, -60), (0, -30, -220), r - 2, r + 4)
    sides = np.abs(x)
    neck = smooth_union(neck, capsule((sides, y, z), (r + 1, -14, -50), (14, r - 12, -190), 9), 14)
    return smooth_union(neck, capsule((sides, y, z), (30, -50, -105), (125, -50, -205), 26, 40), 26)


def _flesh(person: Person, visit: Visit, p: Points) -> Array:
    """Displacement of the surface outwards, in mm: brow, cheeks, hollows, chin."""
    x, y, z = p
    s, front = np.abs(x), person.midface_y
    m = person.menton_z
    q = (s, y, z)
    out = person.forehead_boss * (bump(p, (22, 88, 52), (20, 20, 16)) + bump(p, (-22, 88, 52), (20, 20, 16)))
    out += person.glabella * bump(q, (0, 94, person.brow_height_z - 3), (9, 14, 8))
    out -= person.temple_hollow * bump(q, (68, 50, 24), (14, 20, 20))
    out -= person.eye_hollow * bump(q, (person.eye_x + 1, 84, 3), (13, 16, 7.5))
    out -= 2.5 * bump(q, (15, 88, -1), (6.5, 14, 9))
    out += 1.6 * bump(q, (person.eye_x + 4, 76, -15), (14, 16, 6))
    out += person.cheekbone * bump(q, (47, 60, person.cheekbone_z), (15, 20, 10))
    for side in (1, -1):
        cheek = person.cheek_flesh + side * person.cheek_flesh_skew / 2 + 2.2 * visit.weight
        out += cheek * bump((x * side, y, z), (44, 58, -57), (15, 22, 16))
        brow = person.brow_height_z + side * person.brow_height_skew / 2
        ends = ((9, 93, brow), (26, 88, brow + 1.5), (46, 68, brow + 1.5 - person.brow_tail_drop))
        ridge_height = np.maximum(ridge((x * side, y, z), *ends[:2], 5.5), ridge((x * side, y, z), *ends[1:], 5.5))
        out += person.brow_ridge * ridge_height
    out += person.muzzle * bump(q, (0, front + 5, -66), (21, 20, 15))
    out += person.chin_forward * bump((x - person.chin_x, y, z), (0, front, m + 11), (person.chin_half_width, 22, 9.5))
    out -= person.chin_crease * bump(q, (0, front + 6, m + 27), (15, 20, 4.6))
    out += person.jowl * bump(q, (50, 12, person.gonion_z), (14, 22, 14))
    out += (person.under_chin + 2.5 * visit.weight) * bump(q, (0, 52, m - 6), (24, 24, 16))
    out += person.larynx * bump(q, (0, 40, -152), (8, 14, 9))
    displacement: Array = out.astype(np.float32)
    return displacement


def broad_distance(person: Person, visit: Visit, p: Points) -> Array:
    """Distance to the head without eyes, nose, lips and ears, for points of any one shape."""
    d = smooth_union(_braincase(person, p), _face(person, p), 22)
    d = smooth_union(d, _neck(person, p), 18)
    near = np.abs(d) < _FLESH_REACH_MM
    d[near] -= _flesh(person, visit, (p[0][near], p[1][near], p[2][near]))
    return d


# --- anchors ---


def find_anchors(person: Person, visit: Visit) -> Anchors:
    """Find where the fine features sit."""
    y = np.arange(20, 135, 0.5, dtype=np.float32)

    def depth(xs: Any, zs: Any) -> Any:
        xs, zs = np.broadcast_arrays(np.asarray(xs, np.float32), np.asarray(zs, np.float32))
        x, z = np.atleast_1d(xs)[:, None], np.atleast_1d(zs)[:, None]
        x, along, z = np.broadcast_arrays(x, y[None], z)
        d = broad_distance(person, visit, (x, along, z))
        last = len(y) - 2 - np.argmax((d < 0)[:, -2::-1], axis=1)
        rows = np.arange(len(d))
        here, after = d[rows, last], d[rows, last + 1]
        return y[last] + 0.5 * np.clip(here / (here - after - 1e-6), 0, 1)

    tip_z = person.sellion_z - person.nose_length
    subnasale_z = tip_z - 8.5
    mouth_z = subnasale_z - person.lip_length
    lip_x = np.arange(-42, 43, 3)
    brow_y, cheek_y = depth(person.eye_x, [person.brow_height_z, -20.0])
    eye_y = 0.5 * (brow_y + cheek_y) - 5.0 + person.eye_depth - person.eyeball_radius
    eyes = tuple(
        Eye(side, (side * person.eye_x, float(eye_y), side * person.eye_height_skew / 2), person.eyeball_radius)
        for side in (1, -1)
    )
    sides = np.arange(40, 110, 0.5, dtype=np.float32)
    flat = np.zeros_like(sides)
    lateral = broad_distance(person, visit, (sides, flat + 2, flat + person.ear_z))
    return Anchors(
        eyes=(eyes[0], eyes[1]),
        sellion_y=float(depth(0, person.sellion_z)[0] + person.sellion_y),
        tip_y=float(depth(0, tip_z)[0] + person.nose_projection),
        tip_z=tip_z,
        ala_y=float(depth(person.ala_half_width, tip_z - 2)[0]),
        subnasale_z=subnasale_z,
        mouth_z=mouth_z,
        lip_x=lip_x,
        lip_y=depth(lip_x, mouth_z),
        ear_x=float(sides[np.argmax(lateral > 0)]),
    )


def place_landmarks(person: Person, anchors: Anchors) -> dict[str, NDArray[np.float64]]:
    """Return where eyes, nose, mouth and chin are, mm of the head frame, without the warp."""
    eyes = {eye.side: np.add(eye.centre_mm, (0.0, eye.radius_mm, 0.0)) for eye in anchors.eyes}
    middle = len(anchors.lip_y) // 2
    return {
        "eye_right": eyes[1],
        "eye_left": eyes[-1],
        "nose": np.array([person.nose_tip_x, anchors.tip_y, anchors.tip_z]),
        "mouth": np.array([0.0, float(anchors.lip_y[middle]) + person.lip_protrusion, anchors.mouth_z]),
        "chin": np.array([person.chin_x, person.midface_y + person.chin_forward, person.menton_z + 11.0]),
    }
