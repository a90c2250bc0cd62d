"""dlib: the HOG detector for frontal faces, five landmarks, and the ResNet of 128 numbers with its real weights.

The network of the recogniser is computed by NumPy (``_dlib_network``), all else by dlib itself.

The HOG detector places its boxes on a coarse grid, and the landmarks inherit that. So they are the mean over 27 boxes
about the detected one. Measured on two visits of 20 rough synthetic heads, this halves the distance between the visits
of one person (median 0.014 -> 0.007; different people 0.065) and raises the AUC from 0.990 to 0.997, for a few
milliseconds. Enlarging the picture before detection found no further face there and took four times as long.

The face is cut out by dlib's own aligned chip (150 x 150 px, margin 0.25), on which the network was trained. DeepFace's
crop of the same detections is not used: it follows the coarse grid of the HOG boxes, and moving a picture by a few
pixels then costs a third of what separates two people.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import as_file, files
from itertools import product
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from reid_audit import weights
from reid_audit.face._dlib_network import DlibNetwork
from reid_audit.face._parts import Detection
from reid_audit.records import EngineError, InputError, Portrait, WeightsError

DETECTOR_FILE = "dlib_frontal_face.svm"
SHRINKS = 3
"""A sure face is first looked for in a picture so many steps of dlib's own pyramid smaller."""
SURE_SCORE = 0.0  # dlib's own threshold; the package's synthetic heads score 0.5 to 2, rough ones from -0.1
FLOOR_SCORE = -0.5  # an attacker would not stop at the default
_WINDOW_PX = 72  # a face of this width is the smallest that the detector finds
_STEP, _STEP_SHIFT_PX = 6 / 5, 0.3  # from one step of dlib's pyramid to the next larger one: `pyramid_down<6>`
_LARGE_PX = _WINDOW_PX * _STEP ** (SHRINKS + 0.5)  # what is smaller may fit better on a step that was left out
BOX_SHIFTS = (-0.04, 0.0, 0.04)  # of the box, in units of its width
BOX_SCALES = (0.95, 1.0, 1.05)
CHIP_PX = 150
CHIP_MARGIN = 0.25
BATCH = 8  # faces that the network sees at once

# dlib lets go of the interpreter lock while it computes in buffers of the model: two threads in one model give each
# other's numbers, without an error. The models are shared in a process, and so is the lock.
_LOCK = threading.Lock()


@cache
def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C while the extension starts
            raise error.__cause__ from None
        raise EngineError(f"dlib cannot be imported ({error}): pip install dlib-bin") from error
    return dlib


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _load(name: str, path: Path, sha256: str) -> Any:
    # The digest is a part of the key: a file that changed is loaded again.
    if name == "dlib-recogniser":
        return DlibNetwork(path)
    try:
        return _dlib().shape_predictor(str(path))
    except RuntimeError as error:
        raise WeightsError(f"dlib cannot load its model file: {error}") from error


def _model(name: str) -> tuple[Any, Mapping[str, str]]:
    sha256 = weights.verify(name)
    identity = {"dlib": str(_dlib().__version__), f"sha256 of {name}": sha256}
    return _load(name, weights.find_weights(name), sha256), identity


@cache
def _find_faces() -> Any:
    # What `dlib.get_frontal_face_detector().save()` writes: the same detector in a thousandth of its time to unpack.
    with as_file(files(__package__).joinpath(DETECTOR_FILE)) as path:
        return _dlib().fhog_object_detector(str(path))


def _unshrink(box: Any) -> Any:
    """Return where a box of a picture shrunk `SHRINKS` times lies in the whole one, rounded once as dlib would.

    The detector's window has a fixed width; the width of a box tells on which step of the pyramid it was, and what lay
    there in whole pixels goes up all steps.
    """
    edges = np.array([box.left(), box.top(), box.right(), box.bottom()], dtype=float)
    steps = max(0, round(log((edges[2] - edges[0] + 1) / _WINDOW_PX) / log(_STEP)))
    for _ in range(steps):
        edges = (edges - _STEP_SHIFT_PX) / _STEP
    edges = np.rint(edges)
    for _ in range(steps + SHRINKS):
        edges = edges * _STEP + _STEP_SHIFT_PX
    return _dlib().rectangle(*(int(edge) for edge in np.rint(edges)))


def _boxes_about(box: Any) -> Iterator[Any]:
    centre_x, centre_y = (box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2
    for shift_x, shift_y, scale in product(BOX_SHIFTS, BOX_SHIFTS, BOX_SCALES):
        x, y, half = centre_x + shift_x * box.width(), centre_y + shift_y * box.width(), scale * box.width() / 2
        yield _dlib().rectangle(*(round(edge) for edge in (x - half, y - half, x + half, y + half)))


class DlibDetector:
    """HOG detector with five landmarks (layout ``"dlib-5"``); scores are margins, 0 = dlib's own threshold."""

    name = "dlib"
    layout = "dlib-5"
    sure_score = SURE_SCORE
    stand_in = False

    def __init__(self) -> None:
        self._predictor, files = _model("dlib-landmarks")
        self._detector = _find_faces()
        self.identity: Mapping[str, str] = {
            **files,
            "detection": f"HOG, no upsampling, shrunk {SHRINKS} times first, floor {FLOOR_SCORE}, sure {SURE_SCORE}",
            "landmarks": f"mean over boxes shifted by {BOX_SHIFTS} and scaled by {BOX_SCALES}",
        }

    def detect(self, portrait: Portrait) -> tuple[Detection, ...]:
        """Candidates with a score above the floor; below 124 px only where none is large and sure."""
        pixels = np.ascontiguousarray(portrait.pixels)
        with _LOCK:
            candidates = self._look_for_large(pixels)
            if not any(score >= SURE_SCORE and box.width() > _LARGE_PX for box, score in candidates):
                boxes, scores, _ = self._detector.run(pixels, 0, FLOOR_SCORE)
                candidates = list(zip(boxes, scores, strict=True))
            return tuple(self._describe(pixels, box, score) for box, score in candidates)

    def _look_for_large(self, pixels: NDArray[np.uint8]) -> list[tuple[Any, float]]:
        """Find what the detector finds in the whole picture, without the first steps, which take most of its time."""
        shrunk = pixels
        for _ in range(SHRINKS):
            rows, columns = (max(1, 5 * n // 6) for n in shrunk.shape[:2])
            shrunk = _dlib().resize_image(shrunk, rows=rows, cols=columns)
        boxes, scores, _ = self._detector.run(shrunk, 0, FLOOR_SCORE)
        return [(_unshrink(box), score) for box, score in zip(boxes, scores, strict=True)]

    def _describe(self, pixels: NDArray[np.uint8], box: Any, score: float) -> Detection:
        points = np.mean([self._landmarks(pixels, near) for near in _boxes_about(box)], axis=0)
        return Detection(
            box_px=(float(box.left()), float(box.top()), float(box.right()), float(box.bottom())),
            landmarks_px=points,
            eyes_px=np.stack([points[0:2].mean(axis=0), points[2:4].mean(axis=0)]),
            score=float(score),
            layout=self.layout,
        )

    def _landmarks(self, pixels: NDArray[np.uint8], box: Any) -> list[tuple[int, int]]:
        return [(point.x, point.y) for point in self._predictor(pixels, box).parts()]


class DlibEmbedder:
    """ResNet of 128 numbers on dlib's aligned chip. The box of a detection is not used, only its landmarks."""

    name = "dlib"
    dimension = 128
    stand_in = False

    def __init__(self) -> None:
        self._network, files = _model("dlib-recogniser")
        self.identity: Mapping[str, str] = {**files, "chip": f"dlib {CHIP_PX} px, margin {CHIP_MARGIN}, no jitter"}

    def chip(self, portrait: Portrait, detection: Detection) -> NDArray[np.uint8]:
        """Cut out what the network sees: (150, 150, 3) uint8 RGB, eyes level and in a fixed place."""
        if detection.layout != "dlib-5":
            raise InputError(f"dlib's chip needs the landmarks dlib-5, got {detection.layout}")
        dlib = _dlib()
        box = dlib.rectangle(*(round(edge) for edge in detection.box_px))
        points = dlib.points([dlib.point(round(x), round(y)) for x, y in detection.landmarks_px])
        shape = dlib.full_object_detection(box, points)
        chip: NDArray[np.uint8] = dlib.get_face_chip(np.ascontiguousarray(portrait.pixels), shape, CHIP_PX, CHIP_MARGIN)
        return chip

    def embed(self, portrait: Portrait, detection: Detection) -> NDArray[np.float32]:
        """Descriptor of the chip, as dlib gives it (its length is near 1.4)."""
        return self.embed_all([(portrait, detection)])[0]

    def embed_all(self, faces: Sequence[tuple[Portrait, Detection]]) -> list[NDArray[np.float32]]:
        """Descriptors of several, `BATCH` at a time; within 1e-5 of those one by one."""
        vectors: list[NDArray[np.float32]] = []
        for start in range(0, len(faces), BATCH):
            chips = np.stack([self.chip(*face) for face in faces[start : start + BATCH]])
            with _LOCK, _libraries().limit(limits=1, user_api="blas"):  # small products: threads wait for each other
                vectors += list(self._network(chips))
        return vectors
