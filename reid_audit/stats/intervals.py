"""Intervals whose sample is the subjects: Clopper-Pearson, and the subject jackknife for pairs."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate, InputError, Rate

NAMELESS = "the table names no subjects, and pairs that share people cannot be counted as independent"


class Bounds(NamedTuple):
    """Two-sided interval and one-sided bounds, all at one confidence."""

    low: float
    high: float
    at_least: float
    at_most: float


UNKNOWN = Bounds(math.nan, math.nan, math.nan, math.nan)


def check_confidence(confidence: float) -> None:
    """Raise InputError unless ``confidence`` lies strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie strictly between 0 and 1; got {confidence}")


# --- proportions of subjects ---


def exact_bounds(successes: float, trials: float, confidence: float) -> Bounds:
    """Clopper-Pearson through the beta distribution, which also takes an effective (fractional) number of trials."""
    from scipy.special import betaincinv

    if trials <= 0:
        return UNKNOWN

    def lower(tail: float) -> float:
        return 0.0 if successes <= 0 else float(betaincinv(successes, trials - successes + 1, tail))

    def upper(tail: float) -> float:
        return 1.0 if successes >= trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))

    half, whole = (1 - confidence) / 2, 1 - confidence
    return Bounds(lower(half), upper(half), lower(whole), upper(whole))


def clopper_pearson(successes: int, trials: int, *, subjects: int | None = None, confidence: float = 0.95) -> Rate:
    """Proportion of independent trials with its exact interval (Clopper and Pearson 1934).

    Parameters
    ----------
    successes, trials : int
        0 trials give a Rate of NaN in [NaN, NaN].
    subjects : int, optional
        Subjects behind the trials; one each unless given.

    Raises
    ------
    InputError
        successes outside 0 .. trials, or confidence outside (0, 1).

    Examples
    --------
    No success in 59 trials: the upper end is 1 - 0.025 ** (1 / 59).

    >>> rate = clopper_pearson(0, 59)
    >>> rate.value, round(rate.high, 4)
    (0.0, 0.0606)
    """
    check_confidence(confidence)
    if not 0 <= successes <= trials:
        raise InputError(f"successes must lie in 0 .. trials; got {successes} of {trials}")
    bounds = exact_bounds(successes, trials, confidence)
    value = successes / trials if trials else math.nan
    return Rate(value, bounds.low, bounds.high, successes, trials, trials if subjects is None else subjects, confidence)


def effective_trials(subject: NDArray[np.intp]) -> float:
    """Kish's effective number of trials when all trials of one subject are taken to agree: (sum m)^2 / sum m^2."""
    share = np.bincount(np.unique(subject, return_inverse=True)[1]).astype(np.float64)
    return float(share.sum() ** 2 / (share**2).sum()) if share.size else 0.0


def subject_rate(hit: ArrayLike, subject: ArrayLike, *, confidence: float = 0.95) -> tuple[Rate, float, float]:
    """Proportion over trials that belong to subjects, one or several each.

    Parameters
    ----------
    hit : (n,) bool
    subject : (n,) int
        Subject code of each trial. Unknown codes (-1) count as a subject each.
    confidence : float

    Returns
    -------
    rate : Rate
        ``value`` is the share of trials; the interval is Clopper-Pearson on the effective trials, exact where each
        subject has one trial. NaN without trials.
    at_least, at_most : float
        One-sided bounds, each at ``confidence``.
    """
    check_confidence(confidence)
    hits, who = np.asarray(hit, dtype=bool), _apart(np.asarray(subject, dtype=np.intp))
    trials, successes, people = len(hits), int(hits.sum()), len(np.unique(who))
    effective = effective_trials(who) if people < trials else float(trials)
    bounds = exact_bounds(successes / trials * effective if trials else 0, effective, confidence)
    if successes == trials and trials:  # k / n * effective may miss effective by a rounding error
        bounds = exact_bounds(effective, effective, confidence)
    method = "Clopper-Pearson" if people == trials else "Clopper-Pearson, effective trials"
    value = successes / trials if trials else math.nan
    rate = Rate(value, bounds.low, bounds.high, successes, trials, people, confidence, method)
    return rate, bounds.at_least, bounds.at_most


def _apart(subject: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give each unknown subject (-1) a code of its own."""
    unknown = subject < 0
    if not unknown.any():
        return subject
    known = int(subject.max(initial=-1)) + 1
    return np.where(unknown, known + np.cumsum(unknown), subject)


# --- the subject jackknife ---


def jackknife_bounds(value: float, without: NDArray[np.float64], confidence: float, *, independent: int) -> Bounds:
    """Bounds on the logit scale from the values that leave one subject out each; ``independent`` for no variation."""
    from scipy.special import stdtrit

    n = len(without)
    if n < 2 or not np.isfinite(value) or not np.isfinite(without).all():
        return UNKNOWN
    error = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    if value <= 0 or value >= 1 or error < 1e-12:
        unseen = exact_bounds(0, independent, confidence)
        return Bounds(
            value * (1 - unseen.high),
            value + (1 - value) * unseen.high,
            value * (1 - unseen.at_most),
            value + (1 - value) * unseen.at_most,
        )
    # Jackknife of logits. One subject can carry most of a rate near 0 or 1; then the logit without him runs away, so
    # no subject is let to change the odds by more than a factor of two.
    middle = math.log(value / (1 - value))
    odds = np.clip(without, 1e-15, 1 - 1e-15)
    logits = np.clip(np.log(odds / (1 - odds)), middle - math.log(2), middle + math.log(2))
    spread = math.sqrt((n - 1) / n * float(((logits - logits.mean()) ** 2).sum()))
    two_sided, one_sided = (float(stdtrit(n - 1, q)) * spread for q in ((1 + confidence) / 2, confidence))

    def back(z: float) -> float:
        return 1 / (1 + math.exp(-min(max(z, -700.0), 700.0)))

    return Bounds(
        back(middle - two_sided), back(middle + two_sided), back(middle - one_sided), back(middle + one_sided)
    )


def per_person(n: int, *sides: tuple[NDArray[np.intp], NDArray[np.float64] | None]) -> NDArray[np.float64]:
    """Sum of each subject code 0 .. n - 1 over one or two ends of comparisons, weighted or counted."""
    total = np.zeros(n)
    for who, weight in sides:
        total += np.bincount(who, weight, n)
    return total


def _jackknife_mean(
    values: NDArray[np.float64], probe: NDArray[np.intp], reference: NDArray[np.intp], confidence: float, per_unit: int
) -> tuple[float, Bounds, int]:
    value = float(values.mean())
    if (probe < 0).any() or (reference < 0).any():
        return value, UNKNOWN, 0
    n = int(max(probe.max(), reference.max())) + 1
    pairs = per_person(n, (probe, None), (reference, None))
    sums = per_person(n, (probe, values), (reference, values))
    there = pairs > 0
    left = len(values) - pairs[there]
    people = int(there.sum())
    if (left <= 0).any():  # one subject is in every pair: nothing remains without them
        return value, UNKNOWN, people
    without = (values.sum() - sums[there]) / left
    return value, jackknife_bounds(value, without, confidence, independent=people // per_unit), people


def rate_of_pairs(hit: ArrayLike, probe: ArrayLike, reference: ArrayLike, *, confidence: float = 0.95) -> Rate:
    """Proportion over pairs of different subjects, e.g. FMR, with an interval that knows that pairs share subjects.

    Parameters
    ----------
    hit : (n,) bool
    probe, reference : (n,) int
        Subject codes of the two ends; probe != reference.

    Returns
    -------
    Rate
        Interval from the subject jackknife (see the package). NaN without pairs; ends NaN where subjects are
        unknown or fewer than three.
    """
    check_confidence(confidence)
    values = np.asarray(hit, dtype=np.float64)
    p, r = np.asarray(probe, dtype=np.intp), np.asarray(reference, dtype=np.intp)
    if not values.size:
        return Rate(math.nan, math.nan, math.nan, 0, 0, 0, confidence, "subject jackknife, logit, t")
    value, bounds, people = _jackknife_mean(values, p, r, confidence, 2)
    method = "subject jackknife, logit, t" if people else "none: pairs name no subjects"
    return Rate(value, bounds.low, bounds.high, int(values.sum()), len(values), people, confidence, method)


def mean_of_pairs(values: ArrayLike, probe: ArrayLike, reference: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean over searches of numbers in [0, 1], one per non-mated comparison; as `rate_of_pairs`, for no counts.

    Each number belongs to the probe's own search, so that n subjects are n independent units where nothing varies.
    """
    check_confidence(confidence)
    numbers = np.asarray(values, dtype=np.float64)
    method = "subject jackknife, logit, t"
    if not numbers.size:
        return Estimate(math.nan, confidence=confidence, method=method, reason="there are no pairs")
    p, r = np.asarray(probe, dtype=np.intp), np.asarray(reference, dtype=np.intp)
    value, bounds, people = _jackknife_mean(numbers, p, r, confidence, 1)
    reason = "" if np.isfinite(bounds.low) else NAMELESS if not people else "too few people for an interval"
    return Estimate(value, *bounds, people, confidence, method, reason)


# --- how many subjects ---


def subjects_needed(max_rate: float, confidence: float = 0.95, matches: int = 0) -> int:
    """Smallest number of subjects such that this many matches still bound the match rate at ``max_rate``.

    Parameters
    ----------
    max_rate : float
        The rate whose one-sided upper Clopper-Pearson bound must not be exceeded, in (0, 1).
    confidence : float
        Of the bound, in (0, 1).
    matches : int
        Subjects expected to match. 0 gives the best case: ``log(1 - confidence) / log(1 - max_rate)``.

    Raises
    ------
    InputError
        Outside these ranges.

    Examples
    --------
    0.95 ** 59 < 0.05 <= 0.95 ** 58:

    >>> subjects_needed(0.05, confidence=0.95)
    59
    """
    check_confidence(confidence)
    if not 0 < max_rate < 1:
        raise InputError(f"max_rate must lie strictly between 0 and 1; got {max_rate}")
    if matches < 0:
        raise InputError(f"matches must not be negative; got {matches}")
    low, high = matches, matches + 1
    while exact_bounds(matches, high, confidence).at_most > max_rate:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if exact_bounds(matches, middle, confidence).at_most > max_rate:
            low = middle
        else:
            high = middle
    return high
