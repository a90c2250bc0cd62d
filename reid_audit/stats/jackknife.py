"""Delete-one-subject jackknife of any statistic: both ends of every comparison leave with the subject."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate, InputError
from reid_audit.stats.intervals import check_confidence, clopper_pearson

Blocks = Sequence[NDArray[np.float64]]
"""One (n, n) array per pair of sessions: row i = probe of subject i, column j = reference of subject j, so that the
diagonal holds the mated comparisons. Cosine distances; NaN = not acquired. All hold the same n subjects."""

Statistic = Callable[[NDArray[np.bool_]], ArrayLike]
"""(n,) bool of the subjects that are kept -> one number, or several in a fixed order."""

GROUPS = 50
"""Above this number of subjects groups of them leave together: the same variance at a fixed cost."""


def check_blocks(blocks: Blocks) -> int:
    """Return the number of subjects of the blocks, 0 without blocks.

    Raises
    ------
    InputError
        A block is not square, or they differ in size.
    """
    subjects = len(blocks[0]) if len(blocks) else 0
    for block in blocks:
        if block.shape != (subjects, subjects):
            raise InputError(f"blocks must all have the shape ({subjects}, {subjects}); got {block.shape}")
    return subjects


def deal_folds(subjects: int, folds: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal subjects to folds of nearly equal size: (subjects,) int in 0 .. folds - 1."""
    return np.asarray(rng.permutation(subjects) % folds, dtype=np.intp)


def jackknife(
    statistic: Statistic, subjects: int, *, limits: tuple[float, float], logit: bool = False, confidence: float = 0.95
) -> tuple[Estimate, ...]:
    """Estimate each number of a statistic with an interval whose sample is the subjects.

    Parameters
    ----------
    statistic : callable
        Numbers of the kept subjects; NaN where they cannot be had.
    subjects : int
        Above 50, subjects leave in 50 interleaved groups (the delete-a-group jackknife, Kott 2001).
    limits : (float, float)
        Least and largest possible number; the ends are clipped to them.
    logit : bool
        Whether the interval is symmetrical on the logit scale between the limits, for numbers near one of them.
    confidence : float
        Of the two-sided interval, and of each one-sided bound.

    Returns
    -------
    tuple of Estimate
        Where no subject changes the number, the interval is what a share q of subjects not seen could change, q = the
        Clopper-Pearson bound of 0 in n. Ends are NaN for fewer than three subjects, all is NaN where the number
        cannot be had; both with a reason.
    """
    check_confidence(confidence)
    groups = min(subjects, GROUPS)
    everybody = np.ones(subjects, dtype=bool)
    values = np.atleast_1d(np.asarray(statistic(everybody), dtype=np.float64))
    if groups < 3:
        return tuple(_without_interval(float(v), subjects, confidence) for v in values)
    group = np.arange(subjects) % groups
    left = np.array([np.atleast_1d(np.asarray(statistic(group != g), dtype=np.float64)) for g in range(groups)])
    return tuple(
        _bound(float(value), without, subjects, limits, logit, confidence)
        for value, without in zip(values, left.T, strict=True)
    )


def _without_interval(value: float, subjects: int, confidence: float) -> Estimate:
    reason = "these subjects do not allow the number" if math.isnan(value) else "too few subjects for an interval"
    return Estimate(value, subjects=subjects, confidence=confidence, method="subject jackknife, t", reason=reason)


def _bound(
    value: float,
    without: NDArray[np.float64],
    subjects: int,
    limits: tuple[float, float],
    logit: bool,
    confidence: float,
) -> Estimate:
    from scipy.special import expit, stdtrit
    from scipy.special import logit as log_odds

    if math.isnan(value) or np.isnan(without).any():
        return _without_interval(value, subjects, confidence)
    least, most = limits
    steps = -1.0, 1.0, -1.0, 1.0
    tails = (1 + confidence) / 2, (1 + confidence) / 2, confidence, confidence
    if np.ptp(without) <= 1e-6 * abs(value):  # nobody changes it by more than a fit's tolerance
        unseen = [clopper_pearson(0, subjects, confidence=2 * tail - 1).high for tail in tails]
        low, high, at_least, at_most = (
            value + q * ((most if step > 0 else least) - value) for q, step in zip(unseen, steps, strict=True)
        )
        return Estimate(value, low, high, at_least, at_most, subjects, confidence, "subjects not seen, Clopper-Pearson")

    def scale(x: NDArray[np.float64]) -> NDArray[np.float64]:
        if not logit:
            return x
        return np.asarray(log_odds(np.clip((x - least) / (most - least), 1e-15, 1 - 1e-15)))

    groups = len(without)
    centre, scaled = float(scale(np.array([value]))[0]), scale(without)
    error = math.sqrt((groups - 1) / groups * float(((scaled - scaled.mean()) ** 2).sum()))
    ends = [centre + step * float(stdtrit(groups - 1, tail)) * error for step, tail in zip(steps, tails, strict=True)]
    if logit:
        ends = [least + (most - least) * float(expit(end)) for end in ends]
    method = "subject jackknife, logit, t" if logit else "subject jackknife, t"
    low, high, at_least, at_most = (min(max(end, least), most) for end in ends)
    return Estimate(value, low, high, at_least, at_most, subjects, confidence, method)
