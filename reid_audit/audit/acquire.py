"""A whole cohort, from files to faces: originals first, then what the defacers made of them."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

from reid_audit.attack import SAMPLE, Attack, choose_canaries, read_photo
from reid_audit.audit.face_cache import FaceCache, check_engines_here
from reid_audit.audit.scan import Knowledge, attacks_on, examine_scan
from reid_audit.audit.settings import Engines, encoders_of
from reid_audit.dataset import Cohort
from reid_audit.dataset.priors import order_of
from reid_audit.portrait import Partner
from reid_audit.records import ORIGINAL, EngineError, Face, FaceRecord, Finding, InputError, ScanRef, Status
from reid_audit.work import Progress, SerialExecutor, run_all

Records = dict[tuple[str, str], FaceRecord]
"""By the scan's key and the encoder's name."""

_logger = logging.getLogger(__name__)


def acquire_faces(
    cohort: Cohort,
    engines: Engines,
    *,
    attacks: Sequence[Attack] = (),
    executor: Executor | None = None,
    progress: Progress | None = None,
    cache: FaceCache | None = None,
) -> list[FaceRecord]:
    """Take every scan of a cohort from its file to a face per encoder, originals first.

    Originals hand their skin level, camera and voxel grid on to their defaced partners, so that nothing about the
    picture of a defaced scan is chosen by what the defacer left.

    Parameters
    ----------
    cohort : Cohort
    engines : Engines
        From `start_engines`.
    attacks : sequence of Attack
        Beside the naive one; see `reid_audit.attack.choose_attacks`.
    executor : concurrent.futures.Executor, optional
        Where the tasks run, one per scan; in this process by default.
    progress : callable, optional
    cache : FaceCache, optional
        Faces that an earlier run finished; each new one joins them as soon as it is there.

    Returns
    -------
    list of FaceRecord
        One per encoder and scan: encoder by encoder, each with the scans in the order of the cohort.

    Raises
    ------
    StoreError
        Where a face cannot be kept.
    EngineError, WeightsError
        Where no scan could be done.
    """
    executor = executor or SerialExecutor()
    records: Records = {}
    if cache is not None:
        cache.read_files(cohort.scans, executor=executor, progress=progress)
    expected = None if cache is None or isinstance(executor, SerialExecutor) else cache.of_run
    task = partial(_examine, engines=engines, attacks=tuple(attacks), expected=expected)
    for stage, scans in (("originals", cohort.originals), ("defaced scans", defaced_scans(cohort))):
        knowledge = know_scans(cohort, scans, records, engines, attacks)
        missing = look_up(knowledge, records, cache=cache, attacks=attacks)
        ready = len(scans) - len(missing)
        name = f"{stage} ({ready} more are in the store)" if ready else stage

        def note(examined: list[FaceRecord], missing: Mapping[ScanRef, Mapping[str, Knowledge]] = missing) -> None:
            for record in examined:
                if cache is not None:
                    cache.keep(record, missing[record.scan][record.face.encoder], attacks_on(record.scan, attacks))
                records[record.scan.key, record.face.encoder] = record
                _log(record)

        if progress is not None and missing:
            progress(name, 0, len(missing))
        calls = sorted(missing.items(), key=lambda call: order_of(call[0].image))
        run_all(executor, task, calls, done=note, lost=_lose, progress=progress, stage=name)
    return [
        _explain(cohort, records[scan.key, encoder], records) for encoder in engines.encoders for scan in cohort.scans
    ]


def add_canaries(cohort: Cohort, most: int = SAMPLE) -> Cohort:
    """Add weakly defaced originals, which are made when they are read, unless the cohort brings canaries of its own."""
    if any(scan.is_canary for scan in cohort.scans):
        return cohort
    rows = zip(cohort.strata.index, cohort.strata.to_numpy(), strict=True)
    kinds = {str(subject): tuple(row) for subject, row in rows}
    return replace(cohort, scans=(*cohort.scans, *choose_canaries(cohort.originals, order=kinds, most=most)))


def defaced_scans(cohort: Cohort) -> list[ScanRef]:
    """Return the scans of every defacer, canaries among them."""
    return [scan for scan in cohort.scans if scan.condition != ORIGINAL]


def know_scans(
    cohort: Cohort, scans: Sequence[ScanRef], records: Records, engines: Engines, attacks: Sequence[Attack]
) -> dict[ScanRef, dict[str, Knowledge]]:
    """Collect, for each scan and encoder, what the original hands on and what attackers know from other originals."""
    knowledge: dict[ScanRef, dict[str, Knowledge]] = {scan: {} for scan in scans}
    defaced = [scan for scan in scans if scan.condition != ORIGINAL]
    for encoder in engines.encoders:
        originals = [records[s.key, encoder] for s in cohort.originals if (s.key, encoder) in records]
        prepared = {a.name: a.prepare(originals, defaced) for scan in defaced[:1] for a in attacks_on(scan, attacks)}
        for scan in scans:
            hints = {name: by_scan[scan.key] for name, by_scan in prepared.items() if scan.key in by_scan}
            knowledge[scan][encoder] = Knowledge(_partner(cohort, scan, records, encoder), hints)
    return knowledge


def look_up(
    knowledge: Mapping[ScanRef, Mapping[str, Knowledge]],
    records: Records,
    *,
    cache: FaceCache | None,
    attacks: Sequence[Attack],
) -> dict[ScanRef, dict[str, Knowledge]]:
    """Put what an earlier run finished into ``records``; return what is yet to be done."""
    missing: dict[ScanRef, dict[str, Knowledge]] = {}
    for scan, by_encoder in knowledge.items():
        for encoder, known in by_encoder.items():
            record = None if cache is None else cache.find(scan, encoder, known, attacks_on(scan, attacks))
            if record is None:
                missing.setdefault(scan, {})[encoder] = known
            else:
                records[scan.key, encoder] = record
                _logger.info("%s: %s by %s, from the store", scan.key, record.face.status.value, encoder)
    return missing


def _log(record: FaceRecord) -> None:
    face, seconds = record.face, sum(record.seconds.values())
    reason = f": {face.reason}" if face.reason else ""
    _logger.info("%s: %s by %s in %.1f s%s", record.scan.key, face.status.value, face.encoder, seconds, reason)


def _examine(
    scan: ScanRef,
    knowledge: Mapping[str, Knowledge],
    *,
    engines: Engines,
    attacks: Sequence[Attack],
    expected: Mapping[str, str] | None,
) -> list[FaceRecord]:
    """Do one scan with the encoders that have yet to see it."""
    if expected is not None:
        check_engines_here(engines, expected)
    return examine_scan(scan, engines, attacks=attacks, knowledge=knowledge)


def _lose(scan: ScanRef, knowledge: Mapping[str, Knowledge]) -> list[FaceRecord]:
    """Give a scan whose process ended each time the status of a broken engine."""
    reason = "the process that did it was ended twice: a library crashed on this scan, or memory ran out"
    return [FaceRecord(scan, Face(Status.BACKEND_ERROR, encoder, reason=reason)) for encoder in knowledge]


def _partner(cohort: Cohort, scan: ScanRef, records: Records, encoder: str) -> Partner | None:
    original = cohort.partner_of(scan)
    record = None if original is None else records.get((original.key, encoder))
    if record is None or record.view is None or record.grid is None:
        return None
    return Partner(record.skin_level, record.view, record.grid, record.face, record.relief, record.summary)


def _explain(cohort: Cohort, record: FaceRecord, records: Records) -> FaceRecord:
    """Say of a defaced scan whose original gave no level and camera that it had to choose its own."""
    scan, encoder = record.scan, record.face.encoder
    if scan.condition == ORIGINAL or _partner(cohort, scan, records, encoder) is not None:
        return record
    finding = Finding(
        "no_partner",
        "warning",
        "no original of this subject and session was portrayed: level and camera come from the defaced scan itself",
    )
    return replace(record, findings=(*record.findings, finding))


def acquire_photographs(
    gallery: Sequence[ScanRef], engines: Engines, *, executor: Executor | None = None, progress: Progress | None = None
) -> list[FaceRecord]:
    """Find the face in every photograph, encoder by encoder; what goes wrong is its status.

    No record keeps the file's name, which may be a person's.
    """
    tasks = [(photo, engines) for photo in gallery]
    by_photo = run_all(executor or SerialExecutor(), examine_photo, tasks, progress=progress, stage="photographs")
    return [record for of_encoder in zip(*by_photo, strict=True) for record in of_encoder]


def examine_photo(photo: ScanRef, engines: Engines) -> list[FaceRecord]:
    """Find the face in one photograph with each encoder."""
    nameless = replace(photo, path=Path(f"photograph {photo.session}"))
    encoders = encoders_of(engines)
    try:
        portrait = read_photo(photo.path)
    except (InputError, EngineError) as error:
        status = Status.UNREADABLE if isinstance(error, InputError) else Status.BACKEND_ERROR
        return [FaceRecord(nameless, Face(status, encoder.name, reason=str(error))) for encoder in encoders]
    return [FaceRecord(nameless, encoder.encode(portrait)) for encoder in encoders]
