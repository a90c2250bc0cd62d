"""Reference defacers that find the face by themselves, on synthetic heads of known landmarks."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from places import EXAMPLES

from reid_audit import InputError, Volume
from reid_audit.deface import (
    AverageReface,
    EyePlaneCut,
    FaceBox,
    NoDefacing,
    QuickShear,
    ShellBlur,
    SkinNoise,
    apply_defacer,
    find_face_frame,
    list_defacers,
    make_defacer,
)
from reid_audit.deface.frame import depth_mm
from reid_audit.phantom import LABELS, PARTS, PhantomScan, make_average_head, make_phantom
from reid_audit.records import Modality
from reid_audit.surface import SurfaceSettings, extract_skin

COARSE = SurfaceSettings(voxel_mm=2.5)
ALONE = (FaceBox(), ShellBlur(), SkinNoise(), AverageReface())


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return make_phantom(1, spacing_mm=2.5)


def _voxel(volume: Volume, point: np.ndarray) -> tuple[int, ...]:
    index = np.linalg.inv(volume.voxel_to_ras_mm) @ [*point, 1.0]
    return tuple(round(float(i)) for i in index[:3])


def test_the_landmarks_of_a_phantom_lie_on_its_skin(scan: PhantomScan) -> None:
    from scipy.spatial import cKDTree

    skin = cKDTree(extract_skin(scan.volume, settings=COARSE).vertices_ras_mm)
    landmarks = scan.landmarks_ras_mm
    assert set(landmarks) == set(PARTS) == set(make_average_head().landmarks_mm)
    assert all(skin.query(point)[0] < 4.0 for point in landmarks.values())
    assert landmarks["eye_right"][0] > landmarks["nose"][0] > landmarks["eye_left"][0]
    assert landmarks["eye_left"][2] > landmarks["nose"][2] > landmarks["mouth"][2] > landmarks["chin"][2]


@pytest.mark.parametrize(
    ("identity", "modality", "sd_deg", "limit_mm"),
    [(1, Modality.CT, 3.0, 10.0), (2, Modality.CT, 8.0, 12.0), (3, Modality.MR, 3.0, 12.0)],
)
def test_the_average_head_finds_the_face(identity: int, modality: Modality, sd_deg: float, limit_mm: float) -> None:
    kwargs = {"modality": modality, "pose_sd_deg": sd_deg}
    scan = make_phantom(identity, spacing_mm=2.5, couch=True, headrest=True, **kwargs)
    frame = find_face_frame(scan.volume)
    actual, true = frame.landmarks_ras_mm(), scan.landmarks_ras_mm
    assert max(np.linalg.norm(actual[name] - true[name]) for name in PARTS) < limit_mm
    assert frame.misfit_mm < 2.0


def test_what_is_no_head_is_refused() -> None:
    ball = np.full((80, 80, 80), -1000.0, dtype=np.float32)
    grid = np.indices(ball.shape) - 40
    ball[(grid**2).sum(axis=0) < 20**2] = 40.0
    with pytest.raises(InputError, match="no face to find"):
        find_face_frame(Volume(ball, np.diag([2.0, 2.0, 2.0, 1.0]), Modality.CT, "ball"))


def test_depth_is_signed_and_cavities_belong_to_the_head() -> None:
    block = np.full((30, 30, 30), -1000.0, dtype=np.float32)
    block[5:25, 5:25, 5:25] = 40.0
    block[12:16, 12:16, 12:16] = -1000.0  # a cavity
    block[1, 28, 1] = 40.0  # a speck
    depth = depth_mm(block, (1.0, 1.0, 1.0), -300.0)
    assert depth[15, 24, 20] == pytest.approx(-0.5)
    assert depth[15, 25, 20] == pytest.approx(0.5)
    assert depth[14, 14, 14] < -8
    assert depth[1, 28, 1] > 3


@pytest.mark.parametrize("defacer", ALONE, ids=lambda d: d.name)
def test_the_face_changes_and_the_rest_does_not(scan: PhantomScan, defacer: object) -> None:
    before = scan.volume.intensity.copy()
    done = apply_defacer(defacer, scan.volume, scan.labels, LABELS)
    np.testing.assert_array_equal(scan.volume.intensity, before)
    i, j, k = _voxel(scan.volume, scan.landmarks_ras_mm["nose"])
    assert done.changed[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3].mean() > 0.2
    assert 0.005 < done.changed.mean() < 0.2
    assert not done.changed[:, : done.changed.shape[1] // 2].any()
    assert not done.changed[np.isin(scan.labels, [LABELS["brain"], LABELS["brainstem"]])].any()
    again = apply_defacer(defacer, scan.volume, scan.labels, LABELS)
    np.testing.assert_array_equal(done.volume.intensity, again.volume.intensity)


def test_no_defacing_changes_nothing(scan: PhantomScan) -> None:
    done = apply_defacer(NoDefacing(), scan.volume)
    assert not done.changed.any()
    assert done.volume.intensity is not scan.volume.intensity


def test_the_box_is_air_at_every_landmark(scan: PhantomScan) -> None:
    defaced = apply_defacer(FaceBox(), scan.volume).volume
    for point in scan.landmarks_ras_mm.values():
        assert defaced.intensity[_voxel(defaced, point - (0, 3, 0))] == -1000.0


def test_the_shear_keeps_the_brain_and_writes_air(scan: PhantomScan) -> None:
    with pytest.raises(InputError, match=r"no label map.*brain"):
        apply_defacer(QuickShear(), scan.volume)
    done = apply_defacer(QuickShear(), scan.volume, scan.labels, LABELS)
    assert (done.volume.intensity[done.changed] == -1000.0).all()
    assert not done.changed[scan.labels == LABELS["brain"]].any()
    for name in ("nose", "mouth", "chin"):
        assert done.changed[_voxel(scan.volume, scan.landmarks_ras_mm[name] - (0, 4, 0))]


def test_the_layer_of_another_seed_is_another_layer(scan: PhantomScan) -> None:
    each, other = (apply_defacer(SkinNoise(seed), scan.volume).volume.intensity for seed in (0, 1))
    assert not np.array_equal(each, other)
    before = extract_skin(scan.volume, settings=COARSE).vertices_ras_mm[:, 1].max()
    assert extract_skin(replace(scan.volume, intensity=each), settings=COARSE).vertices_ras_mm[:, 1].max() > before + 2


def test_a_stronger_blur_moves_the_nose_further(scan: PhantomScan) -> None:
    tip = []
    for sigma_mm in (1.0, 8.0):
        blurred = apply_defacer(ShellBlur(sigma_mm), scan.volume).volume
        points = extract_skin(blurred, settings=COARSE).vertices_ras_mm
        nose = scan.landmarks_ras_mm["nose"]
        near = np.linalg.norm(points[:, [0, 2]] - nose[[0, 2]], axis=1) < 4
        tip.append(points[near, 1].max())
    assert tip[0] > tip[1] + 2


def test_two_people_get_nearly_one_face() -> None:
    """Refaced, the mouths of two people differ less than before: in the frame of the average head."""
    from scipy.ndimage import map_coordinates

    rows = {}
    for identity in (1, 2):
        volume = make_phantom(identity, spacing_mm=2.5).volume
        frame = find_face_frame(volume)
        refaced = apply_defacer(AverageReface(), volume).volume
        head_to_voxel = np.linalg.inv(frame.ras_to_head_mm @ volume.voxel_to_ras_mm)
        y, z = np.meshgrid(np.arange(60, 125, 1.5), np.arange(-95, -15, 1.5))
        at = np.stack([np.zeros(y.size), y.ravel(), z.ravel(), np.ones(y.size)])
        index = (head_to_voxel @ at)[:3]
        rows[identity] = [map_coordinates(v.intensity, index, order=1) > -300 for v in (volume, refaced)]
    before, after = ((rows[1][k] != rows[2][k]).mean() for k in (0, 1))
    assert after < 0.7 * before


def test_every_name_makes_its_defacer() -> None:
    for defacer in list_defacers():
        assert make_defacer(defacer.name) == defacer
        assert defacer.description
        assert set(defacer.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert make_defacer("eyeplane") == EyePlaneCut()
    assert make_defacer("blur:2.5mm") == ShellBlur(2.5)
    assert make_defacer("skin-noise:3") == SkinNoise(3, name="skin-noise-3")
    assert make_defacer("pydeface") is None
    for word in ("blur:strong", "blur:0mm", "skin-noise:x"):
        with pytest.raises(InputError, match=r"blur|skin-noise"):
            make_defacer(word)


@pytest.mark.parametrize(("identity", "modality"), [(21, Modality.CT), (22, Modality.MR), (25, Modality.MR)])
def test_the_average_face_leaves_the_brain_without_a_label_map(identity: int, modality: Modality) -> None:
    scan = make_phantom(identity, modality=modality, spacing_mm=3.5)
    changed = apply_defacer(AverageReface(), scan.volume).changed
    assert changed.sum() > 20_000
    assert not changed[np.isin(scan.labels, [LABELS["brain"], LABELS["brainstem"]])].any()


def test_a_face_is_bent_and_laid_on_by_what_is_kept(scan: PhantomScan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of the example, with made-up weights: what it draws is what comes to lie on the scan."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module("train_reface")
    kept, face = example.describe_head(scan.volume, example.find_kept_frame(scan.volume))
    lower = {"nose": (0, 110, -37), "brow": (0, 85, 20)}
    assert face.shape == example.average_depth().shape
    for low, step, shape in (
        (example.FACE_LOW_MM, example.FACE_STEP_MM, face),
        (example.HEAD_LOW_MM, example.HEAD_STEP_MM, kept),
    ):
        at = {part: tuple(round((x - a) / step) for x, a in zip(mm, low, strict=True)) for part, mm in lower.items()}
        assert all((shape[index] == 0) == (shape is kept) for index in at.values())  # nothing is told of the face

    def make_network(residual_mm: float):
        sizes = {"kept_codes": (1, kept.size), "face_codes": (1, face.size), "weight_0": (1, 1), "weight_1": (1, 1)}
        arrays = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
        arrays |= {name: np.zeros(1, np.float32) for name in ("kept_mean", "bias_0", "bias_1")}
        arrays |= {"kept_sd": np.ones(1), "face_sd": np.ones(1), "face_mean": np.full(face.size, residual_mm)}
        return example.Network(arrays)

    plain, same, fuller = (
        apply_defacer(example.LearnedReface(network), scan.volume).volume.intensity
        for network in (None, make_network(0.0), make_network(-5.0))
    )
    assert np.mean(np.abs(same - plain) > 60) < 0.001  # smoothed, and no more
    flesh_cm3 = [(each > -300).sum() * np.prod(scan.volume.spacing_mm) / 1000 for each in (plain, same, fuller)]
    assert flesh_cm3[1] == pytest.approx(flesh_cm3[0], abs=2)
    assert flesh_cm3[2] > flesh_cm3[1] + 30  # 5 mm over a face of more than 100 cm2, less at its edges
