"""The models that run on onnxruntime, and loading them from verified files.

A file may carry the right name and be another model. So every model is tried on an empty picture before it is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.face._device import check_started, list_providers
from reid_audit.face._engine import Engine, build, contained, damaged, load_runtime
from reid_audit.records import EngineError, WeightsError

STAND_IN_PRODUCER = "reid-audit stand-in"
"""Producer name in the ONNX files that tests write in place of the real models."""

_PROBE_PX = 256  # a multiple of every stride of RetinaFace, and small
_RETINAFACE_CHANNELS = (4, 8, 20) * 3  # class, box, landmarks of two anchors, for strides 32, 16, 8


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One row of the table below: sides of the input in px, length of the vector."""

    width_px: int
    height_px: int
    dimension: int


def _square(side_px: int, dimension: int) -> Recogniser:
    return Recogniser(side_px, side_px, dimension)


RECOGNISERS: Mapping[str, Recogniser] = MappingProxyType(
    {
        "Facenet512": _square(160, 512),
        "ArcFace": _square(112, 512),
        "Facenet": _square(160, 128),
        "VGG-Face": _square(224, 4096),
        "SFace": _square(112, 128),
        "OpenFace": _square(96, 128),
        "DeepFace": _square(152, 4096),
        "DeepID": Recogniser(47, 55, 160),
        "GhostFaceNet": _square(112, 512),
        "Buffalo_L": _square(112, 512),
    }
)
"""DeepFace models on offer; each name is also that of its file in `reid_audit.weights.MODEL_FILES`."""


# Digest and device are parts of the key of all caches, so that a file that changed is loaded again. The device is that
# in use (`device_in_use`).


@lru_cache(maxsize=8)
def load_session(path: Path, sha256: str, device: str) -> Any:
    """Load an ONNX graph for one CPU thread, or for the GPU.

    Raises
    ------
    WeightsError
        If the file is no graph.
    """
    runtime = load_runtime()
    with contained():
        try:
            session = runtime.onnxruntime.InferenceSession(
                str(path), sess_options=runtime.options(), providers=list_providers()
            )
        except MemoryError as error:
            raise EngineError(f"{path.name} cannot be loaded: there is not enough memory") from error
        except Exception as error:  # onnxruntime's errors share no other base
            raise damaged(path.name, error) from error
    check_started(session)
    return session


class _BuffaloL:
    """Buffalo_L without the package insightface, which only scales and reorders the pixels for the same graph."""

    def __init__(self, session: Any) -> None:
        self.model = session
        self._input = session.get_inputs()[0].name

    def forward(self, chip: NDArray[np.float32]) -> NDArray[np.float32]:
        # insightface/model_zoo/arcface_onnx.py: RGB, channels first, (x - 127.5) / 127.5 of pixels from 0 to 255.
        rgb = (chip[..., ::-1] * 255 - 127.5) / 127.5
        blob = np.ascontiguousarray(rgb.transpose(0, 3, 1, 2), dtype=np.float32)
        vector: NDArray[np.float32] = self.model.run(None, {self._input: blob})[0][0]
        return vector


def _maker(name: str) -> Callable[[Engine], Any]:
    return lambda engine: engine.modeling.get_model_class("facial_recognition", name)()


@lru_cache(maxsize=16)
def load_recogniser(name: str, path: Path, sha256: str, device: str) -> Any:
    """Load a model of `RECOGNISERS` (its ``forward`` takes (1, h, w, 3) float32) and try it on a grey picture.

    Raises
    ------
    WeightsError
        If the file is no model, or takes pictures or gives vectors of another size than the named one.
    """
    model = _BuffaloL(load_session(path, sha256, device)) if name == "Buffalo_L" else build(_maker(name), path)
    check_started(model.model)
    expected = RECOGNISERS[name]
    grey = np.full((1, expected.height_px, expected.width_px, 3), 0.5, dtype=np.float32)
    try:
        shape = np.shape(model.forward(grey))
    except Exception as error:
        raise WeightsError(
            f"{path.name} is not {name}: it does not take pictures of {expected.width_px} x {expected.height_px} px "
            f"({type(error).__name__})"
        ) from error
    if shape != (expected.dimension,):
        raise WeightsError(
            f"{path.name} is not {name}: it gives vectors of shape {shape} instead of ({expected.dimension},)"
        )
    return model


@lru_cache(maxsize=2)
def load_retinaface(path: Path, sha256: str, device: str) -> Any:
    """Load RetinaFace (called with (1, h, w, 3) float32, it gives nine arrays) and try it on a black picture.

    Raises
    ------
    WeightsError
        If the file is no model or another one.
    """
    model = build(lambda engine: engine.retinaface_graph.build_model(), path)
    check_started(model.session)
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
