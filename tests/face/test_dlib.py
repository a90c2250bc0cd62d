"""dlib, real weights, real photograph."""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest
from pictures import distance, portrait
from scipy import ndimage

from reid_audit import weights
from reid_audit.face import make_encoder
from reid_audit.face._dlib import BATCH, DETECTOR_FILE, FLOOR_SCORE, SURE_SCORE, DlibDetector, DlibEmbedder
from reid_audit.face._dlib_network import DlibNetwork
from reid_audit.records import Status, WeightsError

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


@pytest.mark.parametrize("width_px", [150, 190, 230, 300, 420])
def test_a_face_is_found_in_the_shrunk_picture_where_dlib_finds_it_in_the_whole(astronaut, width_px):
    import dlib

    scale = width_px / 107  # her face is 107 px wide in the picture of 512
    rgb = dlib.resize_image(astronaut, rows=round(512 * scale), cols=round(512 * scale))
    boxes, scores, _ = dlib.get_frontal_face_detector().run(rgb, 0, FLOOR_SCORE)
    (_, surest), *_ = DlibDetector()._look_for_large(rgb)
    assert surest == pytest.approx(scores[0])
    box = boxes[0]
    assert DlibDetector().detect(portrait(rgb))[0].box_px == (box.left(), box.top(), box.right(), box.bottom())


def test_a_small_face_is_found_in_the_whole_picture(astronaut):
    (face, *_) = DlibDetector().detect(portrait(astronaut))
    assert face.score > SURE_SCORE
    assert face.width_px < 124  # too small for the shrunk one


def test_detector_is_dlibs_own(tmp_path):
    import dlib

    dlib.get_frontal_face_detector().save(str(tmp_path / DETECTOR_FILE))
    assert (tmp_path / DETECTOR_FILE).read_bytes() == files("reid_audit.face").joinpath(DETECTOR_FILE).read_bytes()


def test_network_gives_the_numbers_of_dlibs_own(astronaut, dlib_encoder):
    import dlib

    path = weights.find_weights("dlib-recogniser")
    network, ours = dlib.face_recognition_model_v1(str(path)), DlibNetwork(path)
    (detection, *_) = DlibDetector().detect(portrait(astronaut))
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    flat = np.zeros((150, 150, 3), np.uint8)
    chips = np.stack([DlibEmbedder().chip(portrait(astronaut), detection), noise, flat, flat + np.uint8(255)])
    expected = np.array([network.compute_face_descriptor(chip) for chip in chips])
    np.testing.assert_allclose(ours(chips), expected, atol=1e-5)
    np.testing.assert_allclose([ours(chip[None])[0] for chip in chips], expected, atol=1e-5)
    assert ours(chips).dtype == np.float32


def test_several_faces_are_embedded_at_once_in_their_order(astronaut, dlib_encoder, astronaut_face):
    darker = [portrait((astronaut * share).astype(np.uint8)) for share in np.linspace(0.5, 1.0, BATCH + 2)]
    together = dlib_encoder.encode_all_at(darker, astronaut_face)
    alone = [dlib_encoder.encode_at(each, astronaut_face) for each in darker]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.vector, b.vector, atol=1e-5)
    assert np.abs(together[0].vector - together[-1].vector).max() > 1e-3


@pytest.mark.parametrize("size", [0, 1000, 20_000_000])
def test_network_refuses_a_file_of_other_layers(tmp_path, size):
    path = tmp_path / "cut.dat"
    path.write_bytes(weights.find_weights("dlib-recogniser").read_bytes()[:size])
    with pytest.raises(WeightsError, match=r"cut\.dat does not hold the layers"):
        DlibNetwork(path)


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
    different = min(distance(faces[1, each], faces[3, other]) for each in (1, 2) for other in (1, 2))
    assert same < 0.03 < different
