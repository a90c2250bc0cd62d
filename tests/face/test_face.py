import json
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import stand_ins
from places import TESTS
from scipy import ndimage
from skimage import data

from reid_audit import face, weights
from reid_audit.face import make_encoder
from reid_audit.face._parts import Detection, FaceEncoder, _one_line, choose_face
from reid_audit.records import EngineError, InputError, Portrait, Status, View, WeightsError


def portrait(pixels) -> Portrait:
    return Portrait(np.ascontiguousarray(pixels), View(), np.eye(3, 4), "test")


def distance(one, other) -> float:
    return 1 - float(one.vector.astype(float) @ other.vector.astype(float))


@pytest.fixture(autouse=True)
def no_connections(monkeypatch):
    """Nothing in this file may open a connection, whatever it asks for."""

    def refuse(self, address, *_):
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: refuse(None, given))


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def home(empty_home):
    """Folder with stand-ins for all DeepFace models."""
    return stand_ins.write_home(empty_home)


@pytest.fixture(scope="module")
def dlib_encoder():
    return make_encoder("dlib")


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def astronaut_face(dlib_encoder, astronaut):
    return dlib_encoder.encode(portrait(astronaut))


def scene(*faces, seed=0, colour=stand_ins.RED):
    """512 x 512 px of dark noise with a face of the stand-in detector at each (left, top)."""
    pixels = np.random.default_rng(seed).integers(0, 90, (512, 512, 3), dtype=np.uint8)
    for left, top in faces:
        stand_ins.paint_face(pixels, left=left, top=top, colour=colour)
    return portrait(pixels)


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


# --- dlib, real weights, real photograph ---


def test_dlib_finds_the_astronaut(astronaut_face):
    assert astronaut_face.status is Status.OK
    assert astronaut_face.vector.shape == (128,)
    assert astronaut_face.vector.dtype == np.float32
    assert np.linalg.norm(astronaut_face.vector.astype(float)) == pytest.approx(1, abs=1e-6)
    left, top, right, bottom = astronaut_face.box_px
    eyes = astronaut_face.landmarks_px[:4]
    assert np.all((eyes > (left, top)) & (eyes < (right, bottom)))
    # Her left eye lies on the right of the picture.
    assert eyes[:2, 0].min() > eyes[2:, 0].max()


def test_dlib_is_deterministic_and_leaves_the_portrait_alone(dlib_encoder, astronaut, astronaut_face):
    copy = astronaut.copy()
    again = make_encoder("dlib").encode(portrait(copy))
    assert np.array_equal(again.vector, astronaut_face.vector)
    assert np.array_equal(copy, astronaut)
    read_only = astronaut.copy()
    read_only.flags.writeable = False
    assert np.array_equal(dlib_encoder.encode(portrait(read_only)).vector, astronaut_face.vector)


def test_vector_is_what_dlib_makes_of_the_rgb_picture(astronaut, astronaut_face):
    import dlib

    predictor = dlib.shape_predictor(str(weights.find_weights("dlib-landmarks")))
    network = dlib.face_recognition_model_v1(str(weights.find_weights("dlib-recogniser")))

    def describe(rgb):
        (box,) = dlib.get_frontal_face_detector()(rgb, 0)
        vector = np.array(network.compute_face_descriptor(rgb, predictor(rgb, box), 0, 0.25))
        return 1 - vector @ astronaut_face.vector / np.linalg.norm(vector)

    assert describe(astronaut) < 0.002  # not 0: our landmarks are a mean
    assert describe(np.ascontiguousarray(astronaut[:, :, ::-1])) > 0.004


def as_uint8(rgb):
    return np.clip(rgb, 0, 255).astype(np.uint8)


def blurred(rgb, sigma_px):
    return ndimage.gaussian_filter(rgb, (sigma_px, sigma_px, 0))


def _as_jpeg(rgb, *, quality):
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


# Cosine distance to the unchanged photograph, between the two limits. Two people lie some 0.06 to 0.1 apart.
CHANGES = {
    "not at all": (lambda rgb: rgb.copy(), 0, 1e-9),
    "rotated by 30 deg": (lambda rgb: ndimage.rotate(rgb, 30, reshape=False, order=1), 0, 0.008),
    "stretched to 1.25": (lambda rgb: ndimage.zoom(rgb, (1, 1.25, 1), order=1), 0.002, 0.04),
    "stretched to 0.8": (lambda rgb: ndimage.zoom(rgb, (1, 0.8, 1), order=1), 0.002, 0.04),
    "saved as JPEG 30": (lambda rgb: _as_jpeg(rgb, quality=30), 0.001, 0.02),
    "blurred by 4 px": (lambda rgb: blurred(rgb, 4), 0.03, 0.15),
    "shifted by 7, 5 px": (lambda rgb: np.roll(rgb, (5, 7), axis=(0, 1)), 0, 0.005),
    "rotated by 10 deg": (lambda rgb: ndimage.rotate(rgb, 10, reshape=False, order=1), 0, 0.004),
    "rotated by -20 deg": (lambda rgb: ndimage.rotate(rgb, -20, reshape=False, order=1), 0, 0.004),
    "shrunk to 0.7": (lambda rgb: as_uint8(ndimage.zoom(blurred(rgb, 0.7), (0.7, 0.7, 1), order=1)), 0, 0.01),
    "darker": (lambda rgb: as_uint8(rgb * 0.6), 0.001, 0.01),
    "brighter": (lambda rgb: as_uint8(rgb * 1.4), 0.005, 0.03),
    "noisy": (lambda rgb: as_uint8(rgb + np.random.default_rng(0).normal(0, 15, rgb.shape)), 0.003, 0.03),
    "grey": (lambda rgb: as_uint8(np.repeat(rgb.mean(axis=2, keepdims=True), 3, axis=2)), 0.003, 0.02),
    "mirrored": (lambda rgb: rgb[:, ::-1], 0.002, 0.02),
    "red and blue swapped": (lambda rgb: rgb[:, :, ::-1], 0.002, 0.02),
    "blurred by 2 px": (lambda rgb: blurred(rgb, 2), 0.015, 0.06),
}


@pytest.mark.parametrize("change", CHANGES)
def test_dlib_distance_of_a_changed_photograph(change, dlib_encoder, astronaut, astronaut_face):
    alter, low, high = CHANGES[change]
    changed = dlib_encoder.encode(portrait(alter(astronaut)))
    assert changed.status is (Status.LOW_CONFIDENCE if change == "blurred by 4 px" else Status.OK)
    assert low - 1e-6 <= distance(changed, astronaut_face) < high


def test_dlib_distance_grows_with_blur(dlib_encoder, astronaut, astronaut_face):
    distances = [
        distance(dlib_encoder.encode(portrait(blurred(astronaut, sigma_px))), astronaut_face) for sigma_px in (1, 2, 3)
    ]
    assert distances == sorted(distances)
    assert distances[-1] > 3 * distances[0]


@pytest.mark.parametrize("name", ["dlib", "Facenet512"])
def test_threads_that_share_an_encoder_do_not_mix_their_faces(name, home, astronaut):
    encoder = make_encoder(name, detector="dlib")
    pictures = [portrait(np.roll(astronaut, 3 * step, axis=1)) for step in range(6)]
    serial = [encoder.encode(picture).vector for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert np.array_equal([made.vector for made in pool.map(encoder.encode, pictures)], serial)


def test_blackened_face_is_no_face(dlib_encoder, astronaut, astronaut_face):
    left, top, right, bottom = (int(edge) for edge in astronaut_face.box_px)
    blackened = astronaut.copy()
    blackened[top - 30 : bottom + 15, left - 15 : right + 15] = 0
    made = dlib_encoder.encode(portrait(blackened))
    assert made.status in (Status.NO_FACE, Status.LOW_CONFIDENCE)
    if made.acquired:  # a fold of the clothes, never the place of the face
        assert abs(made.box_px[1] - top) > 50


def test_empty_picture_is_no_face(dlib_encoder):
    made = dlib_encoder.encode(portrait(np.zeros((512, 512, 3), np.uint8)))
    assert (made.status, made.vector, made.box_px) == (Status.NO_FACE, None, None)
    assert np.isnan(made.confidence)
    assert made.reason


def test_two_astronauts_are_many_faces(dlib_encoder, astronaut, astronaut_face):
    crop = astronaut[0:280, 96:352]
    pair = np.hstack([crop, crop])
    made = dlib_encoder.encode(portrait(pair))
    assert made.status is Status.MANY_FACES
    assert "2 faces" in made.reason
    assert distance(made, astronaut_face) < 0.01


def test_dlib_identity_names_files_versions_and_settings(dlib_encoder):
    identity = dlib_encoder.identity
    assert identity["sha256 of dlib-recogniser"] == weights.MODEL_FILES["dlib-recogniser"].sha256
    assert identity["sha256 of dlib-landmarks"] == weights.MODEL_FILES["dlib-landmarks"].sha256
    assert identity["stand_in"] == "false"
    assert {"encoder", "detector", "dlib", "chip", "detection"} <= identity.keys()
    assert json.loads(json.dumps(dict(identity))) == identity
    assert dlib_encoder.notice == ""


# --- DeepFace, its own loaders, stand-ins for the weights ---


@pytest.mark.parametrize("name", ["Facenet512", "ArcFace"])
def test_one_face(name, home):
    made = make_encoder(name).encode(scene((220, 200)))
    assert (made.status, made.encoder, made.reason) == (Status.OK, name, "")
    assert made.vector.shape == (512,)
    assert made.vector.dtype == np.float32
    assert np.linalg.norm(made.vector.astype(float)) == pytest.approx(1, abs=1e-6)
    assert made.confidence == pytest.approx(1)
    # The stand-in draws a box of 255 px about a cell that the patch covers, the right eye to the left.
    left, top, right, bottom = made.box_px
    assert (right - left, bottom - top) == (255, 255)
    assert np.hypot((left + right) / 2 - 260, (top + bottom) / 2 - 240) < 32
    assert made.landmarks_px.shape == (5, 2)
    assert made.landmarks_px[0, 0] < made.landmarks_px[1, 0]


def test_no_face(home):
    made = make_encoder("Facenet512").encode(scene())
    assert (made.status, made.vector) == (Status.NO_FACE, None)


def test_two_faces(home):
    made = make_encoder("Facenet512").encode(scene((10, 200), (390, 200)))
    assert made.status is Status.MANY_FACES
    assert made.acquired
    assert "2 faces" in made.reason


def test_faint_face_is_used_and_called_so(home):
    made = make_encoder("Facenet512").encode(scene((220, 200), colour=stand_ins.FAINT_RED))
    assert made.status is Status.LOW_CONFIDENCE
    assert made.acquired
    assert made.confidence == pytest.approx(0.69, abs=0.01)
    assert "0.69" in made.reason


def test_face_beyond_the_edge_of_the_picture(home):
    made = make_encoder("Facenet512").encode(scene((0, 0)))
    assert made.status is Status.OK
    assert made.box_px[0] < 0


@pytest.mark.parametrize("name", ["Facenet512", "ArcFace"])
@pytest.mark.parametrize("place", [(220, 200), (0, 0), (432, 300)])
def test_vectors_are_those_of_deepface(name, place, home, monkeypatch):
    picture = scene(place, seed=1)
    # Something slanted and coloured in the crop, so that channels and order of the steps matter.
    picture.pixels[100:180, 60:460, 2] = 220
    ours = make_encoder(name).encode(picture)
    with warnings.catch_warnings():
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")  # what importing the top module sets, undone after the test
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        from deepface import DeepFace
        from deepface.modules import modeling
        from retinaface import RetinaFace

        theirs = DeepFace.represent(
            np.ascontiguousarray(picture.pixels[:, :, ::-1]), model_name=name, detector_backend="retinaface"
        )
        modeling.cached_models = {task: {} for task in modeling.AVAILABLE_MODELS}
        vars(RetinaFace).pop("model")
    vector = np.array(theirs[0]["embedding"], dtype=np.float32).astype(float)
    assert len(theirs) == 1
    assert np.array_equal((vector / np.linalg.norm(vector)).astype(np.float32), ours.vector)


def test_deepface_takes_colours_as_rgb(home):
    picture = scene((220, 200))
    swapped = portrait(picture.pixels[:, :, ::-1])
    encoder = make_encoder("Facenet512")
    assert encoder.encode(picture).status is Status.OK
    assert encoder.encode(swapped).status is Status.NO_FACE  # the stand-in sees faces in red, not in blue
    (place,) = encoder.finder.detect(picture)
    own, other = encoder.embedder.embed(picture, place), encoder.embedder.embed(swapped, place)
    assert own @ other / np.linalg.norm(own) / np.linalg.norm(other) < 0.99
    chip = encoder.embedder.chip(picture, place)[0]
    assert chip[..., 2].max() > 0.95  # BGR, as the recognisers of DeepFace take it
    assert chip[..., 0].max() < 0.5


def test_deepface_recogniser_on_dlibs_detection(home, astronaut, astronaut_face):
    encoder = make_encoder("Facenet512", detector="dlib")
    made = encoder.encode(portrait(astronaut))
    assert (encoder.detector, made.status) == ("dlib", Status.OK)
    assert made.box_px == astronaut_face.box_px
    assert made.vector.shape == (512,)
    assert "sha256 of dlib-landmarks" in encoder.identity


def test_one_detection_serves_several_embedders_and_pictures(home):
    original, other = scene((220, 200)), scene(seed=5)
    (place,) = face.make_detector("retinaface").detect(original)
    for name in ("Facenet512", "ArcFace"):
        embedder = face.make_embedder(name)
        direct = make_encoder(name).encode(original)
        vector = embedder.embed(original, place)
        assert np.allclose(vector / np.linalg.norm(vector), direct.vector, atol=1e-6)
        # In the other picture nothing is found, and the place of the first is read all the same.
        assert not np.allclose(embedder.embed(other, place), vector)


def test_landmarks_of_another_detector_are_refused_by_dlibs_chip(home, astronaut):
    (place,) = face.make_detector("retinaface").detect(scene((220, 200)))
    with pytest.raises(InputError, match="dlib-5"):
        face.make_embedder("dlib").embed(portrait(astronaut), place)


def test_stand_ins_are_announced(home):
    encoder = make_encoder("ArcFace")
    assert encoder.notice.startswith("STAND-IN")
    assert encoder.identity["stand_in"] == "true"
    half = make_encoder("ArcFace", detector="dlib")
    assert half.notice.startswith("STAND-IN")
    assert half.identity["stand_in"] == "true"


def test_deepface_identity_names_files_and_versions(home):
    identity = make_encoder("Facenet512").identity
    for name, file in (("Facenet512", "facenet512_weights.onnx"), ("RetinaFace", "retinaface.onnx")):
        assert identity[f"sha256 of {name}"] == weights.sha256_of(home / file)
    assert {"deepface", "retina-face", "onnxruntime", "opencv", "chip", "detection"} <= identity.keys()


def test_models_run_on_one_cpu_thread(home):
    encoder = make_encoder("Facenet512")
    for session in (encoder.finder._model.session, encoder.embedder._model.model):
        options = session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
        assert session.get_providers() == ["CPUExecutionProvider"]


def test_two_homes_in_one_process_do_not_mix(home, tmp_path_factory, monkeypatch):
    picture = scene((220, 200))
    first = make_encoder("Facenet512")
    before = first.encode(picture)
    other = stand_ins.write_home(tmp_path_factory.mktemp("other"))
    stand_ins.write_recogniser(other / "facenet512_weights.onnx", size_px=160, dimension=512, seed=9)
    monkeypatch.setenv("DEEPFACE_HOME", str(other.parents[1]))
    second = make_encoder("Facenet512")
    assert second.identity["sha256 of Facenet512"] != first.identity["sha256 of Facenet512"]
    assert distance(second.encode(picture), before) > 0.1
    assert np.array_equal(first.encode(picture).vector, before.vector)


def test_file_that_is_replaced_is_loaded_again(home):
    picture = scene((220, 200))
    before = make_encoder("Facenet512").encode(picture)
    stand_ins.write_recogniser(home / "facenet512_weights.onnx", size_px=160, dimension=512, seed=9)
    assert distance(make_encoder("Facenet512").encode(picture), before) > 0.1


# --- files that are missing, damaged or another model's ---


@pytest.mark.parametrize("file", ["facenet512_weights.onnx", "retinaface.onnx"])
def test_missing_file_fails_at_once(file, home):
    (home / file).unlink()
    started = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        make_encoder("Facenet512", detector="retinaface")
    assert time.perf_counter() - started < 1
    assert file in str(caught.value)
    assert str(home) in str(caught.value)


@pytest.mark.parametrize("file", ["facenet512_weights.onnx", "retinaface.onnx"])
@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "html"])
def test_damaged_file_is_named(file, damage, home):
    path = home / file
    whole = path.read_bytes()
    content = {"garbage": b"\xff" * 5000, "truncated": whole[: len(whole) // 2], "empty": b"", "html": b"<html>404"}
    path.write_bytes(content[damage])
    with pytest.raises(WeightsError, match=file) as caught:
        make_encoder("Facenet512")
    assert f"refused {file}: {weights.sha256_of(path)}" in str(caught.value)


def test_model_with_vectors_of_another_length_is_refused(home):
    stand_ins.write_recogniser(home / "facenet512_weights.onnx", size_px=160, dimension=128)
    with pytest.raises(WeightsError, match=r"facenet512_weights\.onnx is not Facenet512: .*\(128,\).*\(512,\)"):
        make_encoder("Facenet512")


def test_model_for_pictures_of_another_size_is_refused(home):
    shutil.copy(home / "arcface_weights.onnx", home / "facenet512_weights.onnx")
    with pytest.raises(WeightsError, match=r"facenet512_weights\.onnx is not Facenet512: .*160 px") as caught:
        make_encoder("Facenet512")
    assert weights.sha256_of(home / "arcface_weights.onnx") in str(caught.value)  # renamed: its digest tells what it is


def test_recogniser_in_place_of_the_detector_is_refused(home):
    shutil.copy(home / "arcface_weights.onnx", home / "retinaface.onnx")
    with pytest.raises(WeightsError, match=r"retinaface\.onnx is not RetinaFace"):
        make_encoder("Facenet512")


def test_detector_in_place_of_the_recogniser_is_refused(home):
    shutil.copy(home / "retinaface.onnx", home / "facenet512_weights.onnx")
    with pytest.raises(WeightsError, match=r"facenet512_weights\.onnx is not Facenet512"):
        make_encoder("Facenet512")


# --- packages that are missing ---


@pytest.mark.parametrize(
    ("package", "encoder"),
    [("dlib", "dlib"), ("deepface", "Facenet512"), ("retinaface", "Facenet512"), ("onnxruntime", "Facenet512")],
)
def test_missing_package_is_an_engine_error(package, encoder, tmp_path):
    stand_ins.write_home(tmp_path)
    code = f"""
sys.modules[{package!r}] = None  # makes Python's import fail
from reid_audit.face import make_encoder
from reid_audit.records import EngineError
try:
    make_encoder({encoder!r})
except EngineError as error:
    assert "pip install" in str(error) and {package!r} in str(error), error
else:
    raise AssertionError("was made")
"""
    run_python(code, tmp_path)


# --- good manners: each in a process of its own ---


def run_python(code: str, home: Path) -> subprocess.CompletedProcess:
    # Without the variables by which onnxruntime would keep its telemetry to itself on its own.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_", "CI", "GITHUB_"))}
    environment = {**kept, "DEEPFACE_HOME": str(home), "HOME": str(home), "USERPROFILE": str(home)}
    paths = [str(TESTS), str(Path(face.__file__).resolve().parents[2])]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n" + code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_importing_loads_no_engine_and_makes_no_folder(tmp_path):
    code = """
import reid_audit.face, reid_audit.weights
heavy = ("dlib", "deepface", "retinaface", "cv2", "onnxruntime", "tensorflow", "torch", "requests", "gdown")
assert not [name for name in heavy if name in sys.modules]
"""
    done = run_python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_the_process_as_it_was(tmp_path):
    home = stand_ins.write_home(tmp_path, *stand_ins.RECOGNISERS)
    stand_ins.write_centerface(home / "centerface.onnx")
    stand_ins.write_recogniser(home / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    code = """
import logging, os, signal, socket, warnings
def refuse(*_): raise AssertionError("connects")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import numpy as np, stand_ins
def state():
    root = logging.getLogger()
    return (list(warnings.filters), dict(os.environ), root.level, list(root.handlers), logging.root.manager.disable,
            sys.stdout, sys.stderr, socket.getdefaulttimeout(), os.getcwd(), signal.getsignal(signal.SIGINT))
before = state()
from reid_audit import weights
from reid_audit.face import make_encoder
from reid_audit.records import Portrait, View
pixels = np.random.default_rng(0).integers(0, 90, (512, 512, 3), dtype=np.uint8)
stand_ins.paint_face(pixels, left=220, top=200)
weights.local.MODEL_FILES = stand_ins.unpinned(weights.MODEL_FILES)
cases = [(name, "auto") for name in (*stand_ins.RECOGNISERS, "dlib", "onnx:mine.onnx")]
for name, detector in (*cases, ("ArcFace", "centerface"), ("onnx:mine.onnx", "dlib")):
    encoder = make_encoder(name, detector=detector)
    made = encoder.encode(Portrait(pixels, View(), np.eye(3, 4), "test"))
    assert made.status != "backend_error", made.reason
    assert state() == before
from deepface.commons.logger import Logger
from reid_audit.face import _models
Logger().log_level = 10  # deepface's loggers print
_models.load_recogniser.cache_clear()
make_encoder("ArcFace")
import onnxruntime
from deepface.commons import weight_utils
from retinaface.commons import weight_utils as retinaface_weight_utils
for module in (weight_utils, retinaface_weight_utils):
    assert module.download_weights_if_necessary.__module__ == module.__name__
assert onnxruntime.SessionOptions().intra_op_num_threads == 0
"""
    done = run_python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert home.is_dir()


def test_another_engine_chosen_earlier_in_the_process_is_told(tmp_path):
    stand_ins.write_home(tmp_path)
    code = """
from deepface.commons import backend_utils
backend_utils._backend_engine = "tensorflow"
from reid_audit.face import make_encoder
from reid_audit.records import EngineError
try:
    make_encoder("Facenet512")
except EngineError as error:
    assert "DEEPFACE_BACKEND_ENGINE=onnx" in str(error)
else:
    raise AssertionError("ran on another engine")
"""
    run_python(code, tmp_path)


# --- what it is for ---


@pytest.mark.slow
def test_two_visits_of_a_synthetic_head_are_nearer_than_two_heads():
    from reid_audit.phantom import make_phantom
    from reid_audit.render import frontal_view, make_renderer
    from reid_audit.surface import extract_skin

    renderer, encoder = make_renderer("raycast"), make_encoder("dlib")
    faces = {}
    for identity, visit in ((1, 1), (1, 2), (3, 1), (3, 2)):
        skin = extract_skin(make_phantom(identity, visit).volume)
        faces[identity, visit] = encoder.encode(renderer.render(skin, frontal_view(skin)))
    assert {made.status for made in faces.values()} == {Status.OK}
    same = max(distance(faces[identity, 1], faces[identity, 2]) for identity in (1, 3))
    different = min(distance(faces[1, one], faces[3, other]) for one in (1, 2) for other in (1, 2))
    assert same < 0.03 < different
