"""Deface many scans with many defacers: one file per scan and defacer, one record per run; a stopped run continues.

Words
-----
maker
    What makes a condition: a reference `Defacer`, or a `FoundTool`.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from reid_audit.deface.bids import describe_derivative, place_derivative, write_sidecar
from reid_audit.deface.companions import Companions, read_companions
from reid_audit.deface.found import FoundTool, find_tool
from reid_audit.deface.names import list_defacers, make_defacer
from reid_audit.deface.protocol import Defacer, apply_defacer
from reid_audit.deface.reference import Labels
from reid_audit.deface.run import TIME_LIMIT_S, ToolRun, check_output, run_tool
from reid_audit.deface.simple import NoDefacing
from reid_audit.deface.tools import TOOLS, find_named_tool, make_command_tool
from reid_audit.records import (
    ORIGINAL,
    DefaceRun,
    DefaceStatus,
    InputError,
    ReidAuditError,
    ScanRef,
    Volume,
    to_json,
    write_private,
)
from reid_audit.volume import read_volume, write_labels, write_volume
from reid_audit.volume.change import find_changed
from reid_audit.volume.stored import ending
from reid_audit.work import Progress, run_all

Maker = Defacer | FoundTool


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a run, beside its scan: of which input it is, and how it went."""

    fingerprint: str
    run: DefaceRun


def parse_makers(words: Iterable[str], *, command: str = "") -> tuple[Maker, ...]:
    """Return the makers that words name, tools looked up on this machine.

    Parameters
    ----------
    words : iterable of str
        Names of reference defacers (see `make_defacer`) and of `TOOLS`; ``"command"`` is the command line given.
    command : str
        See `make_command_tool`; makes the condition ``"command"`` without being named.

    Raises
    ------
    InputError
        Where a word names nothing, or nothing is named at all.
    """
    makers: dict[str, Maker] = {}
    asked = [word for word in words if not (command and word == "command")] + (["command"] if command else [])
    for word in asked:
        if word == "command" and command:
            makers[word] = find_tool(make_command_tool(command))
            continue
        defacer, tool = make_defacer(word), find_named_tool(word)
        if defacer is not None:
            makers[defacer.name] = defacer
        elif tool is not None:
            makers[tool.name] = find_tool(tool)
        else:
            known = ", ".join([d.name for d in list_defacers()] + [t.name for t in TOOLS])
            raise InputError(f"--tool: there is no defacer {word!r}; there are {known}, blur:5mm, or give --command")
    if not makers:
        raise InputError("--tool: name at least one defacer; `reid-audit deface --list` shows them")
    return tuple(makers.values())


def name_of(maker: Maker) -> str:
    """Return the condition that a maker makes."""
    return maker.tool.name if isinstance(maker, FoundTool) else maker.name


def _digest(path: Path, into: hashlib._Hash) -> None:
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                into.update(block)


def _fingerprint(scan: ScanRef, maker: Maker, files: Sequence[Path], settings: str) -> str:
    """Hash of all that the output depends on."""
    digest = hashlib.sha256(f"{maker!r}|{settings}|{scan.modality}".encode())
    for path in files:
        _digest(path, digest)
    return digest.hexdigest()


def _make(
    maker: Maker, volume: Volume, labels: Labels | None, brain: NDArray[np.bool_] | None, *,
    label_values: Mapping[str, int], time_limit_s: float, max_brain_cut: float, log: Path,
) -> ToolRun:  # fmt: skip
    if isinstance(maker, FoundTool):
        return run_tool(maker, volume, brain=brain, time_limit_s=time_limit_s, max_brain_cut=max_brain_cut, log=log)
    begun = time.monotonic()
    try:
        defaced = apply_defacer(maker, volume, labels, label_values if labels is not None else {}).volume
    except ReidAuditError as error:
        return ToolRun(DefaceStatus.FAILED, str(error), time.monotonic() - begun)
    seconds = time.monotonic() - begun
    status, reason = check_output(volume, defaced, brain=brain, max_brain_cut=max_brain_cut)
    if isinstance(maker, NoDefacing) and status is DefaceStatus.UNCHANGED:
        status, reason = DefaceStatus.OK, ""  # the control: it is meant so
    return ToolRun(status, reason, seconds, volume=defaced)


def _version_of(maker: Maker) -> str:
    return maker.version if isinstance(maker, FoundTool) else f"reid-audit {version_of('reid-audit')}"


def _run_of(scan: ScanRef, maker: Maker, made: ToolRun) -> DefaceRun:
    return DefaceRun(
        name_of(maker), _version_of(maker), scan.subject, scan.visit,
        made.status, made.reason, made.seconds, made.peak_memory_mb,
    )  # fmt: skip


def _lost_run(scan: ScanRef, maker: Maker, *_: object) -> DefaceRun:
    text = "its process was ended from outside, as a rule because memory ran out; give fewer --workers"
    return _run_of(scan, maker, ToolRun(DefaceStatus.FAILED, text))


def private_folder(folder: Path) -> Path:
    """Make a folder for its owner alone (mode 0700), if absent."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a defaced scan, the record of its run and, of a BIDS dataset, the mask of what changed are written."""

    target: Path
    kept: Path
    mask: Path | None = None
    bids: Path | None = None


def _place(scan: ScanRef, name: str, folder: Path, bids: Path | None) -> _Places:
    private = private_folder(folder / ".defacing") / name
    place = Path(f"sub-{scan.subject}") / f"ses-{scan.visit_stem}"
    kept = private / place.with_name(f"{place.name}.json")
    if bids is None:
        return _Places(folder / name / place.with_name(f"{place.name}.nii.gz"), kept)
    image, mask = place_derivative(scan.path, bids)
    return _Places(folder / name / image, kept, private / mask, bids)


def _deface_scan(
    scan: ScanRef, maker: Maker, at: _Places, where: Companions, time_limit_s: float, max_brain_cut: float
) -> DefaceRun:
    """Make one defaced scan, unless it is there already. Whatever goes wrong with this scan is its status."""
    target, kept = at.target, at.kept
    try:
        volume = read_volume(scan.path, modality=scan.modality)
        labels, brain, files = read_companions(scan, volume, where)
        settings = f"{sorted((where.label_values or {}).items())}|{max_brain_cut:g}|{_version_of(maker)}"
        fingerprint = _fingerprint(scan, maker, [scan.path, *files], settings)
        before = read_kept(kept)
        if before is not None and before.fingerprint == fingerprint and target.is_file():
            return before.run
        target.unlink(missing_ok=True)
        made = _make(
            maker, volume, labels, brain,
            label_values=where.label_values or {}, time_limit_s=time_limit_s, max_brain_cut=max_brain_cut,
            log=private_folder(kept.parent) / f"{kept.stem}.log",
        )  # fmt: skip
        if made.status is DefaceStatus.OK and made.volume is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_volume(made.volume, target)
            if at.mask is not None and at.bids is not None:
                mask = find_changed(volume, made.volume).astype(np.uint8)
                write_labels(mask, volume.voxel_to_ras_mm, private_folder(at.mask.parent) / at.mask.name)
                write_sidecar(target, scan.path, at.bids, defacer=name_of(maker), defacer_version=_version_of(maker))
            run = _run_of(scan, maker, made)
            write_private(kept, to_json(Kept(fingerprint, run)))
    except (ReidAuditError, OSError, MemoryError) as error:
        text = str(error) if isinstance(error, ReidAuditError) else f"{type(error).__name__} while defacing"
        return _run_of(scan, maker, ToolRun(DefaceStatus.FAILED, text))
    return _run_of(scan, maker, made)


def read_kept(path: Path) -> Kept | None:
    """Read the record of an earlier run; None where there is none that can be trusted."""
    try:
        return TypeAdapter(Kept).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def place_original(scan: ScanRef, folder: Path) -> ScanRef:
    """Let an original be found within the folder: by a link, or by a copy where links cannot be made."""
    if scan.path.absolute().is_relative_to(folder.absolute()):
        return scan
    link = (
        folder
        / ORIGINAL
        / f"sub-{scan.subject}"
        / f"ses-{scan.visit_stem}{'' if scan.path.is_dir() else ending(scan.path)}"
    )
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or link.is_file():
        link.unlink()
    try:
        link.symlink_to(scan.path.resolve(), target_is_directory=scan.path.is_dir())
    except OSError:
        if scan.path.is_dir():
            shutil.copytree(scan.path, link, dirs_exist_ok=True)
        else:
            shutil.copyfile(scan.path, link)
    return replace(scan, path=link)


def deface_scans(
    scans: Sequence[ScanRef],
    makers: Sequence[Maker],
    folder: Path,
    *,
    companions: Companions = Companions(),
    time_limit_s: float = TIME_LIMIT_S,
    max_brain_cut: float = 0.0,
    others: Sequence[ScanRef] = (),
    bids: Path | None = None,
    executor: Executor,
    progress: Progress | None = None,
) -> tuple[tuple[ScanRef, ...], tuple[DefaceRun, ...]]:
    """Deface originals by every maker.

    Parameters
    ----------
    scans : sequence of ScanRef
        Those of another condition than ``"original"`` are left out.
    makers : sequence of Defacer or FoundTool
        See `parse_makers`.
    folder : Path
        Made if absent. Gets ``<condition>/sub-<subject>/ses-<session>.nii.gz``, links to the originals that lie
        elsewhere, and a private ``.defacing`` with logs and records. What is there already and still fits its input,
        its defacer and its version is not made again; what failed is tried again.
    companions : Companions
    time_limit_s : float
        For each tool on each scan.
    max_brain_cut : float
        Share of a brain mask that may have changed.
    bids : Path, optional
        The raw BIDS dataset that the scans are of: each condition then is a derivative of it, with names, sidecars and
        ``dataset_description.json`` as BIDS has them. Masks of what changed stay in ``.defacing``: where air had one
        value they show the outline of the face.
    others : sequence of ScanRef
        Originals that are not defaced and stand in the result all the same, e.g. of a second visit.
    executor : concurrent.futures.Executor
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    scans : tuple of ScanRef
        The originals and every defaced scan whose run was ``ok``: a manifest for `reid-audit score`.
    runs : tuple of DefaceRun
        One per original and maker, in that order.

    Raises
    ------
    InputError
        Where there is no original, or a label of a scan cannot be a folder's name.
    """
    originals = [scan for scan in scans if scan.condition == ORIGINAL]
    if not originals:
        raise InputError("there is no original to deface: the condition of a scan to deface is 'original'")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for maker in makers:
        name = name_of(maker)
        if bids is not None:
            describe_derivative(folder / name, bids, defacer=name, defacer_version=_version_of(maker))
        jobs += [(scan, maker, _place(scan, name, folder, bids)) for scan in originals]
    calls = [(*job, companions, time_limit_s, max_brain_cut) for job in jobs]
    runs = run_all(executor, _deface_scan, calls, lost=_lost_run, progress=progress, stage="defacing")
    placed = [place_original(scan, folder) for scan in (*originals, *others)]
    for (scan, maker, at), run in zip(jobs, runs, strict=True):
        if run.status is DefaceStatus.OK:
            placed.append(replace(scan, condition=name_of(maker), path=at.target, series=""))
    return tuple(placed), tuple(runs)
