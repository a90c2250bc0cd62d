"""A whole cohort, from files to faces to distances: originals first, then what the defacers made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from reid_audit.attack import average_places, faces_of_attack
from reid_audit.audit.kept import KeptFaces, check_engines_here
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

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do, told without opening a scan.

    Attributes
    ----------
    originals, defaced : int
        Scans.
    originals_kept, defaced_kept : int
        Those whose face is in the store. A face counts only where the file is known not to have been touched.
    absent : tuple of str
        Keys of scans without a file.
    """

    originals: int
    originals_kept: int
    defaced: int
    defaced_kept: int
    absent: tuple[str, ...]

    @property
    def to_do(self) -> int:
        """Scans that would be read."""
        return self.originals + self.defaced - self.originals_kept - self.defaced_kept - len(self.absent)


def plan_faces(cohort: Cohort, *, attacks: Sequence[str] = ("naive",), kept: KeptFaces | None = None) -> RunPlan:
    """Tell what `acquire_faces` would do with the same arguments."""
    found: dict[str, FaceRecord] = {}
    if kept is not None:
        kept.look_at_files(cohort.scans)
        for list_jobs in (_list_originals, _list_defaced):
            for job in list_jobs(cohort, found):
                record = kept.find(job[0], _key_of(job, kept, attacks))
                if record is not None:
                    found[record.scan.key] = record
    originals = len(cohort.originals)
    originals_kept = sum(scan.key in found for scan in cohort.originals)
    return RunPlan(
        originals=originals,
        originals_kept=originals_kept,
        defaced=len(cohort.scans) - originals,
        defaced_kept=len(found) - originals_kept,
        absent=tuple(scan.key for scan in cohort.find_absent_files()),
    )


def acquire_faces(
    cohort: Cohort,
    *,
    settings: Settings,
    attacks: Sequence[str] = ("naive",),
    executor: Executor | None = None,
    progress: Progress | None = None,
    kept: KeptFaces | None = None,
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
    kept : KeptFaces, optional
        Faces that an earlier run finished; each new one joins them as soon as it is there.

    Returns
    -------
    list of FaceRecord
        One per scan, in the order of the cohort.

    Raises
    ------
    StoreError
        Where a face cannot be kept.
    EngineError, WeightsError
        Where no scan could be done.
    """
    executor = executor or SerialExecutor()
    found: dict[str, FaceRecord] = {}
    task = partial(_examine, settings=settings, attacks=tuple(attacks), expected=_expected(executor, kept))
    if kept is not None:
        kept.read_files(
            cohort.scans,
            executor=executor,
            done=None if progress is None else lambda done, total: progress("scan files read", done, total),
        )
    for stage, list_jobs in (("originals", _list_originals), ("defaced scans", _list_defaced)):
        jobs = list_jobs(cohort, found)
        _do_jobs(stage, jobs, found, task=task, attacks=attacks, executor=executor, progress=progress, kept=kept)
    return [_explain(cohort, found[scan.key], found) for scan in cohort.scans]


_Job = tuple[ScanRef, Partner | None, Face | None]
"""A scan, what its original hands on, and where a face is on average."""


def _list_originals(cohort: Cohort, found: Mapping[str, FaceRecord]) -> list[_Job]:
    return [(scan, None, None) for scan in cohort.originals]


def _list_defaced(cohort: Cohort, found: Mapping[str, FaceRecord]) -> list[_Job]:
    average = average_places([found[scan.key] for scan in cohort.originals if scan.key in found])
    defaced = [scan for scan in cohort.scans if scan.condition != ORIGINAL]
    return [(scan, _partner(cohort, scan, found), average.get(scan.subject)) for scan in defaced]


def _key_of(job: _Job, kept: KeptFaces | None, attacks: Sequence[str]) -> str | None:
    scan, partner, average = job
    attacks = () if scan.condition == ORIGINAL else attacks  # an original is the same under all
    return None if kept is None else kept.key_of(scan, partner, average, attacks)


def _do_jobs(
    stage: str,
    jobs: Sequence[_Job],
    found: dict[str, FaceRecord],
    *,
    task: Callable[..., FaceRecord],
    attacks: Sequence[str],
    executor: Executor,
    progress: Progress | None,
    kept: KeptFaces | None,
) -> None:
    """Put a face per job into ``found``: from the store where it is there, else from the executor."""
    keys = {job[0].key: _key_of(job, kept, attacks) for job in jobs}
    to_do = []
    for job in jobs:
        record = None if kept is None else kept.find(job[0], keys[job[0].key])
        if record is None:
            to_do.append(job)
        else:
            found[job[0].key] = record
            _logger.info("%s: %s, from the store", record.scan.key, record.face.status.value)
    ready = len(jobs) - len(to_do)
    name = f"{stage} ({ready} more are in the store)" if ready else stage
    count = 0

    def note(record: FaceRecord) -> None:
        nonlocal count
        count += 1
        if kept is not None:
            kept.keep(record, keys[record.scan.key])
        found[record.scan.key] = record
        seconds, reason = sum(record.seconds.values()), f": {record.face.reason}" if record.face.reason else ""
        _logger.info("%s: %s in %.1f s%s", record.scan.key, record.face.status.value, seconds, reason)
        if progress is not None:
            progress(name, count, len(to_do))

    if progress is not None and to_do:
        progress(name, 0, len(to_do))
    run_all(executor, task, to_do, done=note)


def _expected(executor: Executor, kept: KeptFaces | None) -> Mapping[str, str] | None:
    """Return what each worker must measure with; None where the work is done here."""
    return None if kept is None or isinstance(executor, SerialExecutor) else kept.of_run


def _examine(
    scan: ScanRef,
    partner: Partner | None,
    average: Face | None,
    *,
    settings: Settings,
    attacks: Sequence[str],
    expected: Mapping[str, str] | None,
) -> FaceRecord:
    if expected is not None:
        check_engines_here(settings, expected)
    if scan.condition == ORIGINAL:
        return examine_scan(scan, settings)
    return examine_scan(scan, settings, partner, attacks=attacks, average=average)


def _partner(cohort: Cohort, scan: ScanRef, found: Mapping[str, FaceRecord]) -> Partner | None:
    original = cohort.partner_of(scan)
    record = None if original is None else found.get(original.key)
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
