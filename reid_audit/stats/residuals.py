"""Mated against non-mated comparisons in a square of people: every rank counts, and the square shows its chance.

Words
-----
blocks
    Distances of shape (b, n, n): in block k row i is a defaced scan of person i, column j an original of person j, both
    of the visits that block k joins. The diagonal is mated, the rest non-mated. NaN = no distance.
residual
    Distance less what its row and its column share with everybody. Some scans lie far from all, some faces near to all;
    an attacker with a gallery takes that out (score normalisation), and what he then still links is the real linkage:
    where pooled distances give AUC 0.60, residuals may give 0.90.
mate percentile
    Share of one probe's non-mated residuals that lie farther than the mated one, ties half: 1 - (rank - 1) / (n - 1).
    Its mean is the AUC within searches; 0.5 where nothing is left.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.stats.intervals import exact_bounds
from reid_audit.stats.ranks import rank

Floats = NDArray[np.float64]


_LEAST = 6
"""Entries from which on a mean is taken out; the mean of fewer would take out the entries themselves."""


class Bounded(NamedTuple):
    """A mean over people with two one-sided bounds, each at the confidence asked for."""

    value: float
    at_least: float
    at_most: float
    subjects: int


def alike(group: NDArray[np.intp]) -> NDArray[np.int8]:
    """(n, n): 1 where two people are of one group, 0 where they are not, -1 where one of them is of none (-1)."""
    known = (group[:, None] >= 0) & (group[None, :] >= 0)
    return np.where(known, group[:, None] == group[None, :], -1).astype(np.int8)


def residuals(blocks: Floats, group: NDArray[np.intp] | None = None) -> Floats:
    """Take out of each block what rows, columns and (``group``) likeness of groups explain.

    Parameters
    ----------
    blocks : (b, n, n) float
    group : (n,) int, optional
        A group per person, e.g. sex; -1 = not known. Pairs of one group are then compared with pairs of one group.

    Returns
    -------
    (b, n, n) float64
        Effects are fitted on non-mated entries alone, where a row or column has at least six of them; the diagonal is
        scaled to their spread, since fitted entries scatter less than others. NaN stays NaN; blocks with fewer than
        three people are all NaN.
    """
    n = blocks.shape[1]
    if n < 3:
        return np.full(blocks.shape, np.nan)
    diagonal = np.eye(n, dtype=bool)
    known = np.isfinite(blocks) & ~diagonal
    rest = _take_out_means(np.where(np.isfinite(blocks), blocks, 0.0), known)
    fitted = np.full(n, n)
    groups: list[NDArray[np.bool_]] = [] if group is None else list(group == np.unique(group)[:, None])
    for member in groups:
        # Rows of one group against columns of one group: an original that is near to women alone is so for all women.
        if member.sum() > _LEAST:
            fitted[member] = member.sum()
        for columns in (member, ~member):
            rest = _take_out_means(rest, known & member[:, None] & columns[None, :])
    spread = np.where(fitted > _LEAST, np.sqrt(fitted / (fitted - 2)), 1.0)  # without a mean taken out, nothing shrank
    scaled = np.where(diagonal, rest / spread, rest)
    return np.where(np.isfinite(blocks), np.round(scaled, 12), np.nan)  # equal distances stay equal


def _take_out_means(rest: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Subtract row and column means of the entries ``inside`` from them, and from the diagonal between them."""
    reach = inside | (
        np.eye(rest.shape[1], dtype=bool) & inside.any(axis=2, keepdims=True) & inside.any(axis=1, keepdims=True)
    )
    for _ in range(4):
        for axis in (2, 1):
            count = inside.sum(axis=axis, keepdims=True)
            mean = np.where(inside, rest, 0.0).sum(axis=axis, keepdims=True) / np.maximum(count, 1)
            rest = rest - np.where(reach & (count >= _LEAST), mean, 0.0)
    return rest


def percentiles(residual: Floats) -> Floats:
    """Share of each row's other non-mated residuals that lie farther than each entry; (b, n, n), NaN where unknown.

    The share is (rivals that lie farther + 1/2) / (rivals + 1), ties half: uniform by chance, never 0 or 1.
    """
    n = residual.shape[1]
    diagonal = np.eye(n, dtype=bool)
    known = np.isfinite(residual)
    rivals = np.where(diagonal | ~known, np.inf, residual)
    count = (known & ~diagonal).sum(axis=2, keepdims=True)
    order = rank(rivals)  # 1 .. n, ties in the middle
    mate = np.where(known, residual, np.inf)[:, np.arange(n), np.arange(n)][..., None]
    nearer = (rivals < mate).sum(axis=2, keepdims=True) + (rivals == mate).sum(axis=2, keepdims=True) / 2
    # A non-mated entry is not its own rival, so it has one rival less than the mate.
    share = np.where(diagonal, (count - nearer + 0.5) / (count + 1), (count - order + 0.5) / np.maximum(count, 1))
    return np.where(known & (count > 1), share, np.nan)


def linkability(mated: Floats, *, confidence: float) -> Bounded:
    """Probability that a mated comparison is nearer than a non-mated one, from the normal scores of all ranks.

    The mean m of the normal scores of the mate percentiles is the distance of mated from non-mated comparisons in
    standard deviations (van der Waerden), and the AUC is Phi(m / sqrt(2)). For normal distances this loses nothing
    against d'; it rests on ranks alone, and it weighs a few people who are found first more than a mean rank does.

    Parameters
    ----------
    mated : (b, n) float
        Mate percentiles of each person's comparisons in (0, 1); NaN (no vector) counts one half: a guess.
    confidence : float
        Of each one-sided bound. The standard error is that between people, which holds whatever the dependence of a
        person's visits is; of fewer than ten people it is not less than that of independent scores.

    Returns
    -------
    Bounded
        In [0, 1], 0.5 where nothing is left; NaN for fewer than two people.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    b, n = mated.shape
    if n < 2 or not b:
        return Bounded(math.nan, math.nan, math.nan, n)
    known = np.isfinite(mated)
    scores = np.where(known, ndtri(np.where(known, mated, 0.5)), 0.0)
    floor = math.sqrt(int(known.sum())) / (b * n) if n < 10 else 0.0
    error = max(float(scores.mean(axis=0).std(ddof=1)) / math.sqrt(n), floor)
    middle, width = float(scores.mean()), float(stdtrit(n - 1, confidence)) * error
    value, low, high = (float(ndtr(m / math.sqrt(2))) for m in (middle, middle - width, middle + width))
    return Bounded(value, low, high, n)


def share_of_subjects(hits: NDArray[np.bool_], *, confidence: float) -> Bounded:
    """Share of comparisons that hit, with Clopper-Pearson bounds on trials discounted by measured dependence.

    The design effect is 1 + (b - 1) r, r the correlation of one person's trials: as many trials as people where a
    person's visits always agree, all trials where they are independent.

    Parameters
    ----------
    hits : (b, n) bool
        ``b`` trials of each of ``n`` people.
    """
    b, n = hits.shape
    if not b * n:
        return Bounded(math.nan, math.nan, math.nan, n)
    p = float(hits.mean())
    trials = b * n / design_effect(hits)
    bounds = exact_bounds(p * trials, trials, confidence)
    return Bounded(p, bounds.at_least, bounds.at_most, n)


def excess(hits: NDArray[np.bool_], chance: Floats, *, confidence: float) -> Bounded:
    """Share of comparisons that hit beyond what their own row and column of non-mated comparisons explain.

    Parameters
    ----------
    hits : (b, n) bool
    chance : (b, n) float
        Probability of each hit if nothing links, from non-mated comparisons of the same two scans.

    Returns
    -------
    Bounded
        Mean of hits - chance. Its bounds are as wide as those of `share_of_subjects` for as many hits as lie beyond
        chance, or as were expected and did not come, whichever is more: an original that is near to everybody is
        matched by its own person and by others alike, and widens nothing.
    """
    b, n = hits.shape
    if not b * n:
        return Bounded(math.nan, math.nan, math.nan, n)
    beyond = hits - chance
    value = float(beyond.mean())
    surprises = max(float(np.maximum(beyond, 0).mean()), float(np.maximum(-beyond, 0).mean()))
    trials = b * n / design_effect(hits)
    bounds = exact_bounds(surprises * trials, trials, confidence)
    return Bounded(value, value - (surprises - bounds.at_least), value + (bounds.at_most - surprises), n)


def design_effect(hits: NDArray[np.bool_]) -> float:
    """Return 1 + (b - 1) r of (b, n) trials, r the correlation of one person's trials, within [0, 1]."""
    b, n = hits.shape
    p = float(hits.mean())
    if b < 2 or not 0 < p < 1:
        return 1.0
    total = hits.sum(axis=0)
    both = float((total * (total - 1)).sum()) / (n * b * (b - 1))
    return float(1 + (b - 1) * np.clip((both - p * p) / (p * (1 - p)), 0, 1))


def order_score(percentile: Floats, order: NDArray[np.intp]) -> float:
    """How far the mean percentile under one assignment of people lies above random assignments, in their deviations.

    Mean and deviation over all assignments are exact: Hoeffding 1951, theorem 2 (a combinatorial central limit
    theorem). 0 where all assignments are alike.

    Parameters
    ----------
    percentile : (b, n, n) float
        From `percentiles`; NaN counts one half.
    order : (n,) int
        Person whose originals each row is tried with.
    """
    mean = np.where(np.isfinite(percentile), percentile, 0.5).mean(axis=0)
    n = len(mean)
    free = mean - mean.mean(axis=0) - mean.mean(axis=1, keepdims=True) + mean.mean()
    spread = float(np.sqrt((free**2).sum() / max(n - 1, 1))) / n
    return (float(mean[np.arange(n), order].mean()) - float(mean.mean())) / spread if spread > 1e-9 else 0.0


def best_assignment(residual: Floats) -> NDArray[np.intp]:
    """Person whose originals fit each row best if every person is used once (Hungarian method, summed over blocks)."""
    from scipy.optimize import linear_sum_assignment

    known = np.isfinite(residual)
    total = np.where(known, residual, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(linear_sum_assignment(total)[1], dtype=np.intp)


def agreement(first: Floats, second: Floats, rng: np.random.Generator, draws: int = 60) -> float:
    """How much better two blocks agree on one assignment than if the people of the second are renamed, in deviations.

    ``first`` and ``second`` (n, n) are residuals of different defaced scans and different originals. Renaming rows and
    columns of one block keeps all that is in it but whom it is about, so the test holds for any distances.
    """
    from scipy.optimize import linear_sum_assignment

    a, b = (np.nan_to_num(x) for x in (first, second))

    def best(total: Floats) -> float:
        return float(total[linear_sum_assignment(total)].sum())

    n = len(a)
    chance = np.array([best(a + b[np.ix_(rng.permutation(n), rng.permutation(n))]) for _ in range(draws)])
    spread = float(chance.std(ddof=1))
    return (float(chance.mean()) - best(a + b)) / spread if spread > 0 else 0.0
