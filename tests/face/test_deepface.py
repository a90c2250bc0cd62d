"""DeepFace, its own loaders, stand-ins for the weights; files that are missing, damaged or another model's."""

import shutil
import time

import numpy as np
import pytest
from pictures import distance, portrait, scene

from reid_audit import face, testing, weights
from reid_audit.face import make_encoder
from reid_audit.records import InputError, Status, WeightsError

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
    made = make_encoder("Facenet512").encode(scene((220, 200), colour=testing.FAINT_RED))
    assert made.status is Status.LOW_CONFIDENCE
    assert made.acquired
    assert made.confidence == pytest.approx(0.69, abs=0.01)
    assert "0.69" in made.reason


def test_face_beyond_the_edge_of_the_picture(home):
    made = make_encoder("Facenet512").encode(scene((0, 0)))
    assert made.status is Status.OK
    assert made.box_px[0] < 0


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
    other = testing.write_weights(tmp_path_factory.mktemp("other"))
    testing.write_encoder(other / "facenet512_weights.onnx", size_px=160, dimension=512, seed=9)
    monkeypatch.setenv("DEEPFACE_HOME", str(other.parents[1]))
    second = make_encoder("Facenet512")
    assert second.identity["sha256 of Facenet512"] != first.identity["sha256 of Facenet512"]
    assert distance(second.encode(picture), before) > 0.1
    assert np.array_equal(first.encode(picture).vector, before.vector)


def test_file_that_is_replaced_is_loaded_again(home):
    picture = scene((220, 200))
    before = make_encoder("Facenet512").encode(picture)
    testing.write_encoder(home / "facenet512_weights.onnx", size_px=160, dimension=512, seed=9)
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
    testing.write_encoder(home / "facenet512_weights.onnx", size_px=160, dimension=128)
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
