"""How far apart two depth maps are where they agree best: no recogniser, and nothing that a defacer moved as a whole.

Words
-----
depth map
    How far each point of a grid stands out from a plane across the head, seen along the head's own front; mm, NaN where
    there is no skin.
residual
    Half of what the best agreeing share of the cells differ by: the narrowest band of differences that holds so many
    of them is found, and the mean distance from its median taken. Where the plane lies does not matter, nor what most
    of the face has become. A cell without skin agrees with nothing, so that two scans that end in the same place are
    not alike by it.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CELL_MM = 2.0
"""Edge of a cell of a depth map."""

_ARM_MM = 105.0  # from the face to where a head nods
_NODS_DEG = tuple(range(-8, 9, 2))  # how far two heads may be nodded against each other: skulls tell it differently
_SHIFT = 2  # cells by which they may be shifted besides
_BLOCK_BYTES = 32_000_000

Maps = NDArray[np.float32]
_Cells = NDArray[np.intp]


class _Move(NamedTuple):
    """How references are moved onto a probe: whole cells, and mm of depth per row; one, or one per reference."""

    up: _Cells
    left: _Cells
    tilt_mm: NDArray[np.float32]


def _list_moves() -> _Move:
    """Return the moves that are tried at first: of each nod every second shift."""
    tilts = np.tan(np.radians(_NODS_DEG))
    shifts = range(-_SHIFT, _SHIFT + 1, 2)
    moves = [(round(_ARM_MM * t / CELL_MM) + up, left, CELL_MM * t) for t, up, left in product(tilts, shifts, shifts)]
    up, left, tilt_mm = zip(*moves, strict=True)
    return _Move(np.array(up), np.array(left), np.array(tilt_mm, np.float32))


_MOVES = _list_moves()
_STEPS = tuple(product((-1, 0, 1), repeat=2))

REACH_UP, REACH_LEFT = int(np.abs(_MOVES.up).max()) + 1, _SHIFT + 1
"""Cells of a margin around a region, that two heads can be moved against each other."""


class _Region(NamedTuple):
    """Cells of a region, all or some of them."""

    rows: _Cells
    columns: _Cells

    def every(self, step: int) -> "_Region":
        kept = (self.rows % step == 0) & (self.columns % step == 0)
        return _Region(self.rows[kept], self.columns[kept])

    def subtract(self, probe: Maps, references: Maps, at: _Cells, move: _Move) -> Maps:
        """Return by how much a probe stands out before each of these references, moved: (k, cells)."""
        rows, columns = self.rows + np.reshape(move.up, (-1, 1)), self.columns + np.reshape(move.left, (-1, 1))
        other = references[at[:, None], rows, columns]
        tilt = np.reshape(move.tilt_mm, (-1, 1)) * self.rows.astype(np.float32)
        return np.asarray(probe[self.rows, self.columns] - other - tilt)


def compare_depth_maps(probes: Maps, references: Maps, region: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return the residual of every probe and reference, mm, as they are moved where it is least.

    Parameters
    ----------
    probes, references : (n, h, w), (m, h, w) float32
        On one grid, cells of `CELL_MM`; rows go up.
    region : (h, w) bool
        Cells of the probe that count; a margin of `REACH_UP` rows and `REACH_LEFT` columns around it is needed.
    share : float
        Of the region's cells, how many must agree, 0 to 1.

    Returns
    -------
    (n, m) float64
        NaN where fewer than ``share`` of the region's cells have skin in both.
    """
    cells = _Region(*np.nonzero(region))
    full = np.full((len(probes), len(references)), np.nan)
    size = max(1, _BLOCK_BYTES // (4 * max(len(cells.rows), 1)))
    for start in range(0, len(references), size):
        block = references[start : start + size]
        every = np.arange(len(block))
        for n, probe in enumerate(probes):
            move = _find_move(probe, block, cells, share)
            full[n, start : start + size] = _residual(cells.subtract(probe, block, every, move), share)
    return full


def subtract_depth_maps(probes: Maps, references: Maps, region: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return what each probe has more than its own reference, moved where the region agrees best.

    Parameters
    ----------
    probes, references : (n, h, w) float32
        On one grid, pair by pair.
    region : (h, w) bool
    share : float
        As in `compare_depth_maps`.

    Returns
    -------
    (n, h, w) float64
        mm, less the median of the cells that agree; NaN outside the region, where one of the two has no skin, and where
        too few agree.
    """
    cells = _Region(*np.nonzero(region))
    full = np.full((len(probes), *region.shape), np.nan)
    first = np.zeros(1, np.intp)
    for n, (probe, reference) in enumerate(zip(probes, references[:, None], strict=True)):
        differences = cells.subtract(probe, reference, first, _find_move(probe, reference, cells, share))
        rising, width, begin = _narrowest(differences, share)
        if np.isfinite(width[0]):
            middle = rising[0, begin[0] + _count(len(cells.rows), share) // 2]
            full[n, cells.rows, cells.columns] = differences[0] - middle
    return full


def _find_move(probe: Maps, references: Maps, cells: _Region, share: float) -> _Move:
    """Return how each reference agrees best with a probe: sought on every third cell, then near it on every second."""
    every = np.arange(len(references))
    few = cells.every(3)
    widths = [
        _narrowest(few.subtract(probe, references, every, _Move(*move)), share)[1] for move in zip(*_MOVES, strict=True)
    ]
    up, left, tilt_mm = (values[np.argmin(widths, axis=0)] for values in _MOVES)
    few = cells.every(2)
    near = [_Move(up + rows, left + columns, tilt_mm) for rows, columns in _STEPS]
    widths = [_narrowest(few.subtract(probe, references, every, move), share)[1] for move in near]
    best = np.argmin(widths, axis=0)
    steps = np.array(_STEPS)[best]
    return _Move(up + steps[:, 0], left + steps[:, 1], tilt_mm)


def enough_skin(depth_map: Maps, region: NDArray[np.bool_], share: float) -> bool:
    """Whether a map has skin in so many cells of a region that it can be compared."""
    return int(np.isfinite(depth_map[region]).sum()) >= _count(int(region.sum()), share)


def _count(cells: int, share: float) -> int:
    return max(2, round(share * cells))


def _narrowest(differences: Maps, share: float) -> tuple[Maps, NDArray[np.float32], NDArray[np.intp]]:
    """Sort each row; return it, the width of its narrowest band, infinite where there is none, and where it begins."""
    count = _count(differences.shape[1], share)
    rising = np.sort(differences, axis=1)  # NaN last
    width = rising[:, count - 1 :] - rising[:, : rising.shape[1] - count + 1]
    width = np.where(np.isnan(width), np.float32(np.inf), width)
    begin = width.argmin(axis=1)
    return rising, np.take_along_axis(width, begin[:, None], axis=1)[:, 0], begin


def _residual(differences: Maps, share: float) -> NDArray[np.float64]:
    """Return the mean distance from the median of each row's narrowest band; NaN where it has none."""
    rising, width, begin = _narrowest(differences, share)
    band = np.take_along_axis(rising, begin[:, None] + np.arange(_count(differences.shape[1], share)), axis=1)
    middle = band[:, band.shape[1] // 2, None]
    return np.where(np.isfinite(width), np.abs(band - middle).mean(axis=1, dtype=np.float64), np.nan)
