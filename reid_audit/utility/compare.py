"""Defacers against each other, metric by metric and structure by structure (Ammar 2025)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from reid_audit.records import Real, TestResult
from reid_audit.stats import adjust, mean_per_person, paired_t, wilcoxon
from reid_audit.utility.measures import CaseUtility
from reid_audit.utility.summarize import tabulate

COMPARED = ("dice", "surface_dice", "hd95", "msd", "preserved", "dose_d0.01cc_absolute", "depth_max")
"""Metrics in which defacers are compared with each other, structure by structure."""


@dataclass(frozen=True, slots=True)
class DefacerComparison:
    """Two defacers in one metric of one structure, paired by person (Ammar 2025).

    Attributes
    ----------
    metric, structure, first, second : str
    difference : float
        Mean over people of second minus first.
    t, wilcoxon : TestResult
        Each with Benjamini-Hochberg over the structures and pairs of defacers of its metric.
    """

    metric: str
    structure: str
    first: str
    second: str
    difference: Real
    t: TestResult
    wilcoxon: TestResult


def compare_programs(
    first: Sequence[CaseUtility], second: Sequence[CaseUtility], names: tuple[str, str]
) -> dict[str, tuple[DefacerComparison, ...]]:
    """Compare two segmentation programs on the scans of each defacer, as `compare_defacers` compares defacers.

    Parameters
    ----------
    first, second : sequence of CaseUtility
        The same defaced scans with the segmentations of each program (Ammar 2025).
    names : tuple of two str
        Of the programs.

    Returns
    -------
    dict of str to tuple of DefacerComparison
        By defacer, in the structures and metrics that both programs have.
    """
    compared = {}
    for condition in dict.fromkeys(case.condition for case in first):
        both = [
            replace(case, condition=name, measures=tuple(replace(m, condition=name) for m in case.measures))
            for name, cases in zip(names, (first, second), strict=True)
            for case in cases
            if case.condition == condition
        ]
        rows = compare_defacers(both, metrics=("dice", "surface_dice", "hd95", "msd"))
        if rows:
            compared[condition] = rows
    return compared


def compare_defacers(
    cases: Sequence[CaseUtility], *, metrics: Sequence[str] = COMPARED
) -> tuple[DefacerComparison, ...]:
    """Compare every two defacers in each metric and each structure, paired by person (Ammar 2025)."""
    table = tabulate(cases)
    conditions = list(dict.fromkeys(table["condition"]))
    comparisons: list[DefacerComparison] = []
    for name in dict.fromkeys(table["metric"]):
        if ("surface_dice" if name.startswith("surface_dice") else name) not in metrics:
            continue
        family = []
        for structure, rows in table[table["metric"] == name].groupby("structure", sort=False):
            wide = rows.pivot_table(index="subject", columns="condition", values="value", aggfunc="mean", dropna=False)
            for a, b in combinations([c for c in conditions if c in wide.columns], 2):
                text = f"{name} of {structure}: {a} vs {b}"
                first, second = wide[a].to_numpy(dtype=float), wide[b].to_numpy(dtype=float)
                both = mean_per_person(second - first, np.arange(len(first)))
                difference = float(both.mean()) if len(both) else math.nan
                tests = paired_t(first, second, compared=text), wilcoxon(first, second, compared=text)
                family.append(DefacerComparison(name, str(structure), a, b, difference, *tests))
        for each, t, w in zip(family, adjust(c.t for c in family), adjust(c.wilcoxon for c in family), strict=True):
            comparisons.append(replace(each, t=t, wilcoxon=w))
    return tuple(comparisons)
