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

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Cells by which two heads may be shifted, across and upwards."""

_COARSE = 2  # the shift is sought on every second cell both ways
_SHIFTS = tuple(product(range(-REACH, REACH + 1), repeat=2))
_BLOCK_BYTES = 32_000_000

Maps = NDArray[np.float32]


def compare_depth_maps(probes: Maps, references: Maps, region: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return the residual of every probe and reference, mm, at the shift at which it is least.

    Parameters
    ----------
    probes, references : (n, h, w), (m, h, w) float32
        On one grid.
    region : (h, w) bool
        Cells of the probe that count; a margin of two cells around it is needed.
    share : float
        Of the region's cells, how many must agree, 0 to 1.

    Returns
    -------
    (n, m) float64
        NaN where fewer than ``share`` of the region's cells have skin in both.
    """
    rows, columns, few = _cells_of(region)
    full = np.full((len(probes), len(references)), np.nan)
    size = max(1, _BLOCK_BYTES // (4 * max(len(rows), 1)))
    for start in range(0, len(references), size):
        block = slice(start, start + size)
        shifted = [references[block, rows[few] + up, columns[few] + left] for up, left in _SHIFTS]
        for n, probe in enumerate(probes):
            cells = probe[rows[few], columns[few]]
            best = np.argmin([_narrowest(cells - other, share)[1] for other in shifted], axis=0)
            for k in np.unique(best):
                (at,) = np.nonzero(best == k)
                up, left = _SHIFTS[k]
                other = references[np.ix_(at + start)][:, rows + up, columns + left]
                full[n, at + start] = _residual(probe[rows, columns] - other, share)
    return full


def subtract_depth_maps(probes: Maps, references: Maps, region: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return what each probe has more than its own reference, at the shift at which the region agrees best.

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
    rows, columns, few = _cells_of(region)
    full = np.full((len(probes), *region.shape), np.nan)
    for n, (probe, reference) in enumerate(zip(probes, references, strict=True)):
        cells = probe[rows[few], columns[few]]
        tried = np.array([cells - reference[rows[few] + up, columns[few] + left] for up, left in _SHIFTS])
        up, left = _SHIFTS[int(_narrowest(tried, share)[1].argmin())]
        differences = (probe[rows, columns] - reference[rows + up, columns + left])[None]
        rising, width, begin = _narrowest(differences, share)
        if np.isfinite(width[0]):
            middle = rising[0, begin[0] + _count(len(rows), share) // 2]
            full[n, rows, columns] = differences[0] - middle
    return full


def _cells_of(region: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return the rows and columns of a region's cells, and which of them the shift is sought on."""
    rows, columns = np.nonzero(region)
    return rows, columns, (rows % _COARSE == 0) & (columns % _COARSE == 0)


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
