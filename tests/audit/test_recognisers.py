"""The other recognisers of DeepFace, ONNX files of the user's own, and several encoders on one detection."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from skimage import data

from reid_audit import Settings, face, testing, weights
from reid_audit.audit import start_engines
from reid_audit.face import _onnx, make_encoder
from reid_audit.face._align import describe_fit, fit_similarity, fit_template
from reid_audit.face._models import RECOGNISERS
from reid_audit.face._parts import Detection, FaceEncoder, SharedDetector
from reid_audit.records import EngineError, InputError, Portrait, Status, View, WeightsError

MOBILEFACENET = SHARED / "reference" / "mobilefacenet.onnx"
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def portrait(pixels) -> Portrait:
    return Portrait(np.ascontiguousarray(pixels), View(), np.eye(3, 4), "test")


def scene(*places):
    pixels = np.random.default_rng(1).integers(0, 90, (512, 512, 3), dtype=np.uint8)
    pixels[100:180, 60:460, 2] = 220  # slanted by the turn, and coloured: channels and order of the steps matter
    for left, top in places:
        testing.paint_face(pixels, left=left, top=top)
    return portrait(pixels)


def cosine(each, other):
    return float(each @ other / np.linalg.norm(each) / np.linalg.norm(other))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    # The stand-in for SFace cannot have the digest that is pinned.
    monkeypatch.setattr(weights.local, "MODEL_FILES", testing.unpinned(weights.MODEL_FILES))
    return tmp_path


@pytest.fixture(scope="module")
def astronaut():
    return portrait(data.astronaut())


# --- DeepFace's own ---


@pytest.mark.parametrize("name", sorted(RECOGNISERS))
def test_every_recogniser_gives_the_vectors_of_deepface(name, home, monkeypatch):
    testing.write_weights(home, name)
    picture = scene((220, 200))
    ours = make_encoder(name, detector="retinaface").encode(picture)
    assert (ours.status, ours.encoder) == (Status.OK, name)
    assert ours.vector.shape == (RECOGNISERS[name].dimension,)
    if name == "Buffalo_L":
        return  # DeepFace needs another package for it; see the next test
    with warnings.catch_warnings():
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")  # what importing the top module sets, undone after the test
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        from deepface import DeepFace
        from deepface.modules import modeling
        from retinaface import RetinaFace

        bgr = np.ascontiguousarray(picture.pixels[:, :, ::-1])
        (theirs,) = DeepFace.represent(bgr, model_name=name, detector_backend="retinaface")
        modeling.cached_models = {task: {} for task in modeling.AVAILABLE_MODELS}
        vars(RetinaFace).pop("model")
    vector = np.array(theirs["embedding"], dtype=np.float32).astype(float)
    assert np.allclose(vector / np.linalg.norm(vector), ours.vector, atol=1e-6)


def test_buffalo_l_sees_centred_rgb_with_channels_first(home):
    testing.write_weights(home, "Buffalo_L")
    embedder = face.make_embedder("buffalo_l")
    fed = {}

    class Session:
        def run(self, _, feed):
            fed.update(feed)
            return [np.ones((1, 512), np.float32)]

    embedder._model.model, original = Session(), embedder._model.model
    chip = np.zeros((1, 112, 112, 3), np.float32)
    chip[..., 0] = 1  # blue, in DeepFace's BGR
    embedder._model.forward(chip)
    embedder._model.model = original
    (blob,) = fed.values()
    assert blob.shape == (1, 3, 112, 112)
    assert blob.dtype == np.float32
    assert [float(blob[0, channel].mean()) for channel in range(3)] == [-1, -1, 1]


@pytest.mark.parametrize("name", sorted(RECOGNISERS))
def test_missing_or_damaged_recogniser_names_its_file(name, home):
    testing.write_weights(home, name)
    path = weights.find_weights(name)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(WeightsError, match=path.name):
        make_encoder(name, detector="dlib")
    path.unlink()
    with pytest.raises(WeightsError, match=f"reid-audit weights fetch {name}"):
        make_encoder(name, detector="dlib")


def test_without_its_file_retinaface_gives_way_to_dlib_and_the_notice_says_so(home):
    testing.write_weights(home, "ArcFace")
    encoder = make_encoder("ArcFace")
    assert (encoder.detector, "dlib" in encoder.notice) == ("retinaface", False)
    (home / ".deepface" / "weights" / "retinaface.onnx").unlink()
    encoder = make_encoder("ArcFace")
    assert encoder.detector == "dlib"
    assert "dlib instead of RetinaFace, because retinaface.onnx is not there" in encoder.notice
    assert "STAND-IN" in encoder.notice
    with pytest.raises(WeightsError, match="retinaface"):
        make_encoder("ArcFace", detector="retinaface")


# --- the template ---


def turned(points, *, degrees, scale, shift):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + shift


@settings(max_examples=30, deadline=None)
@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.1, 10),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_similarity_undoes_turn_scale_and_shift(degrees, scale, shift):
    moved = turned(TEMPLATE, degrees=degrees, scale=scale, shift=np.array(shift))
    matrix = fit_similarity(moved, TEMPLATE)
    assert np.allclose(moved @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-6)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(scale**-2)


def test_similarity_is_that_of_umeyama():
    from skimage.transform import SimilarityTransform

    moved = turned(TEMPLATE, degrees=20, scale=2, shift=(30, 4)) + np.random.default_rng(0).normal(0, 3, (5, 2))
    assert np.allclose(fit_similarity(moved, TEMPLATE), SimilarityTransform.from_estimate(moved, TEMPLATE).params[:2])


def test_similarity_never_mirrors():
    mirrored = TEMPLATE * (-1, 1)
    assert np.linalg.det(fit_similarity(mirrored, TEMPLATE)[:, :2]) > 0


def test_points_in_one_place_are_an_engine_error():
    for points in (np.ones((5, 2)), np.full((5, 2), np.nan)):
        with pytest.raises(EngineError, match="one place"):
            fit_similarity(points, TEMPLATE)


def test_template_scales_with_the_chip():
    detection = Detection((0, 0, 1, 1), TEMPLATE, TEMPLATE[[1, 0]], 1.0, "retinaface-5")
    assert np.allclose(fit_template(detection, size_px=112), np.eye(2, 3), atol=1e-9)
    assert np.allclose(fit_template(detection, size_px=224), 2 * np.eye(2, 3), atol=1e-9)


def test_dlibs_points_are_laid_on_the_eyes_of_the_template():
    right, left, base = TEMPLATE[0], TEMPLATE[1], np.array([56.1, 79.5])
    half = np.array([8, 0])
    corners = np.array([left + half, left - half, right - half, right + half, base])
    detection = Detection((0, 0, 1, 1), corners, np.stack([left, right]), 1.0, "dlib-5")
    assert np.allclose(fit_template(detection, size_px=112), np.eye(2, 3), atol=1e-9)


def test_layout_without_eyes_is_refused():
    with pytest.raises(InputError, match="'none'"):
        describe_fit("none")
    with pytest.raises(InputError, match=r"cannot be combined with the detector opencv; it takes retinaface, dlib"):
        make_encoder("onnx:model.onnx", detector="opencv")


# --- a file of the user's own ---


@pytest.fixture
def model(tmp_path):
    return testing.write_encoder(tmp_path / "mine.onnx", size_px=112, dimension=64, channels_first=True)


def test_onnx_file_with_default_settings(model, astronaut, monkeypatch):
    encoder = make_encoder(f"onnx:{model}", detector="dlib")
    assert encoder.name == "onnx:mine.onnx"  # no folder: it goes into reports
    assert encoder.recipe == f"onnx:{model}"
    assert face.name_encoder(encoder.recipe) == encoder.name
    made = encoder.encode(astronaut)
    assert (made.status, made.encoder, made.vector.shape) == (Status.OK, "onnx:mine.onnx", (64,))
    identity = encoder.identity
    assert identity["sha256 of onnx:mine.onnx"] == weights.sha256_of(model)
    assert identity["handover from"] == "defaults (plain ArcFace)"
    assert identity["handover mean"] == identity["handover std"] == "(127.5, 127.5, 127.5)"
    assert "eyes, base of the nose" in identity["chip"]
    assert not any(str(model.parent) in value for value in identity.values())
    again = make_encoder(encoder.recipe, detector="dlib").encode(astronaut)
    assert np.array_equal(again.vector, made.vector)


def test_relative_path_and_weights_home(model, home, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert make_encoder("ONNX:mine.onnx", detector="dlib").name == "onnx:mine.onnx"
    weights.import_weights(model)
    model.unlink()
    assert make_encoder("onnx:mine.onnx", detector="dlib").recipe.endswith("weights/mine.onnx")
    with pytest.raises(WeightsError, match=r"other\.onnx not found: .*weights import"):
        make_encoder("onnx:other.onnx", detector="dlib")
    with pytest.raises(InputError, match="needs a file"):
        make_encoder("onnx:", detector="dlib")


def run_with(model, toml, chip):
    """What the network was fed for one chip, in the order of its calls."""
    model.with_suffix(".toml").write_text(toml)
    embedder = _onnx.OnnxEmbedder(model, layout="dlib-5")
    fed = []

    class Session:
        def get_inputs(self):
            return [type("Input", (), {"name": "picture"})]

        def run(self, _, feed):
            fed.append(feed["picture"])
            return [np.array([[1.0, len(fed)]], np.float32)]

    embedder._session = Session()
    embedder.chip = lambda portrait, detection: chip
    return embedder.embed(None, None), fed


def test_settings_are_applied_in_the_documented_order(model):
    chip = np.zeros((112, 112, 3), np.uint8)
    chip[:, :56] = (10, 20, 30)
    toml = 'channels = "bgr"\nscale = 0.5\nmean = [1, 2, 3]\nstd = [1, 2, 4]\nflip = true\n'
    vector, (straight, mirrored) = run_with(model, toml, chip)
    # BGR: 30, 20, 10; halved 15, 10, 5; less 1, 2, 3: 14, 8, 2; over 1, 2, 4.
    assert straight.shape == (1, 3, 112, 112)
    assert straight[0, :, 0, 0].tolist() == [14, 4, 0.5]
    assert straight[0, :, 0, -1].tolist() == [-1, -1, -0.75]
    assert np.array_equal(mirrored, straight[..., ::-1])
    assert vector.tolist() == [2, 3]  # the sum of [1, 1] and [1, 2]


def test_channels_last(tmp_path):
    model = testing.write_encoder(tmp_path / "last.onnx", size_px=96, dimension=8)
    chip = np.zeros((96, 96, 3), np.uint8)
    _, (fed,) = run_with(model, 'size = 96\nlayout = "nhwc"\nmean = 0\nstd = 1\n', chip)
    assert fed.shape == (1, 96, 96, 3)


def test_every_setting_changes_the_identity(model):
    before = dict(make_encoder(f"onnx:{model}", detector="dlib").identity)
    for key, value in {"channels": '"bgr"', "scale": 0.5, "mean": 1, "std": 2.5, "flip": "true"}.items():
        model.with_suffix(".toml").write_text(f"{key} = {value}\n")
        identity = dict(make_encoder(f"onnx:{model}", detector="dlib").identity)
        assert {name for name in identity if identity[name] != before[name]} == {f"handover {key}", "handover from"}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("sise = 112", r"mine\.toml: no key is called 'sise'; known: size, channels"),
        ("size = 5", r"mine\.toml: size: .* 16"),
        ("size = '112'", "size: "),
        ("size = true", "size: "),
        ("channels = 'grb'", "channels: .*'rgb' or 'bgr'"),
        ("layout = 'chw'", "layout: "),
        ("scale = 0", "scale: .*greater than 0"),
        ("scale = nan", "scale: "),
        ("mean = [1, 2]", "mean"),
        ("mean = 'x'", "mean"),
        ("std = [1, 0, 1]", "std"),
        ("flip = 1", "flip: "),
        ("size = ", "no readable TOML"),
    ],
)
def test_bad_setting_names_its_key(toml, message, model):
    model.with_suffix(".toml").write_text(toml)
    with pytest.raises(InputError, match=message):
        make_encoder(f"onnx:{model}", detector="dlib")


def test_two_settings_files_are_refused(model):
    for name in ("mine.toml", "mine.onnx.toml"):
        model.with_name(name).write_text("flip = true\n")
    with pytest.raises(InputError, match=r"mine\.onnx\.toml and mine\.toml both describe mine\.onnx"):
        make_encoder(f"onnx:{model}", detector="dlib")


@pytest.mark.parametrize(
    ("toml", "message"),
    [("layout = 'nhwc'", "mend layout"), ("size = 96", "mend size"), ("", None)],
)
def test_graph_that_does_not_fit_its_settings_names_the_key(toml, message, model):
    model.with_suffix(".toml").write_text(toml)
    if message is None:
        assert make_encoder(f"onnx:{model}", detector="dlib").notice.startswith("STAND-IN")
        return
    with pytest.raises(WeightsError, match=rf"mine\.onnx .*{message} \(mine\.toml\)"):
        make_encoder(f"onnx:{model}", detector="dlib")


def test_file_that_is_no_recogniser_is_refused(tmp_path):
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x08garbage")
    with pytest.raises(WeightsError, match=r"damaged\.onnx cannot be loaded"):
        make_encoder(f"onnx:{tmp_path / 'damaged.onnx'}", detector="dlib")
    testing.write_detector(tmp_path / "finder.onnx")
    (tmp_path / "finder.toml").write_text('layout = "nhwc"\n')
    with pytest.raises(WeightsError, match=r"finder\.onnx"):
        make_encoder(f"onnx:{tmp_path / 'finder.onnx'}", detector="dlib")


def test_place_outside_the_picture_is_an_error_and_no_black_vector(model):
    embedder = _onnx.OnnxEmbedder(model, layout="retinaface-5")
    far = Detection((0, 0, 1, 1), TEMPLATE + 5000, TEMPLATE[[1, 0]], 1.0, "retinaface-5")
    with pytest.raises(EngineError, match="outside the picture"):
        embedder.embed(scene(), far)


@pytest.fixture(scope="module")
def mobilefacenet(tmp_path_factory):
    if not MOBILEFACENET.is_file():
        pytest.skip("needs ../shared/reference/mobilefacenet.onnx")
    folder = tmp_path_factory.mktemp("model")
    (folder / "mobilefacenet.onnx").symlink_to(MOBILEFACENET)
    (folder / "mobilefacenet.toml").write_text(
        "scale = 0.00392156862745098\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\nflip = true\n"
    )
    return make_encoder(f"onnx:{folder / 'mobilefacenet.onnx'}", detector="dlib")


def test_real_arcface_model_holds_on_to_a_face(mobilefacenet, astronaut):
    base = mobilefacenet.encode(astronaut).vector
    pixels = astronaut.pixels
    for changed in (np.roll(pixels, (5, 7), axis=(0, 1)), pixels[:, ::-1], pixels // 2):
        assert 1 - cosine(base, mobilefacenet.encode(portrait(changed)).vector) < 0.1


# --- several encoders, one detection ---


class _Counting:
    name, layout, sure_score, identity, stand_in = "dlib", "dlib-5", 0.0, {}, False

    def __init__(self, detector):
        self.detector, self.looks = detector, 0
        self.identity = detector.identity if detector else {}

    def detect(self, portrait):
        self.looks += 1
        return self.detector.detect(portrait)


def test_several_encoders_look_once_at_a_portrait(home, astronaut, model, monkeypatch):
    testing.write_weights(home, "ArcFace")
    counting = _Counting(face.make_detector("dlib"))
    monkeypatch.setattr(face, "make_detector", lambda name: counting)
    shared = {}
    names = ["dlib", "ArcFace", f"onnx:{model}"]
    encoders = [make_encoder(name, detector="dlib", detectors=shared) for name in names]
    faces = [encoder.encode(astronaut) for encoder in encoders]
    assert counting.looks == 1
    assert [made.encoder for made in faces] == ["dlib", "ArcFace", "onnx:mine.onnx"]
    assert [len(made.vector) for made in faces] == [128, 512, 64]
    assert len({made.box_px for made in faces}) == 1
    monkeypatch.undo()
    monkeypatch.setenv("DEEPFACE_HOME", str(home))
    for encoder, shared in zip(encoders, faces, strict=True):
        alone = make_encoder(encoder.recipe, detector="dlib")
        assert np.array_equal(alone.encode(astronaut).vector, shared.vector)
        assert alone.identity == encoder.identity


def test_encoders_with_their_own_detectors_share_what_they_can(home):
    testing.write_weights(home, "ArcFace", "Facenet")
    shared = {}
    encoders = [make_encoder(name, detectors=shared) for name in ("dlib", "ArcFace", "Facenet")]
    assert [encoder.detector for encoder in encoders] == ["dlib", "retinaface", "retinaface"]
    assert encoders[1].finder is encoders[2].finder


@pytest.mark.parametrize(("names", "message"), [((), "at least one"), (("dlib", "DLIB"), "two are called dlib")])
def test_no_name_or_one_twice_is_an_input_error(names, message):
    with pytest.raises(InputError, match=message):
        start_engines(Settings(encoders=names, renderer="raycast"))


def test_shared_detector_forgets_and_does_not_remember_errors():
    class Breaking(_Counting):
        def detect(self, portrait):
            self.looks += 1
            if self.looks == 1:
                raise EngineError("once")
            return []

    counting = Breaking(None)
    encoder = FaceEncoder("test", SharedDetector(counting), None)
    picture = scene()
    assert encoder.encode(picture).status is Status.BACKEND_ERROR
    assert encoder.encode(picture).status is Status.NO_FACE
    assert encoder.encode(picture).status is Status.NO_FACE
    assert counting.looks == 2
    for shade in range(20):
        encoder.encode(portrait(np.full((9, 9, 3), shade, np.uint8)))
    encoder.encode(picture)
    assert counting.looks == 23
    assert len(encoder.finder._remembered) == 16


# --- what it is for ---


@pytest.mark.slow
def test_real_arcface_model_tells_synthetic_people_apart(mobilefacenet):
    from reid_audit.phantom import make_phantom
    from reid_audit.render import frontal_view, make_renderer
    from reid_audit.surface import extract_skin

    vectors = {}
    with make_renderer("raycast") as renderer:
        for identity in range(4):
            for visit in (1, 2):
                skin = extract_skin(make_phantom(identity, visit).volume)
                made = mobilefacenet.encode(renderer.render(skin, frontal_view(skin)))
                assert made.status is Status.OK
                vectors[identity, visit] = made.vector
    for identity in range(4):
        likeness = [cosine(vectors[identity, 1], vectors[other, 2]) for other in range(4)]
        assert np.argmax(likeness) == identity
