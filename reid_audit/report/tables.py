"""Tables of a result, for the page and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reid_audit.records import (
    ORIGINAL,
    AuditResult,
    ScanRow,
    Status,
    SubjectEvidence,
    natural_key,
)
from reid_audit.report.words import STATUS_TEXT, name_attacker, of_strongest

_NOT_READ = (Status.UNREADABLE,)
_NOT_PORTRAYED = (*_NOT_READ, Status.OTHER_GRID, Status.NO_SKIN, Status.RENDER_FAILED)
_ACQUIRED = (Status.OK, Status.MANY_FACES, Status.LOW_CONFIDENCE)


# --- risk of each scan ---


@dataclass(frozen=True, slots=True)
class ScanRisk:
    """A scan with how its person is found by the attacker that finds it best. NaN = not compared, or an original.

    ``attack`` is the attacker with the best rank, then the smallest distance; ``matched`` says whether any attacker
    matched at the Youden threshold. Ranks and distances are the best over a person's scans of that defacer.
    """

    scan: ScanRow
    attack: str = ""
    rank: float = math.nan
    distance: float = math.nan
    matched: bool = False


def _ease(person: SubjectEvidence) -> tuple[float, float]:
    """Sort key: the easiest to find first, who has no rank last."""
    rank, distance = person.rank_after, person.distance_after
    return (math.inf if math.isnan(rank) else rank, math.inf if math.isnan(distance) else distance)


def list_risks(result: AuditResult) -> list[ScanRisk]:
    """List every scan, the most exposed first: matched, then by rank, then by distance; originals last.

    Of several encoders each scan shows what the one that finds it best found.
    A result of distances alone has no scans: then there is a row per person and defacer.
    """
    people: dict[tuple[str, str], list[SubjectEvidence]] = {}
    for person in result.subjects:
        people.setdefault((person.subject, person.condition), []).append(person)
    scans: Iterable[ScanRow] = of_strongest(result).scans or (
        ScanRow(subject, "", condition, "", Status.OK, "", math.nan, math.nan, (), 0.0) for subject, condition in people
    )
    risks = []
    for scan in scans:
        found = people.get((scan.subject, scan.condition), [])
        easiest = min(found, key=_ease, default=None)
        if easiest is None:
            risks.append(ScanRisk(scan))
            continue
        attack = "" if math.isnan(easiest.distance_after) else name_attacker(result, easiest)
        matched = any(person.matched_after for person in found)
        risks.append(ScanRisk(scan, attack, easiest.rank_after, easiest.distance_after, matched))

    def order(risk: ScanRisk) -> tuple[object, ...]:
        rank = math.inf if math.isnan(risk.rank) else risk.rank
        distance = math.inf if math.isnan(risk.distance) else risk.distance
        scan = risk.scan
        who = natural_key(scan.condition), natural_key(scan.subject), natural_key(scan.session)
        return (scan.condition == ORIGINAL, not risk.matched, rank, distance, *who)

    return sorted(risks, key=order)


# --- flow ---


@dataclass(frozen=True, slots=True)
class Flow:
    """How many scans of one condition came how far; ``excluded`` says why the others did not."""

    condition: str
    listed: int
    read: int
    portrayed: int
    acquired: int
    people: int
    excluded: tuple[tuple[str, int], ...]
    noted: tuple[tuple[str, int], ...]


def count_flow(result: AuditResult) -> list[Flow]:
    """Follow the scans of each condition from the manifest to the comparisons, under the naive attacker."""
    compared = {ORIGINAL: max((control.subjects for control in result.evidence.controls), default=0)}
    for attack in result.evidence.attacks:
        compared[attack.condition] = max(attack.subjects, compared.get(attack.condition, 0))
    flows = []
    for condition in dict.fromkeys(row.condition for row in result.scans):
        rows = [row for row in result.scans if row.condition == condition]
        lost: dict[str, int] = {}
        for row in rows:
            if row.status not in _ACQUIRED:
                lost[STATUS_TEXT[row.status]] = lost.get(STATUS_TEXT[row.status], 0) + 1
        noted: dict[str, int] = {}
        for row in rows:
            if row.status in _ACQUIRED and row.status is not Status.OK:
                noted[STATUS_TEXT[row.status]] = noted.get(STATUS_TEXT[row.status], 0) + 1
            for code in dict.fromkeys(f.code for f in row.findings if f.severity != "info"):
                noted[code.replace("_", " ")] = noted.get(code.replace("_", " "), 0) + 1
        flows.append(
            Flow(
                condition,
                len(rows),
                sum(row.status not in _NOT_READ for row in rows),
                sum(row.status not in _NOT_PORTRAYED for row in rows),
                sum(row.status in _ACQUIRED for row in rows),
                compared.get(condition, 0),
                tuple(lost.items()),
                tuple(noted.items()),
            )
        )
    return flows


# --- CSV ---

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> str:
    """Write a value for a table: NaN and None empty, numbers with six digits.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in _FORMULA else text


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as CSV text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue()


SCAN_COLUMNS = (
    "subject",
    "session",
    "condition",
    "file",
    "status",
    "reason",
    "confidence",
    "skin_level",
    "findings",
    "seconds",
    "attack",
    "rank",
    "distance",
    "matched",
)


def scan_rows(result: AuditResult) -> list[tuple[object, ...]]:
    """List every scan under `SCAN_COLUMNS`, the most exposed first."""
    return [
        (
            risk.scan.subject,
            risk.scan.session,
            risk.scan.condition,
            risk.scan.file,
            risk.scan.status.value,
            risk.scan.reason,
            risk.scan.confidence,
            risk.scan.skin_level,
            "; ".join(finding.code for finding in risk.scan.findings),
            f"{risk.scan.seconds:.3f}",
            risk.attack,
            risk.rank,
            risk.distance,
            "" if risk.scan.condition == ORIGINAL else str(risk.matched).lower(),
        )
        for risk in list_risks(result)
    ]


def scans_csv(result: AuditResult) -> str:
    """List every scan with what became of it, the most exposed first."""
    return to_csv(SCAN_COLUMNS, scan_rows(result))


PEOPLE_COLUMNS = (
    "condition",
    "attack",
    "encoder",
    "subject",
    "distance_before",
    "distance_after",
    "rank_before",
    "rank_after",
    "matched_before",
    "matched_after",
    "unacquired",
)


def people_rows(result: AuditResult) -> list[tuple[object, ...]]:
    """List every person under `PEOPLE_COLUMNS`, per defacer and attacker."""
    return [
        tuple(str(v).lower() if isinstance(v := getattr(person, name), bool) else v for name in PEOPLE_COLUMNS)
        for person in result.subjects
    ]


def people_csv(result: AuditResult) -> str:
    """List every person per defacer and attacker with distances and ranks before and after."""
    return to_csv(PEOPLE_COLUMNS, people_rows(result))
