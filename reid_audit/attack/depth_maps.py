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
            block.subtract(probe)
            full[n, start : start + size] = block.measure_residuals()
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
        block = _Block(reference, cells, share)
        differences = block.subtract(probe)[0].copy()
        (band,) = block.sort_bands()
        full[n, cells.rows, cells.columns] = differences - band[len(band) // 2]
    return full


class _Moved:
    """References in several places, at some cells of a region.

    Its arrays are written over for every probe: to fetch fresh ones from the system takes longer than all that is done
    in them.
    """

    def __init__(self, references: Maps, cells: _Region, moves: int, share: float) -> None:
        count, height, width = references.shape
        self._cells, self._width, self._values = cells, width, np.asarray(references, np.float32).reshape(-1)
        self._own = height * width * np.arange(count)[:, None] + cells.rows * width + cells.columns
        self._place = np.empty((moves, *self._own.shape), np.intp)
        self._moved = np.empty(self._place.shape, np.float32)
        self._differences = np.empty_like(self._moved)
        self._agree = _count(len(cells.rows), share)
        self._widths = np.empty((moves, count, len(cells.rows) - self._agree + 1), np.float32)

    def move(self, moves: _Moves) -> None:
        """Take what the references have where the cells are moved to."""
        np.add(self._own, (moves.up * self._width + moves.left)[..., None], out=self._place)
        np.take(self._values, self._place, out=self._moved, mode="clip")
        self._moved += moves.tilt_mm[..., None] * self._cells.rows.astype(np.float32)

    def subtract(self, probe: Maps) -> Maps:
        """Return by how much a probe stands out before the references, (moves, k, cells)."""
        np.subtract(probe[self._cells.rows, self._cells.columns], self._moved, out=self._differences)
        return self._differences

    def find_best(self, probe: Maps) -> _Cells:
        """Return which of the moves lets each reference agree best with a probe, (k,); the first where none does."""
        self.subtract(probe)
        return _place_least(np.fmin.reduce(self._measure_widths(), axis=-1).T)

    def _measure_widths(self) -> Maps:
        """Sort the differences; return the width of every band of cells, (moves, k, bands); NaN = too few cells."""
        rising = self._differences
        rising.sort(axis=-1)  # NaN last
        bands = self._widths.shape[-1]
        np.subtract(rising[..., self._agree - 1 :], rising[..., :bands], out=self._widths)
        return self._widths

    def sort_bands(self) -> Maps:
        """Return the differences in each reference's narrowest band at its first move, rising, (k, cells)."""
        begin = _place_least(self._measure_widths()[0])[:, None]
        return np.take_along_axis(self._differences[0], begin + np.arange(self._agree), axis=-1)


class _Block:
    """References that probes are compared with, each moved where it agrees best."""

    def __init__(self, references: Maps, cells: _Region, share: float) -> None:
        self._few, self._more, self._all = (
            _Moved(references, part, moves, share)
            for part, moves in ((cells.every(_FEW), len(_MOVES.up)), (cells.every(_MORE), len(_STEPS)), (cells, 1))
        )
        self._few.move(_MOVES)  # once for all probes

    def subtract(self, probe: Maps) -> Maps:
        """Return by how much a probe stands out, (k, cells): its move is sought on few cells, then near it on more."""
        first = self._few.find_best(probe)
        rows, columns = _STEPS.T[:, :, None]
        near = _Moves(_MOVES.up[first, 0] + rows, _MOVES.left[first, 0] + columns, _MOVES.tilt_mm[None, first, 0])
        self._more.move(near)
        best = self._more.find_best(probe)
        own = np.arange(len(best))
        self._all.move(_Moves(near.up[None, best, own], near.left[None, best, own], near.tilt_mm))
        return np.asarray(self._all.subtract(probe)[0])

    def sort_bands(self) -> Maps:
        """Return the differences in each reference's narrowest band after `subtract`, rising; NaN where it has none."""
        return self._all.sort_bands()

    def measure_residuals(self) -> NDArray[np.float64]:
        """Return the mean distance from the median of each band; NaN where there is none."""
        band = self.sort_bands()
        return np.asarray(np.abs(band - band[:, band.shape[1] // 2, None]).mean(axis=1, dtype=np.float64))


def enough_skin(depth_map: Maps, region: NDArray[np.bool_], share: float) -> bool:
    """Whether a map has skin in so many cells of a region that it can be compared."""
    return int(np.isfinite(depth_map[region]).sum()) >= _count(int(region.sum()), share)


def _count(cells: int, share: float) -> int:
    return max(2, round(share * cells))


def _place_least(values: Maps) -> _Cells:
    """Return where each row is least, NaN left out; 0 where there is nothing else."""
    return np.asarray(np.where(np.isnan(values), np.float32(np.inf), values).argmin(axis=-1))
