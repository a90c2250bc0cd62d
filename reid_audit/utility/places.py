"""Where structures lie against the change, and what that means for a metric: the tables of O'Sullivan-Steben 2025."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reid_audit.records import Real
from reid_audit.utility.change import Place
from reid_audit.utility.measures import CaseUtility
from reid_audit.utility.summarize import average_structures, count_undefined, tabulate
from reid_audit.volume.names import plain_name

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

    Returns
    -------
    tuple of PlaceSummary
        By condition and place in the order of `Place`: the structures together, then each that lies there.
    """
    table = tabulate(cases)
    table = table[table["metric"] == metric]
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
    values = per_case["value"].dropna()
    single = rows["value"].dropna()
    nan = math.nan
    return PlaceSummary(
        condition=rows["condition"].iloc[0],
        metric=rows["metric"].iloc[0],
        place=place,
        structure=structure,
        cases=len(values),
        undefined=count_undefined(rows),
        mean=float(values.mean()) if len(values) else nan,
        sd=float(values.std(ddof=1)) if len(values) > 1 else nan,
        smallest=float(single.min()) if len(single) else nan,
        largest=float(single.max()) if len(single) else nan,
    )


def is_target(name: str) -> bool:
    """Whether a structure is called a planning target volume."""
    return plain_name(name).startswith("ptv")


def count_targets(cases: tuple[CaseUtility, ...], condition: str) -> dict[str, int]:
    """Count the planning target volumes of one defacer by their place against the change (O'Sullivan-Steben 2025)."""
    counts = dict.fromkeys((place.value for place in Place), 0)
    for case in cases:
        for place in case.places:
            if case.condition == condition and is_target(place.structure):
                counts[place.place] += 1
    return counts
