"""The other detectors that DeepFace offers: OpenCV's cascade, YuNet, CenterFace, and those with packages of their own.

Each is run as DeepFace runs it, on its canvas and at its threshold, and its boxes are cut to whole pixels where
DeepFace cuts them: a recogniser gets the same picture. Three of them are not called through DeepFace's
class: that of the cascade takes every error for "no face", that of YuNet keeps two of five landmarks, and that of
CenterFace reads its file anew for every picture.

Words
-----
eye cascade
    Detectors that tell no eyes get them as in DeepFace: OpenCV's cascade looks for two eyes in the box. Where it sees
    fewer the face has no landmarks and is left as it lies.
"""

import importlib.util
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit import weights
from reid_audit.face._deepface import on_canvas
from reid_audit.face._engine import build, damaged, load_engine, load_runtime
from reid_audit.face._models import STAND_IN_PRODUCER
from reid_audit.face._parts import Detection
from reid_audit.records import EngineError, Portrait, WeightsError

_HAAR = ("haar-face", "haar-eyes")
_YUNET_SIDE_PX = 640  # DeepFace scales larger pictures down to it


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """What a detector needs and gives.

    Attributes
    ----------
    files : tuple of str
        Names in `reid_audit.weights.MODEL_FILES`.
    layout : str
        See `reid_audit.face._parts.Detection`; ``"none"`` where a face may lack its eyes.
    threshold : float
        DeepFace's own, below which it drops a face. Such faces are *sure*.
    floor : float
        Faces from here up to the threshold are kept as faint ones.
    package : str
        To import, where it is not among this project's own.
    pip : str
        What to install for it.
    setting : str
        Environment variable by which DeepFace lets a user change the threshold; its value goes into the identity.
    """

    files: tuple[str, ...] = ()
    layout: str = "eyes-2"
    threshold: float = 0.9
    floor: float = 0.9
    package: str = ""
    pip: str = ""
    setting: str = ""


def _yolo(name: str) -> tuple[str, DetectorKind]:
    # Only the face models of version 8 tell eyes.
    eyes = name.startswith("yolov8")
    return name, DetectorKind(
        files=(name,) if eyes else (name, *_HAAR),
        layout="eyes-2" if eyes else "none",
        threshold=0.25,
        floor=0.25,
        package="ultralytics",
        pip="ultralytics",
        setting="YOLO_MIN_DETECTION_CONFIDENCE",
    )


KINDS: Mapping[str, DetectorKind] = MappingProxyType(
    {
        "opencv": DetectorKind(files=_HAAR, layout="none", threshold=0.0, floor=0.0),
        "yunet": DetectorKind(files=("YuNet",), layout="retinaface-5", floor=0.5),
        "centerface": DetectorKind(files=("CenterFace",), layout="retinaface-5", threshold=0.35, floor=0.35),
        "deepface-dlib": DetectorKind(
            files=("dlib-landmarks",), threshold=0.0, floor=0.0, package="dlib", pip="dlib-bin"
        ),
        "ssd": DetectorKind(files=("ssd-graph", "ssd-weights", *_HAAR), layout="none"),
        "mtcnn": DetectorKind(package="mtcnn", pip="mtcnn tensorflow", threshold=0.0),
        "fastmtcnn": DetectorKind(package="facenet_pytorch", pip="facenet-pytorch", threshold=0.0),
        "mediapipe": DetectorKind(
            package="mediapipe",
            pip="'mediapipe<0.10.22'",  # later ones lack the module that DeepFace uses
            threshold=0.7,
            setting="MEDIAPIPE_MIN_DETECTION_CONFIDENCE",
        ),
        **dict(
            map(
                _yolo,
                [
                    f"yolov{version}{size}"
                    for version, sizes in ((8, "nml"), (11, "nsml"), (12, "nsml"))
                    for size in sizes
                ],
            )
        ),
    }
)
"""DeepFace's detectors other than dlib and RetinaFace."""


def check_package(name: str) -> None:
    """Fail at once if a detector's package is not installed; see `make_kind`."""
    kind = KINDS[name]
    if kind.package and importlib.util.find_spec(kind.package) is None:
        raise EngineError(
            f"the detector {name} needs the package {kind.package}: pip install {kind.pip}, or choose --detector dlib"
        )
    opencv = load_runtime().versions["opencv"]
    if name == "ssd" and int(opencv.split(".")[0]) >= 5:
        raise EngineError(
            f"the detector ssd needs OpenCV 4, got {opencv}: pip install 'opencv-contrib-python-headless<5', or choose "
            "--detector dlib"
        )


class _DeepFaceDetector:
    """One of `KINDS`; subclasses say how it looks at DeepFace's canvas."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._kind = KINDS[name]
        self.layout = self._kind.layout
        self.sure_score = self._kind.threshold
        check_package(name)
        weights.require(self._kind.files)
        digests = {file: weights.verify(file) for file in self._kind.files}
        self._paths = {file: weights.find_weights(file) for file in self._kind.files}
        # OpenCV, which reads these files, does not tell who made them; an ONNX file says so at its beginning.
        self.stand_in = any(map(_is_stand_in, self._paths.values()))
        self._lock = threading.Lock()  # all of them keep state in their models
        self._load()
        setting = os.environ.get(self._kind.setting, "") if self._kind.setting else ""
        self.identity: Mapping[str, str] = {
            "detection": f"{name} on DeepFace's canvas, floor {setting or self._kind.floor}, sure {self.sure_score}",
            **{f"sha256 of {file}": digest for file, digest in digests.items()},
            **({f"package {self._kind.package}": _version(self._kind.pip)} if self._kind.package else {}),
            **load_engine().versions,
        }

    def _load(self) -> None:
        name, package = self.name, self._kind.pip
        self._client = build(
            lambda engine: engine.modeling.get_model_class("face_detector", name.removeprefix("deepface-"))(),
            *self._paths.values(),
            package=package,
        )
        if "haar-eyes" in self._paths:
            self._eyes = _load_cascades(*(self._paths[file] for file in _HAAR))

    def detect(self, portrait: Portrait) -> tuple[Detection, ...]:
        """Candidates with a score above the floor."""
        canvas, border = on_canvas(portrait)
        with self._lock:
            return tuple(self._look(canvas, border))

    def _look(self, canvas: NDArray[np.uint8], border: NDArray[np.int64]) -> Iterable[Detection]:
        for face in self._client.detect_faces(canvas):
            eyes = [face.right_eye, face.left_eye]
            box = (face.x, face.y, face.x + face.w, face.y + face.h)
            if self.layout == "none" and None in eyes:
                eyes = _find_eyes(self._eyes, canvas, box)
            yield _describe(box, eyes, float(face.confidence), border)


def _is_stand_in(path: Path) -> bool:
    with path.open("rb") as stream:
        return STAND_IN_PRODUCER.encode() in stream.read(64)


def _version(pip: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    name = pip.strip("'").split()[0].split("<")[0]
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _describe(
    box: tuple[float, float, float, float], points: Any, score: float, border: NDArray[np.int64]
) -> Detection:
    """Make a detection from canvas pixels; ``points`` begin with right and left eye, and may lack them."""
    if not np.isfinite(score):
        raise EngineError(f"the detector gave a score of {score}")
    left, top, right, bottom = (np.reshape(box, (2, 2)) - border).ravel().astype(float).tolist()
    if any(point is None for point in points):
        return Detection((left, top, right, bottom), np.zeros((0, 2)), None, score, "none")
    landmarks = np.array(points, dtype=np.float64) - border
    layout = "retinaface-5" if len(landmarks) == 5 else "eyes-2"
    return Detection((left, top, right, bottom), landmarks, landmarks[[1, 0]], score, layout)


def _load_cascades(*paths: Any) -> Any:
    """DeepFace's class for OpenCV's cascades; one that was not read is empty and would see nothing."""
    client = build(lambda engine: engine.modeling.get_model_class("face_detector", "opencv")(), *paths)
    for path, cascade in zip(paths, ("face_detector", "eye_detector"), strict=True):
        if client.model[cascade].empty():
            raise damaged(path.name, ValueError("the cascade is empty"))
    return client


def _find_eyes(client: Any, canvas: NDArray[np.uint8], box: tuple[float, float, float, float]) -> list[Any]:
    """Right and left eye as DeepFace finds them with OpenCV's cascade, or None for both."""
    left, top, right, bottom = (max(0, int(edge)) for edge in box)
    left_eye, right_eye = client.find_eyes(canvas[top:bottom, left:right])
    return [None if eye is None else (eye[0] + left, eye[1] + top) for eye in (right_eye, left_eye)]


class CascadeDetector(_DeepFaceDetector):
    """OpenCV's cascade for frontal faces. The score is its last stage's margin, which is not capped."""

    def _load(self) -> None:
        self._eyes = _load_cascades(*self._paths.values())

    def _look(self, canvas: NDArray[np.uint8], border: NDArray[np.int64]) -> Iterable[Detection]:
        # DeepFace's own numbers. Its class wraps this call in `except: pass`.
        boxes, _, scores = self._eyes.model["face_detector"].detectMultiScale3(canvas, 1.1, 10, outputRejectLevels=True)
        for (left, top, width, height), score in zip(boxes, np.ravel(scores), strict=True):
            box = (int(left), int(top), int(left + width), int(top + height))
            yield _describe(box, _find_eyes(self._eyes, canvas, box), float(score), border)


class YuNetDetector(_DeepFaceDetector):
    """YuNet with five landmarks, on the canvas scaled to at most 640 px as DeepFace does it."""

    def _load(self) -> None:
        name = self.name
        client = build(lambda engine: engine.modeling.get_model_class("face_detector", name)(), *self._paths.values())
        self._model = client.model
        try:
            self._run(np.zeros((64, 64, 3), dtype=np.uint8))
        except Exception as error:
            (path,) = self._paths.values()
            raise WeightsError(f"{path.name} is not YuNet ({type(error).__name__})") from error

    def _run(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._model.setInputSize((bgr.shape[1], bgr.shape[0]))
        self._model.setScoreThreshold(self._kind.floor)
        _, rows = self._model.detect(bgr)
        return np.zeros((0, 15), np.float32) if rows is None else rows

    def _look(self, canvas: NDArray[np.uint8], border: NDArray[np.int64]) -> Iterable[Detection]:
        import cv2

        scale = min(1.0, _YUNET_SIDE_PX / max(canvas.shape[:2]))
        small = canvas
        if scale < 1:
            small = cv2.resize(canvas, (int(canvas.shape[1] * scale), int(canvas.shape[0] * scale)))
        for row in self._run(small).astype(np.float64):
            whole = np.trunc(row[:14])  # before it is scaled, and after
            whole[:2] = np.maximum(whole[:2], 0)
            left, top, width, height, *points = np.trunc(whole / scale).tolist()
            yield _describe((left, top, left + width, top + height), np.reshape(points, (5, 2)), float(row[14]), border)


class CenterFaceDetector(_DeepFaceDetector):
    """CenterFace with five landmarks."""

    def _load(self) -> None:
        (self._path,) = self._paths.values()
        client = build(lambda engine: engine.modeling.get_model_class("face_detector", "centerface"))
        self._make = getattr(sys.modules[client.__module__], "CenterFace")  # noqa: B009 - its module is not typed
        try:
            self._run(np.zeros((64, 64, 3), dtype=np.uint8))
        except Exception as error:
            raise WeightsError(f"{self._path.name} is not CenterFace ({type(error).__name__})") from error

    def _run(self, bgr: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # As DeepFace does it, the file is read anew for every picture: a used model gives other numbers.
        model = self._make(weight_path=str(self._path))
        boxes, points = model.forward(bgr, bgr.shape[0], bgr.shape[1], threshold=self._kind.floor)
        return boxes, points

    def _look(self, canvas: NDArray[np.uint8], border: NDArray[np.int64]) -> Iterable[Detection]:
        boxes, points = self._run(canvas)
        for (left, top, right, bottom, score), five in zip(boxes, points, strict=True):
            x, y, width, height = (int(number) for number in (left, top, right - left, bottom - top))
            yield _describe((x, y, x + width, y + height), five.reshape(5, 2).astype(float), float(score), border)


def make_kind(name: str) -> _DeepFaceDetector:
    """Load one of `KINDS`.

    Raises
    ------
    EngineError
        If its package is missing or cannot be used; never "no face".
    WeightsError
        If a file is missing, damaged or another one.
    """
    return {"opencv": CascadeDetector, "yunet": YuNetDetector, "centerface": CenterFaceDetector}.get(
        name, _DeepFaceDetector
    )(name)
