"""Differences between two attackers on the same subjects, with intervals that know that the subjects are the same."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate
from reid_audit.stats.auc import leave_out_auc
from reid_audit.stats.intervals import check_confidence, clopper_pearson

_METHOD = "subject jackknife of the difference, t"


class Compared(NamedTuple):
    """Mated and non-mated comparisons, as `reid_audit.stats.auc_of_pairs` takes them."""

    mated: ArrayLike
    mated_subject: ArrayLike
    non_mated: ArrayLike
    probe: ArrayLike
    reference: ArrayLike


def _difference(value: float, without: NDArray[np.float64], confidence: float) -> Estimate:
    from scipy.special import stdtrit

    n = len(without)
    if n < 3 or not np.isfinite(without).all():
        return Estimate(
            value, subjects=n, confidence=confidence, method=_METHOD, reason="too few people for an interval"
        )
    error = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    two_sided, one_sided = (float(stdtrit(n - 1, q)) * error for q in ((1 + confidence) / 2, confidence))
    if error < 1e-12:  # nobody differs: what unseen subjects could still change
        unseen = (
            clopper_pearson(0, n, confidence=confidence).high,
            clopper_pearson(0, n, confidence=2 * confidence - 1).high,
        )
        two_sided, one_sided = unseen
    low, high, at_least, at_most = (
        min(max(value + shift, -1.0), 1.0) for shift in (-two_sided, two_sided, -one_sided, one_sided)
    )
    return Estimate(value, low, high, at_least, at_most, n, confidence, _METHOD)


def gap_of_auc(first: Compared, second: Compared, *, confidence: float = 0.95) -> Estimate:
    """AUC of the first minus that of the second; a subject leaves both at once.

    Parameters
    ----------
    first, second : Compared
        Of the same subjects; NaN as for `reid_audit.stats.auc_of_pairs`.
    confidence : float
        Above one half.

    Returns
    -------
    Estimate
        In [-1, 1]; NaN with a reason where one of the two is.
    """
    check_confidence(confidence)
    a, b = leave_out_auc(*first), leave_out_auc(*second)
    value = a.value - b.value
    reason = a.reason or b.reason
    if not reason and not np.array_equal(a.person, b.person):
        reason = "the two do not rest on the same people"
    if reason:
        return Estimate(value, subjects=min(a.people, b.people), confidence=confidence, method=_METHOD, reason=reason)
    return _difference(value, a.without - b.without, confidence)


def gap_of_rates(
    first: ArrayLike,
    first_subject: ArrayLike,
    second: ArrayLike,
    second_subject: ArrayLike,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Share of hits of the first minus that of the second, e.g. rank-1; a subject leaves both at once.

    Parameters
    ----------
    first, second : (n,), (m,) bool
        Trials, one or several per subject.
    first_subject, second_subject : (n,), (m,) int
        Subject code of each trial, not negative.

    Returns
    -------
    Estimate
        In [-1, 1]; NaN with a reason where one of the two has no trial.
    """
    check_confidence(confidence)
    hits = [np.asarray(x, dtype=np.float64) for x in (first, second)]
    who = [np.asarray(x, dtype=np.intp) for x in (first_subject, second_subject)]
    if not all(h.size for h in hits):
        return Estimate(math.nan, confidence=confidence, method=_METHOD, reason="there are no trials")
    value = float(hits[0].mean() - hits[1].mean())
    n = int(max(w.max() for w in who)) + 1
    people = np.unique(np.concatenate(who))
    counts = [np.bincount(w, minlength=n)[people] for w in who]
    sums = [np.bincount(w, h, minlength=n)[people] for w, h in zip(who, hits, strict=True)]
    left = [h.size - c for h, c in zip(hits, counts, strict=True)]
    if min(part.min() for part in left) <= 0:
        reason = "too few people for an interval"
        return Estimate(value, subjects=len(people), confidence=confidence, method=_METHOD, reason=reason)
    a, b = ((h.sum() - s) / part for h, s, part in zip(hits, sums, left, strict=True))
    return _difference(value, a - b, confidence)
