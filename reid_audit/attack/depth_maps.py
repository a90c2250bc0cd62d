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
_FEW, _MORE = 3, 2  # every so many cells both ways: where a move is sought at first, and then near it
_BLOCK_BYTES = 1_000_000

Maps = NDArray[np.float32]
_Cells = NDArray[np.intp]


class _Moves(NamedTuple):
    """How references are moved onto a probe: cells, and mm of depth per row; (moves, 1) for all, or (moves, k)."""

    up: _Cells
    left: _Cells
    tilt_mm: NDArray[np.float32]


def _list_moves() -> _Moves:
    """Return the moves that are tried at first: of each nod every second shift."""
    shifts = range(-_SHIFT, _SHIFT + 1, 2)
    tilt, up, left = np.array(list(product(np.tan(np.radians(_NODS_DEG)), shifts, shifts)))[:, :, None].swapaxes(0, 1)
    rows = np.rint(_ARM_MM * tilt / CELL_MM) + up
    return _Moves(rows.astype(np.intp), left.astype(np.intp), (CELL_MM * tilt).astype(np.float32))


_MOVES = _list_moves()
_STEPS = np.array(list(product((-1, 0, 1), repeat=2)))

REACH_UP, REACH_LEFT = int(_MOVES.up.max()) + 1, _SHIFT + 1
"""Cells of a margin around a region, that two heads can be moved against each other."""


class _Region(NamedTuple):
    """Cells of a region, all or some of them."""

    rows: _Cells
    columns: _Cells

    def every(self, step: int) -> "_Region":
        kept = (self.rows % step == 0) & (self.columns % step == 0)
        return _Region(self.rows[kept], self.columns[kept])

    def gather(self, references: Maps, moves: _Moves) -> Maps:
        """Return what references have where these cells are moved to, (moves, k, cells)."""
        rows, columns = self.rows + moves.up[..., None], self.columns + moves.left[..., None]
        return np.asarray(references[np.arange(len(references))[:, None], rows, columns])

    def subtract(self, probe: Maps, gathered: Maps, moves: _Moves) -> Maps:
        """Return by how much a probe stands out before these references, moved: (moves, k, cells)."""
        tilt_mm = moves.tilt_mm[..., None] * self.rows.astype(np.float32)
        return np.asarray(probe[self.rows, self.columns] - gathered - tilt_mm)


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
    size = max(1, _BLOCK_BYTES // (4 * len(_MOVES.up) * max(len(cells.every(_FEW).rows), 1)))
    for start in range(0, len(references), size):
        block = _Block(references[start : start + size], cells, share)
        for n, probe in enumerate(probes):
            full[n, start : start + size] = _residual(block.subtract(probe), share)
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
    for n, (probe, reference) in enumerate(zip(probes, references[:, None], strict=True)):
        differences = _Block(reference, cells, share).subtract(probe)
        rising, width, begin = _narrowest(differences, share)
        if np.isfinite(width[0]):
            middle = rising[0, begin[0] + _count(len(cells.rows), share) // 2]
            full[n, cells.rows, cells.columns] = differences[0] - middle
    return full


class _Block:
    """References that probes are compared with, each moved where it agrees best."""

    def __init__(self, references: Maps, cells: _Region, share: float) -> None:
        self._references, self._cells, self._share = references, cells, share
        self._few, self._more = cells.every(_FEW), cells.every(_MORE)
        self._gathered = self._few.gather(references, _MOVES)  # once for all probes

    def subtract(self, probe: Maps) -> Maps:
        """Return by how much a probe stands out, (k, cells): its move is sought on few cells, then near it on more."""
        first = self._find_best(probe, self._few, _MOVES, self._gathered)
        rows, columns = _STEPS.T[:, :, None]
        tilt_mm = np.broadcast_to(_MOVES.tilt_mm[first, 0], (len(_STEPS), len(first)))
        near = _Moves(_MOVES.up[first, 0] + rows, _MOVES.left[first, 0] + columns, tilt_mm)
        best = self._find_best(probe, self._more, near, self._more.gather(self._references, near))
        at = best[None], np.arange(len(best))
        move = _Moves(near.up[at], near.left[at], near.tilt_mm[at])
        return np.asarray(self._cells.subtract(probe, self._cells.gather(self._references, move), move)[0])

    def _find_best(self, probe: Maps, cells: _Region, moves: _Moves, gathered: Maps) -> _Cells:
        """Return which of the moves lets each reference agree best, (k,)."""
        return np.asarray(_narrowest(cells.subtract(probe, gathered, moves), self._share)[1].argmin(axis=0))


def enough_skin(depth_map: Maps, region: NDArray[np.bool_], share: float) -> bool:
    """Whether a map has skin in so many cells of a region that it can be compared."""
    return int(np.isfinite(depth_map[region]).sum()) >= _count(int(region.sum()), share)


def _count(cells: int, share: float) -> int:
    return max(2, round(share * cells))


def _narrowest(differences: Maps, share: float) -> tuple[Maps, NDArray[np.float32], NDArray[np.intp]]:
    """Sort each row; return it, the width of its narrowest band, infinite where there is none, and where it begins."""
    count = _count(differences.shape[-1], share)
    rising = np.sort(differences, axis=-1)  # NaN last
    width = rising[..., count - 1 :] - rising[..., : rising.shape[-1] - count + 1]
    width = np.where(np.isnan(width), np.float32(np.inf), width)
    begin = width.argmin(axis=-1)
    return rising, np.take_along_axis(width, begin[..., None], axis=-1)[..., 0], begin


def _residual(differences: Maps, share: float) -> NDArray[np.float64]:
    """Return the mean distance from the median of each row's narrowest band; NaN where it has none."""
    rising, width, begin = _narrowest(differences, share)
    band = np.take_along_axis(rising, begin[:, None] + np.arange(_count(differences.shape[1], share)), axis=1)
    middle = band[:, band.shape[1] // 2, None]
    return np.where(np.isfinite(width), np.abs(band - middle).mean(axis=1, dtype=np.float64), np.nan)
