"""Portraits become faces: a detector finds the face, an embedder turns it into a unit vector.

Words
-----
encoder
    A detector and an embedder together, with fixed settings. Vectors of different encoders are never compared.
identity
    Everything that changes a vector: digests of the model files, versions of the packages, detector, chip rule.
    Two encoders with the same identity give the same vector for the same portrait, up to 1e-5 between machines.
stand-in
    A model file made for tests, whose vectors say nothing about people. An encoder that uses one says so.

Portraits are RGB. That DeepFace wants BGR is a secret of this folder, and nothing outside it imports deepface or dlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Protocol

from reid_audit import weights
from reid_audit.face._engine import RECOGNISERS
from reid_audit.face._parts import Detector, Embedder, FaceEncoder
from reid_audit.records import Face, InputError, Portrait

DETECTORS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"dlib": ("dlib",), **dict.fromkeys(RECOGNISERS, ("retinaface", "dlib"))}
)
"""Encoders by their canonical names, each with the detectors that it can be combined with; the first is its own."""


class Encoder(Protocol):
    """Turns portraits into faces.

    Contract
    --------
    - `encode` never raises for what it sees: no face, many faces and a broken engine are statuses of the `Face`.
      ``no_face`` means that the detector ran and found none; whatever else went wrong is ``backend_error``.
    - ``ok``, ``low_confidence`` and ``many_faces`` carry a unit float32 vector of a fixed length; no other status does.
    - The same portrait gives the same face, in any order and in any process; the portrait is not changed.
    - Threads may share it. It holds no picture and writes nothing.
    """

    @property
    def name(self) -> str:
        """Canonical spelling, e.g. ``"dlib"``."""

    @property
    def detector(self) -> str:
        """Name of the detector."""

    @property
    def notice(self) -> str:
        """One sentence on a fallback or a stand-in that the user must know of; empty if there is none."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Everything that changes a vector."""

    def encode_at(self, portrait: Portrait, place: Face) -> Face:
        """Face at a given box and landmarks, those of another portrait; the detector is not asked."""

    def encode(self, portrait: Portrait) -> Face:
        """Face in a portrait, (h, w, 3) uint8 RGB; any other array is an `InputError`."""


def _canonical(name: str, known: Iterable[str], kind: str) -> str:
    choices = tuple(dict.fromkeys(known))
    for spelling in choices:
        if spelling.lower() == name.lower():
            return spelling
    raise InputError(f"no {kind} is called {name!r}; known: {', '.join(choices)}")


def _files_of(name: str, detector: str) -> tuple[str, ...]:
    """Model files of an encoder, by their names in `reid_audit.weights.MODEL_FILES`."""
    found_with = ("dlib-landmarks",) if detector == "dlib" else ("RetinaFace",)
    return (*found_with, "dlib-recogniser" if name == "dlib" else name)


def _choose_encoder(detector: str) -> tuple[str, str]:
    """Best encoder whose model files are there, and a sentence if it is not the best there is."""
    absent = weights.missing(_files_of("Facenet512", detector))
    # Where RetinaFace is asked for by name, dlib's own faces would not be what was asked for.
    if not absent or detector == "retinaface":
        return "Facenet512", ""
    names = " and ".join(record.file_name for record in absent)
    return "dlib", f"Faces are recognised with dlib, because Facenet512 lacks {names}."


def make_detector(name: str) -> Detector:
    """Load a detector, ``"dlib"`` or ``"retinaface"``; see `make_encoder` for what is raised."""
    name = _canonical(name, chain(*DETECTORS_OF.values()), "detector")
    if name == "dlib":
        from reid_audit.face._dlib import DlibDetector

        return DlibDetector()
    from reid_audit.face._deepface import RetinaFaceDetector

    return RetinaFaceDetector()


def make_embedder(name: str) -> Embedder:
    """Load an embedder, a key of `DETECTORS_OF`; see `make_encoder` for what is raised."""
    name = _canonical(name, DETECTORS_OF, "encoder")
    if name == "dlib":
        from reid_audit.face._dlib import DlibEmbedder

        return DlibEmbedder()
    from reid_audit.face._deepface import DeepFaceEmbedder

    return DeepFaceEmbedder(name)


def make_encoder(name: str = "auto", *, detector: str = "auto") -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    name : str
        ``"auto"`` or a key of `DETECTORS_OF`, in any case. ``"auto"`` is Facenet512 where its model files are in the
        weights home and dlib, whose files come with this package's dependencies, elsewhere; the notice says so.
    detector : str
        ``"auto"`` is the encoder's own: RetinaFace for the DeepFace models, dlib for dlib.

    Returns
    -------
    Encoder
        Ready to encode: every file was read and checked.

    Raises
    ------
    InputError
        If a name is not known or the two cannot be combined.
    WeightsError
        If a model file is missing, damaged or another model's. Nothing is downloaded.
    EngineError
        If a package cannot be imported.
    """
    name = _canonical(name, ("auto", *DETECTORS_OF), "encoder")
    detector = _canonical(detector, ("auto", *chain(*DETECTORS_OF.values())), "detector")
    notice = ""
    if name == "auto":
        name, notice = _choose_encoder(detector)
    offered = DETECTORS_OF[name]
    if detector == "auto":
        detector = offered[0]
    if detector not in offered:
        raise InputError(f"{name} cannot be combined with the detector {detector}; it takes {', '.join(offered)}")
    weights.require(_files_of(name, detector))  # all of them, before any is read
    finder, embedder = make_detector(detector), make_embedder(name)
    if stand_ins := [part.name for part in (finder, embedder) if part.stand_in]:
        notice = f"STAND-IN: the files of {' and '.join(stand_ins)} were made for tests; no number means anything."
    return FaceEncoder(name, finder, embedder, notice)
