"""How a head is turned in the scanner, told from its skin alone, and the view that faces it.

Words
-----
mirror plane
    The plane about which the front of the head is most nearly its own mirror image. Gives yaw and roll.
profile
    The outline of the face in the mirror plane. Laid onto the mean profile of synthetic heads it gives pitch.
look
    A function that takes a `View` and says how surely there is a face in it: a detector's confidence, NaN for none.
    This room knows no detector; whoever calls it does.

The angles come from the shape, which two visits of a person share, and not from a search for the greatest confidence,
whose maximum is flat and noisy. The look decides only where the shape leads astray.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import asin, atan2, cos, degrees, inf, isnan, radians, sin
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.records import RenderError, Skin, View
from reid_audit.render.camera import place_camera, target_of
from reid_audit.render.symmetry import Array, find_mirror_plane, weigh

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Look = Callable[[View], float]
"""Confidence of a detector in a view; NaN = no face."""

_PROFILE_SCALE_MM = 4.0
_PROFILE_HALF_MM = 6.0  # the profile is what lies this near the mirror plane
_SIZE_SPREAD = 0.08  # faces differ in size by about this
_PITCH_SPREAD = 0.3  # radians; heads rest within about this of upright
_PITCH_STARTS_DEG = (0.0, -10.0, 10.0, -20.0, 20.0)
_LARGEST_PITCH_DEG = 35.0
_SIZES = (0.75, 1.3)
_LEAST_ON_PROFILE = 0.7  # share of the mean profile that must lie on the skin: whole faces reach 0.77 and more

_CLEARLY_MORE = 0.05  # of the profile; what a wrong pitch may fit better by chance was seen at 0.026

_SEARCH_DEG = (-10.0, 10.0, -20.0, 20.0)
VIEWS_AROUND_DEG = ((15.0, 0.0), (-15.0, 0.0), (30.0, 0.0), (-30.0, 0.0), (0.0, 10.0), (0.0, -10.0))
"""Turn to the head's left, and upwards, of each of `views_around`."""

# Mean of twelve synthetic heads: forward, up, from the tip of the nose, in mm; from the chin to the upper forehead.
_UP_MM = np.arange(-65.0, 126.0, 5.0)
_FORWARD_MM = np.array(
    [-23.3, -22.8, -22.8, -21.7, -17.6, -14.2, -13.5, -14.2, -15.4, -17.6, -20.1, -4.8, -0.7,
     0.0, -0.7, -3.6, -6.1, -7.5, -9.1, -10.8, -11.6, -12.2, -12.9, -14.0, -14.9, -15.7,
     -16.5, -17.4, -18.4, -19.7, -21.3, -23.3, -25.6, -28.5, -31.8, -36.0, -40.6, -45.7, -51.7]
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class HeadPose:
    """Where a head looks.

    Attributes
    ----------
    axes : (3, 3) float64
        Rows are the unit vectors to its right, front and top, in RAS.
    on_profile : float
        Share of the mean profile that lies on the skin, 0 to 1. 0 = no profile was found and pitch is taken for 0.
    """

    axes: Array
    on_profile: float


def _angles_deg(axes: Array) -> tuple[float, float, float]:
    """Give the azimuth, elevation and roll of the camera that faces a head with these axes (right, front, top)."""
    right, front, _ = axes
    azimuth, elevation = degrees(atan2(-front[0], front[1])), degrees(asin(np.clip(front[2], -1, 1)))
    level = place_camera(View(azimuth_deg=azimuth, elevation_deg=elevation))
    # The picture's right is the head's left; `place_camera` makes it cos(roll) right + sin(roll) up.
    return azimuth, elevation, degrees(atan2(-(right @ level.up), -(right @ level.right)))


def face_axes(axes: Array, view: View = View()) -> View:
    """Turn a view so that it faces a head with these axes (rows: its right, front and top); what it looks at stays."""
    azimuth, elevation, roll = (round(angle, 3) for angle in _angles_deg(axes))
    return replace(view, azimuth_deg=azimuth, elevation_deg=elevation, roll_deg=roll)


def _profile(skin: Skin, plane: Array, offset: float, front: Array, up: Array) -> tuple[Array, Array]:
    """Outline of the front of the head in the mirror plane: (forward, up) in mm, and unit normals."""
    near = np.abs(skin.vertices_ras_mm @ plane.astype(np.float32) - np.float32(offset)) < _PROFILE_HALF_MM
    across = np.stack([front, up], axis=1)
    points, normals = skin.vertices_ras_mm[near] @ across, skin.normals[near] @ across
    length = np.linalg.norm(normals, axis=1)
    keep = length > 0.5
    if keep.any():
        keep &= points[:, 0] > (points[keep, 0].min() + points[keep, 0].max()) / 2 - 20
    return points[keep], normals[keep] / length[keep, None]


def _lay(start: float, tree: cKDTree, normals: Array) -> tuple[float, float]:
    """Lay the mean profile onto the outline, starting at a pitch in radians: pitch, and the share that fits."""
    points = tree.data
    heights = np.arange(_UP_MM[0], _UP_MM[-1] + 0.1, 2.5)
    mean = np.stack([np.interp(heights, _UP_MM, _FORWARD_MM), heights], axis=1)
    forward = points @ np.array([cos(start), sin(start)])
    top = points[:, 1].max()
    band = (points[:, 1] < top - 85) & (points[:, 1] > top - 190)
    if not band.any():
        return 0.0, 0.0
    tip = points[band][np.argmax(forward[band])]
    pitch, size, scale = start, 1.0, 5 * _PROFILE_SCALE_MM
    stiff = 0.01 * len(mean) * _PROFILE_SCALE_MM**2
    weight = np.zeros(len(mean))
    for _ in range(60):
        turn = np.array([[cos(pitch), -sin(pitch)], [sin(pitch), cos(pitch)]])
        laid = size * mean @ turn.T + tip
        distance, nearest = tree.query(laid)
        n = normals[nearest]
        residual = ((laid - points[nearest]) * n).sum(axis=1)
        weight = weigh(residual, distance, scale)
        turning = np.array([[-sin(pitch), -cos(pitch)], [cos(pitch), -sin(pitch)]])
        by_pitch, stability = (size * mean @ turning.T * n).sum(axis=1), (mean @ turn.T * n).sum(axis=1)
        jacobian = np.stack([by_pitch, n[:, 0], n[:, 1], stability], axis=1)
        matrix = jacobian.T @ (weight[:, None] * jacobian) + 1e-9 * np.eye(4)
        vector = jacobian.T @ (weight * residual)
        for k, pull, spread in ((0, pitch, _PITCH_SPREAD), (3, size - 1, _SIZE_SPREAD)):
            matrix[k, k] += stiff / spread**2
            vector[k] += stiff / spread**2 * pull
        step = -np.linalg.solve(matrix, vector)
        pitch, size, tip = pitch + float(step[0]), size + float(step[3]), tip + step[1:3]
        settled = scale == _PROFILE_SCALE_MM and abs(step[0]) < 2e-4 and np.abs(step[1:3]).max() < 0.02
        scale = max(_PROFILE_SCALE_MM, 0.85 * scale)
        if settled:
            break
        if abs(pitch) > radians(_LARGEST_PITCH_DEG) or not _SIZES[0] < size < _SIZES[1]:
            return 0.0, 0.0
    return pitch, float((weight > 0.5).mean())


def find_head_pose(skin: Skin) -> HeadPose:
    """Tell from the shape how a head is turned: yaw and roll from its mirror plane, pitch from its profile.

    Raises
    ------
    RenderError
        Where the skin has no vertices.
    """
    if not len(skin.vertices_ras_mm):
        msg = "no view: the skin has no vertices"
        raise RenderError(msg)
    plane, offset = find_mirror_plane(skin)
    front = np.cross([0.0, 0.0, 1.0], plane)
    front /= np.linalg.norm(front)
    up = np.cross(plane, front)
    points, normals = _profile(skin, plane, offset, front, up)
    pitch, share = 0.0, 0.0
    if len(points) > 20:
        from scipy.spatial import cKDTree

        tree = cKDTree(points)
        for start in _PITCH_STARTS_DEG:
            fit = _lay(radians(start), tree, normals)
            if fit[1] > share + _CLEARLY_MORE:
                pitch, share = fit
            if share > 1 - _CLEARLY_MORE:
                break
    if share < _LEAST_ON_PROFILE:
        pitch, share = 0.0, 0.0
    turned = cos(pitch) * front + sin(pitch) * up
    return HeadPose(np.array([plane, turned, np.cross(plane, turned)]), share)


def _facing(skin: Skin, pose: HeadPose, nod_deg: float = 0.0) -> View:
    """Face a head whose pose is further nodded upwards by so much."""
    right, front, up = pose.axes
    c, s = cos(radians(nod_deg)), sin(radians(nod_deg))
    axes = np.array([right, c * front + s * up, c * up - s * front])
    return face_axes(axes, View(target_ras_mm=target_of(skin, axes)))


def find_frontal_view(skin: Skin, look: Look | None = None) -> View:
    """Face a head however it lies in the scanner.

    Parameters
    ----------
    skin : Skin
        Of an original: the view is kept and used for its defaced partners as well.
    look : callable, optional
        Takes a view, gives the confidence of a detector, NaN where it sees no face. Called once where the shape led to
        a face, and up to six times where it did not: the head is then taken for upright, and nodded up and down, and
        the surest view is taken.

    Returns
    -------
    View
        Deterministic. Where nobody sees a face: the one that the shape gives.

    Raises
    ------
    RenderError
        Where the skin has no vertices.
    """
    pose = find_head_pose(skin)
    first = _facing(skin, pose)
    if look is None or not isnan(look(first)):
        return first
    upright_deg = -degrees(asin(float(np.clip(pose.axes[1, 2], -1, 1))))
    others = [_facing(skin, pose, nod) for nod in (upright_deg, *_SEARCH_DEG) if abs(nod) > 1]
    surest, best = first, -inf
    for view in others:
        confidence = look(view)
        if confidence > best:  # never for NaN
            surest, best = view, confidence
    return surest


def turn_view(view: View, *, azimuth_deg: float = 0.0, elevation_deg: float = 0.0) -> View:
    """Walk around a head: to its left by the azimuth, then upwards by the elevation, whatever the roll of the view."""
    camera = place_camera(view)
    turn, nod = radians(azimuth_deg), radians(elevation_deg)
    # The picture's right is the head's left.
    level = cos(turn) * camera.towards + sin(turn) * camera.right
    front = cos(nod) * level + sin(nod) * camera.up
    top = cos(nod) * camera.up - sin(nod) * level
    return face_axes(np.array([np.cross(front, top), front, top]), view)


def views_around(view: View) -> tuple[View, ...]:
    """Give the further views of an attacker who takes several pictures of one head.

    Parameters
    ----------
    view : View
        That faces the head.

    Returns
    -------
    tuple of View
        Six: from 15 and 30 degrees to the head's left and to its right, from 10 degrees above and below.
    """
    return tuple(turn_view(view, azimuth_deg=turn, elevation_deg=nod) for turn, nod in VIEWS_AROUND_DEG)
