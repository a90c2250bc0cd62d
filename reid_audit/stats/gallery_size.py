"""What a search would find in galleries larger than the cohort: extrapolations by a stated model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Estimate, InputError
from reid_audit.stats.jackknife import Blocks, check_blocks, jackknife

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Galleries, in references."""

MODEL = "beta-binomial extrapolation"
"""The model, for labels: no number of this file was observed in a gallery of its size."""

_PRIOR_SPREAD = 2.0


@dataclass(frozen=True, slots=True)
class GalleryRate:
    """A rate in a gallery of ``size`` references, extrapolated, with what chance alone would give (NaN for FPIR)."""

    size: int
    rate: Estimate
    chance: float
    model: str = MODEL


def extrapolate_rank1(
    blocks: Blocks, *, sizes: Sequence[int] = SIZES, confidence: float = 0.95
) -> tuple[GalleryRate, ...]:
    """Extrapolate rank-1 of mated searches to galleries of other sizes, the mate among the references.

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        See `reid_audit.stats.jackknife.Blocks`: probes as they are released, so that the non-mated distances are those
        after defacing. A probe that was not acquired finds nobody.
    sizes : sequence of int
        References, the mate among them.
    confidence : float

    Returns
    -------
    tuple of GalleryRate
        One per size; NaN with a reason for fewer than three subjects, or where no mated comparison was acquired.

    Notes
    -----
    A non-mate is nearer than the mate of probe i with a probability p_i; of m_i non-mates k_i were. p_i is taken to
    follow a beta distribution over probes, and non-mates to be independent given p_i (Skellam 1948), so that
    rank-1 at size N is E[(1 - p)^(N - 1)] = B(a, b + N - 1) / B(a, b). If nothing is left p is uniform, a = b = 1, and
    this is chance, 1 / N. For large N it falls as N^-a: beyond the cohort the shape of the beta distribution decides,
    not an observation. a and b have the posterior mode under a log-normal prior around 1 (sd 2 on the log scale), which
    keeps them finite where every mate is first. That one p for all probes (the binomial model, Grother and Phillips
    2004) falls too fast is why p varies here. Interval: subject jackknife of the whole fit, logit scale.
    """
    _check_sizes(sizes, 1)
    others = np.asarray(sizes, dtype=np.float64) - 1
    estimates = _extrapolate(blocks, None, lambda a, b: _none_below(a, b, others), confidence)
    return tuple(GalleryRate(size, rate, 1 / size) for size, rate in zip(sizes, estimates, strict=True))


def extrapolate_fpir(
    blocks: Blocks, threshold: float, *, sizes: Sequence[int] = SIZES, confidence: float = 0.95
) -> tuple[GalleryRate, ...]:
    """Extrapolate FPIR: the share of searches by subjects who are not in the gallery that return somebody.

    Parameters
    ----------
    blocks, sizes, confidence
        As for `extrapolate_rank1`; ``sizes`` hold no mate.
    threshold : float
        Cosine distance below which a reference is returned.

    Notes
    -----
    FPIR at size N is 1 - E[(1 - FMR_i)^N], the FMR of a probe beta distributed over probes. FPIR = 1 - (1 - FMR)^N with
    one FMR for all takes every probe for alike, and is too high where few lambs and wolves make the false matches.
    """
    _check_sizes(sizes, 0)
    others = np.asarray(sizes, dtype=np.float64)
    estimates = _extrapolate(blocks, threshold, lambda a, b: 1 - _none_below(a, b, others), confidence)
    return tuple(GalleryRate(size, rate, math.nan) for size, rate in zip(sizes, estimates, strict=True))


def _extrapolate(
    blocks: Blocks, threshold: float | None, rates_of: Callable[[float, float], NDArray[np.float64]], confidence: float
) -> tuple[Estimate, ...]:
    """Estimate what ``rates_of`` makes of a and b of the beta distribution; a probe that was not acquired counts 0."""
    subjects = check_blocks(blocks)
    off = ~np.eye(subjects, dtype=bool)

    below, non_mates, _ = _count(blocks, np.ones(subjects, dtype=bool), off, threshold)
    near = _fit(below, non_mates, None) if len(below) else None

    def rates(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        below, non_mates, lost = _count(blocks, kept, off, threshold)
        if not len(below):
            return np.full_like(rates_of(1.0, 1.0), np.nan)
        a, b = np.exp(_fit(below, non_mates, near))
        return len(below) / (len(below) + lost) * rates_of(float(a), float(b))

    return jackknife(rates, subjects, limits=(0, 1), logit=True, confidence=confidence)


def _check_sizes(sizes: Sequence[int], least: int) -> None:
    for size in sizes:
        if size < least:
            raise InputError(f"sizes must be at least {least}; got {size}")


def _count(
    blocks: Blocks, kept: NDArray[np.bool_], off: NDArray[np.bool_], threshold: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Per acquired probe: non-mates below the threshold (or nearer than the mate), and all; probes lost."""
    below, non_mates, lost = [], [], 0
    for block in blocks:
        part, apart = block[np.ix_(kept, kept)], off[np.ix_(kept, kept)]
        limit = np.diag(part)[:, None] if threshold is None else np.full((len(part), 1), threshold)
        met = (apart & ~np.isnan(part)).sum(1)
        use = ~np.isnan(limit[:, 0]) & (met > 0)
        below.append((apart & (part < limit)).sum(1)[use])
        non_mates.append(met[use])
        lost += int((~use).sum())
    return np.concatenate([*below, []]), np.concatenate([*non_mates, []]), lost


def _fit(
    successes: NDArray[np.float64], trials: NDArray[np.float64], near: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the logarithms of a and b of the beta distribution behind binomial counts (posterior mode).

    ``near`` is where those of nearly the same counts are: from there it takes a quarter of the time.
    """
    from scipy.optimize import minimize, root
    from scipy.special import betaln, psi

    cells, times = np.unique(np.stack([successes, trials]), axis=1, return_counts=True)
    k, m = cells

    def loss(logs: NDArray[np.float64]) -> float:
        a, b = np.exp(logs)
        likelihood = float(times @ (betaln(k + a, m - k + b) - betaln(a, b)))
        return 0.5 * float(logs @ logs) / _PRIOR_SPREAD**2 - likelihood

    def slope(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = np.exp(logs)
        both = times @ (psi(a + b) - psi(m + a + b))
        rise = np.array([a * (times @ (psi(k + a) - psi(a)) + both), b * (times @ (psi(m - k + b) - psi(b)) + both)])
        return np.asarray(logs / _PRIOR_SPREAD**2 - rise)

    if near is not None and (mode := root(slope, near, options={"xtol": 1e-10})).success:
        return np.asarray(mode.x)
    rough = minimize(loss, np.zeros(2), jac=slope, method="TNC", bounds=[(-12, 12)] * 2, options={"xtol": 1e-9}).x
    mode = root(slope, rough, options={"xtol": 1e-10})
    return np.asarray(mode.x if mode.success else rough)


def _none_below(a: float, b: float, trials: NDArray[np.float64]) -> NDArray[np.float64]:
    """E[(1 - p)^trials] of a beta distributed p."""
    from scipy.special import betaln

    return np.asarray(np.exp(betaln(a, b + trials) - betaln(a, b)), dtype=np.float64)
