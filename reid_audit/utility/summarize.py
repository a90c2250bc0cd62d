"""Summaries of cases: means with intervals by subject, corrected paired tests, repeatability, defacers compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.records import Repeatability, TestResult, UtilityValue
from reid_audit.stats import adjust, mean_of_people, wilcoxon
from reid_audit.utility.measures import CaseUtility, DoseCurve, Measure, Position
from reid_audit.utility.metrics import METRICS, metric_of
from reid_audit.utility.volumetry import bland_altman, normalised_repeatability

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = tuple(Measure.__dataclass_fields__)
_TOGETHER = (
    *("dice", "surface_dice", "hd95", "mean_hd95", "hd", "msd"),
    *("unchanged", "preserved", "lost", "dose_d0.01cc_absolute"),
)


def tabulate(cases: Iterable[CaseUtility]) -> pd.DataFrame:
    """Give every measure of every case as a table, one column per field of `Measure`."""
    import pandas as pd

    rows = [tuple(getattr(m, c) for c in _COLUMNS) for case in cases for m in case.measures]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _rank(metric: str) -> int:
    return list(METRICS).index("surface_dice" if metric.startswith("surface_dice") else metric)


def _majority(positions: Iterable[str]) -> str:
    """Where a structure lies in most cases; of equals, the nearest to the face."""
    order = [each.value for each in Position]
    counts = Counter(positions)
    return min(counts, key=lambda p: (-counts[p], order.index(p)))


def _value_of(rows: pd.DataFrame, structure: str, position: str, undefined: int) -> tuple[UtilityValue, TestResult]:
    """Summarise rows of one condition and metric, one per case."""
    first = rows.iloc[0]
    metric = metric_of(first.metric)
    people = rows["subject"].to_numpy()
    values = rows["value"].to_numpy(dtype=float)
    seen = values[~np.isnan(values)]
    estimate = mean_of_people(values, people, is_share=metric.is_share, is_yes_no=metric.is_yes_no)
    lowest = 0.0 if metric.larger_is_better is not None else -math.inf  # a distance is not negative
    who = rows.groupby("subject", sort=True)[["before", "after"]].mean()
    test = wilcoxon(who["before"], who["after"], compared=f"{first.metric} of {structure}: before vs after")
    row = UtilityValue(
        condition=first.condition,
        metric=first.metric,
        unit=first.unit,
        structure=structure,
        position=position,
        cases=len(seen),
        undefined=undefined,
        mean=estimate.value,
        median=float(np.median(seen)) if len(seen) else math.nan,
        low=estimate.low if math.isnan(estimate.low) else max(estimate.low, lowest),
        high=estimate.high,
        p_value=test.p if metric.is_difference else math.nan,
        p_adjusted=math.nan,
        larger_is_better=metric.larger_is_better,
        subjects=estimate.subjects,
        sd=float(seen.std(ddof=1)) if len(seen) > 1 else math.nan,
    )
    return row, replace(test, condition=first.condition)


def average_structures(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the structures of each case."""
    keys = ["subject", "session", "condition", "metric", "unit"]
    return rows.groupby(keys, sort=False, as_index=False)[["value", "before", "after"]].mean()


def count_undefined(rows: pd.DataFrame) -> int:
    """Count the rows without a number."""
    return int(rows["value"].isna().sum())


def summarize_cases(cases: Sequence[CaseUtility], *, over_defacers: bool = False) -> tuple[UtilityValue, ...]:
    """Summarise the measures over cases.

    Parameters
    ----------
    cases : sequence of CaseUtility
    over_defacers : bool
        Correct the tests over the structures of all defacers together, and not within each as Molchanova 2023 does.

    Returns
    -------
    tuple of UtilityValue
        By condition, metric and structure; a structure's ``position`` is where it lies in most cases. Then, for the
        agreement of segmentations, the voxels and D0.01cc, rows of all structures: each case's mean over its
        structures, at each position (by case) and over all but those that were deleted on purpose. Means and intervals
        are over people, each of whose cases were averaged first.

        ``p_value`` is Wilcoxon's before against after, one number per person, ``p_adjusted`` Benjamini-Hochberg over
        the structures of a metric.
    """
    table = tabulate(cases)
    rows: list[UtilityValue] = []
    tests: dict[tuple[str, str], list[tuple[int, TestResult]]] = {}
    for (condition, name), of_metric in table.groupby(["condition", "metric"], sort=False):
        for structure, of_structure in of_metric.groupby("structure", sort=False):
            position = _majority(of_structure["position"])
            row, test = _value_of(of_structure, str(structure), position, count_undefined(of_structure))
            if metric_of(str(name)).is_difference:
                family_of = (str(name), "" if over_defacers else str(condition))
                tests.setdefault(family_of, []).append((len(rows), test))
            rows.append(row)
        base = "surface_dice" if str(name).startswith("surface_dice") else str(name)
        if base not in _TOGETHER:
            continue
        for place in Position:
            at = of_metric["position"]
            inside = of_metric[at != Position.DELETED.value if place is Position.ALL else at == place.value]
            if len(inside):
                rows.append(_value_of(average_structures(inside), "all", place.value, count_undefined(inside))[0])
    for family in tests.values():
        adjusted = adjust(test for _, test in family)
        for (index, _), test in zip(family, adjusted, strict=True):
            rows[index] = replace(rows[index], p_adjusted=test.p_adjusted)
    rows += [_ncr_value(cases, condition) for condition in _with_volumes(table)]
    return tuple(sorted(rows, key=lambda r: _rank(r.metric)))


def average_curves(cases: Iterable[CaseUtility], condition: str) -> dict[str, DoseCurve]:
    """Average the dose-volume histograms of each structure of a defacer over the cases that have both."""
    both: dict[str, list[DoseCurve]] = {}
    for case in cases:
        for curve in case.curves if case.condition == condition else ():
            if curve.before and curve.after:
                both.setdefault(curve.structure, []).append(curve)

    def average(curves: Iterable[Sequence[float]]) -> tuple[float, ...]:
        return tuple(np.mean(list(curves), axis=0).tolist())

    return {
        name: DoseCurve(name, average(c.before for c in own), average(c.after for c in own))
        for name, own in both.items()
    }


# --- volumetry ---


def _with_volumes(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table.loc[table["metric"] == "volume_difference", "condition"]))


def _volumes_of(
    cases: Sequence[CaseUtility], condition: str
) -> tuple[dict[str, tuple[list[float], list[float]]], set[str]]:
    volumes: dict[str, tuple[list[float], list[float]]] = {}
    people = set()
    for case in cases:
        for m in case.measures:
            counts = case.condition == condition and m.position != Position.DELETED.value
            if m.metric == "volume_difference" and counts:
                before, after = volumes.setdefault(m.structure, ([], []))
                before.append(m.before)
                after.append(m.after)
                people.add(case.subject)
    return volumes, people


def _ncr_value(cases: Sequence[CaseUtility], condition: str) -> UtilityValue:
    volumes, people = _volumes_of(cases, condition)
    pooled, spread, _ = normalised_repeatability(volumes, condition=condition)
    nan = math.nan
    return UtilityValue(
        condition=condition,
        metric="ncr",
        unit="",
        structure="all",
        position=Position.ALL.value,
        cases=max((len(before) for before, _ in volumes.values()), default=0),
        undefined=pooled.undefined,
        mean=pooled.cr,
        median=nan,
        low=nan,
        high=nan,
        p_value=nan,
        p_adjusted=nan,
        larger_is_better=False,
        subjects=len(people),
        sd=spread,
    )


def summarize_volumes(cases: Sequence[CaseUtility]) -> tuple[Repeatability, ...]:
    """Bland-Altman and CR of each structure under each defacer, and nCR of all together (Molchanova 2023, Table 4)."""
    rows = []
    for condition in dict.fromkeys(case.condition for case in cases):
        volumes, _ = _volumes_of(cases, condition)
        rows += [bland_altman(*pair, condition=condition, structure=name) for name, pair in volumes.items()]
        if volumes:
            rows.append(normalised_repeatability(volumes, condition=condition)[0])
    return tuple(rows)
