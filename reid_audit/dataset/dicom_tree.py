"""A tree of DICOM files: its series, whose they are, and which of them are heads.

Everything is told from headers, nothing from names. Series of CT and MR images become candidates; contours, dose, plans
and registrations are known by their Modality and listed; scouts are known by their image type, orientations or number
of slices. People get pseudonyms, visits get numbers: no identifier, name or date leaves this module but in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reid_audit.dataset.candidates import Candidate, Choice, Ledger, check_condition
from reid_audit.dataset.pseudonym import pseudonym_of
from reid_audit.dataset.walk import list_files
from reid_audit.records import ORIGINAL, InputError, Modality, name_series
from reid_audit.volume.header import IMAGE_CLASSES, claims_no_face, damaged_header_errors, is_localizer, read_header

LEAST_SLICES = 8
"""A series of fewer slices is no head: a scout, a key image, a few planes through something."""

_KINDS = {
    "RTSTRUCT": "contours of a radiotherapy plan",
    "RTDOSE": "dose of a radiotherapy plan",
    "RTPLAN": "radiotherapy plan",
    "RTIMAGE": "image of a radiotherapy treatment",
    "REG": "registration of other images",
    "SEG": "segmentation of other images",
    "SR": "report",
    "PR": "presentation of other images",
    "KO": "list of other images",
}

_DESCRIBING = ("SeriesNumber", "SeriesDescription", "ProtocolName", "ConvolutionKernel", "ContrastBolusAgent")
_KEYWORDS = (
    *_DESCRIBING,
    *("ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "NumberOfFrames", "Rows", "Columns"),
    *("StudyDate", "StudyTime", "StudyInstanceUID", "SeriesInstanceUID"),
    *("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("ImageOrientationPatient", "ImagePositionPatient"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence", "RecognizableVisualFeatures"),
)


@dataclass(frozen=True, slots=True)
class _File:
    """What the header of one file says."""

    folder: Path
    modality: str
    patient: str
    person: tuple[str, str, str]  # issuer, date of birth, sex: what one person has one of
    study: tuple[str, str, str]
    series: str
    instance: str
    is_image: bool
    is_multiframe: bool
    is_scout: bool
    claims_no_face: bool
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]
    describing: tuple[tuple[str, str], ...]


def _text(header: Any, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _numbers(header: Any, keyword: str) -> tuple[float, ...]:
    value = header.get(keyword)
    return () if value is None else tuple(round(float(x), 3) for x in value)


def _read(path: Path) -> _File | None:
    """Read one header; None = no DICOM. Raises what damaged bytes make pydicom raise."""
    header = read_header(path, _KEYWORDS)
    if header is None:
        return None
    sop_class = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
    return _File(
        folder=path.parent,
        modality=_text(header, "Modality").upper(),
        patient=_text(header, "PatientID"),
        person=(_text(header, "IssuerOfPatientID"), _text(header, "PatientBirthDate"), _text(header, "PatientSex")),
        study=(_text(header, "StudyDate"), _text(header, "StudyTime"), _text(header, "StudyInstanceUID")),
        series=_text(header, "SeriesInstanceUID"),
        instance=_text(header, "SOPInstanceUID"),
        is_image=sop_class in IMAGE_CLASSES,
        is_multiframe=int(header.get("NumberOfFrames") or 1) > 1,
        is_scout=is_localizer(header),
        claims_no_face=claims_no_face(header),
        orientation=_numbers(header, "ImageOrientationPatient"),
        position_mm=_numbers(header, "ImagePositionPatient"),
        describing=tuple((key, _text(header, key)) for key in _DESCRIBING if _text(header, key)),
    )


def _read_files(
    paths: Sequence[Path], ledger: Ledger, progress: Callable[[str, int, int], None] | None
) -> dict[str, list[_File]]:
    """Read every header once and gather the files by series."""
    damaged = damaged_header_errors()
    series: dict[str, list[_File]] = defaultdict(list)
    for done, path in enumerate(paths, 1):
        if progress is not None and (done % 100 == 0 or done == len(paths)):
            progress("headers", done, len(paths))
        if path.name == "DICOMDIR":
            ledger.add("DICOMDIR", "a table of contents")
            continue
        try:
            image = _read(path)
        except OSError as error:
            ledger.add("file", f"cannot be opened ({error.strerror})")
            continue
        except damaged:
            ledger.add("DICOM file", "its header is damaged, or packed (deflated)")
            continue
        if image is None:
            ledger.add("file", "no DICOM file")
        elif image.modality not in list(Modality):
            ledger.add(image.modality or "DICOM file", _KINDS.get(image.modality, "no CT or MR"))
        elif not image.is_image:
            ledger.add(image.modality, "a picture made of images (secondary capture?), no image of the scanner")
        elif not (image.patient and image.study[2] and image.series):
            ledger.add(image.modality, "lacks a PatientID, study or series: whose it is cannot be told")
        else:
            series[image.series].append(image)
    return series


def _series_to_found(
    files: list[_File], condition: str, salt: bytes, ledger: Ledger
) -> tuple[Candidate | None, str, list[str]]:
    """Judge one series. Returns the candidate, or a question about it, and notes in the form of what was noticed."""
    first, modality, notes = files[0], files[0].modality, []
    planes = [image for image in files if not image.is_scout]
    if not planes:
        ledger.add(f"{modality} series", "a scout (localizer), by its image type")
        return None, "", []
    if len(planes) < len(files):
        ledger.add(
            f"{modality} image", "a scout (localizer) within a series, by its image type", "", len(files) - len(planes)
        )
    if any(image.is_multiframe for image in planes):
        ledger.add(f"{modality} series", "multi-frame DICOM; convert it to NIfTI first, e.g. with dcm2niix")
        return None, "", []
    who = {(image.patient, image.study[2], image.modality) for image in planes}
    if len(who) > 1:
        ledger.add(f"{modality} series", "its files disagree about patient, study or modality")
        return None, "", []
    folders = Counter(image.folder for image in planes)
    if len(folders) > 1:
        if len({image.instance for image in planes}) < len(planes):
            return None, "copies", []
        ledger.add(f"{modality} series", "its slices lie in several folders; put them into one")
        return None, "", []
    if any(len(image.orientation) != 6 or len(image.position_mm) != 3 for image in planes):
        ledger.add(f"{modality} series", "an image lacks its position or orientation")
        return None, "", []
    if len({tuple(np.round(image.orientation, 2) + 0.0) for image in planes}) > 1:
        ledger.add(f"{modality} series", "its slices lie in several orientations (a scout?)")
        return None, "", []
    places = Counter(image.position_mm for image in planes)
    repeated = len(planes) - len(places)
    if len(places) < LEAST_SLICES:
        ledger.add(f"{modality} series", f"has fewer than {LEAST_SLICES} slices: a scout or a key image")
        return None, "", []
    if repeated > len(places) // 2 and len({image.instance for image in planes}) > len(places):
        ledger.add(f"{modality} series", "several images at each place: echoes or time points; split it")
        return None, "", []
    if repeated:
        notes.append("duplicates")
        ledger.add(
            f"{modality} image",
            "lies where another of its series does: left out if its pixels are equal too",
            "",
            repeated,
        )
    if any(image.claims_no_face for image in planes):
        notes.append("claims")
    candidate = Candidate(
        subject=pseudonym_of(first.patient, salt),
        session="",
        condition=condition,
        suffix=modality,
        modality=Modality(modality),
        path=first.folder,
        series=name_series(first.series),
        entities=dict(first.describing),
        study=first.study,
    )
    return candidate, "", notes


def read_dicom_tree(
    root: Path,
    choice: Choice,
    ledger: Ledger,
    *,
    salt: bytes,
    allow_outside: bool,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[Candidate], list[str], list[str]]:
    """Find the series of CT and MR images of a tree, and of the trees that were declared to be conditions.

    Parameters
    ----------
    root, choice, ledger, allow_outside
        As in `reid_audit.dataset.bids.read_bids`.
    salt : bytes
        See `pseudonym_of`.
    progress : callable, optional

    Returns
    -------
    found : list of Candidate
        Without sessions: `reid_audit.dataset.choose.number_visits` gives them.
    questions, notes : list of str

    Raises
    ------
    InputError
        Where a folder is none, or two conditions have one name or folder.
    """
    trees = [(ORIGINAL, root), *((check_condition(name), Path(path)) for name, path in choice.conditions)]
    real = [path.resolve() for _, path in trees]
    if len({name for name, _ in trees}) < len(trees) or len(set(real)) < len(trees):
        raise InputError("--condition: each condition needs a name and a folder of its own")
    candidates: list[Candidate] = []
    questions, counts = [], Counter[str]()
    people: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for condition, path in trees:
        others = [other for _, other in trees if other != path]
        paths = list_files(path, ledger, allow_outside=allow_outside, without=others)
        copies = 0
        for files in _read_files(paths, ledger, progress).values():
            image, question, notes = _series_to_found(files, condition, salt, ledger)
            copies += question == "copies"
            counts.update(f"{note} {condition}" for note in notes)
            if image is not None:
                candidates.append(image)
                people[image.subject].update(file.person for file in files)
        if copies:
            questions.append(
                f"{copies} series under the condition {condition!r} are there twice, in folders of their own. Are the "
                "second ones defaced? Declare their folder with --condition NAME=PATH, or leave one of each."
            )
    return candidates, questions + _doubt_people(people), _notes(candidates, counts, trees)


def _doubt_people(people: dict[str, set[tuple[str, str, str]]]) -> list[str]:
    """Ask about a PatientID that two people seem to share: their scans would be compared as one person's."""
    shared = [
        who
        for who, known in people.items()
        if any(len({image[k] for image in known if image[k]}) > 1 for k in range(3))
    ]
    if not shared:
        return []
    return [
        f"{len(shared)} PatientIDs come with different issuers, dates of birth or sexes (e.g. {min(shared)}): two "
        "people under one? Correct the headers, or write a manifest."
    ]


def _notes(candidates: Sequence[Candidate], counts: Counter[str], trees: Sequence[tuple[str, Path]]) -> list[str]:
    notes = []
    for condition, _ in trees:
        if counts[f"duplicates {condition}"]:
            n = counts[f"duplicates {condition}"]
            notes.append(
                f"{n} series under {condition!r} hold slices twice: one of each is taken if its pixels are equal"
            )
    if counts[f"claims {ORIGINAL}"]:
        n = counts[f"claims {ORIGINAL}"]
        notes.append(f"the headers of {n} original series claim that the face was removed: are they originals?")
    if len(candidates) > 1 and len({image.subject for image in candidates}) == 1:
        notes.append("every series has the same PatientID: was it overwritten when identifiers were removed?")
    return notes
