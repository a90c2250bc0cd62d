"""A whole cohort, from files to faces to distances: originals first, then what the defacers made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from reid_audit.attack import average_places, choose_crossings
from reid_audit.audit.moves import Hints
from reid_audit.audit.scan import Partner, examine_scan_with_each
from reid_audit.audit.settings import Settings
from reid_audit.dataset import Cohort
from reid_audit.records import (
    ORIGINAL,
    FaceRecord,
    Finding,
    ScanRef,
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
    return acquire_faces_with_each(cohort, settings=(settings,), attacks=attacks, executor=executor, progress=progress)[
        0
    ]


def acquire_faces_with_each(
    cohort: Cohort,
    *,
    settings: Sequence[Settings],
    attacks: Sequence[str] = ("naive",),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[list[FaceRecord]]:
    """Take every scan of a cohort to a face per recogniser; a scan is still one task, and is drawn once for all.

    Parameters
    ----------
    cohort : Cohort
    settings : sequence of Settings
        One per recogniser, from `start_engines_of_each`: they differ in encoder and detector alone.
    attacks, executor, progress
        As for `acquire_faces`.

    Returns
    -------
    list of list of FaceRecord
        Per recogniser, what `acquire_faces` gives with it alone.
    """
    executor = executor or SerialExecutor()
    each = range(len(settings))
    found: list[dict[str, FaceRecord]] = [{} for _ in each]
    total = len(cohort.scans)

    def note(records: tuple[FaceRecord, ...]) -> None:
        for mine, record in zip(found, records, strict=True):
            mine[record.scan.key] = record
        if progress is not None:
            progress("scans", len(found[0]), total)

    defaced = [scan for scan in cohort.scans if scan.condition != ORIGINAL]
    run_all(
        executor,
        partial(examine_scan_with_each, attacks=tuple(attacks)),
        [(scan, tuple(settings)) for scan in cohort.originals],
        done=note,
    )
    hints = [_find_hints(defaced, [found[k][scan.key] for scan in cohort.originals]) for k in each]
    run_all(
        executor,
        partial(_examine_defaced, settings=tuple(settings), attacks=tuple(attacks)),
        [
            (scan, [_partner(cohort, scan, found[k]) for k in each], [hints[k][scan.key] for k in each])
            for scan in defaced
        ],
        done=note,
    )
    return [[_explain(cohort, found[k][scan.key], found[k]) for scan in cohort.scans] for k in each]


def _examine_defaced(
    scan: ScanRef,
    partners: Sequence[Partner | None],
    hints: Sequence[Hints],
    *,
    settings: Sequence[Settings],
    attacks: Sequence[str],
) -> tuple[FaceRecord, ...]:
    return examine_scan_with_each(scan, settings, partners, attacks=attacks, hints=hints)


def _find_hints(defaced: Sequence[ScanRef], originals: Sequence[FaceRecord]) -> dict[str, Hints]:
    """For each defaced scan, by its key, what its attackers know from other people's originals."""
    average, owners = average_places(originals), choose_crossings(defaced, originals)
    return {
        scan.key: Hints(average.get(scan.subject), owners[scan.key].face if scan.key in owners else None)
        for scan in defaced
    }


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
