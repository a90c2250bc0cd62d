"""DeepFace: its recognisers, and the detector RetinaFace.

DeepFace is used for what defines its results: the graph of each model, the crop (a border of half a picture, a turn by
the eye line), the letterbox resize. The vectors equal those of ``DeepFace.represent`` bit for bit.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit import weights
from reid_audit.face._device import device_in_use
from reid_audit.face._engine import load_engine
from reid_audit.face._models import RECOGNISERS, is_stand_in, load_recogniser, load_retinaface
from reid_audit.face._parts import Detection
from reid_audit.records import EngineError, Portrait

SURE_SCORE = 0.9  # DeepFace's own threshold
FLOOR_SCORE = 0.5  # an attacker would not stop at the default


def on_canvas(portrait: Portrait) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make the BGR picture with DeepFace's black border of half a picture, and the border's (columns, rows)."""
    height, width, _ = portrait.pixels.shape
    rows, columns = int(0.5 * height), int(0.5 * width)
    bgr = np.pad(portrait.pixels[:, :, ::-1], ((rows, rows), (columns, columns), (0, 0)))
    return np.ascontiguousarray(bgr), np.array([columns, rows])


class RetinaFaceDetector:
    """RetinaFace with five landmarks (layout ``"retinaface-5"``); scores are probabilities.

    DeepFace drops what scores below 0.9. Here that is the limit of *sure*, and fainter faces down to 0.5 are kept.
    """

    name = "retinaface"
    layout = "retinaface-5"
    sure_score = SURE_SCORE

    def __init__(self) -> None:
        sha256 = weights.verify("RetinaFace")
        self._model = load_retinaface(weights.find_weights("RetinaFace"), sha256, device_in_use())
        self.stand_in = is_stand_in(self._model.session)
        self.identity: Mapping[str, str] = {
            "detection": f"RetinaFace on DeepFace's canvas, floor {FLOOR_SCORE}, sure {SURE_SCORE}",
            "sha256 of RetinaFace": sha256,
            **load_engine().versions,
        }

    def detect(self, portrait: Portrait) -> tuple[Detection, ...]:
        """Candidates with a score above the floor, surest first."""
        canvas, border = on_canvas(portrait)
        faces = load_engine().retinaface.detect_faces(canvas, threshold=FLOOR_SCORE, model=self._model)
        return tuple(self._describe(face, border) for face in faces.values())

    def _describe(self, face: Mapping[str, Any], border: NDArray[np.int64]) -> Detection:
        left, top, right, bottom = (np.reshape(face["facial_area"], (2, 2)) - border).ravel().tolist()
        names = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
        points = np.array([face["landmarks"][name] for name in names], dtype=np.float64) - border
        return Detection(
            box_px=(float(left), float(top), float(right), float(bottom)),
            landmarks_px=points,
            eyes_px=points[[1, 0]],
            score=float(face["score"]),
            layout=self.layout,
        )


class DeepFaceEmbedder:
    """A recogniser of DeepFace on DeepFace's crop of the box, turned by the eye line."""

    def __init__(self, name: str) -> None:
        sha256 = weights.verify(name)
        self.name = name
        model = RECOGNISERS[name]
        self.dimension, self._width_px, self._height_px = model.dimension, model.width_px, model.height_px
        self._model = load_recogniser(name, weights.find_weights(name), sha256, device_in_use())
        self.stand_in = is_stand_in(self._model.model)
        self.identity: Mapping[str, str] = {
            "chip": f"DeepFace, {self._width_px} x {self._height_px} px, aligned by the eyes, normalization base",
            f"sha256 of {name}": sha256,
            **load_engine().versions,
        }

    def chip(self, portrait: Portrait, detection: Detection) -> NDArray[np.float32]:
        """Cut out what the network sees: (1, h, w, 3) float32 BGR in [0, 1]."""
        engine = load_engine()
        canvas, border = on_canvas(portrait)
        left, top, right, bottom = (round(edge) for edge in detection.box_px)
        eyes: list[tuple[int, int] | None] = [None, None]  # DeepFace leaves such a face as it is
        if detection.eyes_px is not None:
            eyes = [(int(x), int(y)) for x, y in detection.eyes_px + border]  # truncated, as DeepFace does
        face = engine.detection.extract_face(
            facial_area=engine.region(
                x=left + int(border[0]),
                y=top + int(border[1]),
                w=right - left,
                h=bottom - top,
                left_eye=eyes[0],
                right_eye=eyes[1],
            ),
            img=canvas,
            align=True,
            expand_percentage=0,
            width_border=int(border[0]),
            height_border=int(border[1]),
            detector_backend="opencv",  # with any other name DeepFace would look for missing eyes on its own
        ).img
        if face.size == 0:
            raise EngineError(f"the box {detection.box_px} lies outside the picture")
        scaled = face / 255 if face.max() > 1 else face
        size_px = (self._height_px, self._width_px)
        chip: NDArray[np.float32] = engine.preprocessing.resize_image(scaled, target_size=size_px)
        return chip

    def embed(self, portrait: Portrait, detection: Detection) -> NDArray[np.float32]:
        """Output of the network for the chip."""
        return np.asarray(self._model.forward(self.chip(portrait, detection)), dtype=np.float32)
