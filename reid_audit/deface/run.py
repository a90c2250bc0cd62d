"""Run an external defacer on one scan in a private folder, watch it, and check its output.

A tool gets a copy of the scan under a neutral name, so that
no label and no header of the scan reaches it or its log.
"""

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.found import FoundTool
from reid_audit.deface.tools import Tool
from reid_audit.deface.watch import end_family, watch
from reid_audit.records import DefaceStatus, InputError, Volume
from reid_audit.volume import check_same_grid, read_labels, read_volume, write_labels, write_volume
from reid_audit.volume.air import air_to_write
from reid_audit.volume.change import find_changed
from reid_audit.volume.turn import find_turn

TIME_LIMIT_S = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class ToolRun:
    """What came of one run: a volume where the status is ``ok``, ``unchanged`` or ``brain_cut``, else None."""

    status: DefaceStatus
    reason: str = ""
    seconds: float = float("nan")
    peak_memory_mb: float = float("nan")
    volume: Volume | None = None


def _write_input(volume: Volume, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix != ".img":
        write_volume(volume, path)
        return
    import nibabel as nib

    whole = path.with_suffix(".nii")
    write_volume(volume, whole)
    image = nib.Nifti1Image.from_filename(whole)
    nib.Nifti1Pair(image.dataobj, image.affine, image.header).to_filename(path)
    whole.unlink()


def _find_output(tool: Tool, folder: Path) -> Path | None:
    for pattern in tool.outputs:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        if paths:
            return paths[0]
    return None


def _read_output(installed: FoundTool, path: Path, volume: Volume) -> Volume:
    """Read what the tool wrote, on the grid of its input."""
    if path.suffix == ".img":
        import nibabel as nib

        pair = nib.Nifti1Pair.from_filename(path)
        path = path.with_suffix(".nii")
        nib.Nifti1Image(pair.dataobj, pair.affine, pair.header).to_filename(path)
    if installed.tool.gives_mask:
        mask, affine = read_labels(path)
        as_scan = replace(volume, intensity=mask.astype(np.float32), voxel_to_ras_mm=affine, source=path.name)
        check_same_grid(volume, as_scan)
        intensity = np.where(mask != 0, np.float32(air_to_write(volume)), volume.intensity)
        return replace(volume, intensity=intensity, source=path.name)
    return read_volume(path, modality=volume.modality)


def check_output(
    volume: Volume, defaced: Volume, *, brain: NDArray[np.bool_] | None = None, max_brain_cut: float = 0.0
) -> tuple[DefaceStatus, str]:
    """Judge a defaced volume against its original, before anybody looks for a face.

    Parameters
    ----------
    volume, defaced : Volume
    brain : (i, j, k) bool, optional
    max_brain_cut : float
        Share of the brain's voxels that may have changed.

    Returns
    -------
    status : DefaceStatus
        ``ok``, ``other_grid``, ``unchanged`` or ``brain_cut``.
    reason : str
    """
    try:
        check_same_grid(volume, defaced)
    except InputError as error:
        return DefaceStatus.OTHER_GRID, str(error)
    changed = find_changed(volume, defaced)
    if not changed.any():
        return DefaceStatus.UNCHANGED, "no voxel differs from the input"
    turn = find_turn(volume, defaced)
    if turn:
        return DefaceStatus.OTHER_GRID, f"the head is turned or mirrored under the same header ({turn})"
    if brain is not None and brain.any():
        cut = float(changed[brain].mean())
        if cut > max_brain_cut:
            voxels = int(changed[brain].sum())
            text = f"{cut:.2%} of the brain mask changed, {voxels} voxels (limit {max_brain_cut:.2%})"
            return DefaceStatus.BRAIN_CUT, text
    return DefaceStatus.OK, ""


def _last_words(log: Path, folder: Path) -> str:
    """Return what a tool said last, from its last line that begins with "error" on where there is one.

    Rulers, colours and folders are left out: a reason may be read by others than the log.
    """
    text = re.sub(r"\x1b\[[\d;]*m", "", log.read_bytes()[-4000:].decode(errors="replace").replace(str(folder), ""))
    lines = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    begun = [number for number, line in enumerate(lines) if line.lower().startswith("error")]
    told = " ".join(lines[begun[-1] if begun else -1 :])
    said = re.sub(r"(?:/[^\s/'\":]+)+/(?=[^\s/])", "", told)
    return f"; it said: {said[:160]}" if said else "; it said nothing"


def run_tool(
    installed: FoundTool,
    volume: Volume,
    *,
    brain: NDArray[np.bool_] | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    max_brain_cut: float = 0.0,
    log: Path | None = None,
) -> ToolRun:
    """Run a tool on one scan, in a private temporary folder, and check what it made.

    Parameters
    ----------
    installed : FoundTool
    volume : Volume
        An original.
    brain : (i, j, k) bool, optional
        Brain mask on the volume's grid; some tools need it.
    time_limit_s : float
        After it the tool and whatever it started are killed.
    max_brain_cut : float
        See `check_output`.
    log : Path, optional
        File for what the tool writes on its output and error streams; made readable by its owner alone.

    Returns
    -------
    ToolRun
        A failure of the tool is its status, never an exception.

    Raises
    ------
    InputError
        Where `time_limit_s` is not positive, or the log cannot be written.
    """
    tool = installed.tool
    if not time_limit_s > 0:
        raise InputError(f"--time-limit must be positive; got {time_limit_s:g} s")
    if not installed.is_available:
        return ToolRun(DefaceStatus.MISSING, installed.reason)
    if tool.word_for(volume.modality) == "-":
        return ToolRun(DefaceStatus.FAILED, f"{tool.name} does not take {volume.modality}")
    if tool.needs_brain and brain is None:
        return ToolRun(DefaceStatus.FAILED, f"{tool.name} needs a brain mask; give it with --brain-masks or --labels")
    with tempfile.TemporaryDirectory(prefix="reid-audit-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        return _run_in(folder, installed, volume, brain, time_limit_s, max_brain_cut, log)


def _run_in(
    folder: Path,
    installed: FoundTool,
    volume: Volume,
    brain: NDArray[np.bool_] | None,
    time_limit_s: float,
    max_brain_cut: float,
    log: Path | None,
) -> ToolRun:
    tool = installed.tool
    places = {
        "input": str(folder / tool.input_name),
        "output": str(folder / "output.nii.gz"),
        "folder": str(folder),
        "brain": str(folder / "brain.nii.gz"),
        "modality": tool.word_for(volume.modality),
        **{name: os.environ[name] for name in tool.environment},
    }

    def fill(word: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], place[0]), word)

    for name in tool.folders:
        (folder / name).mkdir(exist_ok=True)
    for name, text in tool.texts:
        (folder / name).write_text(text, encoding="utf-8")
    _write_input(volume, folder / tool.input_name)
    if brain is not None and tool.needs_brain:
        write_labels(brain.astype(np.uint8), volume.voxel_to_ras_mm, folder / "brain.nii.gz")
    before = set(folder.rglob("*"))
    kept = folder / "tool.log" if log is None else log
    begun = time.monotonic()
    try:
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise InputError(f"{kept.name}: cannot be written ({error.strerror}); check its folder") from error
    with os.fdopen(descriptor, "wb") as stream:
        try:
            process = subprocess.Popen(
                [installed.executable, *(fill(word) for word in tool.words[1:])],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=fill(tool.start_in),
                env=os.environ | {"TMPDIR": str(folder)},
                start_new_session=True,  # so that the whole family can be ended
            )
        except OSError as error:
            return ToolRun(DefaceStatus.FAILED, f"cannot be started ({error.strerror})")
        try:
            in_time, peak_mb = watch(process, begun + time_limit_s)
        except BaseException:
            end_family(process)
            raise
    seconds = time.monotonic() - begun

    def failed(status: DefaceStatus, reason: str) -> ToolRun:
        return ToolRun(status, reason, seconds, peak_mb)

    if not in_time:
        return failed(DefaceStatus.TIMED_OUT, f"was ended after {time_limit_s:g} s (--time-limit)")
    if process.returncode != 0:
        code = process.returncode
        how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        return failed(DefaceStatus.FAILED, how + _last_words(kept, folder))
    path = _find_output(tool, folder)
    if path is None:
        new = sorted(p.name for p in set(folder.rglob("*")) - before - {kept} if p.is_file())
        wrote = f"; it wrote {', '.join(new[:3])}" if new else ""
        return failed(DefaceStatus.FAILED, f"left no {tool.outputs[0]}{wrote}{_last_words(kept, folder)}")
    try:
        defaced = _read_output(installed, path, volume)
    except InputError as error:
        grid = "grid" in str(error) or "voxels" in str(error)
        return failed(DefaceStatus.OTHER_GRID if grid and tool.gives_mask else DefaceStatus.FAILED, str(error))
    status, reason = check_output(volume, defaced, brain=brain, max_brain_cut=max_brain_cut)
    usable = status is not DefaceStatus.OTHER_GRID
    return ToolRun(status, reason, seconds, peak_mb, defaced if usable else None)
