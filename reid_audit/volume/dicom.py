"""DICOM series of a folder: which frames belong to the stack, where each lies, what is padding."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Modality, group_by, listed
from reid_audit.volume.air import PADDING_HU
from reid_audit.volume.frames import FRAME_TAGS, NO_PLACES, Frame, is_scan_image, list_frames, split_stacks
from reid_audit.volume.gaps import check_gaps, even_out
from reid_audit.volume.header import DeflatedError, damaged_header_errors, index_series, read_header
from reid_audit.volume.stored import Stored, check_declared, lps_to_ras, quiet, quiet_itk

_ONE_PLACE_MM = 1e-3  # slices nearer than that lie at one position


def _read_frames(path: Path, folder: str) -> list[Frame]:
    """Read one DICOM header. Empty = not an image of CT, MR or PET (a report, contours, dose, no DICOM at all)."""
    damaged = damaged_header_errors()
    try:
        header = read_header(path, FRAME_TAGS)
        return [] if header is None or not is_scan_image(header) else list_frames(path, header)
    except InputError as error:
        raise InputError(f"{folder}: holds {error}") from error
    except DeflatedError as error:
        raise InputError(f"{folder}: {error}") from error
    except damaged as error:
        what = "modality (CT, MR or PT), size, spacing, position or orientation"
        raise InputError(f"{folder}: a DICOM image lacks a readable {what}; copy the series again") from error


def _check_one_series(frames: list[Frame], folder: str) -> None:
    """Refuse frames of several series, and name these."""
    series = group_by(frames, lambda frame: frame.series)
    if len(series) > 1:
        counts = sorted(f"{s[0].series_number} ({s[0].modality}, {len(s)} slices)" for s in series.values())
        raise InputError(
            f"{folder}: holds {len(series)} DICOM series: {listed(counts, most=4)}; put each into a folder of its own, "
            "or let `reid-audit inventory` write a manifest that tells them apart"
        )


def _in_order(frames: list[Frame], folder: str) -> list[Frame]:
    """Check that the frames make one stack and sort them along it, by position and never by name or number."""
    first = frames[0]
    for frame in frames:
        if frame.grid != first.grid or not np.allclose(frame.spacing_mm, first.spacing_mm, rtol=1e-3):
            raise InputError(f"{folder}: its slices differ in size or spacing; leave one stack in the folder")
        if not np.allclose(frame.orientation, first.orientation, atol=1e-3):
            raise InputError(f"{folder}: its slices differ in orientation (a scout?); leave one stack in the folder")
    normal = np.cross(*first.orientation)
    return sorted(frames, key=lambda frame: float(frame.position_lps_mm @ normal))


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The files of one series in the order of their places, not of their names.

    `voxel_to_ras_mm` maps (column, row, slice) to RAS mm; `shape` is in the same order.
    """

    files: tuple[Path, ...]
    voxel_to_ras_mm: NDArray[np.float64]
    shape: tuple[int, int, int]
    modality: Modality
    notes: tuple[str, ...]


def _places(frames: list[Frame]) -> NDArray[np.float64]:
    return np.stack([frame.position_lps_mm for frame in frames])


def _damaged_pixel_errors() -> tuple[type[Exception], ...]:
    return (*damaged_header_errors(), RuntimeError)


@lru_cache(maxsize=1)  # all frames of a file are asked for one after the other
def _decode(path: Path) -> NDArray[np.generic]:
    """Return the stored pixels of a file, (frame, row, column). Raises what damaged or unknown pixels make pydicom."""
    from pydicom import dcmread

    data = dcmread(path, force=True)
    pixels: NDArray[np.generic] = data.pixel_array.reshape(-1, int(data.Rows), int(data.Columns))
    return pixels


def _pixel_digest(frame: Frame, folder: str) -> bytes:
    """Hash a frame's stored pixels and what turns them into values."""
    try:
        scale = repr([frame.slope, frame.intercept])
        if frame.count > 1:
            return hashlib.sha256(_decode(frame.path)[frame.index].tobytes() + scale.encode()).digest()
        from pydicom import dcmread

        data = dcmread(frame.path, force=True)
        return hashlib.sha256(data.PixelData + f"{scale} {data.get('BitsAllocated')}".encode()).digest()
    except _damaged_pixel_errors() as error:
        raise InputError(f"{folder}: the pixels of a DICOM file are damaged; copy the series again") from error


def _drop_copies(frames: list[Frame], folder: str) -> tuple[list[Frame], list[str]]:
    """Leave out slices that are there twice, pixel by pixel. Another image at one position is no copy: it stays."""
    normal = np.cross(*frames[0].orientation)
    kept: list[Frame] = []
    for frame in frames:
        last = kept[-1] if kept else None
        near = last is not None and abs(float((frame.position_lps_mm - last.position_lps_mm) @ normal)) < _ONE_PLACE_MM
        if last is None or not near or _pixel_digest(frame, folder) != _pixel_digest(last, folder):
            kept.append(frame)
    dropped = len(frames) - len(kept)
    return kept, [f"{dropped} slices are there twice, pixel by pixel: one of each was taken"] if dropped else []


def _gather(folder: Path, name: str, series: str) -> tuple[list[Frame], list[str]]:
    """Find the frames of the one series of a folder, or of the one that was asked for."""
    damaged, files = 0, []
    try:
        if series:
            index, damaged = index_series(folder, folder.stat().st_mtime_ns)
            files = list(index.get(series, ()))
        else:
            files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "DICOMDIR")
    except OSError as error:
        raise InputError(f"{name}: the folder cannot be listed") from error
    frames, other = [], 0
    for path in files:
        of_file = _read_frames(path, name)
        frames += of_file
        other += not of_file
    if not frames:
        what = (
            "no longer holds the DICOM series that was found in it"
            if series
            else "holds no DICOM image of CT, MR or PET"
        )
        raise InputError(f"{name}: the folder {what}; give the folder of one series")
    notes = [f"{other} files of the folder are not images and were left out"] if other and not series else []
    if damaged:
        notes.append(
            f"{damaged} files of the folder have damaged headers: whether they belong to this series is unknown"
        )
    planes = [frame for frame in frames if not frame.is_localizer]
    if planes and len(planes) < len(frames):
        notes.append(f"{len(frames) - len(planes)} scout images (localizers) were left out")
    return planes or frames, notes


def _choose_stack(frames: list[Frame], name: str, stack: str) -> list[Frame]:
    """Take the one stack of a series, or the one that was asked for."""
    stacks = split_stacks(frames)
    if stack in stacks:
        return stacks[stack]
    there = ", ".join(f"{label} ({len(part)} slices)" for label, part in stacks.items())
    raise InputError(
        f"{name}: the series holds {len(stacks)} stacks over each other: {there}; choose one, e.g. with a manifest of "
        "`reid-audit inventory`, whose column series names it"
    )


def _stack_up(
    frames: list[Frame], name: str, notes: Iterable[str] = (), *, stack: str = "", even: bool
) -> tuple[list[Frame], Stack]:
    """Order the frames of one series, or of one of its stacks, leave out copies, and say where they lie.

    `even` asks that each slice lies where the affine says; else at least the first and the last one do.
    """
    if not frames:
        raise InputError(f"{name}: there is no DICOM image of CT, MR or PET; give the files of one series")
    _check_one_series(frames, name)
    frames, copies = _drop_copies(_in_order(_choose_stack(frames, name, stack), name), name)
    first, n = frames[0], len(frames)
    check_declared(name, (*first.grid, n), None)
    noted = [*notes, *copies, *check_gaps(_places(frames), np.cross(*first.orientation), name, even=even)]
    if any(frame.claims_no_face for frame in frames):
        noted.append("the header claims that the face was removed: a claim, not a measurement")
    step_mm = (frames[-1].position_lps_mm - first.position_lps_mm) / (n - 1)
    along = first.orientation * np.reshape(first.spacing_mm, (2, 1))
    voxel_to_lps_mm = np.eye(4)
    voxel_to_lps_mm[:3] = np.stack([*along, step_mm, first.position_lps_mm], axis=1)
    paths = tuple(dict.fromkeys(frame.path for frame in frames))
    return frames, Stack(paths, lps_to_ras(voxel_to_lps_mm), (*first.grid, n), first.modality, tuple(noted))


def find_stack(files: Iterable[Path], name: str) -> Stack:
    """Say which files make a stack of slices, one file each, and where it lies. Opens no pixels.

    Parameters
    ----------
    files : iterable of Path
        Files that are not images of CT, MR or PET are passed over.
    name : str
        What messages call them.

    Raises
    ------
    InputError
        Where they are not one whole and even series of one slice per file; see `reid_audit.volume`.
    """
    with quiet():
        frames = [frame for path in files for frame in _read_frames(path, name)]
        if any(frame.count > 1 for frame in frames):
            raise InputError(f"{name}: holds {NO_PLACES}")
        return _stack_up(frames, name, even=True)[1]


def _read_values(frames: Sequence[Frame], stack: Stack, name: str) -> NDArray[np.float32]:
    """Return rescaled values, (slice, row, column)."""
    import SimpleITK as sitk

    try:
        if len(stack.files) == len(frames):
            with quiet_itk():
                image = sitk.ReadImage([str(path) for path in stack.files], sitk.sitkFloat32)
            values: NDArray[np.float32] = sitk.GetArrayFromImage(image)
        else:
            values = np.stack(
                [_decode(f.path)[f.index] * np.float32(f.slope) + np.float32(f.intercept) for f in frames], dtype="f4"
            )
    except NotImplementedError as error:
        raise InputError(f"{name}: its frames are packed in a way that is not read; unpack it with dcmtk") from error
    except _damaged_pixel_errors() as error:
        raise InputError(f"{name}: the pixels of a DICOM file are damaged; copy the series again") from error
    if values.shape != stack.shape[::-1]:
        raise InputError(f"{name}: the pixels do not have the size that the headers declare; copy the series again")
    return values


def read_dicom(folder: Path, *, series: str = "", name: str = "") -> Stored:
    """Read a series of CT, MR or PET of a folder, not of those below it: the only one, or one by its `name_series`."""
    name = name or folder.name
    series, _, chosen = series.partition("/")
    gathered, notes = _gather(folder, name, series)
    frames, stack = _stack_up(gathered, name, notes, stack=chosen, even=False)
    values = _read_values(frames, stack, name)
    notes = [*stack.notes, *_mend_padding(values, frames)]
    values, evened = even_out(values, _places(frames))
    voxel_to_ras_mm = stack.voxel_to_ras_mm.copy()
    voxel_to_ras_mm[:3, 2] *= (stack.shape[2] - 1) / (len(values) - 1)
    notes += evened
    return Stored(values.T, voxel_to_ras_mm, modality=stack.modality, notes=tuple(notes))


def _mend_padding(values: NDArray[np.float32], frames: list[Frame]) -> list[str]:
    """Set what the headers call padding to air, in place; `values` is (slice, row, column)."""
    padded = np.zeros(values.shape, bool)
    for k, frame in enumerate(frames):
        if frame.padding is not None:
            padded[k] = (values[k] >= np.float32(frame.padding[0])) & (values[k] <= np.float32(frame.padding[1]))
    n = int(np.count_nonzero(padded))
    if n == 0 or n == values.size:
        return []
    values[padded] = PADDING_HU if frames[0].modality is Modality.CT else values[~padded].min()
    return [f"padding set to air ({n / values.size:.1%} of the voxels, as the header declares it)"]
