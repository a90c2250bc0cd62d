"""Miss against false alarm: the DET curve, FNIR at a fixed FPIR, Cllr, and what is left of the control."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Estimate, InputError
from reid_audit.stats.auc import area
from reid_audit.stats.jackknife import Blocks, check_blocks, deal_folds, jackknife

FOLDS = 5


@dataclass(frozen=True, slots=True)
class DetPoint:
    """A point of the DET curve: FNMR at a fixed FMR, with its pointwise band. The threshold follows each resampling."""

    fmr: float
    fnmr: Estimate


@dataclass(frozen=True, slots=True)
class SearchMiss:
    """FNIR at a fixed FPIR, and the distance below which a reference is then returned."""

    fpir: float
    fnir: Estimate
    threshold: float


@dataclass(frozen=True, slots=True)
class LikelihoodRatioCost:
    """Cllr and minCllr in bits per comparison: 0 = certain and right, 1 = the distances say nothing."""

    cllr: Estimate
    min_cllr: Estimate


class _Pool(NamedTuple):
    """The acquired comparisons of all blocks, the non-mated ones rising, with the subjects of their ends."""

    mated: NDArray[np.float64]
    subject: NDArray[np.intp]
    non_mated: NDArray[np.float64]
    probe: NDArray[np.intp]
    reference: NDArray[np.intp]

    def keep(self, kept: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mated and the non-mated distances of the subjects that are kept."""
        return self.mated[kept[self.subject]], self.non_mated[kept[self.probe] & kept[self.reference]]


def _pool(blocks: Blocks) -> _Pool:
    n = check_blocks(blocks)
    stacked = np.asarray(blocks, dtype=np.float64).reshape(len(blocks), n, n)
    seen, own = ~np.isnan(stacked), np.eye(n, dtype=bool)
    block, subject, _ = np.nonzero(seen & own)
    at = np.nonzero(seen & ~own)
    non_mated = stacked[at]
    order = np.argsort(non_mated)
    return _Pool(stacked[block, subject, subject], subject, non_mated[order], at[1][order], at[2][order])


def measure_det(
    blocks: Blocks, *, fmr: Sequence[float] = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001), confidence: float = 0.95
) -> tuple[DetPoint, ...]:
    """Measure FNMR at fixed FMR, over acquired comparisons (ISO/IEC 19795-1).

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        See `reid_audit.stats.jackknife.Blocks`.
    fmr : sequence of float
        In (0, 1). Points that fewer than 3 / FMR non-mated comparisons cannot hold (rule of three) are left out.
    confidence : float

    Returns
    -------
    tuple of DetPoint
        Empty without comparisons. The threshold is the largest whose FMR is at most the one asked for.
    """
    subjects = check_blocks(blocks)
    _check_rates(fmr)
    pool = _pool(blocks)
    points = [rate for rate in fmr if len(pool.mated) and len(pool.non_mated) * rate >= 3 - 1e-9]
    if not points:
        return ()

    def fnmr(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        own, other = pool.keep(kept)
        if not len(own) or not len(other):
            return np.full(len(points), np.nan)
        threshold = other[[_place(rate, len(other)) for rate in points]]
        return np.asarray((own >= threshold[:, None]).mean(1), dtype=np.float64)

    estimates = jackknife(fnmr, subjects, limits=(0, 1), logit=True, confidence=confidence)
    return tuple(DetPoint(rate, estimate) for rate, estimate in zip(points, estimates, strict=True))


def measure_fnir(
    blocks: Blocks, *, fpir: Sequence[float] = (0.1, 0.01), confidence: float = 0.95
) -> tuple[SearchMiss, ...]:
    """Measure FNIR at fixed FPIR in the cohort's own gallery (ISO/IEC 19795-1, open-set identification).

    A search misses where the mate is not both first and below the threshold, or the probe was not acquired. The
    threshold is the largest at which at most a share FPIR of searches, the mate taken out, returns somebody.

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        See `reid_audit.stats.jackknife.Blocks`.
    fpir : sequence of float
        In (0, 1). Rates that fewer than 3 / FPIR searches cannot hold (rule of three) are left out.
    confidence : float
    """
    subjects = check_blocks(blocks)
    _check_rates(fpir)
    searches = sum(int((~np.isnan(np.diag(block))).sum()) for block in blocks)
    points = [rate for rate in fpir if subjects > 1 and searches * rate >= 3 - 1e-9]
    if not points:
        return ()

    def ends(kept: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mates, nearest = [], []
        for block in blocks:
            part = block[np.ix_(kept, kept)]
            mates.append(np.where(np.isnan(np.diag(part)), np.inf, np.diag(part)))
            non_mated = np.where(np.isnan(part) | np.eye(len(part), dtype=bool), np.inf, part)
            nearest.append(non_mated.min(1))
        return np.concatenate(mates), np.concatenate(nearest)

    def thresholds(nearest: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sort(nearest)[[_place(rate, len(nearest)) for rate in points]])

    def fnir(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        mate, nearest = ends(kept)
        returned = (mate < thresholds(nearest)[:, None]) & (mate <= nearest)
        return np.asarray(1 - returned.mean(1), dtype=np.float64)

    estimates = jackknife(fnir, subjects, limits=(0, 1), logit=True, confidence=confidence)
    limits = thresholds(ends(np.ones(subjects, dtype=bool))[1])
    return tuple(SearchMiss(*point) for point in zip(points, estimates, limits.tolist(), strict=True))


def _place(rate: float, size: int) -> int:
    """Index in sorted distances of the largest threshold below which at most a share ``rate`` lies."""
    return min(math.floor(rate * size + 1e-9), size - 1)


def _check_rates(rates: Sequence[float]) -> None:
    for rate in rates:
        if not 0 < rate < 1:
            raise InputError(f"rates must lie strictly between 0 and 1; got {rate}")


# --- likelihood ratios ---


def cost_of_ratios(mated: ArrayLike, non_mated: ArrayLike) -> float:
    """Return Cllr of natural log likelihood ratios (Brümmer and du Preez 2006), in bits.

    One half of (mean over mated of log2(1 + 1/LR)) + (mean over non-mated of log2(1 + LR)). NaN if either is empty.

    Examples
    --------
    Likelihood ratios of 1 say nothing, and cost one bit:

    >>> cost_of_ratios([0, 0], [0, 0])
    1.0
    """
    own, other = np.asarray(mated, dtype=np.float64), np.asarray(non_mated, dtype=np.float64)
    return _mean_bits(np.logaddexp(0, -own), np.logaddexp(0, other))


def _mean_bits(mated: NDArray[np.float64], non_mated: NDArray[np.float64]) -> float:
    """Return the mean cost in bits of comparisons that cost so many nats, both kinds weighing one half."""
    return float(mated.mean() + non_mated.mean()) / (2 * math.log(2)) if mated.size and non_mated.size else math.nan


def least_cost(mated: ArrayLike, non_mated: ArrayLike) -> float:
    """Return minCllr: the Cllr of distances whose ratios were fitted to them by pool adjacent violators.

    Mated and non-mated weigh one half each, whatever their numbers; ``non_mated`` must rise. NaN if either is empty.
    """
    from scipy.optimize import isotonic_regression
    from scipy.special import xlogy

    own, other = np.asarray(mated, dtype=np.float64), np.asarray(non_mated, dtype=np.float64)
    if not own.size or not other.size:
        return math.nan
    # Non-mated distances between two mated ones have equal ratios: they are a step, and those tied with mated ones too.
    steps, of_own = np.unique(own, return_counts=True)
    ends = np.stack([np.searchsorted(other, steps, side) for side in ("left", "right")], axis=1).ravel()
    mated_weight, other_weight = np.zeros(len(ends) + 1), np.diff(ends, prepend=0, append=len(other)) / (2 * len(other))
    mated_weight[1::2] = of_own / (2 * len(own))
    weight = mated_weight + other_weight
    filled = weight > 0
    mated_weight, other_weight, weight = mated_weight[filled], other_weight[filled], weight[filled]
    share = np.clip(isotonic_regression(mated_weight / weight, weights=weight, increasing=False).x, 0, 1)
    return -float((xlogy(mated_weight, share) + xlogy(other_weight, 1 - share)).sum()) / math.log(2)


def measure_cllr(blocks: Blocks, *, rng: np.random.Generator, confidence: float = 0.95) -> LikelihoodRatioCost:
    """Measure Cllr of cross-fitted likelihood ratios, and minCllr, over acquired comparisons.

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        See `reid_audit.stats.jackknife.Blocks`.
    rng : numpy.random.Generator
        Deals the subjects to folds.
    confidence : float

    Returns
    -------
    LikelihoodRatioCost
        NaN with a reason where there are fewer than ten subjects or no acquired comparison of one of the kinds.

    Notes
    -----
    The ratio of a comparison comes from a logistic regression on the distance, mated and non-mated weighing one half
    each, fitted on comparisons among subjects of the other folds. minCllr fits the ratios to the very comparisons that
    it judges and is therefore below 1 even where the distances say nothing; Cllr is then near 1. The interval is the
    subject jackknife with the ratios of Cllr held.
    """
    subjects = check_blocks(blocks)
    pool = _pool(blocks)
    if subjects < 2 * FOLDS or not len(pool.mated) or not len(pool.non_mated):
        reason = f"Cllr needs acquired mated and non-mated comparisons of {2 * FOLDS} subjects"
        missing = Estimate(math.nan, subjects=subjects, confidence=confidence, reason=reason)
        return LikelihoodRatioCost(missing, missing)
    fold = deal_folds(subjects, FOLDS, rng=rng)
    ratios = [np.full(block.shape, np.nan) for block in blocks]
    for k in range(FOLDS):
        slope, middle = _fit_ratio(*pool.keep(fold != k))
        for ratio, block in zip(ratios, blocks, strict=True):
            ratio[fold == k] = middle + slope * block[fold == k]
    priced = _pool(ratios)
    priced = priced._replace(mated=np.logaddexp(0, -priced.mated), non_mated=np.logaddexp(0, priced.non_mated))

    def cllr_of(kept: NDArray[np.bool_]) -> float:
        return _mean_bits(*priced.keep(kept))

    def least(kept: NDArray[np.bool_]) -> float:
        return least_cost(*pool.keep(kept))

    (cllr,) = jackknife(cllr_of, subjects, limits=(0, math.inf), confidence=confidence)
    (min_cllr,) = jackknife(least, subjects, limits=(0, 1), confidence=confidence)
    return LikelihoodRatioCost(cllr, min_cllr)


def _fit_ratio(mated: NDArray[np.float64], non_mated: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of the log likelihood ratio in the distance; 0, 0 where one of the kinds is missing.

    Logistic regression with a standard normal prior on the slope per standard deviation.
    """
    from scipy.optimize import root
    from scipy.special import expit

    distance = np.concatenate([mated, non_mated])
    spread = float(distance.std()) if distance.size else 0.0
    if not len(mated) or not len(non_mated) or spread < 1e-12:
        return 0.0, 0.0
    weight = np.repeat([1.0, len(mated) / len(non_mated)], [len(mated), len(non_mated)])
    own = np.repeat([1.0, 0.0], [len(mated), len(non_mated)])
    centre = float(distance.mean())
    scaled = (distance - centre) / spread

    def rise(line: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient of the log posterior, which is concave."""
        pull = weight * (own - expit(line[0] * scaled + line[1]))
        return np.array([float(pull @ scaled) - line[0], pull.sum()])

    line = root(rise, np.zeros(2), options={"xtol": 1e-10}).x
    slope = float(line[0]) / spread
    return slope, float(line[1]) - slope * centre


# --- against the control ---


def measure_share_of_control(defaced: Blocks, control: Blocks, *, confidence: float = 0.95) -> Estimate:
    """Measure how much of the originals' excess over chance is left: (AUC defaced - 1/2) / (AUC control - 1/2).

    Parameters
    ----------
    defaced, control : sequence of (n, n) float64
        Of the same subjects in the same order: defaced probes, and original probes, against originals.
    confidence : float

    Returns
    -------
    Estimate
        0 = chance, 1 = as linkable as originals. A subject leaves both sides at once. NaN with a reason where the
        control is not above chance, and so measures nothing.
    """
    subjects = check_blocks(defaced)
    if check_blocks(control) != subjects:
        raise InputError(f"control must have the {subjects} subjects of defaced; it has {check_blocks(control)}")

    after, before = _pool(defaced), _pool(control)

    def auc(pool: _Pool, kept: NDArray[np.bool_]) -> float:
        own, other = pool.keep(kept)
        return area(own, other) if len(own) and len(other) else math.nan

    def share(kept: NDArray[np.bool_]) -> float:
        reached = auc(before, kept) - 0.5
        return (auc(after, kept) - 0.5) / reached if reached > 0 else math.nan

    reached = auc(before, np.ones(subjects, dtype=bool)) - 0.5
    most = 0.5 / reached if reached > 0 else math.inf
    (estimate,) = jackknife(share, subjects, limits=(-most, most), confidence=confidence)
    return estimate
