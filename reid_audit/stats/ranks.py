"""Ranks, and p-values of rank sums: those of scipy.stats, whose import alone takes a command half a second."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def rank(values: ArrayLike) -> Floats:
    """Rank along the last axis, 1 = the smallest; equal values share the mean of their ranks. NaN is not allowed."""
    x = np.asarray(values, dtype=np.float64)
    order = np.argsort(x, axis=-1)
    rising = np.take_along_axis(x, order, axis=-1)
    at = np.arange(x.shape[-1])
    new = np.ones(x.shape, dtype=bool)
    new[..., 1:] = rising[..., 1:] != rising[..., :-1]
    first = np.maximum.accumulate(np.where(new, at, 0), axis=-1)
    last = np.ones(x.shape, dtype=bool)
    last[..., :-1] = new[..., 1:]
    end = np.minimum.accumulate(np.where(last, at, at.size)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(x.shape)
    np.put_along_axis(ranks, order, (first + end) / 2 + 1, axis=-1)
    return ranks


def _ties(values: Floats) -> float:
    """Return the sum of t^3 - t over groups of t equal values."""
    count = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((count**3 - count).sum())


@lru_cache(maxsize=64)
def _ways_of_u(n: int, m: int) -> Floats:
    """Count the orders of n and m observations in which U of the first is 0, 1, ... n m (Mann and Whitney 1947)."""
    ways = np.zeros((m + 1, n * m + 1))
    ways[:, 0] = 1.0
    for _ in range(n):
        for j in range(1, m + 1):
            more = ways[j - 1].copy()
            more[j:] += ways[j, :-j]
            ways[j] = more
    of_all: Floats = ways[m]
    return of_all


def p_of_u(u: float, x: Floats, y: Floats, *, exact: bool) -> float:
    """Two-sided p-value of the Mann-Whitney U of the first of two groups; not exact: normal, continuity and ties."""
    from scipy.special import ndtr

    n, m = len(x), len(y)
    larger = max(u, n * m - u)
    if exact:
        ways = _ways_of_u(min(n, m), max(n, m))
        return min(1.0, 2 * float(ways[round(larger) :].sum() / ways.sum()))
    spread = n * m / 12 * (n + m + 1 - _ties(np.concatenate([x, y])) / ((n + m) * (n + m - 1)))
    return min(1.0, 2 * float(ndtr((n * m / 2 + 0.5 - larger) / math.sqrt(spread))))


def p_of_signed_ranks(w: float, sizes: Floats, *, exact: bool) -> float:
    """Two-sided p-value of the smaller signed-rank sum of differences of these sizes; not exact: normal with ties."""
    from scipy.special import ndtr

    n = len(sizes)
    if exact:
        ways = np.zeros(n * (n + 1) // 2 + 1)
        ways[0] = 1.0
        for size in range(1, n + 1):
            ways[size:] += ways[:-size].copy()
        return min(1.0, 2 * float(ways[: math.floor(w) + 1].sum() / ways.sum()))
    spread = (n * (n + 1) * (2 * n + 1) - _ties(sizes) / 2) / 24
    return min(1.0, 2 * float(ndtr((w - n * (n + 1) / 4) / math.sqrt(spread))))


def h_of_ranks(groups: Sequence[Floats]) -> tuple[float, float]:
    """Return H of Kruskal and Wallis, with their correction for ties, and its p-value by chi squared."""
    from scipy.special import chdtrc

    sizes, values = [len(group) for group in groups], np.concatenate(groups)
    n = len(values)
    sums = np.add.reduceat(rank(values), np.cumsum([0, *sizes[:-1]]))
    h = 12 / (n * (n + 1)) * float((sums**2 / sizes).sum()) - 3 * (n + 1)
    h /= 1 - _ties(values) / (n**3 - n)
    return h, float(chdtrc(len(sizes) - 1, h))


def control_false_discoveries(p: ArrayLike) -> Floats:
    """Adjust p-values of one family, at least one (Benjamini and Hochberg 1995)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)[::-1]
    adjusted = np.empty_like(values)
    scaled = values[order] * len(values) / np.arange(len(values), 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return adjusted
