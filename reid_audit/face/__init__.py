"""Turn portraits into faces: a detector finds the face, an embedder turns it into a unit vector.

Words
-----
encoder
    A detector and an embedder together, with fixed settings. Vectors of different encoders are never compared.
identity
    Everything that changes a vector: digests of the model files, versions of the packages, detector, chip rule.
    Two encoders with the same identity give the same vector for the same portrait, up to 1e-5 between machines.
stand-in
    A model file made for tests, whose vectors say nothing about people. An encoder that uses one says so.

Portraits are RGB; DeepFace gets BGR in this folder alone, and nothing outside it imports deepface or dlib.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from reid_audit import weights
from reid_audit.face._detectors import KINDS, check_package
from reid_audit.face._device import DEVICES, choose_device, on_device
from reid_audit.face._engine import load_runtime
from reid_audit.face._models import RECOGNISERS
from reid_audit.face._onnx import PREFIX, OnnxEmbedder, find_model, read_handover
from reid_audit.face._parts import Detector, Embedder, FaceEncoder, SharedDetector
from reid_audit.face.distances import cosine_distances
from reid_audit.records import EngineError, Face, InputError, Portrait, WeightsError

STAGE_VERSION = 2
"""Raise when the same portrait gives another face with the same model files; kept faces are then made anew."""

DETECTORS: tuple[str, ...] = ("retinaface", "dlib", *KINDS)
"""Detectors by their canonical names."""

DETECTORS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"dlib": ("dlib",), **dict.fromkeys(RECOGNISERS, DETECTORS)}
)
"""Encoders by their canonical names, each with the detectors that it can be combined with.

dlib's network takes dlib's own chip, which needs dlib's landmarks. A recogniser from a file (``"onnx:FILE"``) takes
every detector that tells the eyes of each face: `DETECTORS_OF_ONNX`.
"""

DETECTORS_OF_ONNX: tuple[str, ...] = ("retinaface", "dlib", *(name for name in KINDS if KINDS[name].layout != "none"))


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
    def recipe(self) -> str:
        """What `make_encoder` takes as ``name`` to make it again in another process. May hold a path: no report."""

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


def _read_name(name: str, *, auto: bool = False) -> str:
    """Canonical spelling of an encoder; a file keeps its own."""
    if name[: len(PREFIX)].lower() == PREFIX:
        if not name[len(PREFIX) :]:
            raise InputError("onnx: needs a file, e.g. onnx:model.onnx")
        return PREFIX + name[len(PREFIX) :]
    try:
        return _canonical(name, (*(("auto",) if auto else ()), *DETECTORS_OF), "encoder")
    except InputError as error:
        raise InputError(f"{error}, {PREFIX}FILE") from None


def name_encoder(recipe: str) -> str:
    """Name of the encoder that a recipe makes, for reports: without the folders of a file.

    >>> name_encoder("onnx:/models/mine.onnx"), name_encoder("arcface")
    ('onnx:mine.onnx', 'ArcFace')
    """
    name = _read_name(recipe)
    return PREFIX + Path(name.removeprefix(PREFIX)).name if name.startswith(PREFIX) else name


def _offered(name: str) -> tuple[str, ...]:
    return DETECTORS_OF_ONNX if name.startswith(PREFIX) else DETECTORS_OF[name]


def _files_of_detector(detector: str) -> tuple[str, ...]:
    return {"dlib": ("dlib-landmarks",), "retinaface": ("RetinaFace",)}.get(detector) or KINDS[detector].files


def _files_of_recogniser(name: str) -> tuple[str, ...]:
    return () if name.startswith(PREFIX) else ("dlib-recogniser" if name == "dlib" else name,)


def _files_of(name: str, detector: str) -> tuple[str, ...]:
    """Model files of an encoder, by their names in `reid_audit.weights.MODEL_FILES`."""
    return (*_files_of_detector(detector), *_files_of_recogniser(name))


def _choose_encoder(detector: str) -> tuple[str, str]:
    """Best encoder whose model files are there, and a sentence if it is not the best there is."""
    absent = weights.missing(_files_of("Facenet512", "retinaface" if detector == "auto" else detector))
    # dlib's own faces would not be what was asked for, where another detector was.
    if not absent or detector not in ("auto", "dlib"):
        return "Facenet512", ""
    names = " and ".join(record.file_name for record in absent)
    return "dlib", f"Faces are recognised with dlib, as Facenet512's files are not here. It lacks {names}."


def _choose_detector(name: str) -> tuple[str, str]:
    """RetinaFace where it can be used and its file is there, else dlib, and a sentence if it is not the best."""
    if "retinaface" not in _offered(name):
        return "dlib", ""
    absent = weights.missing(("RetinaFace",))
    if not absent:
        return "retinaface", ""
    return "dlib", f"Faces are found with dlib instead of RetinaFace, because {absent[0].file_name} is not there."


@contextmanager
def _digests_told(files: Mapping[str, Path]) -> Iterator[None]:
    """Add to a WeightsError which file was refused: a name says little, its SHA-256 says all."""
    try:
        yield
    except WeightsError as error:
        there = {name: path for name, path in files.items() if name in str(error) and path.is_file()}
        told = "; ".join(f"SHA-256 of the refused {name}: {weights.sha256_of(path)}" for name, path in there.items())
        if not told:
            raise
        raise WeightsError(f"{error}; {told}") from error


def _paths_of(names: Iterable[str]) -> dict[str, Path]:
    files = [weights.find_weights(name) for name in names if not weights.missing((name,))]
    return {path.name: path for path in files}


def make_detector(name: str) -> Detector:
    """Load a detector, one of `DETECTORS`; see `make_encoder` for what is raised."""
    name = _canonical(name, DETECTORS, "detector")
    with _digests_told(_paths_of(_files_of_detector(name))):
        if name == "dlib":
            from reid_audit.face._dlib import DlibDetector

            return DlibDetector()
        if name == "retinaface":
            from reid_audit.face._deepface import RetinaFaceDetector

            return RetinaFaceDetector()
        from reid_audit.face._detectors import make_kind

        return make_kind(name)


def make_embedder(name: str, *, layout: str = "retinaface-5") -> Embedder:
    """Load an embedder, a key of `DETECTORS_OF` or ``"onnx:FILE"``; see `make_encoder` for what is raised.

    ``layout`` is that of the detector whose detections it will get, as far as its identity tells it.
    """
    name = _read_name(name)
    if name.startswith(PREFIX):
        path = find_model(Path(name.removeprefix(PREFIX)))
        with _digests_told({path.name: path}):
            return OnnxEmbedder(path, layout=layout)
    with _digests_told(_paths_of(_files_of_recogniser(name))):
        if name == "dlib":
            from reid_audit.face._dlib import DlibEmbedder

            return DlibEmbedder()
        from reid_audit.face._deepface import DeepFaceEmbedder

        return DeepFaceEmbedder(name)


def _resolve(name: str, detector: str) -> tuple[str, str, str]:
    """Names of encoder and detector without ``"auto"``, and what the user must know of the choice.

    Whatever can be told missing without reading a file is told here.
    """
    name = _read_name(name, auto=True)
    detector = _canonical(detector, ("auto", *DETECTORS), "detector")
    notices = []
    if name == "auto":
        name, notice = _choose_encoder(detector)
        notices.append(notice)
        if detector == "auto":
            detector = "retinaface" if name == "Facenet512" else "dlib"
    if detector == "auto":
        detector, notice = _choose_detector(name)
        notices.append(notice)
    if detector not in (offered := _offered(name)):
        raise InputError(f"{name} cannot be combined with the detector {detector}; it takes {', '.join(offered)}")
    if detector in KINDS:
        check_package(detector)
    weights.require(_files_of(name, detector))  # all of them, before any is read
    if name.startswith(PREFIX):
        name = f"{PREFIX}{find_model(Path(name.removeprefix(PREFIX)))}"
        read_handover(Path(name.removeprefix(PREFIX)))
    return name, detector, " ".join(notice for notice in notices if notice)


def _assemble(name: str, finder: Detector, notice: str, device: str) -> FaceEncoder:
    embedder = make_embedder(name, layout=finder.layout)
    stand_ins = [part.name for part in (finder, embedder) if part.stand_in]
    if stand_ins:
        made_up = f"STAND-IN: the files of {' and '.join(stand_ins)} were made for tests; no number means anything."
        notice = f"{made_up} {notice}".strip()
    return FaceEncoder(embedder.name, finder, embedder, notice, name, device)


def _settle_device(asked: str, *parts: str) -> str:
    """Return the device of an encoder: onnxruntime is asked only where one of its parts runs on it."""
    runs_graphs = asked != "cpu" and any(part in RECOGNISERS or part.startswith((PREFIX, "retina")) for part in parts)
    return choose_device(asked, load_runtime().onnxruntime.get_available_providers() if runs_graphs else ())


def make_encoder(
    name: str = "auto", *, detector: str = "auto", device: str = "cpu", detectors: dict[str, Detector] | None = None
) -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    name : str
        ``"auto"``, a key of `DETECTORS_OF` in any case, or ``"onnx:FILE"``: an ONNX recogniser of the user's own, with
        its settings in a TOML file beside it (see `reid_audit.face._onnx`). ``"auto"`` is Facenet512 where its model
        files are in the weights home and dlib, whose files come with this package's dependencies, elsewhere.
    detector : str
        One of `DETECTORS`, or ``"auto"``: RetinaFace where its file is there and dlib elsewhere; always dlib for the
        encoder dlib. A fallback is told by the notice.
    device : str
        One of `DEVICES`: where recognisers and RetinaFace run. ``"auto"`` is CUDA where onnxruntime offers it and it
        starts; where it does not, the notice says why. Everything else runs on the CPU.
    detectors : dict of str to Detector, optional
        Detectors that several encoders share, by name: it begins empty and is filled. Each then looks for the face in
        a portrait once for all of them.

    Returns
    -------
    Encoder
        Ready to encode: every file was read and checked.

    Raises
    ------
    InputError
        If a name is not known, the two cannot be combined, or the settings of an ONNX file cannot be used.
    WeightsError
        If a model file is missing, damaged or another model's. Nothing is downloaded.
    EngineError
        If a package cannot be imported.
    """
    name, detector, notice = _resolve(name, detector)
    settled = _settle_device(device, name, detector)
    try:
        return _make_on(settled, name, detector, notice, detectors)
    except EngineError as error:
        if device != "auto" or settled == "cpu":
            raise
        return _make_on("cpu", name, detector, f"{notice} --device auto: the CPU is used. {error}".strip(), detectors)


def _make_on(device: str, name: str, detector: str, notice: str, detectors: dict[str, Detector] | None) -> FaceEncoder:
    with on_device(device):
        if detectors is None:
            finder = make_detector(detector)
        else:
            if detector not in detectors:
                detectors[detector] = SharedDetector(make_detector(detector))
            finder = detectors[detector]
        return _assemble(name, finder, notice, device)


def encode_all_at(encoder: Encoder, portraits: Sequence[Portrait], place: Face) -> list[Face]:
    """Encode what is at one place of several portraits: in batches where the encoder can, else one by one.

    Parameters
    ----------
    encoder : Encoder
        With a method ``encode_all_at(portraits, place)`` it is asked for all at once.
    portraits : sequence of Portrait
    place : Face
        As for `Encoder.encode_at`.

    Returns
    -------
    list of Face
        One per portrait; vectors within 1e-5 of those one by one.
    """
    batched = getattr(encoder, "encode_all_at", None)
    return batched(portraits, place) if batched else [encoder.encode_at(portrait, place) for portrait in portraits]


def encode_face(portrait: Portrait, encoder: str = "auto", *, detector: str = "auto") -> Face:
    """Encode the face of one portrait; who encodes many keeps the encoder of `make_encoder`.

    Parameters
    ----------
    portrait : Portrait
    encoder, detector : str
        As `make_encoder` takes them.

    Returns
    -------
    Face
        No face, or several, is a status of it and no error.

    Raises
    ------
    InputError, WeightsError, EngineError
        As `make_encoder`.
    """
    return make_encoder(encoder, detector=detector).encode(portrait)


def check_encoders(names: Iterable[str] = ("auto",), *, detector: str = "auto", device: str = "cpu") -> None:
    """Raise what `make_encoder` would raise for names, files and packages that are not there; loads and reads nothing.

    For a command that would otherwise do other work first: it takes milliseconds.

    Parameters
    ----------
    names : iterable of str
    detector, device : str

    Raises
    ------
    InputError, WeightsError, EngineError
        As `make_encoder`, but for files that are there and wrong.
    """
    for name in names:
        named, of_faces, _ = _resolve(name, detector)
        if device != "auto":  # what is asked for by name must be there
            _settle_device(device, named, of_faces)


__all__ = [
    "DETECTORS",
    "DETECTORS_OF",
    "DETECTORS_OF_ONNX",
    "DEVICES",
    "STAGE_VERSION",
    "Detector",
    "Encoder",
    "check_encoders",
    "cosine_distances",
    "encode_all_at",
    "encode_face",
    "make_detector",
    "make_embedder",
    "make_encoder",
    "name_encoder",
]
