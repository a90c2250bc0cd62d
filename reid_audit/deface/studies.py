"""Deface many radiotherapy studies, a folder each; a stopped run continues, and every study says how it went."""

import hashlib
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from reid_audit.deface.cohort import Kept, place_original, private_folder, read_kept
from reid_audit.deface.dicom import StudySettings, deface_study
from reid_audit.deface.reference import EyePlaneCut
from reid_audit.deface.study import find_study
from reid_audit.records import (
    ORIGINAL,
    DefaceRun,
    DefaceStatus,
    InputError,
    ReidAuditError,
    ScanRef,
    format_csv,
    to_json,
    write_private,
)
from reid_audit.work import Progress, run_all

STUDIES_FILE = "studies.csv"
CONDITION = EyePlaneCut().name


def _run(study: str, status: DefaceStatus, reason: str, seconds: float) -> DefaceRun:
    return DefaceRun(CONDITION, f"reid-audit {version_of('reid-audit')}", study, "1", status, reason, seconds)


def _lost(source: Path, *_: Any) -> DefaceRun:
    text = "its process was ended from outside, as a rule because memory ran out; give fewer --workers"
    return _run(source.name, DefaceStatus.FAILED, text, float("nan"))


def _fingerprint(source: Path, settings: StudySettings) -> str:
    """Hash of what the output depends on: names, sizes and times of the files, settings and version."""
    digest = hashlib.sha256(f"{settings!r}|{version_of('reid-audit')}".encode())
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        stat = path.stat()
        digest.update(f"{path.relative_to(source)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _deface(source: Path, target: Path, kept: Path, settings: StudySettings) -> DefaceRun:
    """Deface one study, unless that was done already. Whatever goes wrong with it is its status."""
    begun = time.monotonic()
    try:
        fingerprint = _fingerprint(source, settings)
        before = read_kept(kept)
        if before is not None and before.fingerprint == fingerprint and target.is_dir():
            return before.run
        shutil.rmtree(target, ignore_errors=True)
        deface_study(find_study(source), target, settings=settings)
        run = _run(source.name, DefaceStatus.OK, "", time.monotonic() - begun)
        write_private(kept, to_json(Kept(fingerprint, run)))
    except (ReidAuditError, OSError, MemoryError) as error:
        text = str(error) if isinstance(error, ReidAuditError) else f"{type(error).__name__} while defacing"
        return _run(source.name, DefaceStatus.FAILED, text, time.monotonic() - begun)
    return run


def deface_studies(
    folder: Path,
    out_dir: Path,
    *,
    settings: StudySettings = StudySettings(),
    executor: Executor,
    progress: Progress | None = None,
) -> tuple[tuple[ScanRef, ...], tuple[DefaceRun, ...]]:
    """Deface every study of a folder at the plane of its eyes; see `deface_study`.

    Parameters
    ----------
    folder : Path
        Each folder in it is one study: a CT series, its structure set and its doses.
    out_dir : Path
        Gets a folder of the same name per study that could be defaced, and a private ``.defacing``. What is there and
        still fits its input, settings and version is not made again; what failed is tried again.
    settings : StudySettings
    executor : concurrent.futures.Executor
    progress : callable, optional

    Returns
    -------
    scans : tuple of ScanRef
        Original and defaced scan of each study, which is the subject: a manifest for `reid-audit score`.
    runs : tuple of DefaceRun
        One per study, by name.

    Raises
    ------
    InputError
        There is no folder in ``folder``.
    """
    sources = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not sources:
        raise InputError(f"{folder.name}: holds no folders; --studies takes a folder with one folder per study")
    private = private_folder(out_dir / ".defacing")
    calls = [(source, out_dir / source.name, private / f"{source.name}.json", settings) for source in sources]
    runs = run_all(executor, _deface, calls, lost=_lost, progress=progress, stage="studies")
    scans = []
    for (source, target, *_), run in zip(calls, runs, strict=True):
        if run.status is DefaceStatus.OK:
            image = find_study(source).images[0].parent
            scans.append(place_original(ScanRef(source.name, "1", ORIGINAL, image), out_dir))
            scans.append(ScanRef(source.name, "1", CONDITION, target))
    return tuple(scans), tuple(runs)


def write_studies(runs: Iterable[DefaceRun], path: Path) -> None:
    """Write a row per study: its name, how it ended, seconds and why it failed."""
    rows = ([run.subject, run.status.value, f"{run.seconds:.1f}", run.reason] for run in runs)
    write_private(path, format_csv(["study", "status", "seconds", "reason"], rows))
