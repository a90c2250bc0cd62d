"""How much a search tells about who a scan is: bits of identity, and the effective anonymity set."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Estimate
from reid_audit.stats.jackknife import Blocks, check_blocks, deal_folds, jackknife
from reid_audit.stats.ranks import rank

FOLDS = 5
FEWEST = 2 * FOLDS
_NEAR_WEIGHTS = 0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0
_RANK_WEIGHTS = 0.0, 0.25, 0.5, 1.0, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """What the distances of a probe say about its subject, within a gallery of ``subjects``.

    Attributes
    ----------
    bits : Estimate
        In [0, ``possible_bits``].
    anonymity_set : Estimate
        In [1, ``subjects``]: the number of subjects among whom the search leaves a probe on average, N / 2^bits.
    possible_bits : float
        log2 N.
    subjects : int
    bits_by_subject : (n,) float64
        Of each subject, mean over blocks; negative where the search misleads. The mean hides nobody here.
    """

    bits: Estimate
    anonymity_set: Estimate
    possible_bits: float
    subjects: int
    bits_by_subject: NDArray[np.float64]


def measure_information(blocks: Blocks, *, rng: np.random.Generator, confidence: float = 0.95) -> Information:
    """Measure the information on identity that is left in the distances.

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        See `reid_audit.stats.jackknife.Blocks`. A probe without a distance has the posterior 1 / N of everybody.
    rng : numpy.random.Generator
        Deals the subjects to folds.
    confidence : float

    Returns
    -------
    Information
        NaN with a reason for fewer than ten subjects, or without blocks.

    Notes
    -----
    The attacker's posterior of reference j for probe i is a softmax of w1 x1 + w2 x2: x1 = the negative distance
    after the means of its row and column are taken away, in standard deviations; x2 = minus the logarithm of its
    rank in the row. The two weights are not negative, have a standard normal prior, and are fitted on the subjects of
    the other folds alone (conditional logit, McFadden 1974).

    bits = log2 N + mean of log2 posterior of the mate. Whatever the posterior, this is in expectation at most the
    mutual information of distances and identity (Barber and Agakov 2003): a lower bound on what an attacker who models
    distances better could have. Weights fitted to noise lose bits on subjects who did not choose them, so a defacer
    that leaves nothing has an expectation just below 0, which is printed as 0. The perplexity of the posterior as the
    size of the anonymity set: Serjantov and Danezis 2002.

    Lower ends: subject jackknife with the weights held. Upper ends: the largest upper end over a grid of fixed weights,
    each by the jackknife; weights that fit best may not have been found in a small cohort, and these hold for whichever
    they are.
    """
    subjects = check_blocks(blocks)
    possible = math.log2(subjects) if subjects else math.nan
    if subjects < FEWEST:
        missing = Estimate(
            math.nan, subjects=subjects, confidence=confidence, reason=f"information needs {FEWEST} subjects"
        )
        return Information(missing, missing, possible, subjects, np.full(subjects, np.nan))
    features = [_describe(block) for block in blocks]
    fold = deal_folds(subjects, FOLDS, rng=rng)
    scores = [np.zeros((subjects, subjects)) for _ in blocks]
    for k in range(FOLDS):
        train, test = np.flatnonzero(fold != k), fold == k
        weights = _fit([x[np.ix_(train, train)] for x in features])
        for score, x in zip(scores, features, strict=True):
            score[test] = x[test] @ weights

    def bits_of(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        from scipy.special import log_softmax

        size = int(kept.sum())
        log_posterior = np.mean([np.diag(log_softmax(s[np.ix_(kept, kept)], axis=1)) for s in scores], axis=0)
        return np.asarray(math.log2(size) + log_posterior / math.log(2), dtype=np.float64)

    (raw,) = jackknife(lambda kept: bits_of(kept).mean(), subjects, limits=(-possible, possible), confidence=confidence)
    high, at_most = (_bound_above(features, tail) for tail in ((1 + confidence) / 2, confidence))
    if any(score.any() for score in scores):  # else the jackknife saw nothing that could vary
        high, at_most = max(raw.high, high), max(raw.at_most, at_most)
    raw = replace(raw, high=high, at_most=at_most)
    return Information(*_clip(raw, subjects), possible, subjects, bits_of(np.ones(subjects, dtype=bool)))


def _bound_above(features: list[NDArray[np.float64]], tail: float) -> float:
    """Largest upper end of the bits over fixed weights."""
    from scipy.special import stdtrit

    n = len(features[0])
    reach, others = float(stdtrit(n - 1, tail)), ~np.eye(n, dtype=bool)
    ends = []
    for weights in itertools.product(_NEAR_WEIGHTS, _RANK_WEIGHTS):
        whole, without = np.zeros(n), np.zeros((n, n))  # nats of each row, with all and without each column
        for x in features:
            score = x @ np.array(weights)
            odds = np.exp(score - score.max(axis=1, keepdims=True))
            mate, total = np.diag(odds), odds.sum(axis=1)
            whole += np.log(mate / total) / len(features)
            without += np.log(mate[:, None] / np.maximum(total[:, None] - odds, mate[:, None])) / len(features)
        left = math.log(n - 1) + (without * others).sum(axis=0) / (n - 1)
        error = math.sqrt((n - 1) / n * float(((left - left.mean()) ** 2).sum()))
        ends.append(math.log(n) + float(whole.mean()) + reach * error)
    return max(ends) / math.log(2)


def _clip(raw: Estimate, subjects: int) -> tuple[Estimate, Estimate]:
    """Clip bits to [0, log2 N], and turn them into the anonymity set."""
    names = "value", "low", "high", "at_least", "at_most"
    value, low, high, at_least, at_most = (min(max(getattr(raw, n), 0.0), math.log2(subjects)) for n in names)
    rest = subjects, raw.confidence, raw.method, raw.reason
    n = subjects
    return (
        Estimate(value, low, high, at_least, at_most, *rest),
        Estimate(n / 2**value, n / 2**high, n / 2**low, n / 2**at_most, n / 2**at_least, *rest),
    )


def _describe(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n, 2) features. Neither knows which column is the mate; a distance that is missing says nothing."""
    seen = ~np.isnan(block)
    near = np.where(seen, block, 0.0)
    for axis in (1, 0):
        mean = near.sum(axis, keepdims=True) / np.maximum(seen.sum(axis, keepdims=True), 1)
        near = np.where(seen, near - mean, 0.0)
    spread = float(near[seen].std()) if seen.any() else 0.0
    near = -near / spread if spread > 1e-12 else np.zeros_like(near)
    return np.stack([near, -np.log(rank(-near))], axis=-1)


def _fit(features: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Weights that make the mates likely, with a standard normal prior: a convex problem of two numbers."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.5 * float(weights @ weights), weights.copy()
        for x in features:
            log_posterior = log_softmax(x @ weights, axis=1)
            total -= float(np.trace(log_posterior)) / len(features)
            expected = np.einsum("ij,ijk->k", np.exp(log_posterior), x)
            slope -= (np.trace(x) - expected) / len(features)
        return total, slope

    fit = minimize(loss, np.zeros(2), jac=True, bounds=[(0, None)] * 2, method="TNC")
    return np.asarray(fit.x, dtype=np.float64)
