"""Which face is the face, which encoders there are, and engines that break."""

import os

import numpy as np
import pytest
from pictures import portrait, scene

from reid_audit import face, weights
from reid_audit.face import make_encoder
from reid_audit.face._parts import Detection, FaceEncoder, _one_line, choose_face
from reid_audit.records import EngineError, InputError, Status, WeightsError

# --- which face is the face ---


def found(left, top, width, score):
    box = (left, top, left + width, top + width)
    return Detection(box, np.zeros((5, 2)), np.zeros((2, 2)), score, "test")


CENTRAL = found(156, 156, 200, 1.0)


def choose(*detections, sure_score=0.0):
    return choose_face(detections, size_px=(512, 512), sure_score=sure_score)


def test_single_face_is_kept():
    assert choose(CENTRAL) == (CENTRAL, ())


def test_second_face_of_like_size_and_score_is_told():
    second = found(0, 0, 150, 0.8)
    assert choose(second, CENTRAL) == (CENTRAL, (second,))


@pytest.mark.parametrize(
    "false_alarm",
    [
        pytest.param(found(0, 0, 150, 0.49), id="scores less than half the best"),
        pytest.param(found(0, 0, 99, 0.9), id="less than half as wide"),
        pytest.param(found(160, 140, 210, 0.9), id="its middle lies in the kept box"),
    ],
)
def test_false_alarm_is_left_out(false_alarm):
    assert choose(false_alarm, CENTRAL) == (CENTRAL, ())


def test_largest_near_the_middle_is_kept_even_if_another_is_surer():
    small = found(0, 0, 150, 1.2)
    assert choose(small, CENTRAL)[0] is CENTRAL


def test_without_a_sure_face_the_best_score_is_kept_alone():
    faint, fainter = found(0, 0, 100, -0.1), found(156, 156, 200, -0.3)
    assert choose(fainter, faint) == (faint, ())


# --- names and combinations ---


def test_names_are_taken_in_any_case():
    encoder = make_encoder("DLib", detector="DLIB")
    assert (encoder.name, encoder.detector) == ("dlib", "dlib")


@pytest.mark.parametrize("arguments", [("facenet9000", "auto"), ("dlib", "haar")])
def test_unknown_name_lists_the_known_ones(arguments):
    name, detector = arguments
    with pytest.raises(InputError, match=r"known: auto, .*dlib"):
        make_encoder(name, detector=detector)


def test_combination_that_is_not_offered():
    with pytest.raises(InputError, match="dlib cannot be combined with the detector retinaface"):
        make_encoder("dlib", detector="retinaface")


def test_every_offered_combination_has_its_model_files_listed():
    for name, detectors in face.DETECTORS_OF.items():
        for detector in detectors:
            assert set(face._files_of(name, detector)) <= weights.MODEL_FILES.keys()


def test_parts_are_made_by_name_too(home):
    assert face.make_detector("RetinaFace").name == "retinaface"
    assert face.make_embedder("arcface").name == "ArcFace"
    with pytest.raises(InputError, match=r"known: retinaface, dlib, opencv"):
        face.make_detector("auto")
    with pytest.raises(InputError, match="known: dlib, Facenet512, ArcFace"):
        face.make_embedder("auto")


def test_auto_is_dlib_without_weights_and_says_so(empty_home):
    encoder = make_encoder()
    assert (encoder.name, encoder.detector) == ("dlib", "dlib")
    assert "facenet512_weights.onnx" in encoder.notice
    assert "retinaface.onnx" in encoder.notice


def test_auto_is_facenet512_with_weights(home):
    encoder = make_encoder()
    assert (encoder.name, encoder.detector) == ("Facenet512", "retinaface")


def test_auto_does_not_hide_a_damaged_file(home):
    (home / "facenet512_weights.onnx").write_bytes(b"\x08\x08garbage")
    with pytest.raises(WeightsError, match=r"facenet512_weights\.onnx"):
        make_encoder()


def test_auto_takes_the_detector_that_was_asked_for(home):
    (home / "retinaface.onnx").unlink()
    assert make_encoder(detector="dlib").name == "Facenet512"
    with pytest.raises(WeightsError, match=r"retinaface\.onnx"):
        make_encoder(detector="retinaface")


# --- portraits that are not portraits ---


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((9, 9, 3)),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_array_that_is_no_rgb_picture_is_an_input_error(pixels, dlib_encoder):
    with pytest.raises(InputError, match="uint8 RGB"):
        dlib_encoder.encode(portrait(pixels))


# --- an engine that breaks ---


class _Finder:
    name, layout, sure_score, identity, stand_in = "finder", "test", 0.0, {}, False

    def detect(self, portrait):
        return [CENTRAL]


class _Embedder:
    name, dimension, identity, stand_in = "embedder", 3, {}, False

    def __init__(self, result):
        self.result = result

    def embed(self, portrait, detection):
        if isinstance(self.result, Exception):
            raise self.result
        return np.array(self.result, dtype=np.float32)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (RuntimeError("no\nmemory in /home/jane/x/model.onnx"), "RuntimeError: no memory in model.onnx"),
        (ValueError("no face"), "ValueError: no face"),
        ([1, 2], "shape (2,)"),
        ([0, 0, 0], "length 0"),
        ([1, np.nan, 0], "length nan"),
        ([1, np.inf, 0], "length inf"),
    ],
)
def test_broken_recogniser_is_never_no_face(result, reason):
    made = FaceEncoder("test", _Finder(), _Embedder(result)).encode(scene())
    assert made.status is Status.BACKEND_ERROR
    assert reason in made.reason
    assert "\n" not in made.reason
    assert not made.acquired


def test_broken_detector_is_never_no_face():
    class Broken(_Finder):
        def detect(self, portrait):
            raise EngineError("out of order")

    made = FaceEncoder("test", Broken(), _Embedder([1, 0, 0])).encode(scene())
    assert made.status is Status.BACKEND_ERROR
    assert "out of order" in made.reason


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("/a/b/c.onnx is bad", "c.onnx is bad"),
        ("'~/b/c.onnx' is bad", "'c.onnx' is bad"),
        (r"C:\b\c.onnx is bad", "c.onnx is bad"),
        ("../b/c.onnx (/b/c.dat)", "c.onnx (c.dat)"),
        ("N/A of 1/2", "N/A of 1/2"),
        (os.path.expanduser("~") + "/c.onnx", "c.onnx"),
    ],
)
def test_reason_carries_no_folders(message, expected):
    assert _one_line(ValueError(message)) == "ValueError: " + expected
