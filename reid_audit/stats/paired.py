"""Means over subjects and paired comparisons of means: one number per subject, however many scans each has."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate, InputError, TestResult
from reid_audit.stats.intervals import check_confidence, jackknife_bounds


def mean_per_person(values: ArrayLike, subject: ArrayLike) -> NDArray[np.float64]:
    """Average the numbers of each subject; NaN is left out, and so is a subject without any number."""
    numbers = np.asarray(values, dtype=np.float64)
    _, who = np.unique(np.asarray(subject), return_inverse=True)
    if len(numbers) != len(who):
        raise InputError(f"values and subject must have one length; got {len(numbers)} and {len(who)}")
    seen = ~np.isnan(numbers)
    counts = np.bincount(who[seen], minlength=int(who.max(initial=-1)) + 1)
    sums = np.bincount(who[seen], numbers[seen], minlength=len(counts))
    return np.asarray(sums[counts > 0] / counts[counts > 0])


def mean_of_people(
    values: ArrayLike, subject: ArrayLike, *, is_share: bool = False, is_yes_no: bool = False, confidence: float = 0.95
) -> Estimate:
    """Mean over subjects with an interval whose sample is the subjects.

    Parameters
    ----------
    values : (n,) float
        NaN is left out.
    subject : (n,) int or str
        Whose each is; several numbers of a subject are averaged first.
    is_share : bool
        Whether the numbers lie in [0, 1]. Then the interval is the jackknife's on the logit scale; else Student's t.
    is_yes_no : bool
        Whether each number is 0 or 1. Where all subjects agree the interval is then Clopper-Pearson's: what the
        subjects who were not seen could change. A Dice of 1 everywhere is no such count and has no interval.

    Returns
    -------
    Estimate
        NaN without numbers. Without an interval, with the reason, for one subject, and for measured numbers that do not
        vary at all.
    """
    check_confidence(confidence)
    people = mean_per_person(values, subject)
    n = len(people)
    bounded = is_share or is_yes_no
    method = "subject jackknife, logit, t" if bounded else "Student's t over people"
    if not n:
        return Estimate(math.nan, confidence=confidence, method=method, reason="nobody has a number")
    mean = float(people.mean())
    if n < 2:
        return Estimate(mean, subjects=n, confidence=confidence, method=method, reason="one person only")
    error = float(people.std(ddof=1)) / math.sqrt(n)
    if error <= 1e-12 * max(1.0, abs(mean)) and not is_yes_no:
        return Estimate(
            mean, subjects=n, confidence=confidence, method=method, reason="all people have the same number"
        )
    if bounded:
        without = (people.sum() - people) / (n - 1)
        return Estimate(mean, *jackknife_bounds(mean, without, confidence, independent=n), n, confidence, method)
    from scipy.special import stdtrit

    two_sided, one_sided = (float(stdtrit(n - 1, q)) * error for q in ((1 + confidence) / 2, confidence))
    return Estimate(mean, mean - two_sided, mean + two_sided, mean - one_sided, mean + one_sided, n, confidence, method)


def paired_t(before: ArrayLike, after: ArrayLike, *, compared: str = "", subjects: int | None = None) -> TestResult:
    """Two-sided paired t-test (Ammar 2025); pairs with a NaN are left out.

    ``statistic`` is t of after minus before; ``effect`` the mean difference over its standard deviation (Cohen's d_z).

    Raises
    ------
    InputError
        Lengths differ.
    """
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (before, after))
    if len(x) != len(y):
        raise InputError(f"paired_t needs as many numbers before as after; got {len(x)} and {len(y)}")
    both = y - x
    difference = both[~np.isnan(both)]
    n, name = len(difference), "paired_t"
    people = n if subjects is None else subjects
    spread = float(difference.std(ddof=1)) if n > 1 else 0.0
    if n < 2 or spread <= 1e-12 * max(1.0, float(np.abs(difference).max(initial=0))):
        reason = (
            "fewer than two pairs" if n < 2 else "no pair differs" if not difference.any() else "all pairs differ alike"
        )
        return TestResult(
            name, compared, (n,), people, math.nan, math.nan, "", effect_name="Cohen's d_z", reason=reason
        )
    from scipy.special import stdtr

    statistic = float(difference.mean()) / (spread / math.sqrt(n))
    p = 2 * float(stdtr(n - 1, -abs(statistic)))
    effect = float(difference.mean()) / spread
    return TestResult(name, compared, (n,), people, statistic, p, "t", effect=effect, effect_name="Cohen's d_z")
