"""The outside of a head: one signed distance, from the broad forms to the eyelids."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from reid_audit.phantom.blocks import Blocks
from reid_audit.phantom.broad import Anchors, Eye, broad_distance
from reid_audit.phantom.field import Array, Points, bump, capsule, ellipsoid, ridge, smooth_cut, smooth_union
from reid_audit.phantom.person import Person, Visit

# --- fine features: each takes the distance so far and returns it with the feature ---


def _add_eye(person: Person, visit: Visit, eye: Eye, d: Array, p: Points) -> Array:
    cx, cy, cz = eye.centre_mm
    r, a = eye.radius_mm, person.eye_half_width
    tilt = np.deg2rad(person.eye_tilt_deg)
    u0, w0 = (p[0] - cx) * eye.side, p[2] - cz
    u = u0 * np.float32(np.cos(tilt)) + w0 * np.float32(np.sin(tilt))
    w = w0 * np.float32(np.cos(tilt)) - u0 * np.float32(np.sin(tilt))
    local: Points = (u, p[1] - cy, w)
    t = np.minimum((u / a) ** 2, 4)
    top = max(person.eye_open_top + eye.side * person.eye_open_skew / 2 - visit.lid_drop_mm, 1.8)
    upper = top * (1 - t)
    lower = -person.eye_open_bottom * (1 - t)
    # Lids: a shell about the eye, let into the face.
    lids = ellipsoid(local, (-0.5, 0, -0.5), (a + 4.5, r + person.lid_thickness, r + 1.5))
    d = smooth_union(d, lids, 7.5)
    # Crease of the upper lid and the fold of skin above it; the bag below the lower lid.
    reach = np.exp(-0.5 * (u / np.float32(a * 0.75)) ** 4)
    crease = upper + np.float32(4.2)
    d = d + person.lid_crease * np.exp(-0.5 * ((w - crease) / np.float32(1.3)) ** 2) * reach
    d = d - person.lid_fold * np.exp(-0.5 * ((w - crease - 4.5) / np.float32(2.6)) ** 2) * reach
    bag = lower * np.float32(1.3) - np.float32(6.0)
    d = d - person.eye_bag * np.exp(-0.5 * ((w - bag) / np.float32(2.4)) ** 2) * reach
    d = d + np.float32(0.5) * np.exp(-0.5 * ((w - bag + 5.0) / np.float32(2.6)) ** 2) * reach
    # The opening, and the eye in it.
    opening = smooth_union(upper - w, w - lower, 0.8)  # positive between the lids
    front = (p[1] - cy) * np.float32(0.8)
    d = smooth_cut(d, -np.minimum(opening, front), 1.6)
    ball = ellipsoid(local, (0, -0.5, 0), (a + 1.2, r, r))
    cornea = ellipsoid(local, (0, 4.6, 0), (7.8, 7.8, 7.8))
    # Where eye and lid meet there is a moat: tear film and lashes, too fine for the voxels, leave it dark in a picture.
    moat = person.lash_line * np.exp(-0.5 * (opening / np.float32(1.5)) ** 2) * (front > 0)
    return np.minimum(d, smooth_union(ball, cornea, 1.0)) + moat


def _add_nose(person: Person, anchors: Anchors, d: Array, p: Points) -> Array:
    x, y, z = p
    tip_r = person.nose_tip_radius
    tz, ty = anchors.tip_z, anchors.tip_y - tip_r
    # Bend towards the side of the tip, from the bridge down.
    bend = np.clip((person.sellion_z - z) / np.float32(person.nose_length), 0, 1.2)
    x = x - person.nose_tip_x * bend
    s: Array = np.abs(x)
    top = (0, anchors.sellion_y - person.bridge_half_width, person.sellion_z)
    tip = (0, ty, tz + person.nose_tip_turn)
    middle = tuple((0.55 * a + 0.45 * b) for a, b in zip(top, tip, strict=True))
    bridge = capsule((x, y, z), top, tip, person.bridge_half_width, tip_r * 0.78)
    bridge = bridge - person.nose_hump * bump((x, y, z), (0, middle[1] + 5, middle[2]), (8, 9, 8))
    root = capsule((x, y, z), (0, top[1] - 9, top[2] + 13), top, 8.5, person.bridge_half_width)
    d = smooth_union(d, smooth_union(bridge, root, 6), 12)
    # Side walls: the pyramid on which the bridge stands.
    wall = capsule((s, y, z), (4, top[1] - 6, top[2] - 8), (9.5, anchors.ala_y + 1, tz + 6), 4.0, 6.0)
    d = smooth_union(d, wall, 14)
    ball = ellipsoid((x, y, z), tip, (tip_r * 1.05, tip_r, tip_r * 0.95))
    d = smooth_union(d, ball, 5)
    crus = capsule(
        (s, y, z), (2, ty - 1, tz + 1), (person.ala_half_width - 3, anchors.ala_y + 5, tz - 1), tip_r * 0.78, 5.5
    )
    d = smooth_union(d, crus, 6.5)
    for side in (1, -1):
        size = person.ala_size + side * person.ala_size_skew / 2
        centre = (person.ala_half_width - 0.8, 0.62 * anchors.ala_y + 0.38 * (ty - 3), tz - 2.0)
        wing = ellipsoid((x * side, y, z), centre, (size * 0.85, size * 1.45, size * 1.0))
        d = smooth_union(d, wing, 3.5)
    flank = capsule(
        (s, y, z),
        (2, 0.5 * (top[1] + ty) - 1, 0.5 * (top[2] + tz)),
        (person.ala_half_width - 3.5, 0.5 * (anchors.ala_y + ty), tz + 3),
        4.5,
    )
    d = smooth_union(d, flank, 7)
    columella = capsule((x, y, z), (0, ty + 1, tz - 3), (0, anchors.ala_y + 1, anchors.subnasale_z + 1.5), 3.4)
    d = smooth_union(d, columella, 4)
    mid_y = 0.5 * (anchors.ala_y + ty)
    hole = capsule((s, y, z), (6.4, mid_y, tz - 11), (5.2, mid_y + 2, tz - 2), person.nostril, person.nostril * 0.7)
    # Open below only: farther up it keeps 3 mm from the skin.
    hole = np.maximum(hole, d + 3 - 10 * np.clip((tz - 2.5 - z) / 3, 0, 1))
    hole = np.maximum(hole, -(y - (anchors.ala_y - 1)))
    return smooth_cut(d, hole, 1.5)


def _add_mouth(person: Person, visit: Visit, anchors: Anchors, d: Array, p: Points) -> Array:
    x, y, z = p
    a = person.mouth_half_width
    t = x / np.float32(a)
    inside: Array = np.maximum(1 - t * t, 0) ** np.float32(0.8)
    skin_y = np.interp(x, anchors.lip_x, anchors.lip_y).astype(np.float32) + person.lip_protrusion * inside
    line = anchors.mouth_z + person.mouth_curve * t * t + person.mouth_height_skew * 0.5 * np.clip(t, -1, 1)
    line = (line - 0.8 * np.exp(-((x / np.float32(5)) ** 2))).astype(np.float32)
    # Groove above the upper lip.
    shade = np.clip((z - anchors.mouth_z) / 6, 0, 1) * np.clip((anchors.subnasale_z + 2 - z) / 6, 0, 1)
    near = np.exp(-0.5 * ((y - skin_y) / np.float32(9)) ** 2) * shade
    d = d + person.philtrum * np.exp(-0.5 * (x / np.float32(2.6)) ** 2) * near
    d = d - 0.35 * person.philtrum * np.exp(-0.5 * ((np.abs(x) - 5.2) / np.float32(1.9)) ** 2) * near
    gap = visit.mouth_gap_mm
    bow = person.cupid_bow * (
        np.exp(-(((np.abs(x) - 4.5) / np.float32(3.5)) ** 2)) - 0.6 * np.exp(-((x / np.float32(2.2)) ** 2))
    )
    for up, size in ((True, person.upper_lip), (False, person.lower_lip)):
        r = (0.5 + size * (0.70 if up else 0.72) * inside).astype(np.float32)
        rise = r * np.float32(0.92) + np.float32(gap * 0.5) * inside * (0.3 if up else 1.7)
        height = line + (rise + bow * inside * 0.5 if up else -rise)
        depth = skin_y - r - np.float32(0.3) + np.float32(0.42 * size + 0.5) * inside
        lip = np.sqrt((y - depth) ** 2 + (z - height) ** 2) - r
        lip = np.maximum(lip, (np.abs(x) - np.float32(a + 1)))
        d = smooth_union(d, lip.astype(np.float32), 3.0 if up else 3.4)
    # The line between the lips, a little deeper at the corners.
    half = (1.15 + gap * 0.5 * inside).astype(np.float32)
    middle = line - np.float32(gap * 0.35) * inside
    slit = np.sqrt(((y - skin_y - 2.0) / (1.5 + 4.0 * inside)) ** 2 + ((z - middle) / half) ** 2) - 1
    slit = np.maximum(slit * half, np.abs(x) - np.float32(a - 0.5)).astype(np.float32)
    d = smooth_cut(d, slit, 2.2)
    corner = np.exp(-0.5 * (((np.abs(x) - a) / np.float32(2.5)) ** 2 + ((z - line) / np.float32(2.2)) ** 2))
    pinched: Array = d + 0.7 * corner * np.exp(-0.5 * ((y - skin_y) / np.float32(6)) ** 2)
    return pinched.astype(np.float32)


def _add_creases(person: Person, visit: Visit, anchors: Anchors, d: Array, p: Points) -> Array:
    s: Array = np.abs(p[0])
    q = (s, p[1], p[2])
    start = (person.ala_half_width + 7, anchors.ala_y + 1, anchors.tip_z + 2)
    corner_y = float(np.interp(person.mouth_half_width + 8, anchors.lip_x, anchors.lip_y))
    end = (person.mouth_half_width + 8, corner_y, anchors.mouth_z - 1)
    fold = person.smile_fold + 0.3 * visit.weight
    d = d + 0.7 * fold * ridge(q, start, end, 4.0)
    out = (
        tuple(a + b for a, b in zip(start, (6, -1, 1), strict=True)),
        tuple(a + b for a, b in zip(end, (6, -3, 2), strict=True)),
    )
    d = d - 0.6 * fold * ridge(q, out[0], out[1], 6.0)
    cleft = bump((p[0] - person.chin_x, p[1], p[2]), (0, person.midface_y + 6, person.menton_z + 10), (1.9, 14, 5))
    return d + max(person.chin_cleft, 0) * cleft


def _add_ear(person: Person, anchors: Anchors, side: int, d: Array, p: Points) -> Array:
    angle = np.deg2rad(person.ear_angle_deg + side * person.ear_angle_skew / 2)
    lean = np.deg2rad(10)
    length, width = person.ear_length, person.ear_width
    out, back = p[0] * side - np.float32(anchors.ear_x - 2.5), -(p[1] - 2)
    up = p[2] - np.float32(person.ear_z + side * person.ear_height_skew / 2)
    # The plate of the ear: v up (leaning back), u backwards along the plate, w out of it.
    v = up * np.float32(np.cos(lean)) + back * np.float32(np.sin(lean))
    b = back * np.float32(np.cos(lean)) - up * np.float32(np.sin(lean))
    u = b * np.float32(np.cos(angle)) + out * np.float32(np.sin(angle))
    w = out * np.float32(np.cos(angle)) - b * np.float32(np.sin(angle))
    w = w + np.float32(0.010) * (u - width * 0.4) ** 2 * (u > width * 0.4)  # the rim curls back to the head
    half_u = width * 0.5 * (1 + np.float32(0.16) * np.clip(v / (length * 0.5), -1, 1))
    centre_u = width * 0.48

    def oval(cu: float, cv: float, ru: Any, rv: float) -> Array:
        qu, qv = (u - cu) / ru, (v - cv) / np.float32(rv)
        k0 = np.sqrt(qu**2 + qv**2)
        oval_d: Array = k0 * (k0 - 1) / (np.sqrt((qu / ru) ** 2 + (qv / np.float32(rv)) ** 2) + np.float32(1e-6))
        return oval_d

    q: Points = (u, v, w)
    outline = oval(centre_u, 0, half_u, length * 0.5)
    ear = np.maximum(np.abs(w + 0.5) - np.float32(1.6), outline + 1.5)
    rim = np.sqrt((outline + 2.4) ** 2 + (w - 1.0) ** 2) - np.float32(2.5)
    rim = smooth_cut(rim, v + length * 0.40, 3)
    ear = smooth_union(ear, rim, 1.2)
    inner = oval(width * 0.42, -length * 0.02, np.float32(width * 0.27), length * 0.27)
    anti = np.sqrt(inner**2 + (w - 0.9) ** 2) - np.float32(2.1)
    anti = np.maximum(anti, -(u - width * 0.30))
    ear = smooth_union(ear, anti, 2.0)
    bowl = ellipsoid(q, (width * 0.34, -length * 0.04, -6), (width * 0.38, length * 0.27, 7))
    ear = smooth_union(ear, bowl, 3)
    ear = smooth_cut(ear, ellipsoid(q, (width * 0.33, -length * 0.05, 1.5), (width * 0.22, length * 0.19, 6)), 1.5)
    tragus = ellipsoid(q, (1.5, -length * 0.09, 1.8), (3.2, 5.5, 2.6))
    ear = smooth_union(ear, tragus, 2.0)
    lobe = ellipsoid(q, (width * 0.27, -length * 0.38, -0.6), (person.ear_lobe * 1.2, person.ear_lobe * 1.35, 3.2))
    ear = smooth_union(ear, lobe, 5)
    return smooth_union(d, ear.astype(np.float32), 3.5)


# --- all of it ---


_Feature = tuple[Callable[[Array, Points], Array], Any, Any]  # the feature, and its box in the head frame, mm


def skin_distance(
    person: Person,
    visit: Visit,
    anchors: Anchors,
    blocks: Blocks,
    *,
    inside_mm: float = np.inf,
    outside_mm: float = np.inf,
) -> Array:
    """Distance to the skin at every voxel by block, (blocks, voxels) float32, negative inside.

    Parameters
    ----------
    person : Person
    visit : Visit
    anchors : Anchors
        Of this person and visit.
    blocks : Blocks
    inside_mm, outside_mm : float
        How far from the skin a distance is asked for. Farther away all of a block has that of its middle.
    """
    points = zip(*(np.array_split(p, 8) for p in blocks.grid.points(*blocks.grid.coarse_indices())), strict=True)
    coarse = np.concatenate([broad_distance(person, visit, part) for part in points])  # parts stay in the cache
    middle = blocks.carry_to_centres(coarse)
    boxes = [(feature, blocks.box(low, high)) for feature, low, high in _features(person, visit, anchors)]
    for feature, within in boxes:
        x, y, z = (p[within] for p in blocks.centres)
        middle[within] = feature(middle[within], (x, y, z))
    is_near = (middle > -inside_mm - blocks.margin_mm) & (middle < outside_mm + blocks.margin_mm)
    near = np.flatnonzero(is_near)
    carried = blocks.carry(coarse, near)
    d = np.repeat(middle[:, None], carried.shape[1], axis=1)
    d[near] = carried
    for feature, within in boxes:
        for part in blocks.parts(within[is_near[within]]):
            d[part] = feature(d[part], blocks.points(part))
    return d


def _features(person: Person, visit: Visit, anchors: Anchors) -> list[_Feature]:
    """Return what is finer than the coarse grid, in the order in which it is added to the broad forms."""
    ty, mz = anchors.tip_y, anchors.mouth_z
    features: list[_Feature] = [
        (partial(_add_nose, person, anchors), (-30, 62, anchors.subnasale_z - 10), (30, ty + 8, person.sellion_z + 28)),
        (partial(_add_creases, person, visit, anchors), (-52, 50, mz - 26), (52, ty + 4, anchors.tip_z + 14)),
        (partial(_add_mouth, person, visit, anchors), (-36, 62, mz - 20), (36, ty + 4, anchors.subnasale_z + 6)),
    ]
    for eye in anchors.eyes:
        x, y, z = eye.centre_mm
        reach = person.eyeball_radius + 13  # lids, and the width over which they melt into the face
        low, high = (x - reach - 5, y - 16, z - reach), (x + reach + 5, y + reach, z + reach)
        features.append((partial(_add_eye, person, visit, eye), low, high))
    for side in (1, -1):
        inner, outer = sorted((side * (anchors.ear_x - 16), side * (anchors.ear_x + 36)))
        low, high = (inner, -58, person.ear_z - 48), (outer, 22, person.ear_z + 48)
        features.append((partial(_add_ear, person, anchors, side), low, high))
    return features
