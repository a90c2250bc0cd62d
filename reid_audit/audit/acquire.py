"""A whole cohort, from files to faces to distances: originals first, then what the defacers made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from reid_audit.attack import average_places, faces_of_attack
from reid_audit.audit.scan import Partner, examine_scan
from reid_audit.audit.settings import Settings
from reid_audit.dataset import Cohort
from reid_audit.match import compare, merge_scores
from reid_audit.records import (
    ORIGINAL,
    Face,
    FaceRecord,
    Finding,
    Group,
    ScanRef,
    ScoreTable,
)
from reid_audit.work import SerialExecutor, run_all

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and how many there are."""


def acquire_faces(
    cohort: Cohort,
    *,
    settings: Settings,
    attacks: Sequence[str] = ("naive",),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[FaceRecord]:
    """Take every scan of a cohort from its file to its face, originals first.

    Parameters
    ----------
    cohort : Cohort
    settings : Settings
        With ``auto`` resolved by `start_engines`.
    attacks : sequence of str
        See `reid_audit.attack.ATTACKS`.
    executor : concurrent.futures.Executor, optional
        Where the tasks run; in this process by default.
    progress : callable, optional

    Returns
    -------
    list of FaceRecord
        One per scan, in the order of the cohort.
    """
    executor = executor or SerialExecutor()
    found: dict[str, FaceRecord] = {}
    total = len(cohort.scans)

    def note(record: FaceRecord) -> None:
        found[record.scan.key] = record
        if progress is not None:
            progress("scans", len(found), total)

    defaced = [scan for scan in cohort.scans if scan.condition != ORIGINAL]
    run_all(executor, examine_scan, [(scan, settings) for scan in cohort.originals], done=note)
    average = average_places([found[scan.key] for scan in cohort.originals])
    run_all(
        executor,
        partial(_examine_defaced, settings=settings, attacks=tuple(attacks)),
        [(scan, _partner(cohort, scan, found), average.get(scan.subject)) for scan in defaced],
        done=note,
    )
    return [_explain(cohort, found[scan.key], found) for scan in cohort.scans]


def _examine_defaced(
    scan: ScanRef, partner: Partner | None, average: Face | None, *, settings: Settings, attacks: Sequence[str]
) -> FaceRecord:
    return examine_scan(scan, settings, partner, attacks=attacks, average=average)


def _partner(cohort: Cohort, scan: ScanRef, found: Mapping[str, FaceRecord]) -> Partner | None:
    original = cohort.partner_of(scan)
    record = None if original is None else found[original.key]
    if record is None or record.view is None or record.grid is None:
        return None
    return Partner(record.level, record.view, record.grid, record.face, record.relief)


def _explain(cohort: Cohort, record: FaceRecord, found: Mapping[str, FaceRecord]) -> FaceRecord:
    """Say of a defaced scan whose original gave no level and camera that it had to choose its own."""
    if record.scan.condition == ORIGINAL or _partner(cohort, record.scan, found) is not None:
        return record
    finding = Finding(
        "no_partner",
        "warning",
        "no original of this subject and session was portrayed: level and camera come from the defaced scan itself",
    )
    return replace(record, findings=(*record.findings, finding))


def compare_attacks(records: Sequence[FaceRecord], attacks: Sequence[str]) -> ScoreTable:
    """Compare under each attacker. Originals are the same under all, so their comparisons stand once, under naive."""
    naive = compare(records)
    tables = [naive]
    for attack in attacks:
        if attack != "naive":
            table = compare(faces_of_attack(records, attack), attack=attack)
            of_originals = table.frame["group"].isin([Group.SAME.value, Group.DIFFERENT.value])
            tables.append(ScoreTable(table.frame[~of_originals]))
    return merge_scores(tables)
