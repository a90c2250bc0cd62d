"""How far a head stands out, seen from its front: a map of depths in the frame of a view, without perspective."""

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Skin, View
from reid_audit.render.camera import place_camera


def measure_depth(
    skin: Skin, view: View, left_mm: NDArray[np.float64], up_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Measure where lines along the view first meet the skin.

    Parameters
    ----------
    skin : Skin
    view : View
        That faces the head; only its direction, roll and target count.
    left_mm, up_mm : (n,), (m,) float64
        Where the lines are, evenly spaced and growing: towards the head's left and its top, from the view's target.

    Returns
    -------
    (m, n) float32
        Millimetres from the plane through the target towards the front; NaN where a line meets no skin.
    """
    axes = place_camera(view).axes
    points = axes @ skin.vertices_ras_mm.T - (axes @ view.target_ras_mm)[:, None]
    for along, lines_mm in zip(points, (left_mm, up_mm), strict=False):
        along -= lines_mm[0]
        along /= lines_mm[1] - lines_mm[0]  # line 0 is at 0
    crossed, low, high = _find_crossed(points, skin.faces, (len(left_mm), len(up_mm)))
    corners = points.T[skin.faces[crossed]]
    depth_mm = np.full((len(up_mm), len(left_mm)), -np.inf)
    for offset in np.ndindex(*((high - low).max(axis=0, initial=-1) + 1)):
        line = low + np.array(offset)
        there = (line <= high).all(axis=1)
        line, met, at_mm = line[there], *_meet(corners[there], line[there])
        np.maximum.at(depth_mm, (line[met, 1], line[met, 0]), at_mm[met])
    return np.where(np.isfinite(depth_mm), depth_mm, np.nan).astype(np.float32)


def _find_crossed(
    points: NDArray[np.float64], faces: NDArray[np.int32], lines: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.int_], NDArray[np.int_]]:
    """Return which triangles' boxes hold a line, and of each the first and last line both ways.

    Few do: a line is in the box of a triangle only where its corners lie on both sides of it, or on it.
    """
    kept = np.arange(len(faces))
    ends: list[NDArray[np.int32]] = []
    for along, n in zip(points, lines, strict=False):
        near = np.clip(along, -2.0, n + 1.0)  # beyond the last line there is none
        after, before = np.ceil(near).astype(np.int32), np.floor(near).astype(np.int32)
        a, b, c = (faces[kept] if ends else faces).T
        low = np.maximum(np.minimum(np.minimum(after[a], after[b]), after[c]), 0)
        high = np.minimum(np.maximum(np.maximum(before[a], before[b]), before[c]), n - 1)
        holds = low <= high
        kept, ends = kept[holds], [end[holds] for end in (*ends, low, high)]
    return kept, np.stack(ends[::2], axis=1).astype(int), np.stack(ends[1::2], axis=1).astype(int)


def _meet(corners: NDArray[np.float64], line: NDArray[np.int_]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return whether each line meets its triangle, and at which depth."""
    a, edge, other = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    to = line - a[:, :2]
    area = edge[:, 0] * other[:, 1] - edge[:, 1] * other[:, 0]
    edge_on = np.abs(area) < 1e-9
    area = np.where(edge_on, 1.0, area)
    u = (to[:, 0] * other[:, 1] - to[:, 1] * other[:, 0]) / area
    v = (edge[:, 0] * to[:, 1] - edge[:, 1] * to[:, 0]) / area
    within = 1e-9  # a line through an edge meets one of both triangles
    met = ~edge_on & (u >= -within) & (v >= -within) & (u + v <= 1 + within)
    return met, a[:, 2] + u * edge[:, 2] + v * other[:, 2]
