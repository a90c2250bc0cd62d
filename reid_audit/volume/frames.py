"""What a DICOM file is an image of, and where each of its frames lies: asked by the tree and by the pixel reader alike.

Words
-----
frame
    One plane of pixels. A plain file holds one; enhanced and legacy-converted ones hold many, or one, and keep what
    belongs to a frame in functional groups: shared by all, and of each.
stack
    Frames of one series that lie at different places. A series may hold several over each other: acquisitions, echoes,
    time points; each is a stack of its own.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Modality
from reid_audit.volume.header import claims_no_face, is_localizer, read_header

IMAGE_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130")
)
"""SOP classes of CT, MR and PET images: plain, enhanced, and legacy-converted."""

MODALITIES = {"CT": Modality.CT, "MR": Modality.MR, "PT": Modality.PET}
"""What DICOM calls the modalities that are judged."""

FRAME_TAGS = (
    *("SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber", "AcquisitionNumber", "EchoNumbers"),
    *("TemporalPositionIdentifier", "StackID", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PixelRepresentation", "PixelSpacing", "ImagePositionPatient"),
    *("ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence", "RecognizableVisualFeatures"),
)
"""What `list_frames` reads; a header must have been read with these."""

NO_PLACES = "multi-frame DICOM; convert it to NIfTI first, e.g. with dcm2niix"
"""Why frames of which nobody knows where they lie are no scan."""

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_TELLING = {
    "acquisition": ("FrameAcquisitionNumber", "AcquisitionNumber"),
    "echo": ("EffectiveEchoTime", "EchoNumbers"),
    "stack": ("StackID",),
    "time": ("TemporalPositionIndex", "TemporalPositionIdentifier"),
    "type": ("FrameType", "ImageType"),
}
"""What tells stacks of one series apart, in the order in which it is tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One plane of a scan, as its header tells.

    Attributes
    ----------
    path : Path
    index, count : int
        Which frame of the file, from 0, and how many it has.
    series : str
        Series instance UID.
    series_number : str
        ``"without number"`` where there is none.
    modality : Modality
    grid : (2,) tuple of int
        Columns and rows.
    spacing_mm : (2,) tuple of float
        From column to column and from row to row.
    orientation : (2, 3) float64
    position_lps_mm : (3,) float64
    slope, intercept : float
    padding : (float, float) or None
        Range of the rescaled values that were never measured.
    claims_no_face, is_localizer : bool
    telling : mapping of str to str
        What tells its stack from others of the series.
    """

    path: Path
    index: int
    count: int
    series: str
    series_number: str
    modality: Modality
    grid: tuple[int, int]
    spacing_mm: tuple[float, float]
    orientation: NDArray[np.float64]
    position_lps_mm: NDArray[np.float64]
    slope: float
    intercept: float
    padding: tuple[float, float] | None
    claims_no_face: bool
    is_localizer: bool
    telling: Mapping[str, str]

    @property
    def place(self) -> tuple[float, ...]:
        """Where it lies, to a hundredth of a mm."""
        return tuple(np.round(self.position_lps_mm, 2) + 0.0)


def is_scan_image(header: Any) -> bool:
    """Whether a file holds frames of a scan. One that calls itself an image counts even where a field is lost.

    To leave such a file out would lose a slice unseen. A secondary capture is one where it says where it lies.
    """
    sop_class = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
    if sop_class in IMAGE_CLASSES:
        return True
    placed = header.get("Rows") is not None and header.get("ImagePositionPatient") is not None
    return placed and header.get("Modality") in MODALITIES


def _flatten(group: Any) -> dict[str, Any]:
    """Give the elements of a functional group by their keywords, whichever macro holds them."""
    return {
        element.keyword: element.value
        for macro in group
        if macro.VR == "SQ" and macro.value
        for element in macro.value[0]
        if element.VR != "SQ" and element.value is not None
    }


def _values_of_frames(path: Path, header: Any) -> list[Mapping[str, Any]]:
    """Return for each frame what is said of it, from the functional groups where there are any."""
    count = int(header.get("NumberOfFrames") or 1)
    top = {element.keyword: element.value for element in header if element.VR != "SQ" and element.value is not None}
    grouped = count > 1 or header.get("ImagePositionPatient") is None
    groups = read_header(path, _GROUPS) if grouped else None
    if groups is not None:
        shared, of_frames = (list(groups.get(keyword) or []) for keyword in _GROUPS)
        top |= _flatten(shared[0]) if shared else {}
        if len(of_frames) == count:
            return [top | _flatten(group) for group in of_frames]
    return [top for _ in range(count)]


def list_frames(path: Path, header: Any) -> list[Frame]:
    """Return the frames of a file that `is_scan_image`.

    Parameters
    ----------
    path : Path
    header : pydicom.Dataset
        Read with `FRAME_TAGS`.

    Raises
    ------
    InputError
        Several frames of which it is not said where each lies, or pixels that are no plain numbers.
    Exception
        One of `reid_audit.volume.header.damaged_header_errors`: a field is lost or damaged.
    """
    values = _values_of_frames(path, header)
    frames = [_frame(path, k, len(values), each, header) for k, each in enumerate(values)]
    if len(frames) > 1 and len({frame.place for frame in frames}) == 1:
        raise InputError(NO_PLACES)
    if int(values[0]["SamplesPerPixel"]) != 1 or values[0]["PhotometricInterpretation"] != "MONOCHROME2":
        raise InputError("colour or inverted DICOM images; one real number per voxel is needed")
    return frames


def _frame(path: Path, index: int, count: int, values: Mapping[str, Any], header: Any) -> Frame:
    row_mm, column_mm = (float(x) for x in values["PixelSpacing"])
    slope, intercept = float(values.get("RescaleSlope", 1) or 1), float(values.get("RescaleIntercept", 0) or 0)
    frame = Frame(
        path=path,
        index=index,
        count=count,
        series=str(values.get("SeriesInstanceUID")),
        series_number=str(values.get("SeriesNumber") or "without number"),
        modality=MODALITIES[values["Modality"]],
        grid=(int(values["Columns"]), int(values["Rows"])),
        spacing_mm=(column_mm, row_mm),
        orientation=np.array([float(x) for x in values["ImageOrientationPatient"]]).reshape(2, 3),
        position_lps_mm=np.array([float(x) for x in values["ImagePositionPatient"]]).reshape(3),
        slope=slope,
        intercept=intercept,
        padding=_padding_range(values, slope, intercept),
        claims_no_face=claims_no_face(header),
        is_localizer=is_localizer(header),
        telling=dict(_tell(values)),
    )
    if not (np.isfinite(frame.orientation).all() and np.isfinite(frame.position_lps_mm).all()):
        raise ValueError("a position or orientation that is not finite")
    return frame


def _padding_range(values: Mapping[str, Any], slope: float, intercept: float) -> tuple[float, float] | None:
    if values.get("PixelPaddingValue") is None:
        return None
    value = float(values["PixelPaddingValue"])
    ends = [end * slope + intercept for end in (value, float(values.get("PixelPaddingRangeLimit", value)))]
    return min(ends), max(ends)


def _tell(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, keywords in _TELLING.items():
        value = next((values[keyword] for keyword in keywords if values.get(keyword) is not None), None)
        if value is not None:
            words = [value] if isinstance(value, str | int | float) else value
            yield name, "-".join(str(word) for word in words)


def _is_one_stack(frames: Sequence[Frame]) -> bool:
    turned = {tuple(np.round(frame.orientation.ravel(), 2) + 0.0) for frame in frames}
    return len(turned) == 1 and len({frame.place for frame in frames}) == len(frames)


def split_stacks(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    """Part the frames of one series into stacks in which no place occurs twice.

    Returns
    -------
    dict
        Name -> frames, e.g. ``"acquisition-2"``; ``""`` and all of them where they are one stack, or where nothing in
        the headers tells which frame belongs to which.
    """
    if _is_one_stack(frames):
        return {"": list(frames)}
    most = max(Counter(frame.place for frame in frames).values())
    for name in _TELLING:
        stacks: dict[Hashable, list[Frame]] = {}
        for frame in frames:
            stacks.setdefault(frame.telling.get(name, ""), []).append(frame)
        # One acquisition number per slice tells nothing: as many stacks as images at one place, or a few more.
        if 1 < len(stacks) <= most + 2 and all(_is_one_stack(stack) for stack in stacks.values()):
            return {f"{name}-{value}": stacks[value] for value in stacks}
    return {"": list(frames)}
