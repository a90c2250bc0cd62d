"""Heads as hospitals scan them: what is not head is removed, and what cannot be removed is named or does no harm."""

from functools import cache

import numpy as np
import pytest
import variants
from scipy.spatial import cKDTree

from reid_audit.face import make_encoder
from reid_audit.phantom import make_phantom
from reid_audit.records import Face, InputError, Modality
from reid_audit.render import check_one_sided, find_frontal_view, make_renderer
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume, write_volume

UNFIT = "unfit"
STRAIGHT = {"pose_sd_deg": 0, "shift_sd_mm": 0}
SAME_MM = 1.1  # meshes of one surface on two lattices: their vertices lie up to half a diagonal apart
STRANGER = 0.025  # the nearest other person of a handful is 0.028 away in CT and 0.053 in MR, another visit 0.005


@pytest.fixture(scope="module")
def plain():
    return make_phantom(4, spacing_mm=1.6, pose_sd_deg=0, shift_sd_mm=0).volume


@pytest.fixture(scope="module")
def skin(plain):
    return extract_skin(plain)


def face_of(skin):
    """Points of the front of the head above the chin."""
    points = skin.vertices_ras_mm
    top = np.percentile(points[:, 2], 99.9)
    return points[(points[:, 1] > 20) & (points[:, 2] > top - 200)]


def away_mm(each, other):
    """How far the face of one skin lies from another skin: its 99th percentile."""
    distance, _ = cKDTree(other.vertices_ras_mm).query(face_of(each))
    return float(np.percentile(distance, 99))


def same_face(each, other, mm):
    return max(away_mm(each, other), away_mm(other, each)) < mm


def codes(skin):
    return {finding.code for finding in skin.checks}


def severities(skin):
    return {finding.severity for finding in skin.checks}


def test_metal_does_not_move_the_skin(plain, skin):
    assert same_face(extract_skin(variants.with_metal(plain)), skin, 0.8)


def test_dental_streaks_leave_the_face(plain, skin):
    streaked = extract_skin(variants.with_dental_streaks(plain))
    assert same_face(streaked, skin, 4.0)
    assert UNFIT not in severities(streaked)


@pytest.mark.parametrize("value", [-1024, -2000, -3024])
def test_padding_is_air(plain, skin, value):
    padded = extract_skin(variants.with_padding(plain, value))
    assert same_face(padded, skin, 0.8)
    assert UNFIT not in severities(padded)


@pytest.mark.parametrize("value", [-2000, -3024])
def test_padding_in_a_file_is_air(plain, skin, value, tmp_path):
    write_volume(variants.with_padding(plain, value), tmp_path / "ct.nii")
    assert same_face(extract_skin(read_volume(tmp_path / "ct.nii", modality=Modality.CT)), skin, 0.8)


def test_a_strapped_mask_is_removed(plain, skin):
    masked = extract_skin(variants.with_mask(plain))
    assert same_face(masked, skin, 4.0)  # but for what touched the nose


def test_a_bolus_on_the_cheek_stays_and_is_named(plain, skin):
    covered = extract_skin(variants.with_bolus(plain))
    assert not same_face(covered, skin, 4.0)  # it lies on the skin: nothing tells where the one ends
    assert check_one_sided(skin) == ()
    (finding,) = check_one_sided(covered)
    assert finding.code == "one_sided"
    assert finding.value == pytest.approx(10, abs=3)


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_a_wrapped_nose_is_an_incomplete_face(modality):
    volume = make_phantom(4, modality=modality, spacing_mm=1.6, pose_sd_deg=0, shift_sd_mm=0).volume
    assert "face_incomplete" in codes(extract_skin(variants.with_wrapped_nose(volume)))


def test_ct_in_uint8_is_refused_as_ct(plain, tmp_path):
    picture = variants.as_uint8(plain)
    with pytest.raises(InputError, match="HU"):
        extract_skin(picture)
    write_volume(picture, tmp_path / "ct.nii")
    with pytest.raises(InputError, match="HU"):
        read_volume(tmp_path / "ct.nii", modality=Modality.CT)


@pytest.mark.parametrize("rig", ["couch", "headrest"])
def test_couch_and_headrest_are_removed(skin, rig):
    volume = make_phantom(4, spacing_mm=1.6, pose_sd_deg=0, shift_sd_mm=0, **{rig: True}).volume
    lying = extract_skin(volume)
    assert same_face(lying, skin, 0.8)
    back = skin.vertices_ras_mm[:, 1].min()
    assert lying.vertices_ras_mm[:, 1].min() > back - 6
    assert np.ptp(lying.vertices_ras_mm[:, 0]) < np.ptp(skin.vertices_ras_mm[:, 0]) + 6


@cache
def original(modality, spacing_mm=1.6):
    """The head without anything, its skin and its face."""
    volume = make_phantom(4, modality=modality, spacing_mm=spacing_mm, **STRAIGHT).volume
    skin = extract_skin(volume)
    return volume, skin, portray(skin)


@cache
def engines():
    return make_renderer(), make_encoder("dlib", detector="dlib")


def portray(skin) -> Face:
    renderer, encoder = engines()
    return encoder.encode(renderer.render(skin, find_frontal_view(skin)))


def middle_of(skin, plain):
    """Points between the cheeks of the plain head, from forehead to chin."""
    points, head = skin.vertices_ras_mm, plain.vertices_ras_mm
    top, tip = np.percentile(head[:, 2], 99.9), head[head[:, 1].argmax()]
    near = (np.abs(points[:, 0] - tip[0]) < 25) & (points[:, 1] > tip[1] - 45)
    return points[near & (points[:, 2] > top - 200)]


def is_the_same_in_the_middle(skin, plain, mm):
    between = [(middle_of(skin, plain), plain), (middle_of(plain, plain), skin)]
    return all(np.percentile(cKDTree(other.vertices_ras_mm).query(points)[0], 99) < mm for points, other in between)


def is_found_as_the_same(face, plain, *, confidence=0.25):
    """Found nearly as surely as without, and much nearer to it than anybody else is."""
    far = 1 - float(face.vector @ plain.vector)
    return face.acquired and face.confidence > plain.confidence - confidence and far < STRANGER


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_hands_and_islands_beside_the_head_are_removed(modality):
    volume, plain, face = original(modality)
    skin = extract_skin(variants.with_islands(variants.with_hands(volume, gap_mm=6.0)))
    assert same_face(skin, plain, SAME_MM)
    assert np.ptp(skin.vertices_ras_mm, axis=0) == pytest.approx(np.ptp(plain.vertices_ras_mm, axis=0), abs=2.5)
    assert skin.checks == ()
    assert is_found_as_the_same(portray(skin), face)


@pytest.mark.parametrize(
    "add",
    [variants.with_headphones, lambda volume: variants.with_coil(volume, share=0.8)],
    ids=["faint headphones", "bright coil"],
)
def test_what_mr_shows_of_its_own_hardware_is_removed(add):
    volume, plain, face = original(Modality.MR)
    skin = extract_skin(add(volume))
    assert same_face(skin, plain, SAME_MM)
    assert np.ptp(skin.vertices_ras_mm, axis=0) == pytest.approx(np.ptp(plain.vertices_ras_mm, axis=0), abs=6)
    assert skin.checks == ()
    assert is_found_as_the_same(portray(skin), face)


@pytest.mark.parametrize("add", [variants.with_headphones, variants.with_thick_headrest])
def test_what_cannot_be_told_from_the_head_does_not_change_the_face(add):
    volume, plain, face = original(Modality.CT)
    skin = extract_skin(add(volume))
    assert is_the_same_in_the_middle(skin, plain, SAME_MM)
    assert UNFIT not in severities(skin)
    assert is_found_as_the_same(portray(skin), face)


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_a_face_between_two_hands_is_still_found(modality):
    """They lie on the cheeks: surely a face less clear, but the person."""
    volume, plain, face = original(modality)
    skin = extract_skin(variants.with_hands(volume))
    assert is_the_same_in_the_middle(skin, plain, SAME_MM)
    assert is_found_as_the_same(portray(skin), face, confidence=0.9)


def test_a_hand_on_one_cheek_is_named():
    volume, _, face = original(Modality.CT)
    skin = extract_skin(variants.with_hands(volume, sides=(1,)))
    assert [finding.code for finding in check_one_sided(skin)] == ["one_sided"]
    assert is_found_as_the_same(portray(skin), face, confidence=0.4)


@pytest.mark.parametrize(("modality", "deg"), [(Modality.CT, -20), (Modality.CT, 20), (Modality.MR, 20)])
def test_gantry_tilt_leaves_the_face(modality, deg):
    _, plain, face = original(modality)
    oblique = make_phantom(4, modality=modality, spacing_mm=1.6, oblique_deg=deg, **STRAIGHT).volume
    volume = variants.with_gantry_tilt(oblique)
    along, upwards = volume.voxel_to_ras_mm[:3, 1], volume.voxel_to_ras_mm[:3, 2]
    assert abs(along @ upwards) > 0.3 * np.linalg.norm(along) * np.linalg.norm(upwards)  # sheared
    skin = extract_skin(volume)
    assert is_the_same_in_the_middle(skin, plain, SAME_MM)
    assert UNFIT not in severities(skin)
    assert is_found_as_the_same(portray(skin), face)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modality", "thickness_mm", "off_mm"), [(Modality.CT, 3, 0.9), (Modality.CT, 5, 1.2), (Modality.MR, 5, 2.0)]
)
def test_thick_slices_keep_the_face(modality, thickness_mm, off_mm):
    volume, plain, face = original(modality, spacing_mm=1.0)
    skin = extract_skin(variants.with_thick_slices(volume, thickness_mm))
    assert is_the_same_in_the_middle(skin, plain, off_mm)
    assert codes(skin) == {"thick_slices"}
    assert is_found_as_the_same(portray(skin), face, confidence=0.35)  # steps between slices, above all in MR
