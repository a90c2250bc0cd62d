"""A whole cohort, from files to faces to distances: originals first, then what the defacers made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from reid_audit.attack import average_places, choose_crossings
from reid_audit.audit.face_cache import FaceCache, check_engines_here
from reid_audit.audit.moves import Hints
from reid_audit.audit.scan import Partner, examine_scan_with_each
from reid_audit.audit.settings import Settings
from reid_audit.dataset import Cohort
from reid_audit.face import name_encoder
from reid_audit.records import (
    ORIGINAL,
    Face,
    FaceRecord,
    Finding,
    ScanRef,
    Status,
)
from reid_audit.work import SerialExecutor, run_all

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and how many there are."""

_logger = logging.getLogger(__name__)

_LOOK_AT_ORIGINALS = ("multiview",)  # attackers that see originals otherwise than the naive one does


def acquire_faces(
    cohort: Cohort,
    *,
    settings: Settings,
    attacks: Sequence[str] = ("naive",),
    executor: Executor | None = None,
    progress: Progress | None = None,
    kept: FaceCache | None = None,
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
    kept : FaceCache, optional
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
    (records,) = acquire_faces_with_each(
        cohort, settings=(settings,), attacks=attacks, executor=executor, progress=progress, kept=kept
    )
    return records


def acquire_faces_with_each(
    cohort: Cohort,
    *,
    settings: Sequence[Settings],
    attacks: Sequence[str] = ("naive",),
    executor: Executor | None = None,
    progress: Progress | None = None,
    kept: FaceCache | None = None,
) -> list[list[FaceRecord]]:
    """Take every scan of a cohort to a face per recogniser; a scan is still one task, and is drawn once for all.

    Parameters
    ----------
    cohort : Cohort
    settings : sequence of Settings
        One per recogniser, from `start_engines_of_each`: they differ in encoder and detector alone.
    attacks, executor, progress, kept
        As for `acquire_faces`.

    Returns
    -------
    list of list of FaceRecord
        Per recogniser, what `acquire_faces` gives with it alone.
    """
    executor = executor or SerialExecutor()
    found: list[dict[str, FaceRecord]] = [{} for _ in settings]
    if kept is not None:
        kept.read_files(
            cohort.scans,
            executor=executor,
            done=None if progress is None else partial(progress, "scan files read"),
        )
    expected = None if kept is None or isinstance(executor, SerialExecutor) else kept.of_run
    task = partial(_examine, everything=tuple(settings), attacks=tuple(attacks), expected=expected)
    for stage, list_jobs in (("originals", list_originals), ("defaced scans", list_defaced)):
        jobs = list_jobs(cohort, found)
        keys, missing = look_up(jobs, found, kept=kept, attacks=attacks)
        ready = len(jobs) - len(missing)
        name = f"{stage} ({ready} more are in the store)" if ready else stage
        count = 0

        def note(
            records: tuple[FaceRecord, ...],
            name: str = name,
            keys: Mapping[str, Sequence[str | None]] = keys,
            missing: Mapping[str, Sequence[int]] = missing,
        ) -> None:
            nonlocal count
            count += 1
            key = records[0].scan.key
            for k, record in zip(missing[key], records, strict=True):
                if kept is not None:
                    kept.keep(record, keys[key][k])
                found[k][key] = record
                _log(record)
            if progress is not None:
                progress(name, count, len(missing))

        if progress is not None and missing:
            progress(name, 0, len(missing))
        to_do = [(job, tuple(missing[job.scan.key])) for job in jobs if job.scan.key in missing]
        run_all(executor, task, to_do, done=note, lost=partial(_lose, everything=tuple(settings)))
    return [[_explain(cohort, mine[scan.key], mine) for scan in cohort.scans] for mine in found]


class Job(NamedTuple):
    """A scan and, for each recogniser, what its original hands on and what attackers know from other scans."""

    scan: ScanRef
    partners: tuple[Partner | None, ...]
    hints: tuple[Hints, ...]


def list_originals(cohort: Cohort, found: Sequence[Mapping[str, FaceRecord]]) -> list[Job]:
    """Return what is to be done first."""
    nobody, nothing = (None,) * len(found), (Hints(),) * len(found)
    return [Job(scan, nobody, nothing) for scan in cohort.originals]


def list_defaced(cohort: Cohort, found: Sequence[Mapping[str, FaceRecord]]) -> list[Job]:
    """Return what is to be done once the originals are found."""
    defaced = [scan for scan in cohort.scans if scan.condition != ORIGINAL]
    hints = [_find_hints(defaced, [mine[s.key] for s in cohort.originals if s.key in mine]) for mine in found]
    return [
        Job(scan, tuple(_partner(cohort, scan, mine) for mine in found), tuple(known[scan.key] for known in hints))
        for scan in defaced
    ]


def _find_hints(defaced: Sequence[ScanRef], originals: Sequence[FaceRecord]) -> dict[str, Hints]:
    """For each defaced scan, by its key, what its attackers know from other people's originals."""
    average, owners = average_places(originals), choose_crossings(defaced, originals)
    return {
        scan.key: Hints(average.get(scan.subject), owners[scan.key].face if scan.key in owners else None)
        for scan in defaced
    }


def look_up(
    jobs: Sequence[Job],
    found: Sequence[dict[str, FaceRecord]],
    *,
    kept: FaceCache | None,
    attacks: Sequence[str],
) -> tuple[dict[str, list[str | None]], dict[str, list[int]]]:
    """Put what an earlier run finished into ``found``.

    Returns
    -------
    keys : dict of str to list
        By scan: the key of the face in the store, per recogniser.
    missing : dict of str to list of int
        By scan: the recognisers that have yet to look at it. Scans that all have seen are left out.
    """
    keys: dict[str, list[str | None]] = {}
    missing: dict[str, list[int]] = {}
    for scan, partners, hints in jobs:
        keys[scan.key] = [None] * len(found)
        for k, mine in enumerate(found):
            record = None
            if kept is not None:
                keys[scan.key][k] = key = kept.key_of(k, scan, partners[k], hints[k], _attacks_on(scan, attacks))
                record = kept.find(scan, key)
            if record is None:
                missing.setdefault(scan.key, []).append(k)
            else:
                mine[scan.key] = record
                _logger.info("%s: %s by %s, from the store", scan.key, record.face.status.value, record.face.encoder)
    return keys, missing


def _attacks_on(scan: ScanRef, attacks: Sequence[str]) -> tuple[str, ...]:
    """Return the attackers that change what is made of a scan: an original is the same under the others."""
    return tuple(name for name in attacks if scan.condition != ORIGINAL or name in _LOOK_AT_ORIGINALS)


def _log(record: FaceRecord) -> None:
    face, seconds = record.face, sum(record.seconds.values())
    reason = f": {face.reason}" if face.reason else ""
    _logger.info("%s: %s by %s in %.1f s%s", record.scan.key, face.status.value, face.encoder, seconds, reason)


def _examine(
    job: Job,
    recognisers: Sequence[int],
    *,
    everything: tuple[Settings, ...],
    attacks: Sequence[str],
    expected: Mapping[str, str] | None,
) -> tuple[FaceRecord, ...]:
    """Do one scan with some of the recognisers."""
    if expected is not None:
        check_engines_here(everything, expected)
    settings = [everything[k] for k in recognisers]
    partners, hints = [job.partners[k] for k in recognisers], [job.hints[k] for k in recognisers]
    return examine_scan_with_each(job.scan, settings, partners, attacks=_attacks_on(job.scan, attacks), hints=hints)


def _lose(job: Job, recognisers: Sequence[int], *, everything: tuple[Settings, ...]) -> tuple[FaceRecord, ...]:
    """Say of a scan that it took its process down with it, each time."""
    reason = "the process that did it was ended twice: a library crashed on this scan, or memory ran out"
    names = [name_encoder(everything[k].encoder) for k in recognisers]
    return tuple(FaceRecord(job.scan, Face(Status.BACKEND_ERROR, name, reason=reason)) for name in names)


def _partner(cohort: Cohort, scan: ScanRef, found: Mapping[str, FaceRecord]) -> Partner | None:
    original = cohort.partner_of(scan)
    record = None if original is None else found.get(original.key)
    if record is None or record.view is None or record.grid is None:
        return None
    return Partner(record.skin_level, record.view, record.grid, record.face, record.relief)


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
