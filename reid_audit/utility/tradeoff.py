"""Risk against cost: Table 5 and the trade-off plot of Molchanova 2023, and its Pareto front."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import ORIGINAL, AuditResult, Group, InputError, Real, TradeOff, UtilityValue


def with_utility(result: AuditResult, values: Iterable[UtilityValue]) -> AuditResult:
    """Give the audit's result with what the protection cost in it; values that it had are replaced."""
    return replace(result, utility=tuple(values))


def _beats(a: TradeOff, b: TradeOff) -> bool:
    return a.risk <= b.risk and a.cost <= b.cost and (a.risk < b.risk or a.cost < b.cost)


def pareto_front(points: Sequence[TradeOff]) -> tuple[TradeOff, ...]:
    """Keep the points that no other one beats, the cheapest first.

    A point beats another where it is no worse in risk and cost and better in one of them; equal points beat neither. A
    point without risk or cost (NaN) is not on the front: what was not measured recommends nothing.
    """
    measured = [p for p in points if not (math.isnan(p.risk) or math.isnan(p.cost))]
    front = [p for p in measured if not any(_beats(other, p) for other in measured)]
    return tuple(sorted(front, key=lambda p: (p.cost, p.risk, p.condition)))


@dataclass(frozen=True, slots=True)
class SameScanRisk:
    """Distances of defaced scans to the originals that they were made from: Table 5 of Molchanova 2023.

    Attributes
    ----------
    condition, encoder : str
        ``"original"``: originals of one person in two sessions, what an attacker meets before defacing. Two images of
        one session are not counted there: one visit says nothing of repeatability.
    comparisons, undefined : int
        All comparisons, of each two images where sessions hold several, and those without a distance, because no face
        was found: in no mean, and not identifiable.
    mean, sd : float
        Of the cosine distances.
    inverse_mean, inverse_sd : float
        Of 1 / distance, over all comparisons: the paper's single measure of the risk. Infinite where a distance is 0.
    identifiable : float
        Share of all comparisons below the threshold.
    """

    condition: str
    encoder: str
    comparisons: int
    undefined: int
    mean: Real
    sd: Real
    inverse_mean: Real
    inverse_sd: Real
    identifiable: Real


def _mean_sd(values: NDArray[np.float64]) -> tuple[float, float]:
    spread = float(values.std(ddof=1)) if len(values) > 1 and np.isfinite(values).all() else math.nan
    return float(values.mean()) if len(values) else math.nan, spread


def measure_same_scan(result: AuditResult, attack: str = "naive") -> tuple[SameScanRisk, ...]:
    """Measure the risk as Molchanova 2023 does, by encoder: originals first, then the defacers of the verdict.

    Raises
    ------
    InputError
        The result holds no comparisons.
    """
    if result.scores is None:
        raise InputError("the audit's result lacks its comparisons; give --audit the folder that `score` wrote")
    frame = result.scores.frame
    frame = frame[frame["attack"] == attack]
    looking = set(frame["encoder"])
    two_sessions = frame["probe_session"].astype(str) != frame["reference_session"].astype(str)
    frame = frame[two_sessions | (frame["group"] != Group.SAME.value)]
    rows = []
    for encoder, calibration in zip(result.encoders, result.calibrations, strict=True):
        if encoder not in looking:  # an attacker's that stands apart
            continue
        name = result.verdict.policy.threshold
        threshold = next((t.distance for t in calibration.thresholds if t.name == name), math.nan)
        for condition in (ORIGINAL, *dict.fromkeys(v.condition for v in result.verdict.conditions)):
            group = Group.SAME if condition == ORIGINAL else Group.DEFACED_SAME_SCAN
            own = (frame["group"] == group.value) & (frame["condition"] == condition) & (frame["encoder"] == encoder)
            distances = frame.loc[own, "distance"].to_numpy(np.float64)
            seen = distances[~np.isnan(distances)]
            with np.errstate(divide="ignore"):
                inverse = _mean_sd(1 / np.maximum(seen, 0.0))
            below = float(np.count_nonzero(seen < threshold)) / len(distances) if len(distances) else math.nan
            share = math.nan if math.isnan(threshold) else below
            counts = len(distances), len(distances) - len(seen)
            rows.append(SameScanRisk(condition, encoder, *counts, *_mean_sd(seen), *inverse, share))
    return tuple(rows)


def trade_offs(result: AuditResult, *, cost: str = "ncr", attack: str = "naive") -> tuple[TradeOff, ...]:
    """Set the risk of each defacer, `measure_same_scan` by the first encoder, against one cost.

    Parameters
    ----------
    result : AuditResult
        With ``utility``, see `with_utility`, and ``scores``.
    cost : str
        A metric of which less is better, e.g. ``"ncr"``, ``"hd95"``, or one of which more is better, e.g. ``"dice"``,
        which becomes 1 - value. Of the row of all structures.
    attack : str

    Returns
    -------
    tuple of TradeOff
        One per defacer of the verdict, in its order; NaN where risk or cost was not measured.
    """
    costs = {v.condition: v for v in result.utility if (v.metric, v.structure, v.position) == (cost, "all", "all")}
    points = []
    for row in measure_same_scan(result, attack):
        if row.condition == ORIGINAL or row.encoder != result.encoders[0]:
            continue
        value = costs.get(row.condition)
        mean, sd = (math.nan, math.nan) if value is None else (value.mean, value.sd)
        if value is not None and value.larger_is_better is not False:
            mean = 1 - mean if value.larger_is_better else abs(mean)
        points.append(TradeOff(row.condition, row.inverse_mean, mean, row.inverse_sd, sd))
    return tuple(points)
