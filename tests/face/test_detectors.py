"""The other detectors of DeepFace. Those whose packages are not installed meet small fakes of them."""

import sys
import types

import numpy as np
import pytest

from reid_audit import face, testing, weights
from reid_audit.face import make_detector, make_encoder
from reid_audit.face._detectors import KINDS
from reid_audit.records import EngineError, Portrait, Status, View, WeightsError

SIDE = 200
PACKAGES = {"mtcnn": "mtcnn", "fastmtcnn": "facenet_pytorch", "mediapipe": "mediapipe", "yolov8n": "ultralytics"}


def scene(*places):
    pixels = np.random.default_rng(1).integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    for left, top in places:
        testing.paint_face(pixels, left=left, top=top)
    return Portrait(pixels, View(), np.eye(3, 4), "test")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Weights home with stand-ins for Facenet512 and CenterFace, and files of one byte for all else."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    monkeypatch.setattr(weights.local, "MODEL_FILES", testing.unpinned(weights.MODEL_FILES))
    folder = testing.write_weights(tmp_path)
    for kind in KINDS.values():
        for name in kind.files:
            (folder / weights.MODEL_FILES[name].file_name).write_bytes(b"x")
    testing.write_centerface(folder / "centerface.onnx")
    return folder


# --- what every detector owes ---


@pytest.mark.parametrize("name", sorted(set(PACKAGES) | {"yolov11s"}))
def test_missing_package_is_an_engine_error_that_names_it(name, home, monkeypatch):
    package = KINDS[name].package
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=f"needs the package {package}: pip install "):
        make_encoder("Facenet512", detector=name)


@pytest.mark.parametrize("name", sorted(set(PACKAGES)))
def test_package_without_what_is_needed_is_an_engine_error(name, home, monkeypatch):
    package = types.ModuleType(PACKAGES[name])
    package.__spec__ = types.SimpleNamespace(name=PACKAGES[name])
    package.__version__ = "8.3.300"
    monkeypatch.setitem(sys.modules, PACKAGES[name], package)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineError, match=r"pip install"):
        make_encoder("Facenet512", detector=name)


def test_ssd_needs_opencv_4(home):
    import cv2

    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("needs OpenCV 5")
    with pytest.raises(EngineError, match=r"ssd needs OpenCV 4.*pip install"):
        make_encoder("Facenet512", detector="ssd")


@pytest.mark.parametrize(
    ("detector", "name"),
    [("opencv", "haar-face"), ("opencv", "haar-eyes"), ("yunet", "YuNet"), ("centerface", "CenterFace")],
)
def test_missing_or_damaged_file_is_a_weights_error(detector, name, home, monkeypatch):
    monkeypatch.setattr(weights.local, "_in_package", lambda record: None)
    path = home / weights.MODEL_FILES[name].file_name
    path.write_bytes(b"garbage")
    with pytest.raises(WeightsError, match=r"haarcascade|yunet|centerface"):
        make_encoder("Facenet512", detector=detector)
    path.unlink()
    with pytest.raises(WeightsError, match=f"reid-audit weights fetch {name}"):
        make_encoder("Facenet512", detector=detector)


def test_every_detector_has_its_files_listed():
    for name in face.DETECTORS:
        assert set(face._files_of_detector(name)) <= weights.MODEL_FILES.keys()
    assert set(face.DETECTORS) >= {"dlib", "retinaface", "opencv", "yunet", "mtcnn", "ssd", "centerface", "mediapipe"}


# --- CenterFace: DeepFace's own code on a stand-in ---


def test_centerface_finds_faces_where_they_are(home):
    encoder = make_encoder("Facenet512", detector="centerface")
    assert "STAND-IN: the files of centerface" in encoder.notice
    made = encoder.encode(scene((60, 60)))
    assert made.status is Status.OK
    assert made.landmarks_px.shape == (5, 2)
    assert made.landmarks_px[0, 0] < made.landmarks_px[1, 0]  # the right eye on the left
    left, top, right, bottom = made.box_px
    assert (right - left, bottom - top) == pytest.approx((120, 120), abs=6)  # it scales to 32 px
    assert np.hypot((left + right) / 2 - 100, (top + bottom) / 2 - 100) < 60
    assert encoder.encode(scene()).status is Status.NO_FACE
    assert "sha256 of CenterFace" in encoder.identity


# --- YuNet: a fake of OpenCV's class ---


class _FakeYuNet:
    def __init__(self, *_):
        self.rows, self.sizes, self.thresholds = None, [], []

    def setInputSize(self, size):  # noqa: N802 - OpenCV's name
        self.sizes.append(size)

    def setScoreThreshold(self, score):  # noqa: N802
        self.thresholds.append(score)

    def detect(self, bgr):
        return 1, self.rows


@pytest.fixture
def yunet(home, monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "FaceDetectorYN_create", _FakeYuNet)
    encoder = make_encoder("Facenet512", detector="yunet")
    return encoder, encoder.finder._model


def yunet_row(score, *, scale=1.0):
    box = [150, 160, 60, 70]
    points = [165, 185, 195, 185, 180, 200, 168, 215, 192, 215]
    return [*(scale * number for number in (*box, *points)), score]


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        (None, Status.NO_FACE),
        ([yunet_row(0.95)], Status.OK),
        ([yunet_row(0.6)], Status.LOW_CONFIDENCE),
        ([yunet_row(np.nan)], Status.BACKEND_ERROR),
    ],
)
def test_yunet(rows, status, yunet):
    encoder, model = yunet
    model.rows = None if rows is None else np.array(rows, np.float32)
    made = encoder.encode(scene())
    assert made.status is status
    assert model.thresholds[-1] == 0.5
    assert model.sizes[-1] == (2 * SIDE, 2 * SIDE)  # DeepFace's canvas
    if made.acquired:
        assert made.box_px == (50, 60, 110, 130)
        assert made.landmarks_px.tolist() == [[65, 85], [95, 85], [80, 100], [68, 115], [92, 115]]


def test_yunet_sees_large_pictures_scaled_down(yunet):
    encoder, model = yunet
    model.rows = np.array([yunet_row(0.95, scale=1.5)], np.float32)
    pixels = np.random.default_rng(0).integers(0, 255, (640, 640, 3), np.uint8)
    made = encoder.encode(Portrait(pixels, View(), np.eye(3, 4), "test"))
    assert model.sizes[-1] == (640, 640)
    assert made.box_px == (450 - 320, 480 - 320, 630 - 320, 690 - 320)


# --- OpenCV's cascades: fakes of its class ---


class _FakeCascade:
    def __init__(self, path):
        self.is_face = "frontalface" in str(path)
        self.faces, self.eyes = [], []

    def empty(self):
        return False

    def detectMultiScale3(self, bgr, *_, **__):  # noqa: N802 - OpenCV's name
        if self.faces is None:
            raise RuntimeError("out of memory")
        return np.array([box for box, _ in self.faces], int), [], np.array([score for _, score in self.faces])

    def detectMultiScale(self, grey, *_):  # noqa: N802
        return self.eyes


@pytest.fixture
def cascade(home, monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "CascadeClassifier", _FakeCascade)
    return make_encoder("Facenet512", detector="opencv")


def test_cascade_with_eyes_and_without(cascade):
    faces, eyes = cascade.finder._eyes.model["face_detector"], cascade.finder._eyes.model["eye_detector"]
    assert cascade.encode(scene()).status is Status.NO_FACE
    faces.faces = [((150, 160, 60, 70), 4.5)]
    made = cascade.encode(scene())
    assert (made.status, made.landmarks_px, made.confidence) == (Status.OK, None, 4.5)
    assert made.box_px == (50, 60, 110, 130)
    eyes.eyes = [(35, 20, 10, 10), (10, 20, 10, 10)]
    made = cascade.encode(scene())
    assert made.landmarks_px.tolist() == [[65, 85], [90, 85]]  # right eye, left eye


def test_place_without_eyes_can_be_read_in_another_portrait(cascade):
    faces = cascade.finder._eyes.model["face_detector"]
    faces.faces = [((150, 160, 60, 70), 4.5)]
    place = cascade.encode(scene())
    faces.faces = []
    there = cascade.encode_at(scene(), place)
    assert there.status is Status.OK
    assert np.array_equal(there.vector, place.vector)


def test_cascade_that_breaks_is_no_empty_picture(cascade):
    cascade.finder._eyes.model["face_detector"].faces = None
    made = cascade.encode(scene())
    assert made.status is Status.BACKEND_ERROR
    assert "out of memory" in made.reason


# --- detectors with packages of their own ---


def install(monkeypatch, name, **content):
    package = types.ModuleType(name)
    package.__spec__ = types.SimpleNamespace(name=name)
    vars(package).update(content)
    monkeypatch.setitem(sys.modules, name, package)


def test_mtcnn(home, monkeypatch):
    actual = [
        {
            "box": [150, 160, 60, 70],
            "confidence": 0.97,
            # As it names them: left and right of the picture.
            "keypoints": {"left_eye": (165, 185), "right_eye": (195, 185)},
        }
    ]

    class MTCNN:
        def detect_faces(self, rgb):
            assert rgb.shape == (2 * SIDE, 2 * SIDE, 3)
            if actual is None:
                raise RuntimeError("no session")
            return actual

    install(monkeypatch, "mtcnn", MTCNN=MTCNN)
    encoder = make_encoder("Facenet512", detector="mtcnn")
    made = encoder.encode(scene())
    assert (made.status, made.box_px) == (Status.OK, (50, 60, 110, 130))
    assert made.landmarks_px.tolist() == [[65, 85], [95, 85]]
    actual = []
    assert encoder.encode(scene()).status is Status.NO_FACE
    actual = None
    assert encoder.encode(scene()).status is Status.BACKEND_ERROR


def test_yolo_threshold_of_the_environment_goes_into_the_identity(home, monkeypatch):
    class YOLO:
        def __init__(self, path):
            self.path = path

        def predict(self, bgr, **_):
            return [[]]

    install(monkeypatch, "ultralytics", YOLO=YOLO, __version__="8.3.300")
    plain = make_encoder("Facenet512", detector="yolov8n")
    assert plain.encode(scene()).status is Status.NO_FACE
    monkeypatch.setenv("YOLO_MIN_DETECTION_CONFIDENCE", "0.6")
    assert make_encoder("Facenet512", detector="yolov8n").identity["detection"] != plain.identity["detection"]
    assert make_detector("yolov8n").layout == "eyes-2"
