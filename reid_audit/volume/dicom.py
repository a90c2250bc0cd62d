"""A folder that holds one DICOM series: which files belong to the stack, where each slice lies, what is padding."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Modality
from reid_audit.volume.air import PADDING_HU
from reid_audit.volume.gaps import check_gaps, even_out
from reid_audit.volume.header import (
    IMAGE_CLASSES,
    DeflatedError,
    claims_no_face,
    damaged_header_errors,
    index_series,
    is_localizer,
    read_header,
)
from reid_audit.volume.stored import Stored, check_declared, lps_to_ras, quiet, quiet_itk


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """What the header of one DICOM file says.

    `padding` is the range of rescaled values that were never measured. `claims_no_face` tells whether a tag says that
    somebody removed the face.
    """

    path: Path
    series: str
    series_number: str
    modality: Modality
    grid: tuple[int, int]
    spacing_mm: tuple[float, float]
    orientation: NDArray[np.float64]
    position_lps_mm: NDArray[np.float64]
    padding: tuple[float, float] | None
    claims_no_face: bool
    is_localizer: bool


_ONE_PLACE_MM = 1e-3  # slices nearer than that lie at one position

_DICOM_TAGS = [
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "RecognizableVisualFeatures",
    "ImageType",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PixelRepresentation",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
]


def _padding_range(header: Any) -> tuple[float, float] | None:
    if header.get("PixelPaddingValue") is None:
        return None
    ends = [float(header.PixelPaddingValue), float(header.get("PixelPaddingRangeLimit", header.PixelPaddingValue))]
    slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
    ends = [end * slope + intercept for end in ends]
    return min(ends), max(ends)


def _is_image(header: Any) -> bool:
    """Whether a file belongs to the stack. One that calls itself an image counts even where a field is lost.

    To leave such a file out would lose a slice unseen.
    """
    if header.file_meta.get("MediaStorageSOPClassUID") in IMAGE_CLASSES:
        return True
    placed = header.get("Rows") is not None and header.get("ImagePositionPatient") is not None
    return placed and header.get("Modality") in list(Modality)


def _read_slice(path: Path, folder: str) -> _Slice | None:
    """Read one DICOM header. None = not an image of CT or MR (a report, contours, dose, no DICOM at all)."""
    damaged = damaged_header_errors()
    try:
        header = read_header(path, _DICOM_TAGS)
        if header is None:
            return None
        if not _is_image(header):
            return None
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise InputError(f"{folder}: holds multi-frame DICOM; convert it to NIfTI first, e.g. with dcm2niix")
        row_mm, column_mm = (float(x) for x in header.PixelSpacing)
        dicom_slice = _Slice(
            path=path,
            series=str(header.get("SeriesInstanceUID")),
            series_number=str(header.get("SeriesNumber") or "without number"),
            modality=Modality(header.Modality),
            grid=(int(header.Columns), int(header.Rows)),
            spacing_mm=(column_mm, row_mm),
            orientation=np.array([float(x) for x in header.ImageOrientationPatient]).reshape(2, 3),
            position_lps_mm=np.array([float(x) for x in header.ImagePositionPatient]).reshape(3),
            padding=_padding_range(header),
            claims_no_face=claims_no_face(header),
            is_localizer=is_localizer(header),
        )
        if int(header.SamplesPerPixel) != 1 or header.PhotometricInterpretation != "MONOCHROME2":
            raise InputError(f"{folder}: holds colour or inverted DICOM images; one real number per voxel is needed")
    except InputError:
        raise
    except DeflatedError as error:
        raise InputError(f"{folder}: {error}") from error
    except damaged as error:
        what = "modality (CT or MR), size, spacing, position or orientation"
        raise InputError(f"{folder}: a DICOM image lacks a readable {what}; copy the series again") from error
    if not (np.isfinite(dicom_slice.orientation).all() and np.isfinite(dicom_slice.position_lps_mm).all()):
        raise InputError(f"{folder}: a DICOM image has a position or orientation that is not finite")
    return dicom_slice


def _one_series(slices: list[_Slice], folder: str) -> list[_Slice]:
    """Check that the slices make one stack and sort them along it, by position and never by name or number."""
    series: dict[str, list[_Slice]] = {}
    for dicom_slice in slices:
        series.setdefault(dicom_slice.series, []).append(dicom_slice)
    if len(series) > 1:
        counts = sorted(f"{s[0].series_number} ({s[0].modality}, {len(s)} slices)" for s in series.values())
        more = f" and {len(counts) - 4} more" if len(counts) > 4 else ""
        text = ", ".join(counts[:4]) + more
        raise InputError(
            f"{folder}: holds {len(series)} DICOM series: {text}; put each into a folder of its own, "
            "or let `reid-audit inventory` write a manifest that tells them apart"
        )
    first = slices[0]
    for dicom_slice in slices:
        if dicom_slice.grid != first.grid or not np.allclose(dicom_slice.spacing_mm, first.spacing_mm, rtol=1e-3):
            raise InputError(f"{folder}: its slices differ in size or spacing; leave one stack in the folder")
        if not np.allclose(dicom_slice.orientation, first.orientation, atol=1e-3):
            raise InputError(f"{folder}: its slices differ in orientation (a scout?); leave one stack in the folder")
    normal = np.cross(*first.orientation)
    return sorted(slices, key=lambda dicom_slice: float(dicom_slice.position_lps_mm @ normal))


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


def _places(slices: list[_Slice]) -> NDArray[np.float64]:
    return np.stack([dicom_slice.position_lps_mm for dicom_slice in slices])


def _pixel_digest(dicom_slice: _Slice, folder: str) -> bytes:
    """Hash a slice's stored pixels and what turns them into values."""
    from pydicom import dcmread

    try:
        data = dcmread(dicom_slice.path)
        scale = repr([data.get("RescaleSlope"), data.get("RescaleIntercept"), data.get("BitsAllocated")])
        return hashlib.sha256(data.PixelData + scale.encode()).digest()
    except damaged_header_errors() as error:
        raise InputError(f"{folder}: the pixels of a DICOM file are damaged; copy the series again") from error


def _drop_copies(slices: list[_Slice], folder: str) -> tuple[list[_Slice], list[str]]:
    """Leave out slices that are there twice, pixel by pixel. Another image at one position is no copy: it stays."""
    normal = np.cross(*slices[0].orientation)
    kept: list[_Slice] = []
    for dicom_slice in slices:
        last = kept[-1] if kept else None
        near = (
            last is not None
            and abs(float((dicom_slice.position_lps_mm - last.position_lps_mm) @ normal)) < _ONE_PLACE_MM
        )
        if last is None or not near or _pixel_digest(dicom_slice, folder) != _pixel_digest(last, folder):
            kept.append(dicom_slice)
    dropped = len(slices) - len(kept)
    return kept, [f"{dropped} slices are there twice, pixel by pixel: one of each was taken"] if dropped else []


def _gather(folder: Path, name: str, series: str) -> tuple[list[_Slice], list[str]]:
    """Find the slices of the one series of a folder, or of the one that was asked for."""
    damaged, files = 0, []
    try:
        if series:
            index, damaged = index_series(folder, folder.stat().st_mtime_ns)
            files = list(index.get(series, ()))
        else:
            files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "DICOMDIR")
    except OSError as error:
        raise InputError(f"{name}: the folder cannot be listed") from error
    slices, other = [], 0
    for path in files:
        dicom_slice = _read_slice(path, name)
        if dicom_slice is None:
            other += 1
        else:
            slices.append(dicom_slice)
    if not slices:
        what = "no longer holds the DICOM series that was found in it" if series else "holds no DICOM image of CT or MR"
        raise InputError(f"{name}: the folder {what}; give the folder of one series")
    notes = [f"{other} files of the folder are not images and were left out"] if other and not series else []
    if damaged:
        notes.append(
            f"{damaged} files of the folder have damaged headers: whether they belong to this series is unknown"
        )
    planes = [dicom_slice for dicom_slice in slices if not dicom_slice.is_localizer]
    if planes and len(planes) < len(slices):
        notes.append(f"{len(slices) - len(planes)} scout images (localizers) were left out")
    return planes or slices, notes


def _stack_up(slices: list[_Slice], name: str, notes: Iterable[str] = (), *, even: bool) -> tuple[list[_Slice], Stack]:
    """Order the slices of one series, leave out copies, and say where they lie.

    `even` asks that each slice lies where the affine says; else at least the first and the last one do.
    """
    if not slices:
        raise InputError(f"{name}: there is no DICOM image of CT or MR; give the files of one series")
    slices, copies = _drop_copies(_one_series(slices, name), name)
    first, n = slices[0], len(slices)
    check_declared(name, (*first.grid, n), None)
    noted = [*notes, *copies, *check_gaps(_places(slices), np.cross(*first.orientation), name, even=even)]
    if any(dicom_slice.claims_no_face for dicom_slice in slices):
        noted.append("the header claims that the face was removed: a claim, not a measurement")
    step_mm = (slices[-1].position_lps_mm - first.position_lps_mm) / (n - 1)
    along = first.orientation * np.reshape(first.spacing_mm, (2, 1))
    voxel_to_lps_mm = np.eye(4)
    voxel_to_lps_mm[:3] = np.stack([*along, step_mm, first.position_lps_mm], axis=1)
    paths = tuple(dicom_slice.path for dicom_slice in slices)
    return slices, Stack(paths, lps_to_ras(voxel_to_lps_mm), (*first.grid, n), first.modality, tuple(noted))


def find_stack(files: Iterable[Path], name: str) -> Stack:
    """Say which files make a stack of slices, and where it lies. Opens no pixels.

    Parameters
    ----------
    files : iterable of Path
        Files that are not images of CT or MR are passed over.
    name : str
        What messages call them.

    Raises
    ------
    InputError
        Where they are not one whole and even series; see `reid_audit.volume`.
    """
    with quiet():
        headers = [_read_slice(path, name) for path in files]
        return _stack_up([header for header in headers if header is not None], name, even=True)[1]


def read_dicom(folder: Path, *, series: str = "", name: str = "") -> Stored:
    """Read a CT or MR series of a folder (subfolders are not searched): the only one, or one by its `name_series`."""
    import SimpleITK as sitk

    name = name or folder.name
    gathered, notes = _gather(folder, name, series)
    slices, stack = _stack_up(gathered, name, notes, even=False)
    try:
        with quiet_itk():
            image = sitk.ReadImage([str(path) for path in stack.files], sitk.sitkFloat32)
    except RuntimeError as error:
        raise InputError(f"{name}: the pixels of a DICOM file are damaged; copy the series again") from error
    values = sitk.GetArrayFromImage(image)
    if values.shape != stack.shape[::-1]:
        raise InputError(f"{name}: the pixels do not have the size that the headers declare; copy the series again")
    notes = [*stack.notes, *_mend_padding(values, slices)]
    values, evened = even_out(values, _places(slices))
    voxel_to_ras_mm = stack.voxel_to_ras_mm.copy()
    voxel_to_ras_mm[:3, 2] *= (stack.shape[2] - 1) / (len(values) - 1)
    notes += evened
    return Stored(values.T, voxel_to_ras_mm, modality=stack.modality, notes=tuple(notes))


def _mend_padding(values: NDArray[np.float32], slices: list[_Slice]) -> list[str]:
    """Set what the headers call padding to air, in place; `values` is (slice, row, column)."""
    padded = np.zeros(values.shape, bool)
    for k, dicom_slice in enumerate(slices):
        if dicom_slice.padding is not None:
            padded[k] = (values[k] >= np.float32(dicom_slice.padding[0])) & (
                values[k] <= np.float32(dicom_slice.padding[1])
            )
    n = int(np.count_nonzero(padded))
    if n == 0 or n == values.size:
        return []
    values[padded] = PADDING_HU if slices[0].modality is Modality.CT else values[~padded].min()
    return [f"padding set to air ({n / values.size:.1%} of the voxels, as the header declares it)"]
