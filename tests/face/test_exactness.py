"""Vectors, boxes and landmarks are those of `DeepFace.represent` for every encoder and detector that is listed.

Networks are random-weight graphs with the inputs and outputs of the true ones; detectors whose packages are not
installed are fakes of those packages, so that what is compared is all that DeepFace and this package do around them.
"""

import shutil
import sys
import types
import warnings

import numpy as np
import pytest
from pictures import portrait, scene

from reid_audit import testing, weights
from reid_audit.face import DETECTORS, make_encoder
from reid_audit.face._detectors import KINDS
from reid_audit.face._engine import load_runtime
from reid_audit.face._models import RECOGNISERS

BLUE = (255, 0, 180)  # the stand-in of RetinaFace sees a face that is tilted by some 20 degrees
BOX = (410.7, 420.3, 150.6, 170.9)  # left, top, width, height on DeepFace's canvas of 1024 px
EYES = ((455.6, 481.2), (521.4, 463.8))  # right and left
HERE = (
    "retinaface",
    "centerface",
    "deepface-dlib",
)  # run as they are; the others are fakes, or share RetinaFace's code


@pytest.fixture
def represent(home, monkeypatch):
    """What DeepFace gives for a portrait: one dict per face."""
    monkeypatch.setattr(weights.local, "MODEL_FILES", testing.unpinned(weights.MODEL_FILES))
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")  # what importing the top module sets, undone after the test
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        from deepface import DeepFace
        from deepface.modules import modeling
        from retinaface import RetinaFace

        yield lambda picture, name, detector: DeepFace.represent(
            np.ascontiguousarray(picture.pixels[:, :, ::-1]), model_name=name, detector_backend=detector
        )
        modeling.cached_models = {task: {} for task in modeling.AVAILABLE_MODELS}
        vars(RetinaFace).pop("model", None)


def slanted(*places, colour=BLUE):
    """A scene with something coloured and slanted in the crop, so that channels and the order of the steps matter."""
    picture = scene(*places, seed=1, colour=colour)
    picture.pixels[100:180, 60:460, 2] = 220
    picture.pixels[range(260, 500), range(160, 400)] = (40, 250, 130)
    return picture


def check_equal(ours, theirs):
    """One vector and one place, the vector within 1e-5."""
    # Of several faces this package keeps one; it is DeepFace's of the same place that must be equal.
    face = min(
        theirs,
        key=lambda face: (
            abs(face["facial_area"]["x"] - ours.box_px[0]) + abs(face["facial_area"]["y"] - ours.box_px[1])
        ),
    )
    vector = np.array(face["embedding"], dtype=np.float64)
    assert np.ptp(vector) > 0
    np.testing.assert_allclose(ours.vector, vector / np.linalg.norm(vector), rtol=0, atol=1e-5)
    area = face["facial_area"]
    left, top = ours.box_px[:2]
    # DeepFace cuts the box that it tells, and not the one that it uses, at the left and top edge of the picture.
    assert (max(0, int(left)), max(0, int(top))) == (area["x"], area["y"])
    for eye, name in zip([None] * 2 if ours.eyes_px is None else ours.eyes_px, ("left_eye", "right_eye"), strict=True):
        if area[name] is not None:
            assert tuple(int(x) for x in eye) == area[name]


# --- encoders ---


def fake_insightface(monkeypatch):
    """Fake what Buffalo_L needs of insightface: `get_feat` of `insightface/model_zoo/arcface_onnx.py`."""
    import cv2
    import onnxruntime

    class ArcFaceONNX:
        def __init__(self, path):
            self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def prepare(self, ctx_id, input_size):
            self.size = input_size

        def get_feat(self, image):
            blob = cv2.dnn.blobFromImages([image], 1 / 127.5, self.size, (127.5, 127.5, 127.5), swapRB=True)
            return self.session.run(None, {self.session.get_inputs()[0].name: blob})[0]

    install(monkeypatch, "insightface", model_zoo=None)
    install(monkeypatch, "insightface.model_zoo", get_model=ArcFaceONNX)


def install(monkeypatch, name, **content):
    package = types.ModuleType(name)
    package.__spec__ = types.SimpleNamespace(name=name)
    vars(package).update(content)
    monkeypatch.setitem(sys.modules, name, package)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_every_encoder_gives_the_vector_of_deepface(name, home, represent, monkeypatch):
    fake_insightface(monkeypatch)
    testing.write_weights(home.parents[1], name)
    for place in ((0, 0), (432, 300)):  # across an edge, and across none
        picture = slanted(place)
        ours = make_encoder(name, detector="retinaface").encode(picture)
        check_equal(ours, represent(picture, name, "retinaface"))


# --- detectors ---


def fake_yunet(monkeypatch):
    import cv2

    scale = 640 / 1024  # DeepFace looks at a smaller canvas
    points = [*EYES, (490.2, 500.9), (465.3, 540.1), (520.8, 530.5)]
    row = [number * scale for number in (*BOX, *(x for point in points for x in point))]

    class FaceDetectorYN:
        setInputSize = setScoreThreshold = lambda self, value: None  # noqa: N815 - OpenCV's names

        def detect(self, bgr):
            return 1, np.array([[*row, 0.95]], np.float32)

    monkeypatch.setattr(cv2, "FaceDetectorYN_create", lambda *_: FaceDetectorYN())


def fake_cascades(monkeypatch):
    import cv2

    left, top, width, height = map(int, BOX)

    class CascadeClassifier:
        def __init__(self, path):
            pass

        def empty(self):
            return False

        def detectMultiScale3(self, bgr, *_, **__):  # noqa: N802 - OpenCV's name
            return np.array([(left, top, width, height)]), [], np.array([4.5])

        def detectMultiScale(self, grey, *_):  # noqa: N802
            return [(int(x) - left - 11, int(y) - top - 11, 23, 23) for x, y in EYES]

    monkeypatch.setattr(cv2, "CascadeClassifier", CascadeClassifier)


def fake_ssd(monkeypatch):
    """A network of Caffe, which OpenCV 5 no longer reads: its list of faces in shares of the picture, one faint."""
    import cv2

    left, top, width, height = (number / 1024 for number in BOX)
    found = [(0, 1, score, left, top, left + width, top + height) for score in (0.97, 0.85)]
    network = types.SimpleNamespace(setInput=lambda blob: None, forward=lambda: np.array([[found]], np.float32))
    monkeypatch.setattr(cv2, "__version__", "4.14.0")
    monkeypatch.setattr(cv2.dnn, "readNetFromCaffe", lambda graph, weights: network, raising=False)
    monkeypatch.setitem(load_runtime().versions, "opencv", "4.14.0")
    fake_cascades(monkeypatch)  # tells the eyes


def fake_mtcnn(monkeypatch):
    keypoints = {name: tuple(map(int, point)) for name, point in zip(("left_eye", "right_eye"), EYES, strict=True)}
    found = [{"box": list(map(int, BOX)), "confidence": 0.97, "keypoints": keypoints}]  # left and right of the picture
    install(monkeypatch, "mtcnn", MTCNN=lambda: types.SimpleNamespace(detect_faces=lambda rgb: found))


def fake_fastmtcnn(monkeypatch):
    left, top, width, height = BOX
    found = np.array([[left, top, left + width, top + height]]), np.array([0.97]), np.array([EYES])
    model = types.SimpleNamespace(detect=lambda rgb, landmarks: found)
    install(monkeypatch, "facenet_pytorch", MTCNN=lambda device: model)
    cuda = types.SimpleNamespace(is_available=lambda: False)
    install(monkeypatch, "torch", device=str, cuda=cuda)


def fake_mediapipe(monkeypatch):
    left, top, width, height = (number / 1024 for number in BOX)
    place = types.SimpleNamespace(
        relative_bounding_box=types.SimpleNamespace(xmin=left, ymin=top, width=width, height=height),
        relative_keypoints=[types.SimpleNamespace(x=x / 1024, y=y / 1024) for x, y in EYES],
    )
    found = types.SimpleNamespace(detections=[types.SimpleNamespace(score=[0.9], location_data=place)])
    detection = types.SimpleNamespace(FaceDetection=lambda **_: types.SimpleNamespace(process=lambda rgb: found))
    solutions = types.SimpleNamespace(face_detection=detection)
    install(monkeypatch, "mediapipe", solutions=solutions, __version__="0.10.21")


def fake_yolo(monkeypatch, *, eyes):
    left, top, width, height = BOX
    boxes = types.SimpleNamespace(
        xywh=np.array([[left + width / 2, top + height / 2, width, height]]), conf=np.array([0.8])
    )
    keypoints = types.SimpleNamespace(xy=np.array([EYES])) if eyes else None
    found = types.SimpleNamespace(boxes=boxes, keypoints=keypoints)

    class YOLO:
        def __init__(self, path):
            pass

        def predict(self, bgr, **_):
            return [[found]]

    install(monkeypatch, "ultralytics", YOLO=YOLO, __version__="8.3.300")
    fake_cascades(monkeypatch)  # tells the eyes where YOLO does not


FAKES = {
    "opencv": fake_cascades,
    "yunet": fake_yunet,
    "ssd": fake_ssd,
    "mtcnn": fake_mtcnn,
    "fastmtcnn": fake_fastmtcnn,
    "mediapipe": fake_mediapipe,
    "yolov8n": lambda monkeypatch: fake_yolo(monkeypatch, eyes=True),
    "yolov11n": lambda monkeypatch: fake_yolo(monkeypatch, eyes=False),
}


@pytest.mark.parametrize("name", [*HERE, *FAKES])
def test_every_detector_gives_the_vector_of_deepface(name, home, represent, monkeypatch, astronaut):
    for file in KINDS[name].files if name in KINDS else ():
        (home / weights.MODEL_FILES[file].file_name).write_bytes(b"x")
    testing.write_centerface(home / "centerface.onnx")
    shutil.copy(weights.find_weights("dlib-landmarks"), home) if name == "deepface-dlib" else None
    if name in FAKES:
        FAKES[name](monkeypatch)
    # No multiple of any stride, so that boxes begin and end between pixels.
    own_face = astronaut[20:240, 120:340]
    picture = portrait(own_face if name == "deepface-dlib" else slanted((220, 200)).pixels[:490, :490])
    ours = make_encoder("Facenet512", detector=name).encode(picture)
    check_equal(ours, represent(picture, "Facenet512", name.removeprefix("deepface-")))


def test_no_listed_detector_is_left_out():
    of_one_class = {name for name in KINDS if name.startswith(("yolov8", "yolov11", "yolov12"))}
    # dlib's detector is this package's own.
    assert set(DETECTORS) - of_one_class - {"dlib"} == {*HERE, *FAKES} - of_one_class


def test_boxes_and_landmarks_of_retinaface_are_where_the_graph_emits_them(home):
    """The second anchor of stride 32 is 512 px wide about the middle of its cell; variances are 0.1 and 0.2."""
    picture = scene((220, 200), colour=BLUE)
    made = make_encoder("Facenet512", detector="retinaface").encode(picture)
    middle = np.reshape(made.box_px, (2, 2)).mean(axis=0)
    side = made.box_px[2] - made.box_px[0]
    assert side == pytest.approx(255, abs=1)
    anchor = middle - [0.0005 * 180 * side, 0]  # blue moved the box by so much of its side
    assert np.abs(anchor - (260, 240)).max() < 32  # a cell that the patch covers
    tilt = 0.0005 * 180
    expected = [(-0.2, -0.15 + tilt), (0.2, -0.15 - tilt), (0, 0), (-0.15, 0.2), (0.15, 0.2)]
    np.testing.assert_allclose((made.landmarks_px - anchor) / 256, expected, atol=0.005)
