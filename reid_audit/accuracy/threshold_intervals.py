"""Intervals of the Youden and EER thresholds: subjects are redrawn, and the curves are smoothed as well."""

import math
from collections.abc import Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.pairs import Pairs, find_subjects
from reid_audit.stats import draw_subjects, redraw_curves

_GRID = 2048
_EXACT_GRID_UP_TO = 20_000
_SMOOTH_GRID = 512
_BANDWIDTH = 0.6
_NUMBERS_AT_ONCE = 50_000


def _grid(same: NDArray[np.float64], different: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds for the bootstrap: every distance of a small cohort, else 2,048 quantiles and each same distance."""
    if len(different) > _EXACT_GRID_UP_TO:
        different = np.quantile(different, np.linspace(0, 1, _GRID), method="lower")
        same = np.quantile(same, np.linspace(0, 1, min(len(same), _GRID)), method="lower")
    values = np.unique(np.concatenate([same, different]))
    return np.append(values, np.nextafter(values[-1], np.inf))


def all_named(same: Pairs, different: Pairs) -> bool:
    """Whether there are pairs of both kinds, and each names its people."""
    return all(len(code) > 0 and int(code.min()) >= 0 for code in (same.probe, different.probe, different.reference))


def _bandwidth(distance: NDArray[np.float64], people: int) -> float:
    """Silverman's width (1986) of the distances of that many independent people, narrowed: the centre is sought."""
    quarters = np.quantile(distance, [0.25, 0.75])
    spread = min(float(distance.std()), float(quarters[1] - quarters[0]) / 1.34)
    return float(_BANDWIDTH * spread * people**-0.2)


class _Reader:
    """Reads the Youden and EER thresholds off step curves, as they are and smoothed by a normal kernel."""

    def __init__(self, grid: NDArray[np.float64], widths: tuple[float, float]) -> None:
        margin = max(3 * max(widths), 1e-6)
        self.grid, self.even = grid, np.linspace(grid[0] - margin, grid[-1] + margin, _SMOOTH_GRID)
        self.at = np.minimum(np.searchsorted(grid, self.even), len(grid) - 1)
        self.sigma = [width / (self.even[1] - self.even[0]) for width in widths]

    def read(self, tmr: NDArray[np.float64], fmr: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return (curves, 3): smallest and largest threshold among ties, and the smoothed one, by name.

        ``tmr`` and ``fmr`` are (curves, thresholds).
        """
        from scipy.ndimage import gaussian_filter

        steps = tmr[:, self.at], fmr[:, self.at]
        smooth = [gaussian_filter(c, (0, s), mode="nearest") for c, s in zip(steps, self.sigma, strict=True)]
        return {
            name: np.stack(
                [self.grid[_find_first(gain)], self.grid[~_find_first(gain[:, ::-1])], self.even[_find_first(even)]],
                axis=1,
            )
            for name, gain, even in (
                ("youden", tmr - fmr, smooth[0] - smooth[1]),
                ("eer", -np.abs(fmr + tmr - 1), -np.abs(smooth[1] + smooth[0] - 1)),
            )
        }


def _find_first(gain: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.asarray(np.argmax(np.round(gain, 9), axis=1))


def bound_thresholds(
    same: Pairs,
    different: Pairs,
    points: Mapping[str, float],
    *,
    rng: np.random.Generator,
    draws: int,
    confidence: float,
) -> dict[str, tuple[float, float]]:
    """Two-sided intervals of the Youden and EER thresholds, by name.

    Parameters
    ----------
    same, different : Pairs
        Acquired comparisons of originals.
    points : mapping of str to float
        Thresholds of these comparisons; NaN = not offered.
    rng : numpy.random.Generator
    draws : int
        Of subjects; both ends of a comparison follow.
    confidence : float

    Returns
    -------
    dict
        NaN ends without names, with fewer than three subjects, without draws, and for the thresholds of other names.

    Notes
    -----
    The maximum of J moves with the cube root of the cohort, which the bootstrap does not reproduce: its percentiles
    alone cover 60-95 %. The interval is the hull of three: percentiles of the redrawn thresholds with a fifth of the
    tails, ties counted both ways; the threshold -+ Student's t times the standard deviation of the redrawn; and the
    same for the threshold of curves smoothed by a normal kernel (Fluss, Faraggi and Reiser 2005), redrawn alike.
    docs/evidence.md has what they cover together.
    """
    from scipy.special import stdtrit

    people = find_subjects(same.probe, different.probe, different.reference)
    unknown = dict.fromkeys(points, (math.nan, math.nan))
    if len(people) < 3 or not draws or not all_named(same, different):
        return unknown
    place = np.full(int(people[-1]) + 1, -1)
    place[people] = np.arange(len(people))
    grid = _grid(same.distance, different.distance)
    reader = _Reader(grid, (_bandwidth(same.distance, len(people)), _bandwidth(different.distance, len(people))))
    ends = place[same.probe], different.distance, place[different.probe], place[different.reference]
    weights = draw_subjects(len(people), draws, rng=rng)
    weights = np.concatenate([np.ones((1, len(people)), dtype=np.uint16), weights])  # first the cohort as it is
    curves = iter(redraw_curves(same.distance, *ends, grid, weights))
    read = []
    while some := list(islice(curves, max(1, _NUMBERS_AT_ONCE // len(grid)))):
        tmr, fmr = (np.array(side) for side in zip(*some, strict=True))
        known = ~np.isnan(tmr[:, 0]) & ~np.isnan(fmr[:, 0])
        read.append(reader.read(tmr[known], fmr[known]))
    tail, t = (1 - confidence) / 10, float(stdtrit(len(people) - 1, (1 + confidence) / 2))
    intervals = dict(unknown)
    for name in ("youden", "eer"):
        redrawn = np.concatenate([thresholds[name] for thresholds in read])
        if len(redrawn) < 3 or math.isnan(points.get(name, math.nan)):
            continue
        reach = t * redrawn[1:].std(axis=0, ddof=1)
        low = min(np.quantile(redrawn[1:, 0], tail), (redrawn[0] - reach).min())
        high = max(np.quantile(redrawn[1:, 1], 1 - tail), (redrawn[0] + reach).max())
        intervals[name] = max(float(low), 0.0), min(float(high), 2.0)
    return intervals
