"""DeepFace and onnxruntime, kept to themselves: importing them, and loading models for one CPU thread, offline.

DeepFace is imported late and with the process's warnings, environment and standard output restored afterwards. Its top
module, which makes folders, is not imported at all; its downloaders are replaced by a look at the verified file while a
model is built; its process-wide model caches are not used, so that two homes in one process never mix. onnxruntime is
kept from reporting to its maker.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from reid_audit.records import EngineError, ReidAuditError, WeightsError

STAND_IN_PRODUCER = "reid-audit stand-in"
"""Producer name in the ONNX files that tests write in place of the real models."""

_PROBE_PX = 256  # a multiple of every stride of RetinaFace, and small
_RETINAFACE_CHANNELS = (4, 8, 20) * 3  # class, box, landmarks of two anchors, for strides 32, 16, 8
_LOCK = threading.RLock()
_ENVIRONMENT = {
    "DEEPFACE_BACKEND_ENGINE": "onnx",  # cached at the first import of deepface and of retinaface
    "DEEPFACE_ONNX_PROVIDERS": "cpu",  # read whenever a session is built
    "DEEPFACE_LOG_LEVEL": "40",  # their loggers print to stdout
    "RETINAFACE_LOG_LEVEL": "40",
    # From 1.29 on onnxruntime writes a device id and sends events to its maker unless this is set when it is imported;
    # that is decided once for the life of the process (microsoft/onnxruntime pull request 27379).
    "ORT_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One row of the table below: side of the square input, length of the vector."""

    size_px: int
    dimension: int


RECOGNISERS: Mapping[str, Recogniser] = MappingProxyType(
    {
        "Facenet512": Recogniser(size_px=160, dimension=512),
        "ArcFace": Recogniser(size_px=112, dimension=512),
    }
)
"""DeepFace models on offer; each name is also that of its file in `reid_audit.weights.MODEL_FILES`."""


# --- keeping deepface to itself ---


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Undo what importing deepface, or building a model with it, does to the process."""
    with _LOCK, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        before = dict(os.environ)
        os.environ.update(_ENVIRONMENT)
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@dataclass(frozen=True, slots=True)
class Engine:
    """The modules of deepface, retinaface and onnxruntime that are used."""

    detection: Any
    modeling: Any
    preprocessing: Any
    region: Any
    downloads: Any
    retinaface: Any
    retinaface_graph: Any
    retinaface_downloads: Any
    onnxruntime: Any
    versions: Mapping[str, str]


@cache
def load_engine() -> Engine:
    """Import what is used of deepface, once per process.

    Raises
    ------
    EngineError
        If a package is missing, or deepface already runs on another engine than ONNX in this process.
    """
    with _contained():
        try:
            import cv2
            import deepface
            import onnxruntime
            import retinaface
            from deepface.commons import backend_utils, weight_utils
            from deepface.models.Detector import FacialAreaRegion
            from deepface.modules import detection, modeling, preprocessing
            from retinaface import RetinaFace
            from retinaface.commons import backend_utils as retinaface_backend_utils
            from retinaface.commons import weight_utils as retinaface_weight_utils
            from retinaface.model import retinaface_onnx_model
        except ImportError as error:
            raise EngineError(
                f"DeepFace cannot be imported ({error}): pip install deepface retina-face onnxruntime"
            ) from error
        onnxruntime.disable_telemetry_events()  # Windows, and where onnxruntime had been imported before
        for package in (backend_utils, retinaface_backend_utils):
            if (chosen := package.get_backend_engine()) != "onnx":
                raise EngineError(
                    f"{package.__name__.split('.')[0]} already runs on {chosen} in this process, set "
                    "DEEPFACE_BACKEND_ENGINE=onnx before it is imported"
                )
    return Engine(
        detection=detection,
        modeling=modeling,
        preprocessing=preprocessing,
        region=FacialAreaRegion,
        downloads=weight_utils,
        retinaface=RetinaFace,
        retinaface_graph=retinaface_onnx_model,
        retinaface_downloads=retinaface_weight_utils,
        onnxruntime=onnxruntime,
        versions={
            "deepface": deepface.__version__,
            "retina-face": retinaface.__version__,
            "onnxruntime": onnxruntime.__version__,
            "opencv": cv2.__version__,
        },
    )


def _one_thread(engine: Engine) -> Callable[[], Any]:
    original = engine.onnxruntime.SessionOptions

    def options() -> Any:
        made = original()
        made.intra_op_num_threads = made.inter_op_num_threads = 1
        return made

    return options


def _build(build: Callable[[Engine], Any], path: Path) -> Any:
    """Let deepface build a model from one verified file, on one CPU thread and without a network."""
    engine = load_engine()

    def local_only(file_name: str, *_: object, **__: object) -> str:
        if file_name != path.name:
            raise WeightsError(f"DeepFace asked for {file_name} while {path.name} was loaded")
        return str(path)

    with (
        _contained(),
        _replaced(engine.downloads, "download_weights_if_necessary", local_only),
        _replaced(engine.retinaface_downloads, "download_weights_if_necessary", local_only),
        _replaced(engine.onnxruntime, "SessionOptions", _one_thread(engine)),
        _replaced(engine.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]),
    ):
        try:
            return build(engine)
        except ReidAuditError:
            raise
        except (ImportError, MemoryError) as error:
            raise EngineError(f"{path.name} cannot be loaded: {type(error).__name__}: {error}") from error
        except Exception as error:  # onnxruntime's errors share no other base
            cause = error.__cause__ or error
            raise WeightsError(
                f"{path.name} cannot be loaded as a model ({type(cause).__name__}): it is damaged or another kind of "
                "file; put the published one in its place"
            ) from error


# The digest is a part of the key of both caches, so that a file that changed is loaded again.


@lru_cache(maxsize=8)
def load_recogniser(name: str, path: Path, sha256: str) -> Any:
    """Load a model of `RECOGNISERS` (its ``forward`` takes (1, s, s, 3) float32) and try it on a grey picture.

    Raises
    ------
    WeightsError
        If the file is no model, or takes pictures or gives vectors of another size than the named one.
    """
    model = _build(lambda engine: engine.modeling.get_model_class("facial_recognition", name)(), path)
    expected = RECOGNISERS[name]
    grey = np.full((1, expected.size_px, expected.size_px, 3), 0.5, dtype=np.float32)
    try:
        shape = np.shape(model.forward(grey))
    except Exception as error:
        raise WeightsError(
            f"{path.name} is not {name}: it does not take pictures of {expected.size_px} px ({type(error).__name__})"
        ) from error
    if shape != (expected.dimension,):
        raise WeightsError(
            f"{path.name} is not {name}: it gives vectors of shape {shape} instead of ({expected.dimension},)"
        )
    return model


@lru_cache(maxsize=2)
def load_retinaface(path: Path, sha256: str) -> Any:
    """Load RetinaFace (called with (1, h, w, 3) float32, it gives nine arrays) and try it on a black picture.

    Raises
    ------
    WeightsError
        If the file is no model or another one.
    """
    model = _build(lambda engine: engine.retinaface_graph.build_model(), path)
    try:
        outputs = model(np.zeros((1, _PROBE_PX, _PROBE_PX, 3), dtype=np.float32))
    except Exception as error:
        raise WeightsError(
            f"{path.name} is not RetinaFace: it takes no RGB picture ({type(error).__name__})"
        ) from error
    if tuple(output.shape[-1] for output in outputs) != _RETINAFACE_CHANNELS:
        raise WeightsError(f"{path.name} is not RetinaFace: its outputs are {[output.shape for output in outputs]}")
    return model


def is_stand_in(session: Any) -> bool:
    """Whether a session runs a file that was made for tests."""
    return bool(session.get_modelmeta().producer_name == STAND_IN_PRODUCER)
