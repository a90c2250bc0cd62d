"""Where an attacker looks who does not ask a detector: on average, or where somebody else's face was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from reid_audit.records import ORIGINAL, Face, FaceRecord, ScanRef, Status, natural_key


def _placed(records: Iterable[FaceRecord]) -> list[FaceRecord]:
    """Originals whose face has a place, all with the landmarks that most of them have."""
    placed = [r for r in records if r.scan.condition == ORIGINAL and r.face.acquired and r.face.box_px is not None]
    layouts = [r.face.layout for r in placed]
    if not layouts:
        return []
    layout = max(sorted(set(layouts)), key=layouts.count)
    return [r for r in placed if r.face.layout == layout]


def average_places(records: Sequence[FaceRecord]) -> Mapping[str, Face]:
    """Return for each subject where a face is on average among the originals of the others.

    Parameters
    ----------
    records : sequence of FaceRecord
        Of originals, by one detector, each through the camera of its own `reid_audit.render.find_frontal_view`.

    Returns
    -------
    mapping of str to Face
        Subject to a face with box and landmarks and no vector. Its confidence is the detector's score that 19 of 20 of
        these originals reach: below it the detector is less sure of a scan than it is of faces. A subject is left out
        where no other one was acquired.
    """
    placed = _placed(records)
    found = {}
    for subject in sorted({record.scan.subject for record in records}):
        others = [record.face for record in placed if record.scan.subject != subject]
        if others:
            found[subject] = _average(others)
    return found


def _average(faces: Sequence[Face]) -> Face:
    left, top, right, bottom = np.mean([face.box_px for face in faces if face.box_px is not None], axis=0)
    landmarks = [face.landmarks_px for face in faces if face.landmarks_px is not None]
    eyes = [face.eyes_px for face in faces if face.eyes_px is not None]
    scores = [face.confidence for face in faces if not math.isnan(face.confidence)]
    return Face(
        Status.NO_FACE,
        faces[0].encoder,
        box_px=(float(left), float(top), float(right), float(bottom)),
        landmarks_px=np.mean(landmarks, axis=0) if landmarks else None,
        eyes_px=np.mean(eyes, axis=0) if eyes else None,
        layout=faces[0].layout,
        confidence=float(np.quantile(scores, 0.05)) if scores else math.nan,
        reason="an average place",
    )


def choose_crossings(scans: Iterable[ScanRef], originals: Iterable[FaceRecord]) -> Mapping[str, FaceRecord]:
    """Choose for each scan whose landmarks are laid on its portrait: the next person's.

    Parameters
    ----------
    scans : iterable of ScanRef
        What is to be crossed.
    originals : iterable of FaceRecord

    Returns
    -------
    mapping of str to FaceRecord
        By the key of the scan: the next subject's original in natural order, round the end; of the same session where
        there is one, else of the first. Scans of the only person who was acquired are left out.
    """
    owners: dict[str, dict[str, FaceRecord]] = {}
    for record in sorted(_placed(originals), key=lambda r: natural_key(r.scan.session)):
        owners.setdefault(record.scan.subject, {})[record.scan.session] = record
    order = sorted(owners, key=natural_key)
    found = {}
    for scan in scans:
        later = [name for name in order if natural_key(name) > natural_key(scan.subject)]
        others = [name for name in (*later, *order) if name != scan.subject]
        if others:
            visits = owners[others[0]]
            found[scan.key] = visits.get(scan.session) or next(iter(visits.values()))
    return found


def faces_of_attack(records: Iterable[FaceRecord], attack: str) -> list[FaceRecord]:
    """Return the records with each defaced face as the attacker got it; originals as they are.

    A defaced scan that never became a portrait keeps its status under every attacker.
    """
    return [replace(record, face=record.attacks.get(attack, record.face)) for record in records]
