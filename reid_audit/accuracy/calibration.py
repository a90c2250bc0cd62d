"""Thresholds from the originals, with what they are worth on subjects who did not choose them."""

import math
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.curves import (
    FMR_POINTS,
    Roc,
    find_eer,
    find_fmr,
    find_youden,
    measure_d_prime,
    measure_roc,
    thin,
)
from reid_audit.accuracy.pairs import Pairs, Scores, find_subjects
from reid_audit.accuracy.stability import measure_stability
from reid_audit.accuracy.threshold_intervals import all_named, bound_thresholds
from reid_audit.records import Calibration, Fingerprint, Group, Rate, ScoreTable, Threshold
from reid_audit.stats import auc_of_pairs, rate_of_pairs, subject_rate

_FOLDS = 5


class _Points(NamedTuple):
    """Threshold by name, NaN and a reason where it is not offered."""

    distance: dict[str, float]
    reason: dict[str, str]


def _find_points(same: NDArray[np.float64], different: NDArray[np.float64], roc: Roc) -> _Points:
    distance, reason = {}, {}
    distance["youden"], reason["youden"] = find_youden(roc)
    _, distance["eer"] = find_eer(roc)
    reason["eer"] = "" if roc.threshold.size else reason["youden"]
    for name, rate in FMR_POINTS.items():
        distance[name], reason[name] = find_fmr(different, rate)
    return _Points(distance, reason)


def _invert(fmr: Rate, different: NDArray[np.float64]) -> tuple[float, float]:
    """Interval of a threshold at a fixed FMR: the quantiles at the ends of the FMR's own interval (Woodruff 1952).

    FMR's interval knows that pairs share subjects, and so does this one; redrawing them covers less (see `calibrate`).
    """
    if math.isnan(fmr.low) or not different.size:
        return math.nan, math.nan
    low, high = np.quantile(different, [fmr.low, fmr.high], method="inverted_cdf")
    return float(low), float(high)


class _HeldOut(NamedTuple):
    same_hit: dict[str, NDArray[np.bool_]]
    other_hit: dict[str, NDArray[np.bool_]]
    same: Pairs
    other: Pairs


def _hold_out(same: Pairs, different: Pairs, *, seed: int) -> _HeldOut | None:
    """Choose thresholds without a fold of subjects and judge them on pairs whose both ends are in the fold."""
    people = find_subjects(same.probe, different.probe, different.reference)
    if len(people) < 2 * _FOLDS or not all_named(same, different):
        return None
    fold = np.full(int(people[-1]) + 1, -1)
    shuffled = np.random.default_rng(seed).permutation(people)
    fold[shuffled] = np.arange(len(people)) % _FOLDS
    tests: list[tuple[Pairs, Pairs, _Points]] = []
    for k in range(_FOLDS):
        held_out = fold == k
        own_out, p, r = held_out[same.probe], held_out[different.probe], held_out[different.reference]
        train = same.distance[~own_out], different.distance[~p & ~r]
        points = _find_points(*train, measure_roc(*train))
        tests.append((same.keep(own_out), different.keep(p & r), points))
    names = [name for name in tests[0][2].distance if not any(math.isnan(t.distance[name]) for _, _, t in tests)]
    # A fold without its threshold would count as "no match"; such a threshold gets no held-out rate at all.
    return _HeldOut(
        {n: np.concatenate([own.distance < t.distance[n] for own, _, t in tests]) for n in names},
        {n: np.concatenate([other.distance < t.distance[n] for _, other, t in tests]) for n in names},
        reduce(Pairs.joined, (own for own, _, _ in tests)),
        reduce(Pairs.joined, (other for _, other, _ in tests)),
    )


def calibrate_scores(
    scores: ScoreTable,
    *,
    fingerprint: Fingerprint,
    seed: int,
    draws: int = 2000,
    confidence: float = 0.95,
    attack: str = "naive",
) -> Calibration:
    """Choose thresholds from the same and different comparisons of originals.

    Parameters
    ----------
    scores : ScoreTable
    fingerprint : Fingerprint
        The settings that made the distances.
    seed : int
        Of the redrawn subjects and of the folds.
    draws : int
        Bootstrap draws for the thresholds' intervals.
    confidence : float
    attack : str
        Whose originals; those of ``"naive"`` where that attacker leaves originals as they are.

    Returns
    -------
    Calibration
        Thresholds that cannot be had are there with distance NaN and a reason; so is an empty cohort. TMR and FMR
        are those of acquired comparisons: FAR = FMR (1 - FTA).

    Notes
    -----
    Held-out rates come from five folds of subjects: the threshold is chosen on pairs that touch nobody in the fold,
    and judged on pairs whose both ends are in it. They need ten subjects.

    Intervals of the Youden and EER thresholds are those of `threshold_intervals.bound_thresholds`. Those of the
    thresholds at a fixed FMR are the quantiles at the ends of the interval of that FMR: nominal 95 % cover 93-97 % at
    FMR 10 % and 90-96 % at 1 % (docs/evidence.md).
    """
    table = Scores(scores)
    all_same, all_different = (table.originals(group, attack) for group in (Group.SAME, Group.DIFFERENT))
    same, different = all_same.acquired(), all_different.acquired()
    roc = measure_roc(same.distance, different.distance)
    points = _find_points(same.distance, different.distance, roc)
    spans = bound_thresholds(
        same, different, points.distance, rng=np.random.default_rng(seed), draws=draws, confidence=confidence
    )
    held = _hold_out(same, different, seed=seed)
    thresholds = []
    for name, distance in points.distance.items():
        offered = not math.isnan(distance)
        chosen = slice(None) if offered else slice(0)
        out = held is not None and offered and name in held.same_hit
        fmr = rate_of_pairs(
            (different.distance < distance)[chosen],
            different.probe[chosen],
            different.reference[chosen],
            confidence=confidence,
        )
        low, high = spans.get(name, (math.nan, math.nan))
        if name in FMR_POINTS:
            low, high = _invert(fmr, different.distance)
        thresholds.append(
            Threshold(
                name=name,
                distance=distance,
                low=low,
                high=high,
                tmr=subject_rate((same.distance < distance)[chosen], same.probe[chosen], confidence=confidence)[0],
                fmr=fmr,
                tmr_held_out=subject_rate(held.same_hit[name], held.same.probe, confidence=confidence)[0]
                if held is not None and out
                else subject_rate([], [], confidence=confidence)[0],
                fmr_held_out=rate_of_pairs(
                    held.other_hit[name], held.other.probe, held.other.reference, confidence=confidence
                )
                if held is not None and out
                else rate_of_pairs([], [], [], confidence=confidence),
                reason=points.reason[name],
            )
        )
    people = len(find_subjects(all_same.probe, all_different.probe, all_different.reference))
    unacquired = sum(int(np.isnan(p.distance).sum()) for p in (all_same, all_different))
    notes = [f"{t.name}: {t.reason}" for t in thresholds if t.reason]
    if held is None:
        notes.append(f"held-out rates need {2 * _FOLDS} named people; there are {people}")
    if (different.probe < 0).any():
        notes.append("different pairs name no subjects: their rates have no interval")
    return Calibration(
        fingerprint=fingerprint,
        thresholds=tuple(thresholds),
        auc=auc_of_pairs(
            same.distance, same.probe, different.distance, different.probe, different.reference, confidence=confidence
        ),
        eer=find_eer(roc)[0],
        d_prime=measure_d_prime(same.distance, different.distance),
        roc=thin(roc),
        subjects=people,
        same_pairs=len(same.distance),
        different_pairs=len(different.distance),
        unacquired_pairs=unacquired,
        attack=attack,
        seed=seed,
        draws=draws,
        notes=tuple(notes),
        stability=measure_stability(same, different, seed=seed) if draws and all_named(same, different) else (),
    )
