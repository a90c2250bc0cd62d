"""Synthetic heads: the same numbers give the same scan, tissues are where they belong, and nothing floats."""

import csv
import hashlib
from dataclasses import fields, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from reid_audit.phantom import LABELS, PhantomScan, make_phantom, write_cohort
from reid_audit.phantom.blocks import Blocks
from reid_audit.phantom.broad import find_anchors
from reid_audit.phantom.field import Grid, capsule, ellipsoid, smooth_cut, smooth_union
from reid_audit.phantom.person import Person, Visit, draw_person, draw_visit
from reid_audit.phantom.skin import skin_distance
from reid_audit.records import InputError, Modality
from reid_audit.surface import extract_skin

COARSE_MM = 2.5
SKIN_HU = -300


@lru_cache(maxsize=8)
def scan(identity: int = 1, visit: int = 1, modality: Modality = Modality.CT, pose_sd_deg: float = 3.0) -> PhantomScan:
    return make_phantom(identity, visit, modality=modality, spacing_mm=COARSE_MM, pose_sd_deg=pose_sd_deg)


def where(phantom: PhantomScan, name: str) -> np.ndarray:
    return phantom.labels == LABELS[name]


def centre_ras_mm(phantom: PhantomScan, name: str) -> np.ndarray:
    index = np.argwhere(where(phantom, name)).mean(axis=0)
    return (phantom.volume.voxel_to_ras_mm @ [*index, 1.0])[:3]


def skin_of(person: Person, visit: Visit, grid: Grid) -> np.ndarray:
    blocks = Blocks(grid)
    return blocks.to_volume(skin_distance(person, visit, find_anchors(person, visit), blocks))


def points(*at: tuple[float, float, float]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(at, np.float32).T)


# --- distances ---


def test_ellipsoid_is_exact_for_a_sphere():
    d = ellipsoid(points((5, 0, 0), (0, 3, 0), (0, 0, 4)), (0, 0, 0), (4, 4, 4))
    assert d == pytest.approx([1, -1, 0], abs=1e-5)


def test_capsule_is_round_at_its_ends_and_straight_between():
    d = capsule(points((0, 0, 0), (5, 3, 0), (12, 0, 0)), (0, 0, 0), (10, 0, 0), 1)
    assert d == pytest.approx([-1, 2, 1])


def test_smooth_union_is_the_union_far_from_the_seam_and_fuller_on_it():
    a, b = np.float32([1, 9, 4]), np.float32([9, 1, 4])
    assert smooth_union(a, b, 4) == pytest.approx([1, 1, 3])  # on the seam: k / 4 more
    assert smooth_cut(a, b, 4) == pytest.approx([1, 9, 4])  # nothing there to cut away


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.5, 20))
@settings(max_examples=50, deadline=None)
def test_smooth_union_lies_between_the_union_and_a_quarter_of_its_width_below(a, b, k):
    union = float(smooth_union(np.float32([a]), np.float32([b]), k)[0])
    assert min(a, b) - k / 4 - 1e-4 <= union <= min(a, b) + 1e-4


# --- blocks ---


def upright(shape: tuple[int, int, int], spacing_mm: float, person: Person | None = None, corner_mm=(0, 0, 0)) -> Grid:
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = corner_mm
    person = person or Person()
    return Grid(shape, affine, person.warp_centres_mm, person.warp_shifts_mm)


def test_blocks_carry_a_cubic_exactly_and_lie_where_the_voxels_are():
    grid = upright((23, 31, 17), 1.0)
    blocks = Blocks(grid)
    every = np.arange(len(blocks))
    coarse = grid.points(*grid.coarse_indices())
    x, y, z = (blocks.to_volume(p) for p in blocks.points(every))
    carried = blocks.to_volume(blocks.carry(coarse[0] * 2 - coarse[1] + (coarse[2] / 10) ** 3, every))
    assert carried == pytest.approx(x * 2 - y + (z / 10) ** 3, abs=1e-3)
    assert (x[7, 0, 0], y[0, 30, 0], z[0, 0, 16]) == pytest.approx((7, 30, 16), abs=1e-4)
    assert np.array_equal(
        blocks.to_volume(np.stack(blocks.indices(every), axis=-1)[..., 1].astype(int))[0, :, 0], range(31)
    )


def test_the_warp_within_a_block_is_that_of_its_voxels():
    person = draw_person(0, 1, variety=1.5)
    grid = upright((40, 44, 36), 2.0, person, (-40, 30, -60))
    blocks = Blocks(grid, block_mm=6.0)
    exact = grid.points(*(np.arange(n) for n in grid.shape))
    for axis, by_block in enumerate(blocks.points(np.arange(len(blocks)))):
        assert blocks.to_volume(by_block) == pytest.approx(exact[axis], abs=0.01)


def test_what_is_left_out_between_the_blocks_is_not_seen(monkeypatch):
    """The same head computed voxel by voxel, but for roundings: 1/16 mm of the skin are 14 HU."""
    by_block = make_phantom(4, 2, spacing_mm=2.0, variety=1.5, ethmoid=True)
    monkeypatch.setattr("reid_audit.phantom.scan.Blocks", partial(Blocks, block_mm=0.1))
    by_voxel = make_phantom(4, 2, spacing_mm=2.0, variety=1.5, ethmoid=True)
    apart = np.abs(by_block.volume.intensity - by_voxel.volume.intensity)
    assert 0 < np.mean(apart > 1) < 5e-5
    assert np.mean(by_block.labels != by_voxel.labels) < 5e-6
    at_skin = np.abs(ndimage.gaussian_filter(np.float32(by_voxel.labels > 0), 1) - 0.5) < 0.4
    assert apart[at_skin].max() < 20


# --- people and visits ---


def test_the_average_person_without_warp_is_symmetric():
    visit = draw_visit(0, 0, 0, modality=Modality.CT, spacing_mm=2.0, pose_sd_deg=0, shift_sd_mm=0)
    d = skin_of(Person(), visit, upright((111, 120, 125), 2.0, corner_mm=(-110, -110, -130)))
    near = np.abs(d) < 10
    assert np.abs(d - d[::-1])[near].max() < 0.03  # what is added ends with the blocks of its box


def test_a_drawn_person_is_not_symmetric():
    d = scan(1, pose_sd_deg=0).labels > 0
    assert np.count_nonzero(d != d[::-1]) > 100


def test_people_stay_within_their_spreads():
    average = Person()
    for identity in range(40):
        person = draw_person(7, identity)
        for f in fields(Person):
            if "spread" in f.metadata:
                limit = f.metadata["spread"] * (2.2 + abs(f.metadata["male"])) + 1e-9
                assert abs(getattr(person, f.name) - getattr(average, f.name)) <= limit, f.name


def test_variety_moves_the_same_people_away_from_the_average():
    average = Person()
    for identity in range(40):
        usual, far = draw_person(7, identity), draw_person(7, identity, variety=1.5)
        for f in fields(Person):
            if "spread" in f.metadata:
                distance = getattr(usual, f.name) - getattr(average, f.name)
                moved = getattr(far, f.name) - getattr(average, f.name)
                floor = f.default > 0 and getattr(far, f.name) <= 0.3 * f.default
                assert floor or moved == pytest.approx(1.5 * distance, abs=1e-9), f.name
        assert far.warp_shifts_mm == pytest.approx(1.5 * usual.warp_shifts_mm, rel=1e-5)
        assert (far.sex, far.age_years) == (usual.sex, usual.age_years)


def test_variety_of_1_changes_nothing_and_of_0_leaves_the_average():
    """The drawn traits of 100 people, as they were before there was a variety."""
    digest = hashlib.sha256()
    for identity in range(100):
        person = draw_person(0, identity)
        traits = np.array([getattr(person, f.name) for f in fields(Person) if "spread" in f.metadata])
        digest.update(np.round(traits, 6).tobytes() + np.round(person.warp_shifts_mm, 4).tobytes())
    assert digest.hexdigest() == "ad8b5d9f4c2da843b40131c483b7f10e96cae2c9e0543a4e97189e34bb37fe64"
    nobody = draw_person(0, 1, variety=0)
    assert all(getattr(nobody, f.name) == f.default for f in fields(Person) if "spread" in f.metadata)
    assert not nobody.warp_shifts_mm.any()


def test_variety_leaves_every_length_some_of_its_size():
    for identity in range(300):
        person = draw_person(3, identity, variety=1.5)
        for name in ("upper_lip", "lower_lip", "nostril", "eye_open_top", "lid_thickness", "chin_half_width"):
            assert getattr(person, name) >= 0.3 * getattr(Person(), name)


def test_men_have_larger_heads_on_average():
    people = [draw_person(0, i) for i in range(200)]
    size = {sex: np.mean([p.size for p in people if p.sex == sex]) for sex in "MF"}
    assert size["M"] > size["F"]


def test_visits_of_a_person_differ_in_pose_but_not_in_the_person():
    draw = {"modality": Modality.CT, "spacing_mm": None, "pose_sd_deg": 3.0, "shift_sd_mm": 3.0}
    first, second = draw_visit(0, 1, 1, **draw), draw_visit(0, 1, 2, **draw)
    assert first.rotation_deg != second.rotation_deg
    assert first.spacing_mm != second.spacing_mm
    assert max(map(abs, first.rotation_deg)) <= 2.2 * 3


def test_pose_spread_scales_the_same_draw():
    draw = {"modality": Modality.CT, "spacing_mm": 2.0, "shift_sd_mm": 0.0}
    small, large = (draw_visit(0, 1, 1, pose_sd_deg=sd, **draw) for sd in (3.0, 15.0))
    assert large.rotation_deg == pytest.approx(np.multiply(small.rotation_deg, 5))


# --- scans ---


def test_same_numbers_same_scan():
    again = make_phantom(1, 1, spacing_mm=COARSE_MM)
    assert np.array_equal(again.volume.intensity, scan().volume.intensity)
    assert np.array_equal(again.labels, scan().labels)
    assert np.array_equal(again.volume.voxel_to_ras_mm, scan().volume.voxel_to_ras_mm)


@pytest.mark.parametrize("other", [{"identity": 2}, {"visit": 2}, {"seed": 1}])
def test_another_number_is_another_scan(other):
    arguments = {"identity": 1, "visit": 1, "seed": 0} | other
    changed = make_phantom(**arguments, spacing_mm=COARSE_MM).volume.intensity
    assert not np.array_equal(changed, scan().volume.intensity)


def test_people_differ_more_than_the_visits_of_one():
    """Shape alone: the skin without pose, compared voxel by voxel on one grid."""

    def face(identity: int, visit: int) -> np.ndarray:
        person = draw_person(0, identity)
        at = draw_visit(0, identity, visit, modality=Modality.CT, spacing_mm=3.0, pose_sd_deg=0, shift_sd_mm=0)
        return np.clip(skin_of(person, at, upright((61, 37, 55), 3.0, person, (-90, 20, -120))), -6, 6)

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).mean())

    first, second = ([face(i, visit) for i in range(6)] for visit in (1, 2))
    same = [gap(a, b) for a, b in zip(first, second, strict=True)]
    different = [gap(first[i], second[j]) for i in range(6) for j in range(6) if i != j]
    assert max(same) < min(different)


def test_ct_is_whole_hu_and_the_affine_is_ras():
    volume = scan().volume
    assert volume.intensity.dtype == np.float32
    assert volume.is_hu
    assert np.array_equal(volume.intensity, np.rint(volume.intensity))
    assert volume.intensity.min() >= -1024
    assert (np.diag(volume.voxel_to_ras_mm)[:3] > 0).all()
    assert volume.spacing_mm == pytest.approx((COARSE_MM,) * 3)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("brain", 15, 50),
        ("brainstem", 15, 40),
        ("eye_right", -20, 70),
        ("eye_left", -20, 70),
        ("spinal_cord", 10, 50),
        ("parotid_right", -60, 60),
        ("parotid_left", -60, 60),
        ("mandible", 300, 1200),
    ],
)
def test_hu_of_each_structure(name, low, high):
    assert low < np.median(scan().volume.intensity[where(scan(), name)]) < high


def test_hu_of_air_fat_muscle_and_bone():
    ct, labels = scan().volume.intensity, scan().labels
    outside = ndimage.distance_transform_edt(labels == 0) > 3
    assert np.median(ct[outside]) == pytest.approx(-1000, abs=3)
    body = ct[where(scan(), "skin")]
    assert (body > 900).sum() > 1000  # skull
    assert ((body > -120) & (body < -60)).sum() > 1000  # fat
    assert ((body > 35) & (body < 75)).sum() > 1000  # muscle
    assert (body < -800).sum() > 300  # airways and sinuses


def test_every_structure_is_inside_the_body_and_apart_from_the_air():
    labels = scan().labels
    depth = ndimage.distance_transform_edt(labels > 0) * COARSE_MM
    for name in LABELS:
        assert where(scan(), name).sum() > 10, name
    for name in ("brain", "brainstem", "spinal_cord", "mandible", "parotid_left", "parotid_right"):
        assert depth[where(scan(), name)].min() >= 2.4, name


@pytest.mark.parametrize("identity", range(1, 5))
def test_the_skin_is_one_piece(identity):
    body = scan(identity).volume.intensity > SKIN_HU
    _, count = ndimage.label(body)
    assert count == 1


def test_right_is_right_and_the_eyes_are_where_eyes_are():
    phantom = scan(pose_sd_deg=0)
    right, left, brain = (centre_ras_mm(phantom, n) for n in ("eye_right", "eye_left", "brain"))
    assert 50 < right[0] - left[0] < 75
    assert right[0] > brain[0] > left[0]
    assert right[1] - brain[1] > 50
    assert right[2] < brain[2]
    assert centre_ras_mm(phantom, "parotid_right")[0] > 40
    assert centre_ras_mm(phantom, "parotid_left")[0] < -40
    assert centre_ras_mm(phantom, "mandible")[2] < right[2] - 50


def test_the_cornea_looks_out_of_the_head():
    """Straight in front of each eye lies air within a few millimetres."""
    phantom = scan(pose_sd_deg=0)
    for name in ("eye_right", "eye_left"):
        i, _, k = np.rint(np.argwhere(where(phantom, name)).mean(axis=0)).astype(int)
        front = np.flatnonzero(where(phantom, name)[i, :, k]).max()
        skin = np.flatnonzero(phantom.labels[i, :, k]).max()
        assert 0 <= (skin - front) * COARSE_MM <= 6


@pytest.mark.parametrize("identity", [1, 6])
@pytest.mark.parametrize("name", ["brain", "brainstem", "mandible", "eye_left"])
def test_no_air_gets_into_a_structure(identity, name):
    inside = ndimage.binary_erosion(where(scan(identity), name))
    assert scan(identity).volume.intensity[inside].min() > -250


def test_the_headrest_touches_the_head():
    phantom = make_phantom(1, spacing_mm=COARSE_MM, headrest=True)
    pieces, _ = ndimage.label(phantom.volume.intensity > SKIN_HU)
    behind = ndimage.distance_transform_edt(phantom.labels == 0) * COARSE_MM > 6
    head = np.bincount(pieces[where(phantom, "brain")]).argmax()
    assert (behind & (pieces == head)).sum() > 500


def test_the_brain_is_closed_in_by_bone():
    phantom = scan()
    brain = where(phantom, "brain") | where(phantom, "brainstem")
    shell = ndimage.binary_dilation(brain, iterations=4) & ~ndimage.binary_dilation(brain, iterations=1)
    top = np.argwhere(brain)[:, 2].mean()
    shell[:, :, : int(top)] = False
    assert np.mean(ndimage.maximum_filter(phantom.volume.intensity, 5)[shell] > 700) > 0.99


def test_the_head_lies_in_the_field_of_view():
    body = scan().labels > 0
    for axis, ends in ((0, (0, -1)), (1, (0, -1)), (2, (-1,))):
        for end in ends:
            face = np.take(body, end, axis=axis)
            # Only the shoulders may leave it.
            assert not face[..., face.shape[-1] // 3 :].any() if axis < 2 else not face.any()


def test_couch_and_headrest_only_on_request():
    def dense_behind(**rig: bool) -> int:
        phantom = make_phantom(1, spacing_mm=COARSE_MM, **rig)
        clear = ndimage.distance_transform_edt(phantom.labels == 0) * COARSE_MM > 6
        return int((clear & (phantom.volume.intensity > SKIN_HU)).sum())

    assert dense_behind() == 0
    assert dense_behind(couch=True) > 500
    assert dense_behind(headrest=True) > 500


def test_couch_lies_behind_the_head_and_leaves_it_alone():
    plain, rigged = scan(), make_phantom(1, spacing_mm=COARSE_MM, couch=True, headrest=True)
    extra = rigged.labels.shape[1] - plain.labels.shape[1]
    assert extra > 0
    assert np.mean(rigged.labels[:, extra:] != plain.labels) < 1e-3  # the coarse grid has other knots
    assert not rigged.labels[:, :extra, plain.labels.shape[2] // 2 :].any()


def test_mr_has_a_dark_background_bright_fat_and_its_own_scale():
    first, second = scan(1, 1, Modality.MR), scan(1, 2, Modality.MR)
    air, brain = (np.median(first.volume.intensity[m]) for m in (first.labels == 0, where(first, "brain")))
    assert 0 <= air < 0.08 * brain
    assert first.volume.intensity.min() >= 0
    ratio = np.median(second.volume.intensity[where(second, "brain")]) / brain
    assert abs(np.log(ratio)) > 0.01


def test_an_oblique_scan_shows_the_same_head():
    """The eyes stay where they are in the scanner, while the slices tilt."""
    straight = scan(pose_sd_deg=0)
    tilted = make_phantom(1, spacing_mm=COARSE_MM, pose_sd_deg=0, oblique_deg=20)
    assert tilted.volume.voxel_to_ras_mm[1, 2] == pytest.approx(-COARSE_MM * np.sin(np.deg2rad(20)))
    for name in ("eye_right", "eye_left", "brain"):
        assert centre_ras_mm(tilted, name) == pytest.approx(centre_ras_mm(straight, name), abs=1.0)


@pytest.mark.parametrize("oblique_deg", [-30, 20, 30])
def test_an_oblique_field_of_view_holds_the_face(oblique_deg):
    skin = extract_skin(make_phantom(4, spacing_mm=COARSE_MM, pose_sd_deg=0, oblique_deg=oblique_deg).volume)
    assert not {"face_incomplete", "cut_front", "cut_top"} & {finding.code for finding in skin.checks}


def test_contrasts_of_mr_order_the_tissues_as_their_names_say():
    def seen(contrast, *names):
        made = make_phantom(1, modality=Modality.MR, contrast=contrast, spacing_mm=COARSE_MM)
        return [np.median(made.volume.intensity[where(made, name)]) for name in names]

    for contrast, brighter in (("T1", False), ("T2", True), ("PD", True), ("FLAIR", False)):
        eye, cord = seen(contrast, "eye_left", "spinal_cord")
        assert (eye > cord) == brighter, contrast
    brain, flesh = seen("FLAIR", "brain", "skin")
    assert brain > 2 * flesh


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"identity": -1}, "identity"),
        ({"contrast": "STIR"}, "contrast"),
        ({"visit": -1}, "visit"),
        ({"seed": -2}, "seed"),
        ({"spacing_mm": 0.1}, "spacing_mm"),
        ({"pose_sd_deg": 90}, "pose_sd_deg"),
        ({"oblique_deg": 60}, "oblique_deg"),
        ({"variety": -0.1}, "variety"),
        ({"variety": 2}, "variety"),
    ],
)
def test_arguments_out_of_range_are_named(bad, named):
    with pytest.raises(InputError, match=named):
        make_phantom(**{"identity": 1, "spacing_mm": COARSE_MM} | bad)


@pytest.mark.slow
@pytest.mark.parametrize("identity", [3, 8, 13])
def test_a_head_of_more_variety_is_whole(identity):
    made = make_phantom(identity, spacing_mm=3.0, variety=1.5)
    assert ndimage.label(made.labels > 0)[1] == 1
    closed = np.isin(made.labels, [LABELS["brain"], LABELS["eye_right"], LABELS["eye_left"]])
    assert closed.any()
    assert not (closed & (made.volume.intensity < -300)).any()
    at = made.landmarks_ras_mm
    assert at["eye_right"] - centre_ras_mm(made, "eye_right") == pytest.approx([0, 12, 0], abs=5)  # it is on the skin


@pytest.mark.slow
def test_an_adult_ethmoid_opens_at_the_centre_of_the_eyes_and_changes_nothing_else():
    usual, adult = (make_phantom(1, spacing_mm=COARSE_MM, ethmoid=ethmoid) for ethmoid in (False, True))
    assert np.array_equal(usual.labels, adult.labels)
    eyes = where(adult, "eye_right") | where(adult, "eye_left")
    row, lowest = int(np.argwhere(eyes)[:, 1].mean()), int(np.argwhere(eyes)[:, 2].min())

    def air_cm2(made: PhantomScan) -> float:
        plane = (made.volume.intensity[:, row, lowest:] < SKIN_HU) & (made.labels[:, row, lowest:] > 0)
        return float(plane.sum() * COARSE_MM**2 / 100)

    assert air_cm2(adult) > 2 * air_cm2(usual)
    assert 2.5 < air_cm2(adult) < 4.5
    changed = np.argwhere(usual.volume.intensity != adult.volume.intensity)
    x_mm = (adult.volume.voxel_to_ras_mm[:3, :3] @ changed.T)[0] + adult.volume.voxel_to_ras_mm[0, 3]
    nose = adult.landmarks_ras_mm["nose"]
    assert np.abs(x_mm - nose[0]).max() < 25  # between the orbits


@pytest.mark.slow
def test_no_trait_is_without_effect():
    """Each trait, pushed by two spreads, moves the skin somewhere: none is decoration."""
    visit = draw_visit(0, 0, 0, modality=Modality.CT, spacing_mm=3.0, pose_sd_deg=0, shift_sd_mm=0)
    grid = upright((53, 58, 72), 4.0, corner_mm=(-105, -105, -165))

    def skin(person: Person) -> np.ndarray:
        return skin_of(person, visit, grid)

    average, base = Person(), skin(Person())
    elsewhere = {"size", "fat_thickness"}  # the pose matrix and the tissues use these
    for f in fields(Person):
        if "spread" in f.metadata and f.name not in elsewhere:
            moved = skin(replace(average, **{f.name: f.default + 2 * f.metadata["spread"]}))
            assert np.abs(moved - base)[np.abs(base) < 5].max() > 0.1, f.name


# --- cohorts ---


def digests(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_cohort_has_a_manifest_scans_and_labels(tmp_path):
    from reid_audit.volume import read_labels, read_volume

    seen = []
    manifest = write_cohort(
        tmp_path, subjects=2, visits=2, spacing_mm=4.0, progress=lambda done, total: seen.append((done, total))
    )
    assert manifest == tmp_path / "manifest.csv"
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
    assert [(r["subject"], r["session"]) for r in rows] == [("p01", "1"), ("p01", "2"), ("p02", "1"), ("p02", "2")]
    assert {r["condition"] for r in rows} == {"original"}
    assert {r["modality"] for r in rows} == {"CT"}
    assert rows[0]["path"] == "sub-p01_ses-1_CT.nii.gz"
    for person in ("p01", "p02"):
        assert len({(r["sex"], r["age_years"], r["site"]) for r in rows if r["subject"] == person}) == 1
    made = make_phantom(1, 1, spacing_mm=4.0)
    read = read_volume(tmp_path / rows[0]["path"], modality=Modality.CT)
    assert np.array_equal(read.intensity, made.volume.intensity)
    labels, affine = read_labels(tmp_path / "labels" / "sub-p01_ses-1_labels.nii.gz")
    assert np.array_equal(labels, made.labels)
    assert affine == pytest.approx(made.volume.voxel_to_ras_mm, abs=1e-4)


def test_cohort_is_the_same_bytes_twice(tmp_path):
    for name in ("a", "b"):
        write_cohort(tmp_path / name, subjects=1, visits=2, modality=Modality.MR, spacing_mm=4.0)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert "sub-p01_ses-2_T1w.nii.gz" in digests(tmp_path / "a")


@pytest.mark.parametrize("empty", [{"subjects": 0}, {"subjects": 1, "visits": 0}])
def test_cohort_of_nobody_is_refused(tmp_path, empty):
    with pytest.raises(InputError, match="at least 1"):
        write_cohort(tmp_path, **empty)
