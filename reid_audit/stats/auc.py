"""AUC of mated against non-mated comparisons, with intervals that hold near 1."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate
from reid_audit.stats.intervals import NAMELESS, UNKNOWN, Bounds, check_confidence, jackknife_bounds, per_person

_EDGE = 0.75
"""Weight at AUC 0 and 1 of the largest variance that subjects could have."""


def auc_bounds(value: float, without: NDArray[np.float64], confidence: float, *, subjects: int) -> Bounds:
    """Bounds of an AUC from its values without each subject; ``subjects`` have mated comparisons.

    Korn and Graubard 1998: the jackknife variance becomes an effective number n* = v (1 - v) / variance of subjects,
    adjusted for the degrees of freedom, and the bounds are the beta quantiles of n* v and n* (1 - v), plus one half
    (Jeffreys). Near 1 a few subjects make the whole variance, and a cohort that happens to lack them would look
    certain: the variance is therefore mixed with v (1 - v) / n, the largest that n independent numbers in [0, 1] can
    have, in the proportion 3/4 (2 v - 1)^2: nothing at 0.5, three quarters at 1.
    """
    from scipy.special import betaincinv, ndtri, stdtrit

    n = len(without)
    if n < 2 or not np.isfinite(value) or not np.isfinite(without).all():
        return UNKNOWN
    variance = (n - 1) / n * float(((without - without.mean()) ** 2).sum())
    if value <= 0 or value >= 1 or variance < 1e-24:
        return jackknife_bounds(value, without, confidence, independent=subjects)
    weight = _EDGE * (2 * value - 1) ** 2
    most = value * (1 - value)
    trials = most / ((1 - weight) * variance + weight * most / n)

    def end(tail: float, upper: bool) -> float:
        effective = trials * (float(ndtri(tail)) / float(stdtrit(n - 1, tail))) ** 2
        hits = effective * value
        return float(betaincinv(hits + 0.5, effective - hits + 0.5, tail if upper else 1 - tail))

    two = (1 + confidence) / 2
    return Bounds(end(two, False), end(two, True), end(confidence, False), end(confidence, True))


def _rank_sums(
    mated: NDArray[np.float64], non_mated: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each mated distance how many others are larger, for each other how many own are smaller; ties one half.

    Only the mated distances, the fewer, are sorted.
    """
    order = np.argsort(mated)
    left = np.searchsorted(mated[order], non_mated, "left")
    above = np.bincount(left, minlength=len(mated) + 1)
    right = np.searchsorted(mated[order], non_mated, "right")
    above += np.bincount(right, minlength=len(mated) + 1)
    left += right
    # own[order][k] < other where left > k, and <= other where right > k.
    by_own = np.empty(len(mated))
    by_own[order] = 0.5 * np.cumsum(above[::-1])[::-1][1:]
    return by_own, np.asarray(0.5 * left, dtype=np.float64)


def area(mated: NDArray[np.float64], non_mated: NDArray[np.float64]) -> float:
    """Return the AUC of acquired distances alone: how often a mated one is smaller, ties one half.

    ``non_mated`` must rise.
    """
    not_above = sum(np.searchsorted(non_mated, mated, side).sum() for side in ("left", "right")) / 2
    return 1 - float(not_above) / (len(mated) * len(non_mated))


def _beats(mated: NDArray[np.float64], non_mated: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where own < others, one half where equal or either is NaN, else 0."""
    return np.where(mated < non_mated, 1.0, np.where(mated > non_mated, 0.0, 0.5))


def auc_of_pairs(
    mated: ArrayLike,
    mated_subject: ArrayLike,
    non_mated: ArrayLike,
    probe: ArrayLike,
    reference: ArrayLike,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Probability that a subject's own pair is nearer than a pair of two subjects: AUC = U / (n1 n2), ties one half.

    Parameters
    ----------
    mated : (n1,) float
        Distances of pairs of one subject. NaN (not acquired) counts one half: the attacker guesses.
    mated_subject : (n1,) int
        Subject code of each.
    non_mated : (n2,) float
        Distances of pairs of two subjects. NaN is left out, so that it does not dilute what the others show; only
        where nothing at all was acquired everything counts one half.
    probe, reference : (n2,) int
        Subject codes of their two ends.

    Returns
    -------
    Estimate
        Exact value; interval by the subject jackknife. A subject leaves with all pairs that touch him. NaN with a
        reason where one of the groups is empty.

    Notes
    -----
    Time n2 log n1, memory proportional to n1 + n2: leaving subject m out changes the sum of U by what his mated pairs
    and his pairs with others hold, and both are sums over ranks.
    """
    check_confidence(confidence)
    left_out = leave_out_auc(mated, mated_subject, non_mated, probe, reference)
    method = "subject jackknife, Korn-Graubard"
    if not left_out.without.size:
        return Estimate(
            left_out.value, subjects=left_out.people, confidence=confidence, method=method, reason=left_out.reason
        )
    bounds = auc_bounds(left_out.value, left_out.without, confidence, subjects=left_out.people)
    reason = "" if np.isfinite(bounds.low) else "too few people for an interval"
    return Estimate(left_out.value, *bounds, left_out.people, confidence, method, reason)


class LeftOut(NamedTuple):
    """An AUC, and what it would be without each subject.

    ``without`` is empty where no subject can be left out (``reason`` says why), else (n,) for the codes in ``subject``.
    """

    value: float
    people: int
    person: NDArray[np.intp]
    without: NDArray[np.float64]
    reason: str = ""


_NOBODY, _NOTHING = np.zeros(0, dtype=np.intp), np.zeros(0)


def leave_out_auc(
    mated: ArrayLike, mated_subject: ArrayLike, non_mated: ArrayLike, probe: ArrayLike, reference: ArrayLike
) -> LeftOut:
    """Compute the AUC of `auc_of_pairs`, and again without each subject."""
    d_own, d_other = np.asarray(mated, dtype=np.float64), np.asarray(non_mated, dtype=np.float64)
    who, p, r = (np.asarray(x, dtype=np.intp) for x in (mated_subject, probe, reference))
    if not d_own.size or not d_other.size:
        missing = "own" if not d_own.size else "other people's"
        return LeftOut(math.nan, 0, _NOBODY, _NOTHING, f"there are no {missing} pairs")
    seen_own, seen_other = ~np.isnan(d_own), ~np.isnan(d_other)
    if seen_own.any() and not seen_other.any():
        return LeftOut(math.nan, 0, _NOBODY, _NOTHING, "none of other people's pairs was acquired")
    guessed = seen_own.any() and not seen_other.all()
    if guessed:
        d_other, p, r, seen_other = d_other[seen_other], p[seen_other], r[seen_other], seen_other[seen_other]
    by_own, by_other = np.full(len(d_own), 0.5 * len(d_other)), np.full(len(d_other), 0.5 * len(d_own))
    if seen_own.any():
        by_own[seen_own], smaller = _rank_sums(d_own[seen_own], d_other)
        by_other = smaller + 0.5 * (len(d_own) - int(seen_own.sum()))
    total, trials = float(by_own.sum()), len(d_own) * len(d_other)
    value = total / trials
    if min(who.min(), p.min(), r.min()) < 0:
        return LeftOut(value, 0, _NOBODY, _NOTHING, NAMELESS)

    n = int(max(who.max(), p.max(), r.max())) + 1
    own_pairs = per_person(n, (who, None))
    other_pairs = per_person(n, (p, None), (r, None))
    twice = _own_against_own_pairs(d_own, who, d_other, p, r, n)
    sums = total - per_person(n, (who, by_own)) - per_person(n, (p, by_other), (r, by_other)) + twice
    counts = (len(d_own) - own_pairs) * (len(d_other) - other_pairs)
    there = (own_pairs > 0) | (other_pairs > 0)
    people = int((own_pairs > 0).sum())
    if (counts[there] <= 0).any() and not guessed:
        return LeftOut(value, people, _NOBODY, _NOTHING, "too few people for an interval")
    # Without the only subject who was acquired nothing is, and everything counts one half, as above.
    without = np.where(counts[there] > 0, sums[there] / np.maximum(counts[there], 1), 0.5)
    return LeftOut(value, people, np.flatnonzero(there), without)


def _own_against_own_pairs(
    d_own: NDArray[np.float64],
    who: NDArray[np.intp],
    d_other: NDArray[np.float64],
    p: NDArray[np.intp],
    r: NDArray[np.intp],
    n: int,
) -> NDArray[np.float64]:
    """Per subject: the part of U where his mated pairs meet his pairs with others (it would be subtracted twice)."""
    twice = np.zeros(n)
    order = np.argsort(who, kind="stable")
    starts = np.searchsorted(who[order], np.arange(n))
    turn = np.arange(len(order)) - starts[who[order]]
    for k in range(int(turn.max()) + 1):
        own = order[turn == k]
        kth, there = np.full(n, np.nan), np.zeros(n, dtype=bool)
        kth[who[own]], there[who[own]] = d_own[own], True
        for side in (p, r):
            twice += np.where(there, np.bincount(side, _beats(kth[side], d_other), n), 0.0)
    return twice
