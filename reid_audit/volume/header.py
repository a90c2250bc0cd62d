"""The header of one DICOM file, without its pixels."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from reid_audit.records import InputError, name_series
from reid_audit.volume.stored import quiet

_DEFLATED = "1.2.840.10008.1.2.1.99"


class DeflatedError(ValueError):
    """A DICOM file whose header is packed too: nobody knows how large it is before it is unpacked."""


def damaged_header_errors() -> tuple[type[Exception], ...]:
    """Give what pydicom raises on damaged bytes, when read and when asked for; found by feeding it damaged files."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    plain = (OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
    return (*plain, struct.error, BytesLengthException, InvalidDicomError)


def read_dicom(path: Path, *, modality: str = "", what: str = "", pixels: bool = True) -> Any:
    """Read one whole DICOM file; values are decoded when they are asked for.

    Parameters
    ----------
    path : Path
    modality : str
        That the file must have, e.g. ``"RTDOSE"``; ``what`` names such a file in the message. Empty = any.
    pixels : bool

    Raises
    ------
    InputError
        There is no such file, it is no DICOM, or of another modality.
    """
    import pydicom

    try:
        with quiet():
            with path.open("rb") as stream:
                force = starts_like_dicom(stream.read(132))
            ds = pydicom.dcmread(path, stop_before_pixels=not pixels, force=force)
            stated = str(ds.get("Modality") or "none")
    except FileNotFoundError as error:
        raise InputError(f"{path.name}: there is no such file") from error
    except damaged_header_errors() as error:
        raise InputError(f"{path.name}: cannot be read as DICOM; copy it again") from error
    if modality and stated != modality:
        raise InputError(f"{path.name}: its modality is {stated}; {what} has the modality {modality}")
    return ds


def starts_like_dicom(start: bytes) -> bool:
    """Tell from its first 132 bytes whether a file is DICOM: it has the letters ``DICM`` behind the preamble.

    Old files have neither; they begin with an element of the file meta or identifying group.
    """
    if start[128:132] == b"DICM":
        return True
    group, element = struct.unpack("<HH", start[:4].ljust(4, b"\0"))
    if (group, element) not in ((2, 0), (2, 1), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16)):
        return False
    vr, length = start[4:6], int.from_bytes(start[4:8], "little")
    return (vr.isalpha() and vr.isupper()) or 0 < length < 1024  # explicit or implicit


@lru_cache(maxsize=8)
def _tags_of(keywords: tuple[str, ...]) -> list[int]:
    from pydicom.datadict import tag_for_keyword

    return [tag_for_keyword(keyword) or 0 for keyword in keywords]


def read_header(path: Path, keywords: Iterable[str]) -> Any | None:
    """Read some elements of a DICOM file; sequences too, pixels never.

    Returns
    -------
    pydicom.Dataset or None
        None where the file is not DICOM (see `starts_like_dicom`), found out without pydicom.

    Raises
    ------
    Exception
        One of `damaged_header_errors`. Values are decoded when they are asked for, and may raise then.
    """
    with path.open("rb") as stream:
        start = stream.read(132)
        if not starts_like_dicom(start):
            return None
        from pydicom.errors import InvalidDicomError
        from pydicom.filereader import read_file_meta_info, read_partial

        if start[128:] == b"DICM" and read_file_meta_info(path).get("TransferSyntaxUID") == _DEFLATED:
            raise DeflatedError("deflated DICOM is not read; write it out with another transfer syntax")
        wanted = _tags_of(tuple(keywords))
        last = max(wanted)
        stream.seek(0)
        try:
            # Tags stand in order: to stop after the last one skips a vendor's private fields, most of the time spent.
            return read_partial(stream, lambda tag, vr, length: tag > last, force=True, specific_tags=wanted)
        except InvalidDicomError:
            return None


@lru_cache(maxsize=2)  # of one folder many series are read, one after the other
def index_series(folder: Path, state: int) -> tuple[Mapping[str, Sequence[Path]], int]:
    """List the files of each DICOM series of a folder, by `name_series`, and count the damaged ones.

    `state` is the folder's time of modification in ns, so that a folder which changed is listed anew.
    """
    damaged = damaged_header_errors()
    files_by_series: dict[str, list[Path]] = {}
    lost = 0
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.name != "DICOMDIR"):
        try:
            header = read_header(path, ("SeriesInstanceUID",))
            uid = None if header is None else header.get("SeriesInstanceUID")
        except damaged:
            lost += 1
            continue
        if uid is not None:
            files_by_series.setdefault(name_series(str(uid)), []).append(path)
    return files_by_series, lost


def claims_no_face(header: Any) -> bool:
    """Whether (0012,0063), (0012,0064) or (0028,0302) says that recognizable visual features were cleaned."""
    codes = [item.get("CodeValue") for item in header.get("DeidentificationMethodCodeSequence") or ()]
    methods = header.get("DeidentificationMethod") or ""
    return (
        "113102" in codes  # DCM: Clean Recognizable Visual Features Option
        or header.get("RecognizableVisualFeatures") == "NO"
        or "face" in str(methods).lower()  # defaced, mri_reface ...
    )


def is_localizer(header: Any) -> bool:
    """Whether the image type says that this is a scout, from which other images are planned."""
    words = header.get("ImageType") or ()
    words = [words] if isinstance(words, str) else words
    return any(str(word).upper() in ("LOCALIZER", "SCOUT", "TOPOGRAM") for word in words)
