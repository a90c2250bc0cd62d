"""Where structures lie against the change, and what that means for a metric: the tables of O'Sullivan-Steben 2025."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reid_audit.records import Real
from reid_audit.utility.change import Place
from reid_audit.utility.measures import CaseUtility, Position
from reid_audit.utility.summarize import average_structures, count_undefined, tabulate
from reid_audit.volume.roles import Role, StructureNames

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class PlaceSummary:
    """A metric of one structure at one place against the change, over the cases in which it lies there.

    Attributes
    ----------
    condition, metric, place, structure : str
        ``"all"`` for the structures together: each case's mean over them.
    cases, undefined : int
    mean, sd, smallest, largest : float
        Over cases; of single structures for ``"all"``, too, in ``smallest`` and ``largest``.
    """

    condition: str
    metric: str
    place: str
    structure: str
    cases: int
    undefined: int
    mean: Real
    sd: Real
    smallest: Real
    largest: Real


def summarize_places(cases: Sequence[CaseUtility], metric: str = "dice") -> tuple[PlaceSummary, ...]:
    """Summarise a metric by where the structures lie against the change, as O'Sullivan-Steben 2025 does for Dice.

    Structures that were deleted on purpose are left out.

    Returns
    -------
    tuple of PlaceSummary
        By condition and place in the order of `Place`: the structures together, then each that lies there.
    """
    table = tabulate(cases)
    table = table[(table["metric"] == metric) & (table["position"] != Position.DELETED.value)]
    place_of = {(p.subject, p.session, p.condition, p.structure): p.place for case in cases for p in case.places}
    keys = zip(table["subject"], table["session"], table["condition"], table["structure"], strict=True)
    table = table.assign(place=[place_of.get(key, "") for key in keys])
    summaries = []
    for condition in dict.fromkeys(table["condition"]):
        for place in Place:
            rows = table[(table["condition"] == condition) & (table["place"] == place.value)]
            if rows.empty:
                continue
            summaries.append(_place_row(rows, average_structures(rows), place.value, "all"))
            for structure, own in rows.groupby("structure", sort=False):
                summaries.append(_place_row(own, own, place.value, str(structure)))
    return tuple(summaries)


def _place_row(rows: pd.DataFrame, per_case: pd.DataFrame, place: str, structure: str) -> PlaceSummary:
    values, single = per_case["value"].dropna(), rows["value"].dropna()
    spread = float(values.mean()), float(values.std(ddof=1)), float(single.min()), float(single.max())
    first = rows.iloc[0]
    return PlaceSummary(first.condition, first.metric, place, structure, len(values), count_undefined(rows), *spread)


@dataclass(frozen=True, slots=True)
class TargetCount:
    """Where the planning target volumes of one defacer's scans lie against the change.

    Attributes
    ----------
    condition : str
    scans : mapping of str to int
        By `Place`, scans whose targets lie there; of several targets the first place in the order of `Place` counts,
        but ``below`` and ``above`` after the others: only a scan whose targets are all below the change is below it.
    structures : mapping of str to int
        The targets themselves.
    """

    condition: str
    scans: Mapping[str, int]
    structures: Mapping[str, int]


_WORST_FIRST = (
    *(Place.OVERLAPPING, Place.KEPT, Place.SAME_SLICES, Place.ELSEWHERE),
    *(Place.ABOVE, Place.BELOW, Place.NO_CHANGE),
)


def count_targets(
    cases: Sequence[CaseUtility], condition: str, *, names: StructureNames = StructureNames()
) -> TargetCount:
    """Count scans, as O'Sullivan-Steben 2025 does, and targets by their place against the change.

    Targets are planning target volumes; in a scan that has none, whatever else is a target by its name (CTV, GTV).
    """
    scans, structures = (dict.fromkeys((place.value for place in Place), 0) for _ in range(2))
    for case in cases:
        targets = [p for p in case.places if names.role_of(p.structure) is Role.TARGET]
        targets = [p for p in targets if names.is_planning_target(p.structure)] or targets
        if case.condition != condition or not targets:
            continue
        for placement in targets:
            structures[placement.place] += 1
        scans[min((p.place for p in targets), key=[place.value for place in _WORST_FIRST].index)] += 1
    return TargetCount(condition, scans, structures)
