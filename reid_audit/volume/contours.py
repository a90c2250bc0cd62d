"""Closed contours on the slices of a scan, to masks and back: what a structure set holds instead of voxels.

Words
-----
loop
    (n, 2) float64, the corners of one closed polygon in voxels along i and j, pixel centres at whole numbers. The last
    corner is joined to the first; it is not repeated.
even-odd
    A pixel belongs to a set of loops where its centre lies inside an odd number of them. So a loop within a loop is a
    hole (``CLOSEDPLANAR_XOR``, and what planning systems mean by a ``CLOSED_PLANAR`` inside another), and a loop that
    runs to its hole and back through a channel without width (a keyhole) has that hole too.
edge
    A centre exactly on an edge belongs to the loop on the low side of it and not on the high side, so that loops that
    share an edge neither overlap nor leave a gap.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Loop = NDArray[np.float64]


def fill_loops(loops: Iterable[Loop], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie inside, by the even-odd rule.

    Parameters
    ----------
    loops : iterable of (n, 2) float
        May reach beyond the grid. None, or loops of fewer than three corners: nothing is inside.
    shape : (2,) tuple of int
        Pixels along i and j.

    Returns
    -------
    (i, j) bool
    """
    n_i, n_j = shape
    flips = np.zeros((n_i + 1, n_j), dtype=np.int64)
    for loop in loops:
        if len(loop) < 3:
            continue
        start, end = np.asarray(loop, dtype=np.float64), np.roll(loop, -1, axis=0)
        low = np.where((start[:, 1] <= end[:, 1])[:, None], start, end)
        high = np.where((start[:, 1] <= end[:, 1])[:, None], end, start)
        # Each edge crosses the columns j with low <= j < high: half open, or a corner on a column would count twice.
        first = np.clip(np.ceil(low[:, 1]), 0, n_j).astype(np.int64)
        n = np.clip(np.ceil(high[:, 1]), 0, n_j).astype(np.int64) - first
        edge = np.repeat(np.arange(len(loop)), n)
        j = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + first[edge]
        share = (j - low[edge, 1]) / (high[edge, 1] - low[edge, 1])
        i = low[edge, 0] + share * (high[edge, 0] - low[edge, 0])
        np.add.at(flips, (np.clip(np.ceil(i), 0, n_i).astype(np.int64), j), 1)
    inside: NDArray[np.bool_] = np.cumsum(flips[:n_i], axis=0) % 2 == 1
    return inside


def _area(loop: Loop) -> float:
    """Return twice the signed area."""
    x, y = loop[:, 0], loop[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _join(outer: Loop, hole: Loop) -> Loop:
    """Join a hole to its outline through the shortest channel, which has no width and so changes no pixel."""
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(outer).query(hole)
    h = int(np.argmin(distance))
    o = int(nearest[h])
    around = np.roll(hole, -h, axis=0)
    return np.concatenate([outer[: o + 1], around, around[:1], outer[o:]])


def trace_mask(mask: NDArray[np.bool_], *, keyholes: bool = True) -> list[Loop]:
    """Return loops that enclose exactly the pixels of a mask.

    They run half-way between pixel centres, corners cut: `fill_loops` gives the mask back.

    Parameters
    ----------
    mask : (i, j) bool
        An empty one gives no loop.
    keyholes : bool
        Whether each hole is joined to its outline (for readers that fill every ``CLOSED_PLANAR`` by itself). Otherwise
        holes are loops of their own (``CLOSEDPLANAR_XOR``).
    """
    from skimage.measure import find_contours

    if not mask.any():
        return []
    # `low`: pixels that touch at a corner alone stay apart, so that no loop crosses itself.
    outlines = find_contours(np.pad(mask, 1).astype(np.float32), 0.5, fully_connected="low")
    loops = [np.asarray(loop[:-1] - 1, dtype=np.float64) for loop in outlines]
    if not keyholes:
        return loops
    # The mask is on the left of every loop that skimage returns, so that the sign of the area tells holes.
    areas = [_area(loop) for loop in loops]
    largest = areas[int(np.argmax(np.abs(areas)))]
    outlines = [loop for loop, area in zip(loops, areas, strict=True) if area * largest > 0]
    order = np.argsort([abs(_area(loop)) for loop in outlines])
    for hole in (loop for loop, area in zip(loops, areas, strict=True) if area * largest < 0):
        # The smallest outline around it: an islet within a hole has no part in that hole.
        owner = next(int(k) for k in order if _encloses(outlines[int(k)], hole[0]))
        outlines[owner] = _join(outlines[owner], hole)
    return outlines


def _encloses(loop: Loop, point: NDArray[np.float64]) -> bool:
    low, high = np.minimum(loop[:, 1], np.roll(loop[:, 1], -1)), np.maximum(loop[:, 1], np.roll(loop[:, 1], -1))
    crossed = (low <= point[1]) & (point[1] < high)
    (x, y), end = loop[crossed].T, np.roll(loop, -1, axis=0)[crossed]
    at = x + (point[1] - y) / (end[:, 1] - y) * (end[:, 0] - x)
    return bool(np.count_nonzero(at < point[0]) % 2)


def clip_loop(loop: Loop, limit: float) -> Loop:
    """Return the part of a loop with j not above `limit` (Sutherland & Hodgman 1974, doi:10.1145/360767.360802).

    Corners that stay are not moved. Parts that fall apart stay joined by edges along the limit, which have no width.
    Nothing left: no corner, shape (0, 2).
    """
    end = np.roll(loop, -1, axis=0)
    stays = loop[:, 1] <= limit
    crosses = stays != np.roll(stays, -1)
    share = (limit - loop[crosses, 1]) / (end[crosses, 1] - loop[crosses, 1])
    met = loop[crosses] + share[:, None] * (end[crosses] - loop[crosses])
    met[:, 1] = limit
    order = np.concatenate([np.flatnonzero(stays), np.flatnonzero(crosses) + 0.5])
    corners: Loop = np.concatenate([loop[stays], met])[np.argsort(order, kind="stable")]
    return corners if len(corners) > 2 else np.zeros((0, 2))
