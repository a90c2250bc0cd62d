"""The two halves of an encoder, a detector and an embedder, and how a portrait becomes a face with them.

Words
-----
detection
    A place in a picture that may be a face: box, landmarks, score. A detector finds any number of them.
sure
    A detection whose score is at least the detector's ``sure_score``. One below it is used all the same when nothing
    better is there, because an attacker would use it too, and the face is then called ``low_confidence``.
second face
    A sure detection besides the kept one that is *plausible*: its score is at least half the best score, its box is at
    least half as wide as the kept one, and its middle lies outside the kept box. Anything less is a false alarm of the
    detector and is left out without a word.
kept
    Of the plausible detections the one that is largest and nearest the middle of the picture: the greatest (width of
    the box minus distance of its middle from the middle of the picture).
"""

import hashlib
import logging
import math
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import EngineError, Face, InputError, Portrait, Status

SECOND_FACE_SCORE = 0.5
"""A second face has at least this share of the best score ..."""
SECOND_FACE_WIDTH = 0.5
"""... and at least this share of the kept face's width."""
_logger = logging.getLogger(__name__)

REMEMBERED = 16
"""Portraits whose detections a `SharedDetector` remembers: one scan from every side, and its defaced partners."""


# "/a/b/c.onnx", "~/b/c.onnx", "C:\\b\\c.onnx": all up to the last separator, where a word begins.
_FOLDERS = re.compile(r"(?<![^\s'\"(=:])(?:[A-Za-z]:|~|\.{1,2})?[/\\]+(?:[^\s'\"/\\]+[/\\]+)*")


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A place in a picture that may be a face.

    Attributes
    ----------
    box_px : (left, top, right, bottom)
        May reach beyond the picture.
    landmarks_px : (l, 2) float64
        Column, row; which points they are is told by ``layout``.
    eyes_px : (2, 2) float64 or None
        Column, row of the person's left and right eye (the left one lies on the right of a frontal picture).
    score : float
        On the scale of the detector that made it; larger = surer.
    layout : str
        ``"dlib-5"``: outer and inner corner of the left eye, of the right eye, base of the nose.
        ``"retinaface-5"``: right eye, left eye, tip of the nose, right and left corner of the mouth.
        ``"eyes-2"``: right eye, left eye. ``"none"``: no landmarks.
    """

    box_px: tuple[float, float, float, float]
    landmarks_px: NDArray[np.float64]
    eyes_px: NDArray[np.float64] | None
    score: float
    layout: str

    @property
    def width_px(self) -> float:
        """Width of the box."""
        return self.box_px[2] - self.box_px[0]

    @property
    def centre_px(self) -> tuple[float, float]:
        """Middle of the box (column, row)."""
        left, top, right, bottom = self.box_px
        return (left + right) / 2, (top + bottom) / 2

    def holds(self, point_px: tuple[float, float]) -> bool:
        """Whether a point lies in the box."""
        left, top, right, bottom = self.box_px
        return left <= point_px[0] <= right and top <= point_px[1] <= bottom


class Detector(Protocol):
    """Finds faces.

    Contract: `detect` returns every candidate above the detector's floor, in any order, and an empty sequence only
    when it looked and saw none; whatever goes wrong is raised. The same portrait gives the same detections.
    ``layout`` is that of the detections with the most landmarks; see `Detection`.
    """

    name: str
    layout: str
    sure_score: float
    identity: Mapping[str, str]
    stand_in: bool

    def detect(self, portrait: Portrait) -> Sequence[Detection]:
        """Candidates in one portrait."""


class Embedder(Protocol):
    """Turns a portrait and a place in it into a vector.

    Contract: `embed` uses nothing but the pixels and the detection, which may come from another portrait of the same
    size. It returns ``dimension`` finite numbers, not all zero and not normalised, or raises.
    """

    name: str
    dimension: int
    identity: Mapping[str, str]
    stand_in: bool

    def embed(self, portrait: Portrait, detection: Detection) -> NDArray[np.float32]:
        """Vector of the face at that place."""


def choose_face(
    detections: Sequence[Detection], *, size_px: tuple[int, int], sure_score: float
) -> tuple[Detection, tuple[Detection, ...]]:
    """Which detection is the face, and which others are faces too.

    Parameters
    ----------
    detections : sequence of Detection
        At least one.
    size_px : (height, width)
        Of the picture.
    sure_score : float

    Returns
    -------
    kept : Detection
        Without a sure one: the one with the best score.
    others : tuple of Detection
        Second faces, surest first, by the rule at the top of this module.
    """
    best = max(detections, key=lambda face: face.score)
    plausible = [face for face in detections if face.score >= max(sure_score, SECOND_FACE_SCORE * best.score)]
    if not plausible:
        return best, ()
    middle = np.array(size_px[::-1]) / 2
    kept = max(plausible, key=lambda face: face.width_px - float(np.linalg.norm(face.centre_px - middle)))
    others = [
        face
        for face in plausible
        if not kept.holds(face.centre_px) and face.width_px >= SECOND_FACE_WIDTH * kept.width_px
    ]
    return kept, tuple(sorted(others, key=lambda face: -face.score))


class SharedDetector:
    """A detector that looks once at a portrait, however many encoders ask it.

    It remembers the detections of the last few portraits by the digest of their pixels, and no picture.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._remembered: OrderedDict[bytes, tuple[Detection, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self.name, self.layout, self.sure_score = detector.name, detector.layout, detector.sure_score
        self.identity, self.stand_in = detector.identity, detector.stand_in

    def detect(self, portrait: Portrait) -> tuple[Detection, ...]:
        """Candidates in one portrait. An error is raised and not remembered."""
        pixels = np.ascontiguousarray(portrait.pixels)
        key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        with self._lock:  # held while looking, so that a second thread waits for the first one's answer
            if key not in self._remembered:
                self._remembered[key] = tuple(self._detector.detect(portrait))
            self._remembered.move_to_end(key)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
            return self._remembered[key]


def _unit(vector: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    if vector.shape != (dimension,):
        raise EngineError(f"the recogniser gave a vector of shape {vector.shape} instead of ({dimension},)")
    wide = vector.astype(np.float64)
    length = float(np.linalg.norm(wide))
    if not (np.isfinite(length) and length > 0):
        raise EngineError(f"the recogniser gave a vector of length {length}")
    unit: NDArray[np.float32] = (wide / length).astype(np.float32)
    return unit


def _one_line(error: Exception) -> str:
    """Type and message without line breaks and folders, for a report."""
    message = " ".join(str(error).split()).replace(os.path.expanduser("~"), "~")
    return f"{type(error).__name__}: {_FOLDERS.sub('', message)}"[:200]


@dataclass(frozen=True, slots=True)
class FaceEncoder:
    """An encoder made of one detector and one embedder; fulfils `reid_audit.face.Encoder`."""

    name: str
    finder: Detector
    embedder: Embedder
    notice: str = ""
    recipe: str = ""
    """What `reid_audit.face.make_encoder` takes to make it again in another process; empty = its name."""
    device: str = "cpu"

    @property
    def detector(self) -> str:
        """Name of the detector."""
        return self.finder.name

    @property
    def identity(self) -> Mapping[str, str]:
        """Everything that changes a vector."""
        stand_in = self.finder.stand_in or self.embedder.stand_in
        return {
            "encoder": self.name,
            "detector": self.detector,
            "choice of face": f"second face from {SECOND_FACE_SCORE} of the score and {SECOND_FACE_WIDTH} of the width",
            **self.finder.identity,
            **self.embedder.identity,
            "stand_in": str(stand_in).lower(),
            **({} if self.device == "cpu" else {"device": self.device}),
        }

    def encode(self, portrait: Portrait) -> Face:
        """Find the face in a portrait and turn it into a unit vector; see `reid_audit.face.Encoder`."""
        pixels = portrait.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise InputError(f"a portrait must be (h, w, 3) uint8 RGB and not empty, got {pixels.shape} {pixels.dtype}")
        try:
            detections = self.finder.detect(portrait)
        except Exception as error:  # noqa: BLE001 - whatever a foreign engine raises is this scan's status
            return self._broken("detector", error)
        if not detections:
            return Face(Status.NO_FACE, self.name, reason=f"{self.detector} found no face")
        sure_score = self.finder.sure_score
        kept, others = choose_face(detections, size_px=pixels.shape[:2], sure_score=sure_score)
        status, reason = Status.OK, ""
        if others:
            rest = ", ".join(f"{other.score:.2f}" for other in others)
            status = Status.MANY_FACES
            reason = f"{1 + len(others)} faces; the largest near the middle was kept, not the other scored {rest}"
        elif kept.score < sure_score:
            status = Status.LOW_CONFIDENCE
            reason = f"{self.detector} scored the face {kept.score:.2f}, below {sure_score:.2f}"
        face = Face(
            status,
            self.name,
            box_px=kept.box_px,
            landmarks_px=kept.landmarks_px if len(kept.landmarks_px) else None,
            eyes_px=kept.eyes_px,
            layout=kept.layout,
            confidence=kept.score,
            reason=reason,
        )
        return self._embed([portrait], kept, face)[0]

    def encode_at(self, portrait: Portrait, place: Face) -> Face:
        """Turn what is at a given place of a portrait into a unit vector; see `reid_audit.face.Encoder`."""
        return self.encode_all_at([portrait], place)[0]

    def encode_all_at(self, portraits: Sequence[Portrait], place: Face) -> list[Face]:
        """Turn what is at one place of several portraits into unit vectors, in batches where the network takes them."""
        if place.box_px is None:
            return [Face(Status.NO_FACE, self.name, reason="the attacker knows no place to look at")] * len(portraits)
        landmarks = np.empty((0, 2)) if place.landmarks_px is None else place.landmarks_px
        there = Detection(place.box_px, landmarks, place.eyes_px, math.nan, place.layout)
        face = replace(place, status=Status.OK, encoder=self.name, vector=None, confidence=math.nan, reason="")
        return self._embed(portraits, there, face)

    def _embed(self, portraits: Sequence[Portrait], place: Detection, face: Face) -> list[Face]:
        """Give each portrait's face at a place its vector; what breaks costs that face alone."""
        embed_all = getattr(self.embedder, "embed_all", None)
        if embed_all is not None and len(portraits) > 1:
            try:
                vectors = embed_all([(portrait, place) for portrait in portraits])
                return [replace(face, vector=_unit(vector, self.embedder.dimension)) for vector in vectors]
            except Exception as error:  # noqa: BLE001 - one by one it is told whose face it was
                _logger.info("a batch of %d faces broke (%s); they are done one by one", len(portraits), error)
        faces = []
        for portrait in portraits:
            try:
                vector = _unit(self.embedder.embed(portrait, place), self.embedder.dimension)
                faces.append(replace(face, vector=vector))
            except Exception as error:  # noqa: BLE001 - whatever a foreign engine raises is this scan's status
                faces.append(self._broken("recogniser", error))
        return faces

    def _broken(self, part: str, error: Exception) -> Face:
        return Face(Status.BACKEND_ERROR, self.name, reason=f"the {part} broke: {_one_line(error)}")
