"""Risk against cost: the trade-off plot of Molchanova 2023 and its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from reid_audit.records import AuditResult, TradeOff, UtilityValue


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


def mean_inverse_distance(result: AuditResult, condition: str, attack: str = "naive") -> tuple[float, float]:
    """Risk as Molchanova 2023 has it: mean and standard deviation over people of 1 / distance to the own original.

    A person without a distance counts 1 / 2, the inverse of the largest cosine distance: the attacker learned nothing.
    A distance of 0 makes the risk infinite. NaN where the result lists nobody for this defacer and attacker.
    """
    people = [p for p in result.subjects if (p.condition, p.attack) == (condition, attack)]
    if not people:
        return math.nan, math.nan
    distances = np.array([2.0 if math.isnan(p.distance_after) else p.distance_after for p in people])
    if (distances <= 0).any():
        return math.inf, math.nan
    inverse = 1 / distances
    return float(inverse.mean()), float(inverse.std(ddof=1)) if len(inverse) > 1 else math.nan


def trade_offs(result: AuditResult, *, cost: str = "ncr", attack: str = "naive") -> tuple[TradeOff, ...]:
    """Set the risk of each defacer against one cost.

    Parameters
    ----------
    result : AuditResult
        With ``utility``; see `with_utility`.
    cost : str
        A metric of which less is better, e.g. ``"ncr"``, ``"hd95"``, or one of which more is better, e.g. ``"dice"``,
        which becomes 1 - value. Of the row of all structures.
    attack : str

    Returns
    -------
    tuple of TradeOff
        One per defacer of the verdict, in its order; NaN where risk or cost was not measured.
    """
    points = []
    for condition in (v.condition for v in result.verdict.conditions):
        row = next(
            (
                v
                for v in result.utility
                if (v.condition, v.metric, v.structure, v.position) == (condition, cost, "all", "all")
            ),
            None,
        )
        mean, sd = (math.nan, math.nan) if row is None else (row.mean, row.sd)
        if row is not None and row.larger_is_better is not False:
            mean = 1 - mean if row.larger_is_better else abs(mean)
        risk, risk_sd = mean_inverse_distance(result, condition, attack)
        points.append(TradeOff(condition, risk, mean, risk_sd, sd))
    return tuple(points)
