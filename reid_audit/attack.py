"""Attackers: what somebody who holds a defaced scan may do before the recogniser looks at it.

Words
-----
naive
    Detector and recogniser on the frontal portrait, as the literature judges defacers.
aligned
    The recogniser looks where the face was in the *original*, whether or not the detector finds one in the defaced
    scan. Same grid, same camera. An upper bound on careful cropping by hand: the place carries a little of the
    original's geometry.
registered
    The recogniser looks where a face is *on average*: box and landmarks are the means over other people's originals,
    on a portrait whose camera was placed by what is left of the defaced head (its top and sides). Nothing of the
    original is used; what `aligned` finds beyond it is that leak.

Originals stay as they are under every attacker: it is the release that is attacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reid_audit.records import ORIGINAL, Face, FaceRecord, InputError, Status

ATTACKS = ("naive", "aligned", "registered")
"""Names of the attackers, the weakest first."""


def check_attacks(names: Iterable[str]) -> tuple[str, ...]:
    """Return the attackers without repetition, naive among them.

    Raises
    ------
    InputError
        Where a name is not one of `ATTACKS`.
    """
    asked = tuple(dict.fromkeys(names))
    for name in asked:
        if name not in ATTACKS:
            raise InputError(f"--attack: there is no attacker {name!r}; choose from {', '.join(ATTACKS)}")
    return tuple(name for name in ATTACKS if name == "naive" or name in asked)


def average_places(records: Sequence[FaceRecord]) -> Mapping[str, Face]:
    """Return for each subject where a face is on average among the originals of the others.

    Parameters
    ----------
    records : sequence of FaceRecord
        Of originals, by one detector, each through the camera of its own `reid_audit.render.find_frontal_view`.

    Returns
    -------
    mapping of str to Face
        Subject to a face with box and landmarks and no vector. A subject is left out where no other one was acquired.
    """
    placed = [r for r in records if r.scan.condition == ORIGINAL and r.face.acquired and r.face.box_px is not None]
    layouts = [r.face.layout for r in placed]
    if not layouts:
        return {}
    layout = max(sorted(set(layouts)), key=layouts.count)
    placed = [r for r in placed if r.face.layout == layout]
    found = {}
    for subject in sorted({record.scan.subject for record in records}):
        others = [record.face for record in placed if record.scan.subject != subject]
        if others:
            found[subject] = _average(others, layout)
    return found


def _average(faces: Sequence[Face], layout: str) -> Face:
    left, top, right, bottom = np.mean([face.box_px for face in faces if face.box_px is not None], axis=0)
    landmarks = [face.landmarks_px for face in faces if face.landmarks_px is not None]
    eyes = [face.eyes_px for face in faces if face.eyes_px is not None]
    return Face(
        Status.NO_FACE,
        faces[0].encoder,
        box_px=(float(left), float(top), float(right), float(bottom)),
        landmarks_px=np.mean(landmarks, axis=0) if landmarks else None,
        eyes_px=np.mean(eyes, axis=0) if eyes else None,
        layout=layout,
        reason="an average place",
    )


def faces_of_attack(records: Iterable[FaceRecord], attack: str) -> list[FaceRecord]:
    """Return the records with each defaced face as the attacker got it; originals as they are.

    A defaced scan that never became a portrait keeps its status under every attacker.
    """
    from dataclasses import replace

    return [replace(record, face=record.attacks.get(attack, record.face)) for record in records]
