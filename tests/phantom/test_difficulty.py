"""Difficulties: what a visit changes, families, and that the scans stay whole heads."""

from dataclasses import fields

import numpy as np
import pytest
from scipy import ndimage

from reid_audit.phantom import DIFFICULTIES, LABELS, make_phantom
from reid_audit.phantom.blocks import Blocks
from reid_audit.phantom.broad import find_anchors
from reid_audit.phantom.change import FAMILY
from reid_audit.phantom.field import Grid
from reid_audit.phantom.person import Person, draw_head, draw_person, draw_visit
from reid_audit.phantom.skin import skin_distance
from reid_audit.records import InputError, Modality

TRAITS = [f.name for f in fields(Person) if "spread" in f.metadata]
POSE = {"modality": Modality.CT, "spacing_mm": None, "pose_sd_deg": 3.0, "shift_sd_mm": 3.0}


def head(identity, visit, difficulty):
    return draw_head(0, identity, visit, variety=None, difficulty=difficulty, **POSE)


def traits_of(person):
    return np.array([getattr(person, name) for name in TRAITS])


def test_easy_is_the_person_and_the_visit_as_drawn():
    person, visit = head(4, 2, "easy")
    assert np.array_equal(traits_of(person), traits_of(draw_person(0, 4)))
    assert np.array_equal(person.warp_shifts_mm, draw_person(0, 4).warp_shifts_mm)
    assert visit.noise_seed == draw_visit(0, 4, 2, **POSE).noise_seed
    assert visit.spacing_mm == draw_visit(0, 4, 2, **POSE).spacing_mm
    assert not visit.change.traits


def test_a_change_belongs_to_its_visit():
    first, again, second = (head(4, visit, "hard")[0] for visit in (1, 1, 2))
    assert np.array_equal(traits_of(first), traits_of(again))
    assert not np.allclose(traits_of(first), traits_of(second))
    assert not np.allclose(first.warp_shifts_mm, second.warp_shifts_mm)


def test_traits_keep_a_share_of_their_mean_however_a_visit_changes_them():
    for identity in range(100):
        person, _ = head(identity, 1, "hard")
        for name in ("upper_lip", "lower_lip", "eye_open_top", "chin_half_width"):
            assert getattr(person, name) >= 0.3 * getattr(Person(), name)


def test_only_men_have_beards():
    grown = {"M": 0.0, "F": 0.0}
    for identity in range(30):
        person, visit = head(identity, 1, "hard")
        grown[person.sex] += abs(visit.change.traits.get("chin_half_width", 0.0))
    assert grown["M"] > 1
    assert grown["F"] == 0


def test_a_family_is_alike_and_of_one_sex_and_everybody_varies_as_before():
    people = [draw_person(0, i, kinship=0.5) for i in range(40 * FAMILY)]
    normals = np.array([traits_of(p) for p in people])
    normals = (normals - normals.mean(axis=0)) / normals.std(axis=0)
    families = normals.reshape(40, FAMILY, -1)
    between = np.mean(families[:, 0] * families[:, 1])
    assert between == pytest.approx(0.5, abs=0.1)
    assert all(len({p.sex for p in people[i : i + FAMILY]}) == 1 for i in range(0, len(people), FAMILY))
    alone = np.array([traits_of(draw_person(0, i)) for i in range(40 * FAMILY)])
    related = np.array([traits_of(p) for p in people])
    assert np.median(related.std(axis=0) / alone.std(axis=0)) == pytest.approx(1, abs=0.1)


def test_the_harder_the_nearer_a_stranger_is_to_another_visit():
    """Shape alone: between-person over within-person difference of the skin on one coarse grid of the face."""
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = (-80, 20, -110)

    def face(identity, visit, difficulty):
        person, at_visit = head(identity, visit, difficulty)
        grid = Grid((27, 18, 27), affine, person.warp_centres_mm, person.warp_shifts_mm)
        blocks = Blocks(grid)
        skin = blocks.to_volume(skin_distance(person, at_visit, find_anchors(person, at_visit), blocks))
        return np.clip(skin, -6, 6)

    ratios = []
    for difficulty in DIFFICULTIES:
        first, second = (np.array([face(i, visit, difficulty) for i in range(3)]) for visit in (1, 2))
        gaps = np.abs(first[:, None] - second[None]).mean(axis=(2, 3, 4))
        ratios.append(gaps[~np.eye(3, dtype=bool)].mean() / np.diag(gaps).mean())
    assert ratios[0] > ratios[1] > ratios[2] > 1


def test_a_hard_visit_is_a_whole_head_with_its_landmarks():
    streaked = next(v for v in range(1, 60) if head(1, v, "hard")[1].change.streaks)
    scan = make_phantom(1, streaked, difficulty="hard", spacing_mm=2.5, pose_sd_deg=10)
    assert scan.volume.intensity.max() > 3000  # fillings
    assert ndimage.label(scan.labels > 0)[1] == 1
    landmarks = scan.landmarks_ras_mm
    for side in ("eye_right", "eye_left"):
        index = np.argwhere(scan.labels == LABELS[side]).mean(axis=0)
        centre = (scan.volume.voxel_to_ras_mm @ [*index, 1.0])[:3]
        assert np.linalg.norm(landmarks[side] - centre) < Person().eyeball_radius + 3


def test_an_unknown_difficulty_is_named():
    with pytest.raises(InputError, match="difficulty must be one of easy, typical, hard; got 'cruel'"):
        make_phantom(1, difficulty="cruel")
