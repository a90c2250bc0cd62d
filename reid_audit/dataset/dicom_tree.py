"""A tree of DICOM files: its series, whose they are, and which of them are heads.

Everything is told from headers, nothing from names. Series of CT, MR and PET images become candidates, and so do
structure sets with a contour of the body and doses; plans and registrations are known by their Modality and listed;
scouts are known by their image type, orientations or number of slices. People get pseudonyms, visits get numbers: no
identifier, name or date leaves this module but in memory.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reid_audit.dataset.candidates import Candidate, Choice, Ledger, check_condition
from reid_audit.dataset.copies import DICOM_COPIES, ICON, THUMBNAILS, name_copy, read_allowed
from reid_audit.dataset.pseudonym import pseudonym_of
from reid_audit.dataset.walk import list_files
from reid_audit.records import ORIGINAL, InputError, Modality, name_series
from reid_audit.volume.bodies import BODY_MODALITIES, BODY_TAGS, find_body
from reid_audit.volume.frames import FRAME_TAGS, MODALITIES, Frame, is_scan_image, list_frames, split_stacks
from reid_audit.volume.header import damaged_header_errors, read_header

LEAST_SLICES = 8
"""A series of fewer slices is no head: a scout, a key image, a few planes through something."""

_KINDS = {
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
    *FRAME_TAGS,
    *_DESCRIBING,
    *("SOPInstanceUID", "StudyDate", "StudyTime", "StudyInstanceUID"),
    *("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    ICON,
)


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """What the header of one image says of whose it is, and its frames."""

    folder: Path  # of a structure set or dose the file
    modality: str
    patient: str
    person: tuple[str, str, str]  # issuer, date of birth, sex: what one person has one of
    study: tuple[str, str, str]
    series: str
    instance: str
    frames: tuple[Frame, ...]
    describing: tuple[tuple[str, str], ...]


def _text(header: Any, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _read(path: Path, ledger: Ledger, allowed: Mapping[str, str], *, released: bool) -> _File | None:
    """Read one header; None = it is no image of a scan and was set aside. Raises what damaged bytes make pydicom."""
    header = read_header(path, _KEYWORDS)
    if header is None:
        if name_copy(path) is None:
            ledger.add("file", "no DICOM file")
        else:
            ledger.add_other(path, "", "", allowed, released=released)
        return None
    modality = _text(header, "Modality").upper()
    if modality in BODY_MODALITIES:
        return _read_body(path, header, ledger)
    if modality not in MODALITIES:
        if modality in DICOM_COPIES:
            ledger.add_copy(modality, DICOM_COPIES[modality], released=released)
        else:
            ledger.add(modality or "DICOM file", _KINDS.get(modality, "no CT, MR or PET"))
        return None
    if header.get(ICON):
        ledger.add_copy(*THUMBNAILS, released=released)
    if not is_scan_image(header):
        why = "a picture made of images (secondary capture?), no image of the scanner"
        ledger.add_copy(modality, why, released=released)
        return None
    file = _describe(header, path.parent, _text(header, "SeriesInstanceUID"))
    if not (file.patient and file.study[2] and file.series):
        ledger.add(modality, "lacks a PatientID, study or series: whose it is cannot be told")
        return None
    try:
        return replace(file, frames=tuple(list_frames(path, header)))
    except InputError as error:
        ledger.add(f"{modality} file", str(error))
    except KeyError:
        ledger.add(f"{modality} image", "an image lacks its position or orientation")
    return None


def _describe(header: Any, folder: Path, series: str) -> _File:
    """Say whose a file is, its frames still unknown."""
    return _File(
        folder=folder,
        modality=_text(header, "Modality").upper(),
        patient=_text(header, "PatientID"),
        person=(_text(header, "IssuerOfPatientID"), _text(header, "PatientBirthDate"), _text(header, "PatientSex")),
        study=(_text(header, "StudyDate"), _text(header, "StudyTime"), _text(header, "StudyInstanceUID")),
        series=series,
        instance=_text(header, "SOPInstanceUID"),
        frames=(),
        describing=tuple((key, _text(header, key)) for key in _DESCRIBING if _text(header, key)),
    )


def _read_body(path: Path, header: Any, ledger: Ledger) -> _File | None:
    """Take a structure set with a contour of the body, or a dose, for an image of its study."""
    file, reason = _describe(header, path, _text(header, "SOPInstanceUID")), ""
    if not (file.patient and file.study[2] and file.instance):
        reason = "lacks a PatientID, study or instance: whose it is cannot be told"
    elif file.modality == "RTSTRUCT" and find_body(read_header(path, BODY_TAGS)) is None:
        reason = "has no contour of the body (of type EXTERNAL, or called BODY)"
    elif file.modality == "RTDOSE" and not int(header.get("NumberOfFrames") or 1) > 1:
        reason = "has fewer than two planes of a dose: no surface"
    if reason:
        ledger.add(file.modality, reason)
    return None if reason else file


def _read_files(
    paths: Sequence[Path],
    ledger: Ledger,
    allowed: Mapping[str, str],
    progress: Callable[[str, int, int], None] | None,
    *,
    released: bool,
) -> dict[str, list[_File]]:
    """Read every header once and gather the images by series."""
    damaged = damaged_header_errors()
    series: dict[str, list[_File]] = defaultdict(list)
    for done, path in enumerate(paths, 1):
        if progress is not None and (done % 100 == 0 or done == len(paths)):
            progress("headers", done, len(paths))
        if path.name == "DICOMDIR":
            ledger.add("DICOMDIR", "a table of contents")
            continue
        try:
            image = _read(path, ledger, allowed, released=released)
        except OSError as error:
            ledger.add("file", f"cannot be opened ({error.strerror})")
        except damaged:
            ledger.add("DICOM file", "its header is damaged, or packed (deflated)")
        else:
            if image is not None:
                series[image.series].append(image)
    return series


def _judge_series(files: list[_File], condition: str, salt: bytes, ledger: Ledger) -> tuple[list[Candidate], list[str]]:
    """Judge one series. Returns its stacks, and what was noticed: ``"copies"`` asks, the rest is told."""
    modality = files[0].modality
    if modality in BODY_MODALITIES:
        if len({file.folder for file in files}) > 1:
            return [], ["copies"]
        return [_make_candidate(files[0], condition, salt, Modality.CT)], []
    frames = [(image, frame) for image in files for frame in image.frames if not frame.is_localizer]
    scouts = sum(len(image.frames) for image in files) - len(frames)
    if not frames:
        ledger.add(f"{modality} series", "a scout (localizer), by its image type")
        return [], []
    if scouts:
        ledger.add(f"{modality} image", "a scout (localizer) within a series, by its image type", "", scouts)
    planes = list(dict.fromkeys(image for image, _ in frames))
    # A program that gives every slice a study of its own (a recipe of SimpleITK does) still says one date.
    if len({(image.patient, image.study[:2], image.modality) for image in planes}) > 1:
        ledger.add(f"{modality} series", "its files disagree about patient, study or modality")
        return [], []
    if len({image.folder for image in planes}) > 1:
        if len({image.instance for image in planes}) < len(planes):
            return [], ["copies"]
        ledger.add(f"{modality} series", "its slices lie in several folders; put them into one")
        return [], []
    instance_of = {frame: (image.instance, frame.index) for image, frame in frames}
    candidates, notes = [], []
    for name, stack in split_stacks(list(instance_of)).items():
        reason, repeated = _why_no_stack(stack, len({instance_of[frame] for frame in stack}))
        if reason:
            ledger.add(f"{modality} series", reason)
            continue
        if repeated:
            notes.append("duplicates")
            why = "lies where another of its series does: left out if its pixels are equal too"
            ledger.add(f"{modality} image", why, "", repeated)
        if any(frame.claims_no_face for frame in stack):
            notes.append("claims")
        first = min(planes, key=lambda image: image.study)
        candidates.append(_make_candidate(first, condition, salt, MODALITIES[modality], name))
    return candidates, notes


def _make_candidate(file: _File, condition: str, salt: bytes, modality: Modality, stack: str = "") -> Candidate:
    return Candidate(
        subject=pseudonym_of(file.patient, salt),
        session="",
        condition=condition,
        suffix=file.modality,
        modality=modality,
        path=file.folder,
        series=name_series(file.series) + (f"/{stack}" if stack else ""),
        entities={**dict(file.describing), **({"stack": stack} if stack else {})},
        study=file.study,
    )


def _why_no_stack(frames: Sequence[Frame], instances: int) -> tuple[str, int]:
    """Say why frames are no stack that is read, ``""`` where they are, and how many lie where another one does."""
    if len({tuple(np.round(frame.orientation.ravel(), 2) + 0.0) for frame in frames}) > 1:
        return "its slices lie in several orientations (a scout?)", 0
    places = {frame.place for frame in frames}
    if len(places) < LEAST_SLICES:
        return f"has fewer than {LEAST_SLICES} slices: a scout or a key image", 0
    repeated = len(frames) - len(places)
    if repeated > len(places) // 2 and instances > len(places):
        return "several images at each place: echoes or time points; split it", 0
    return "", repeated


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
    allowed = read_allowed(choice.allow)
    questions, counts = [], Counter[str]()
    people: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for condition, path in trees:
        others = [other for _, other in trees if other != path]
        paths = list_files(path, ledger, allow_outside=allow_outside, without=others)
        copies = 0
        for files in _read_files(paths, ledger, allowed, progress, released=condition != ORIGINAL).values():
            stacks, notes = _judge_series(files, condition, salt, ledger)
            copies += "copies" in notes
            counts.update(f"{note} {condition}" for note in notes)
            candidates += stacks
            for image in stacks:
                people[image.subject].update(file.person for file in files)
        if copies:
            questions.append(
                f"{copies} series under the condition {condition!r} are there twice, in folders of their own. Are the "
                "second ones defaced? Declare their folder with --condition NAME=PATH, or leave one of each."
            )
    if (claims := counts[f"claims {ORIGINAL}"]) and not choice.trust_originals:
        questions.append(
            f"The headers of {claims} original series claim that the face was removed: are they originals? Give the "
            "tree of the originals, and this one with --condition NAME=PATH; or take them as they are with "
            "--trust-originals."
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
    studies = {image.study[2] for image in candidates}
    if len(studies) > 1 and len({image.subject for image in candidates}) == 1:
        notes.append("every series has the same PatientID: was it overwritten when identifiers were removed?")
    return notes
