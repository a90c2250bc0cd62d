"""Which defaced scans are left out of the numbers: the criteria of Molchanova 2023 and Sahlsten 2023.

========= ==============================================================================================================
C1        A voxel of the brain changed (Molchanova 2023, 2.3.2).
C2        The share of the head's front half that changed is 0, or lies far out of that of the defacer's other scans: it
          was defaced in the wrong place, or not at all. Molchanova 2023 looked at such scans.
C3        The Dice of the brain lies far below that of the other scans under every defacer: the original itself was
          segmented badly, and is no standard.
QC        Eyes, nose and mouth are not all removed (Sahlsten 2023): by ``deface --quality``, or seen by a human.
========= ==============================================================================================================

Far out is more than three interquartile ranges beyond the quartiles (Tukey 1977), of eight scans or more.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Real, read_cells
from reid_audit.utility.measures import CaseUtility

_FAR = 3.0
FEWEST_FOR_FENCES = 8
"""So many scans of a defacer are needed to say which lie far out."""

_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")

Quality = Mapping[tuple[str, str, str], bool]
"""Whether eyes, nose and mouth are removed, by subject, session and condition."""


class Criterion(StrEnum):
    """Why a scan may be left out; see the module."""

    C1 = "C1"
    C2 = "C2"
    C3 = "C3"
    QC = "QC"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A defaced scan that fails a criterion; ``value`` is the number that was judged, NaN where there is none."""

    subject: str
    session: str
    condition: str
    criterion: Criterion
    value: Real


def read_quality(path: Path) -> dict[tuple[str, str, str], bool]:
    """Read the quality of scans: a table with the columns subject, session, condition and removed (1 or 0).

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or ``removed`` is neither yes nor no.
    """
    columns = ["subject", "session", "condition", "removed"]
    table, lines = read_cells(path, known=columns, hint="--qc takes the quality.csv of deface --quality")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path.name}: lacks the column {', '.join(missing)}; it needs {', '.join(columns)}")
    quality = {}
    rows = table[columns].itertuples(index=False)
    for line, (subject, session, condition, removed) in zip(lines, rows, strict=True):
        if removed.lower() not in _YES + _NO:
            raise InputError(f"{path.name}, line {line}: removed must be 1 or 0; got {removed!r}")
        quality[subject, session, condition] = removed.lower() in _YES
    return quality


def _fences(values: NDArray[np.float64]) -> tuple[float, float]:
    seen = values[~np.isnan(values)]
    if len(seen) < FEWEST_FOR_FENCES:
        return -math.inf, math.inf
    first, third = np.percentile(seen, [25, 75])
    return float(first - _FAR * (third - first)), float(third + _FAR * (third - first))


def find_exclusions(cases: Sequence[CaseUtility], quality: Quality | None = None) -> tuple[Exclusion, ...]:
    """Find the scans that fail a criterion. Criteria whose numbers are missing fail nothing.

    Parameters
    ----------
    cases : sequence of CaseUtility
    quality : mapping of (subject, session, condition) to bool, optional
        Whether the face is removed; a scan that it lacks was not examined and does not fail.
    """
    measured = [case for case in cases if not case.reason]
    numbers = [{m.metric: m.value for m in case.measures if m.structure == "all"} for case in measured]

    def column(metric: str) -> NDArray[np.float64]:
        return np.array([row.get(metric, math.nan) for row in numbers])

    brain, front, dice = column("brain_changed"), column("front_changed"), column("brain_dice")
    conditions = np.array([case.condition for case in measured])
    odd, poor = np.zeros(len(measured), bool), np.zeros(len(measured), bool)
    for condition in set(conditions):
        own = conditions == condition
        low, high = _fences(front[own])
        odd[own] = (front[own] == 0) | (front[own] < low) | (front[own] > high)
        poor[own] = dice[own] < _fences(dice[own])[0]
    well_segmented = {_visit(case) for case, bad, d in zip(measured, poor, dice, strict=True) if not bad and d == d}
    rows = []
    for i, case in enumerate(measured):
        key = (*_visit(case), case.condition)
        failed = {
            Criterion.C1: (brain[i] > 0, brain[i]),
            Criterion.C2: (odd[i], front[i]),
            Criterion.C3: (poor[i] and _visit(case) not in well_segmented, dice[i]),
            Criterion.QC: (quality is not None and not quality.get(key, True), math.nan),
        }
        rows += [Exclusion(*key, criterion, float(value)) for criterion, (fails, value) in failed.items() if fails]
    return tuple(rows)


def _visit(row: CaseUtility | Exclusion) -> tuple[str, str]:
    return row.subject, row.session


def keep_cases(
    cases: Iterable[CaseUtility],
    exclusions: Iterable[Exclusion],
    criteria: Iterable[Criterion],
    *,
    common: bool = False,
) -> tuple[CaseUtility, ...]:
    """Leave out the cases that fail one of the criteria.

    Parameters
    ----------
    cases, exclusions
        See `find_exclusions`.
    criteria : iterable of Criterion
    common : bool
        Keep only visits that every defacer passes, as both papers do before they compare defacers; a visit that a
        defacer has no measured scan of is none.
    """
    cases, wanted = tuple(cases), set(criteria)
    out = {(*_visit(row), row.condition) for row in exclusions if row.criterion in wanted}
    kept = tuple(case for case in cases if (*_visit(case), case.condition) not in out)
    if not common:
        return kept
    whole = {
        condition: {_visit(c) for c in kept if c.condition == condition and not c.reason}
        for condition in dict.fromkeys(case.condition for case in cases)
    }
    shared = set.intersection(*whole.values()) if whole else set()
    return tuple(case for case in kept if _visit(case) in shared)


@dataclass(frozen=True, slots=True)
class Availability:
    """How many segmentations of a structure a defacer leaves: Table 1 of Sahlsten 2023.

    Attributes
    ----------
    condition, structure : str
        ``"all"`` for the structures together.
    total : int
        Originals that have the structure.
    lost : int
        Of those whose defacing passed QC: every voxel of the structure was removed.
    unavailable : int
        ``lost``, and those whose defacing failed QC or left no scan that could be measured.
    """

    condition: str
    structure: str
    total: int
    lost: int
    unavailable: int


def count_available(cases: Sequence[CaseUtility], exclusions: Iterable[Exclusion]) -> tuple[Availability, ...]:
    """Count which structures each defacer leaves; see `Availability`. Empty where no original has structures."""
    failed = {(*_visit(row), row.condition) for row in exclusions if row.criterion is Criterion.QC}
    owned = {(*_visit(case), m.structure) for case in cases for m in case.measures if m.metric == "lost"}
    names = list(dict.fromkeys(m.structure for case in cases for m in case.measures if m.metric == "lost"))
    rows = []
    for condition in dict.fromkeys(case.condition for case in cases):
        usable = {
            (*_visit(case), m.structure): m.value == 1
            for case in cases
            if case.condition == condition and (*_visit(case), condition) not in failed
            for m in case.measures
            if m.metric == "lost"
        }
        own = []
        for name in names:
            keys = [key for key in owned if key[2] == name]
            lost = sum(usable.get(key, False) for key in keys)
            own.append(Availability(condition, name, len(keys), lost, lost + sum(key not in usable for key in keys)))
        if own:
            rows += [
                *own,
                Availability(
                    condition, "all", *(sum(getattr(a, f) for a in own) for f in ("total", "lost", "unavailable"))
                ),
            ]
    return tuple(rows)
