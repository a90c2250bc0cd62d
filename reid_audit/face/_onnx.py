"""A recogniser from the user's own ONNX file, on a face laid onto the ArcFace template.

The graph takes one picture and gives one vector. How the picture is handed over is told by a small TOML file beside
it, ``model.onnx.toml`` or ``model.toml``; without one, as ArcFace's makers do it. All keys with their defaults::

    size = 112          # side of the square picture, px
    channels = "rgb"    # or "bgr"
    layout = "nchw"     # or "nhwc": the graph's axes
    scale = 1.0         # what the network sees is (pixel * scale - mean) / std, pixels from 0 to 255;
    mean = 127.5        # one number, or three in the order of the channels
    std = 127.5
    flip = false        # true: the sum of the vectors of the picture and of its mirror image

Every setting and the digest of the file are a part of the encoder's identity.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from reid_audit import weights
from reid_audit.face._align import describe_fit, fit_template
from reid_audit.face._device import device_in_use
from reid_audit.face._engine import load_runtime
from reid_audit.face._models import is_stand_in, load_session
from reid_audit.face._parts import Detection
from reid_audit.records import EngineError, InputError, Portrait, WeightsError

PREFIX = "onnx:"
"""How the name of such an encoder begins; the path of its file follows."""

BATCH = 16
"""Pictures that a graph gets at once, where several wait."""


def _three(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,) * 3


_Number = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Handover(BaseModel):
    """How a picture is handed to a network; see the top of this module for the formula and the defaults."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    size: Annotated[int, Field(ge=16, le=1024)] = 112
    channels: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    scale: _Positive = 1.0
    mean: Annotated[tuple[_Number, _Number, _Number], BeforeValidator(_three)] = (127.5, 127.5, 127.5)
    std: Annotated[tuple[_Positive, _Positive, _Positive], BeforeValidator(_three)] = (127.5, 127.5, 127.5)
    flip: bool = False


def read_handover(model: Path) -> tuple[Handover, str]:
    """Read how a model wants its pictures from the TOML file beside it.

    Parameters
    ----------
    model : Path
        The ONNX file, e.g. ``model.onnx``; the TOML file is ``model.onnx.toml`` or ``model.toml``.

    Returns
    -------
    handover : Handover
    name : str
        Of the TOML file, without folders; empty if there is none.

    Raises
    ------
    InputError
        If both files are there, or one cannot be read, or a key is unknown or its value is out of its range.
    """
    beside = [path for path in (model.with_name(model.name + ".toml"), model.with_suffix(".toml")) if path.is_file()]
    if not beside:
        return Handover(), ""
    if len(beside) > 1:
        raise InputError(f"{' and '.join(path.name for path in beside)} both describe {model.name}: remove one")
    (path,) = beside
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} is no readable TOML file: {error}") from error
    try:
        return Handover.model_validate(table), path.name
    except ValidationError as error:
        first = error.errors()[0]
        key, known = str(first["loc"][0]), ", ".join(Handover.model_fields)
        if first["type"] == "extra_forbidden":
            raise InputError(f"{path.name}: no key is called {key!r}; known: {known}") from error
        raise InputError(f"{path.name}: {key}: {first['msg']}, got {table[key]!r}") from error


def find_model(path: Path) -> Path:
    """Locate an ONNX file: as given, or by its name in the weights home.

    Raises
    ------
    WeightsError
        If it is in neither place.
    """
    for place in (path.expanduser(), weights.weights_home() / path.name):
        if place.is_file():
            return place.absolute()  # not resolved: the TOML file may lie beside a link
    raise WeightsError(
        f"{path.name} not found: give the path of the file as onnx:FILE, or put it into the weights home with "
        f"reid-audit weights import {path.name}"
    )


class OnnxEmbedder:
    """A recogniser from a file, on the face laid onto the ArcFace template."""

    def __init__(self, path: Path, *, layout: str) -> None:
        """Load a model for the detections of one landmark layout.

        Raises
        ------
        WeightsError
            If the file is missing or no graph that fits its settings.
        InputError
            If the settings cannot be used, or the layout has too few landmarks.
        """
        self.path = find_model(path)
        self.name = PREFIX + self.path.name
        described = describe_fit(layout)
        self.handover, settings = read_handover(self.path)
        sha256 = weights.sha256_of(self.path)
        self._session = load_session(self.path, sha256, device_in_use())
        self._settings = settings or "the settings of plain ArcFace, as there is no TOML file beside it"
        self.stand_in = is_stand_in(self._session)
        self._check_input()
        self.dimension = self._try()
        self.identity: Mapping[str, str] = {
            "chip": f"{self.handover.size} px, similarity to the ArcFace template by {described}, bilinear",
            **{f"handover {key}": str(value) for key, value in self.handover},
            "handover from": settings or "defaults (plain ArcFace)",
            f"sha256 of {self.name}": sha256,
            **load_runtime().versions,
        }

    def _refuse(self, what: str) -> WeightsError:
        return WeightsError(f"{self.path.name} {what} ({self._settings})")

    def _check_input(self) -> None:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._refuse(f"takes {len(inputs)} inputs instead of one picture")
        if inputs[0].type != "tensor(float)":
            raise self._refuse(f"takes {inputs[0].type} instead of tensor(float)")
        size, shape = self.handover.size, inputs[0].shape
        wanted = (1, 3, size, size) if self.handover.layout == "nchw" else (1, size, size, 3)
        self._takes_one = not shape or isinstance(shape[0], int)
        if len(shape) != 4:
            raise self._refuse(f"takes arrays of shape {shape} instead of pictures {wanted}")
        # A dimension that may vary is a name or None.
        pairs = zip(shape, wanted, ("batch", "layout", "size", "size"), strict=True)
        for got, want, key in pairs:
            if isinstance(got, int) and got > 0 and got != want:
                key = "layout" if 3 in (got, want) else key
                raise self._refuse(f"takes pictures of shape {shape} instead of {wanted}: mend {key}")

    def _try(self) -> int:
        """Length of the vector of a grey picture."""
        grey = np.full((self.handover.size, self.handover.size, 3), 128, dtype=np.uint8)
        try:
            (vector,) = self._run([grey])
        except Exception as error:
            cause = type(error).__name__
            raise self._refuse(f"does not take pictures of {self.handover.size} px: mend size ({cause})") from error
        if vector.ndim != 1 or len(vector) < 2:
            raise self._refuse(f"gives an array of shape {vector.shape} instead of one vector")
        return len(vector)

    def _run(self, chips: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Output of the network for each chip: in one batch, or one by one where the graph takes single pictures."""
        how = self.handover
        mean, std = np.array([how.mean, how.std], dtype=np.float32)
        pictures = np.stack([chip[:, :, ::-1] if how.channels == "bgr" else chip for chip in chips])
        pictures = (pictures.astype(np.float32) * np.float32(how.scale) - mean) / std
        batch = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2) if how.layout == "nchw" else pictures)
        parts = np.split(batch, len(batch)) if self._takes_one else [batch]
        name = self._session.get_inputs()[0].name
        outputs = [np.asarray(self._session.run(None, {name: part})[0]) for part in parts]
        return [
            vector
            for part, output in zip(parts, outputs, strict=True)
            for vector in (output if output.ndim == 2 and len(output) == len(part) else [output])
        ]

    def chip(self, portrait: Portrait, detection: Detection) -> NDArray[np.uint8]:
        """Cut out what the network sees before the settings apply: (size, size, 3) uint8 RGB, black outside."""
        import cv2

        matrix = fit_template(detection, size_px=self.handover.size)
        size = (self.handover.size, self.handover.size)
        chip: NDArray[np.uint8] = cv2.warpAffine(np.ascontiguousarray(portrait.pixels), matrix, size)
        if not chip.any():
            raise EngineError("the landmarks lie outside the picture")
        return chip

    def embed(self, portrait: Portrait, detection: Detection) -> NDArray[np.float32]:
        """Output of the network for the chip; with ``flip``, plus that for its mirror image."""
        return self.embed_all([(portrait, detection)])[0]

    def embed_all(self, faces: Sequence[tuple[Portrait, Detection]]) -> list[NDArray[np.float32]]:
        """Output for each of several faces, `BATCH` pictures at a time; within 1e-5 of that one by one."""
        chips = [self.chip(*face) for face in faces]
        starts = range(0, len(chips), BATCH)
        vectors = [vector for at in starts for vector in self._run(chips[at : at + BATCH])]
        if not self.handover.flip:
            return vectors
        mirrored = (v for at in starts for v in self._run([chip[:, ::-1] for chip in chips[at : at + BATCH]]))
        return [vector + mirror for vector, mirror in zip(vectors, mirrored, strict=True)]
