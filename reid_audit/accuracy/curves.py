"""ROC, DET and the numbers that are read off them. A distance matches where it is strictly below the threshold."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import Curve, InputError

FMR_POINTS = {"fmr10": 0.10, "fmr1": 0.01, "fmr0.1": 0.001}
"""Names of the thresholds at a fixed false match rate."""

_CURVE_POINTS = 500


class Roc(NamedTuple):
    """Every operating point, threshold growing; the last threshold lies just above all distances."""

    threshold: NDArray[np.float64]
    fmr: NDArray[np.float64]
    tmr: NDArray[np.float64]


def _distances(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} distances must be numbers: {error}") from error
    numbers = numbers[~np.isnan(numbers)]
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 2):
        raise InputError(f"{name} distances must lie in [0, 2]; got {numbers.min():g} to {numbers.max():g}")
    return numbers


def measure_roc(same: ArrayLike, different: ArrayLike) -> Roc:
    """Return TMR and FMR at every threshold that decides differently.

    Parameters
    ----------
    same, different : (n,) float
        Distances in [0, 2]; NaN (not acquired) is left out: FTA is a rate of its own.

    Returns
    -------
    Roc
        Empty where either group is.

    Raises
    ------
    InputError
        Not numbers, or outside [0, 2].
    """
    mated, non_mated = _distances(same, "same"), _distances(different, "different")
    if not mated.size or not non_mated.size:
        return Roc(*(np.zeros(0),) * 3)
    distances = np.unique(np.concatenate([mated, non_mated]))
    threshold = np.append(distances, np.nextafter(distances[-1], np.inf))
    fmr, tmr = (np.searchsorted(np.sort(side), threshold) / side.size for side in (non_mated, mated))
    return Roc(threshold, fmr, tmr)


def find_youden(roc: Roc) -> tuple[float, str]:
    """Return the threshold that maximises J = TMR - FMR: the smallest distance that is called different.

    Ties of J go to the largest threshold. NaN with a reason where no threshold separates the groups (J <= 0), as
    when all distances are equal.
    """
    if not roc.threshold.size:
        return math.nan, "there are no same or no different pairs with a distance"
    gain = roc.tmr - roc.fmr
    best = len(gain) - 1 - int(np.argmax(np.round(gain[::-1], 12)))
    if gain[best] <= 1e-12:
        return math.nan, "no threshold separates same from different pairs"
    return float(roc.threshold[best]), ""


def find_eer(roc: Roc) -> tuple[float, float]:
    """Return (EER, threshold): (FMR + FNMR) / 2 where they are nearest; the smaller threshold of ties. NaN if empty."""
    if not roc.threshold.size:
        return math.nan, math.nan
    at = int(np.argmin(np.round(np.abs(roc.fmr - (1 - roc.tmr)), 12)))
    return float((roc.fmr[at] + 1 - roc.tmr[at]) / 2), float(roc.threshold[at])


def find_fmr(different: ArrayLike, rate: float) -> tuple[float, str]:
    """Return the largest threshold whose FMR is at most ``rate``.

    Not offered (NaN and a reason) below 3 / rate different pairs: by the rule of three, fewer cannot hold such a
    rate even if no pair matched and all were independent.
    """
    non_mated = _distances(different, "different")
    needed = math.ceil(3 / rate - 1e-9)
    if non_mated.size < needed:
        return math.nan, f"FMR {rate:.1%} needs {needed} different pairs; there are {non_mated.size}"
    place = math.floor(rate * non_mated.size + 1e-9)
    return float(np.partition(non_mated, place)[place]), ""


def measure_d_prime(same: ArrayLike, different: ArrayLike) -> float:
    """Return the absolute difference of the means over the root mean square of both standard deviations, or NaN."""
    mated, non_mated = _distances(same, "same"), _distances(different, "different")
    if mated.size < 2 or non_mated.size < 2:
        return math.nan
    spread = math.sqrt((float(mated.var(ddof=1)) + float(non_mated.var(ddof=1))) / 2)
    return abs(float(mated.mean() - non_mated.mean())) / spread if spread > 0 else math.nan


def thin(roc: Roc) -> Curve:
    """Return at most 500 of the operating points, evenly along the curve, both ends among them."""
    if len(roc.threshold) > _CURVE_POINTS:
        length = np.abs(np.diff(roc.fmr)) + np.abs(np.diff(roc.tmr))
        # Half of the steps by length along the curve, half by log FMR, where thresholds of low FMR live.
        along = np.concatenate([[0.0], np.cumsum(length)])
        log = np.log10(np.maximum(roc.fmr, 1 / (10 * len(roc.fmr))))
        half = _CURVE_POINTS // 2
        steps = [np.searchsorted(v, np.linspace(v[0], v[-1], half)) for v in (along, log)]
        at = np.unique(np.clip(np.concatenate([*steps, [0, len(along) - 1]]), 0, len(along) - 1))
        roc = Roc(*(column[at] for column in roc))
    return Curve(*(tuple(float(x) for x in column) for column in roc))


def extrapolate_fmr(fmr: float, gallery: int) -> float:
    """Return FPIR = 1 - (1 - FMR)^N, an extrapolation to a gallery of N that takes comparisons for independent.

    Examples
    --------
    >>> round(extrapolate_fmr(0.01, 100), 4)  # 1 - 0.99 ** 100
    0.634
    """
    return 1 - (1 - fmr) ** gallery
