"""Photographs as references: the attack that starts from a picture of a known person (Schwarz 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reid_audit.attack import PHOTOS, average_views
from reid_audit.audit.scan import encoders_of
from reid_audit.audit.settings import Settings
from reid_audit.dataset import Cohort
from reid_audit.match import compare
from reid_audit.records import (
    ORIGINAL,
    Check,
    Decision,
    EngineError,
    Face,
    FaceRecord,
    Group,
    InputError,
    Portrait,
    ScanRef,
    ScoreTable,
    Status,
    View,
    natural_key,
)

_LONGEST_PX = 1024
_SESSION = "photographs"
_PROBE = "original, looked up in photographs"


def read_photo(path: Path) -> Portrait:
    """Read a photograph as a portrait: RGB, upright by its EXIF tag, at most 1,024 pixels long.

    Raises
    ------
    InputError
        Where the file is not an image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        # Not the name of the file, which may be a person's.
        raise InputError(f"a photograph cannot be read: {type(error).__name__}") from error
    upright.thumbnail((_LONGEST_PX, _LONGEST_PX))
    pixels = np.array(upright, dtype=np.uint8)
    return Portrait(pixels, View(size_px=max(pixels.shape[:2])), np.full((3, 4), np.nan), "photograph")


def examine_photo(photo: ScanRef, settings: Sequence[Settings]) -> tuple[FaceRecord, ...]:
    """Find the face in one photograph with each recogniser; what goes wrong is its status.

    The record does not keep the file's name, which may be a person's.
    """
    encoders = encoders_of(settings)
    nameless = replace(photo, path=Path(f"photograph {photo.session}"))
    try:
        portrait = read_photo(photo.path)
    except InputError as error:
        return tuple(FaceRecord(nameless, Face(Status.UNREADABLE, e.name, reason=str(error))) for e in encoders)
    except EngineError as error:
        return tuple(FaceRecord(nameless, Face(Status.BACKEND_ERROR, e.name, reason=str(error))) for e in encoders)
    return tuple(FaceRecord(nameless, encoder.encode(portrait)) for encoder in encoders)


def _references(photos: Sequence[FaceRecord]) -> list[FaceRecord]:
    """One reference per person: the mean of the vectors of all photographs."""
    found = []
    for subject in sorted({photo.scan.subject for photo in photos}, key=natural_key):
        mine = [photo for photo in photos if photo.scan.subject == subject]
        mine.sort(key=lambda photo: not photo.face.acquired)
        scan = ScanRef(subject, _SESSION, ORIGINAL, Path())
        found += average_views([FaceRecord(scan, mine[0].face, views=tuple(photo.face for photo in mine[1:]))])
    return found


def compare_photos(records: Sequence[FaceRecord], photos: Sequence[FaceRecord]) -> ScoreTable:
    """Compare every scan, original and defaced, with the photographs.

    Returns
    -------
    ScoreTable
        Attack ``"photos"``. ``same`` and ``different`` are originals against photographs: a control and thresholds of
        the attack's own.
    """
    probes = [
        replace(record, scan=replace(record.scan, condition=_PROBE)) if record.scan.condition == ORIGINAL else record
        for record in records
    ]
    frame = compare([*probes, *_references(photos)], attack=PHOTOS).frame
    frame = frame[frame["group"].isin([Group.DEFACED_SAME.value, Group.DEFACED_DIFFERENT.value])]
    of_original = frame["condition"] == _PROBE
    own = frame["group"] == Group.DEFACED_SAME.value
    group = frame["group"].astype(object)
    group[of_original & own], group[of_original & ~own] = Group.SAME.value, Group.DIFFERENT.value
    condition = frame["condition"].astype(object).where(~of_original, ORIGINAL)
    frame = frame.assign(group=group.astype(frame["group"].dtype), condition=condition.astype("category"))
    return ScoreTable(frame)


def check_photos(cohort: Cohort, photos: Sequence[FaceRecord]) -> list[Check]:
    """Return what keeps the photographs from speaking for everybody."""
    shown = {photo.scan.subject for photo in photos if photo.face.acquired}
    checks = []
    lacking = [subject for subject in cohort.subjects if subject not in shown]
    if lacking:
        text = (
            f"{PHOTOS}: {len(lacking)} of {len(cohort.subjects)} people have no photograph with a face and were not "
            "looked for in the gallery."
        )
        checks.append(Check("photos_coverage", Decision.REVIEW, text, len(lacking), len(lacking), 0, PHOTOS))
    broken = [photo for photo in photos if photo.face.status is Status.BACKEND_ERROR]
    if broken:
        text = f"{PHOTOS}: {len(broken)} of {len(photos)} photographs made the recogniser fail."
        checks.append(Check("broken_attack", Decision.INCOMPLETE, text, attack=PHOTOS))
    return checks
