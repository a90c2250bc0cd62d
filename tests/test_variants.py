"""Heads as hospitals scan them: what is not head is removed, and what cannot be removed is named."""

import numpy as np
import pytest
import variants
from scipy.spatial import cKDTree

from reid_audit.phantom import make_phantom
from reid_audit.records import InputError, Modality
from reid_audit.render import check_one_sided
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume, write_volume

UNFIT = "unfit"


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


def away_mm(one, other):
    """How far the face of one skin lies from another skin: its 99th percentile."""
    distance, _ = cKDTree(other.vertices_ras_mm).query(face_of(one))
    return float(np.percentile(distance, 99))


def same_face(one, other, mm):
    return max(away_mm(one, other), away_mm(other, one)) < mm


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


@pytest.mark.parametrize("modality", list(Modality))
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
