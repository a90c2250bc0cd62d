"""Volumes before and after: bias, limits of agreement, repeatability and its normalised form (Molchanova 2023).

================ ===========================================================================================
difference       Volume after minus before.
bias, limits     Mean difference and mean -/+ 1.96 standard deviations (Bland and Altman 1986).
CR               1.96 sqrt(mean squared difference): Bland and Altman's coefficient, which takes 0 for the ideal
                 mean. A defacer that shrinks every brain alike is not repeatable, so the bias counts.
CR of the spread 1.96 standard deviations: half the distance of the limits, blind to the bias.
nCR              CR over the differences of all structures together, after each structure's volumes were scaled to
                 [0, 1] by the smallest and largest of the original scans. Its spread is the standard deviation of
                 the structures' own normalised CR.
================ ===========================================================================================

A structure that is empty in one of the two has the volume 0 there: it counts. One that is empty in both has no volume.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import InputError, Repeatability

_LIMIT = 1.96


def _pairs(before: ArrayLike, after: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (before, after))
    if len(x) != len(y):
        raise InputError(f"volumes before and after must be pairs; got {len(x)} and {len(y)}")
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known], int(len(x) - known.sum())


def _cr(differences: NDArray[np.float64]) -> float:
    return _LIMIT * math.sqrt(float(np.square(differences).mean())) if len(differences) else math.nan


def bland_altman(
    before: ArrayLike, after: ArrayLike, *, condition: str = "", structure: str = "", unit: str = "cm3"
) -> Repeatability:
    """Agreement of one structure's volumes; pairs with a NaN are left out and counted.

    Parameters
    ----------
    before, after : (n,) float
        One per case.

    Returns
    -------
    Repeatability
        NaN without pairs; limits NaN for one pair.

    Raises
    ------
    InputError
        Lengths differ.
    """
    x, y, undefined = _pairs(before, after)
    d = y - x
    bias = float(d.mean()) if len(d) else math.nan
    half = _LIMIT * float(d.std(ddof=1)) if len(d) > 1 else math.nan
    return Repeatability(
        condition, structure, unit, len(d), undefined, bias, bias - half, bias + half, cr=_cr(d), cr_of_spread=half
    )


def normalised_repeatability(
    volumes: Mapping[str, tuple[ArrayLike, ArrayLike]], *, condition: str = ""
) -> tuple[Repeatability, float, tuple[str, ...]]:
    """Compute nCR over several structures.

    Parameters
    ----------
    volumes : mapping of str to (before, after)
        Per structure, one pair per case.
    condition : str

    Returns
    -------
    pooled : Repeatability
        Of the scaled volumes of all structures; ``cr`` is nCR.
    spread : float
        Standard deviation over structures of their own normalised CR; NaN for fewer than two.
    left_out : tuple of str
        Structures whose originals have one volume only (or one case), which no scale fits.
    """
    pooled_before, pooled_after, own, left_out = [], [], [], []
    undefined = 0
    for structure, (before, after) in volumes.items():
        x, y, lost = _pairs(before, after)
        undefined += lost
        low, high = (float(x.min()), float(x.max())) if len(x) else (0.0, 0.0)
        if high <= low:
            left_out.append(structure)
            continue
        pooled_before.append((x - low) / (high - low))
        pooled_after.append((y - low) / (high - low))
        own.append(_cr(pooled_after[-1] - pooled_before[-1]))
    a, b = (np.concatenate(each) if each else np.empty(0) for each in (pooled_before, pooled_after))
    pooled = bland_altman(a, b, condition=condition, structure="all", unit="")
    spread = float(np.std(own, ddof=1)) if len(own) > 1 else math.nan
    return replace(pooled, undefined=undefined), spread, tuple(left_out)
