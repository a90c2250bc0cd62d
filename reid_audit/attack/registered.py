"""The encoder looks where a face is on average: nothing of the person's original is used but its skin level.

Box and landmarks are the means over twenty other people's originals, on a portrait whose camera was placed by what is
left of the defaced head (its top and sides). Where the detector is as sure of that portrait as of originals, its own
place is taken: the head was hardly touched. What `aligned` finds beyond it is the leak of the original's geometry.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reid_audit.attack.base import Attack, Hints, Target
from reid_audit.attack.places import placed_originals
from reid_audit.records import Face, FaceRecord, ScanRef, Status, natural_key

OTHERS = 20
"""How many other people an average place is made of: the own face's distance from the mean is then 2 % larger than with
any number of them, and 19 of 20 scores can be told."""


class Registered(Attack):
    """Lays the average box and landmarks of other people's originals on the defaced head's own frontal portrait."""

    name = "registered"
    selected_by_default = needs_others = True

    def describe(self) -> str:  # noqa: D102
        return "it looks where faces are on average, unless the detector is as sure as of originals"

    def prepare(self, originals: Sequence[FaceRecord], scans: Sequence[ScanRef]) -> Mapping[str, Hints]:  # noqa: D102
        places = average_places(originals, {scan.subject for scan in scans})
        return {scan.key: Hints(places[scan.subject]) for scan in scans if scan.subject in places}

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        place = hints.place
        if place is None:
            return ()
        # The detector is trusted where it is as sure as of an untouched face.
        face = target.encode_own_view()
        if face.acquired and face.confidence >= place.confidence:
            return (face,)
        context, skin = target.context, target.skin
        return (
            target.encode(
                lambda: context.draw(skin, context.find_view(skin)),
                lambda portrait: target.encoder.encode_at(portrait, place),
            ),
        )


def average_places(originals: Sequence[FaceRecord], subjects: set[str], *, of: int = OTHERS) -> Mapping[str, Face]:
    """Return for each subject where a face is on average among the originals of others.

    Subjects stand in a circle, in the order of the digests of their voxels, and each is told of the ``of`` that follow:
    an order that has to do with nobody's face, and in which one more person is news to ``of`` people and not to all.

    Parameters
    ----------
    originals : sequence of FaceRecord
        By one detector, each through the camera of its own `reid_audit.render.find_frontal_view`.
    subjects : set of str
    of : int
        How many others a place is the average of, or all where there are fewer.

    Returns
    -------
    mapping of str to Face
        Subject to a face with box and landmarks and no vector. Its confidence is the detector's score that 19 of 20 of
        these originals reach: below it the detector is less sure of a scan than it is of faces. A subject is left out
        where no other one was acquired.
    """
    faces: dict[str, list[Face]] = {}
    by_digest = sorted(placed_originals(originals), key=lambda r: (r.digest, natural_key(r.scan.subject)))
    for record in by_digest:
        faces.setdefault(record.scan.subject, []).append(record.face)
    circle = list(faces)
    place_of = {subject: place for place, subject in enumerate(circle)}
    places = {}
    for subject in sorted(subjects):
        at = place_of.get(subject, -1)
        followers = (circle[(at + step) % len(circle)] for step in range(1, min(of, len(circle) - (at >= 0)) + 1))
        if others := [face for follower in followers for face in faces[follower]]:
            places[subject] = _average(others)
    return places


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
