"""What the protection cost, beside the risk."""

import math
from collections.abc import Sequence
from dataclasses import replace

from reid_audit.records import DefacerRow, InputError, UtilityValue


def _loss(value: UtilityValue) -> float:
    """Turn a mean into a loss: 0 = nothing lost."""
    if value.larger_is_better is None:
        return abs(value.mean)
    return 1 - value.mean if value.larger_is_better else value.mean


def choose_cost(utility: Sequence[UtilityValue], metric: str | None) -> tuple[str, dict[str, float]]:
    """Choose the measure that most defacers have, and return its name and the loss of each defacer."""
    tables: dict[tuple[str, str, str], dict[str, float]] = {}
    for value in utility:
        if (metric is None or value.metric == metric) and value.mean == value.mean:
            key = value.metric, value.structure, value.position
            tables.setdefault(key, {})[value.condition] = _loss(value)
    if not tables:
        if metric is not None:
            known = ", ".join(dict.fromkeys(value.metric for value in utility)) or "none"
            raise InputError(f"no defacer has the cost {metric!r}; there are: {known}")
        return "", {}
    key = max(tables, key=lambda k: (len(tables[k]), k[1:] == ("all", "all"), -list(tables).index(k)))
    return ", ".join([key[0], *(part for part in key[1:] if part != "all")]), tables[key]


def mark_best(rows: Sequence[DefacerRow]) -> tuple[DefacerRow, ...]:
    """Mark each row that no other one beats in both linkability and cost."""
    known = [(row.linkability.value, row.cost) for row in rows if row.linkability.value == row.linkability.value]
    known = [point for point in known if point[1] == point[1]]

    def beaten(risk: float, cost: float) -> bool:
        return any(r <= risk and c <= cost and (r < risk or c < cost) for r, c in known)

    return tuple(
        row
        if math.isnan(row.linkability.value) or math.isnan(row.cost)
        else replace(row, best_choice=not beaten(row.linkability.value, row.cost))
        for row in rows
    )
