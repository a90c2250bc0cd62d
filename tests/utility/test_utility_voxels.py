"""Where a defacer changed a head of boxes, how deep and in what way; where structures lie against that."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from reid_audit import InputError, ScanRef, Volume
from reid_audit.records import Modality
from reid_audit.surface import depths_of_change_mm, find_facial_skin
from reid_audit.utility import ChangeKind, Place, Position, UtilitySettings, distance_to_face_mm
from reid_audit.utility.case import measure_scan
from reid_audit.utility.change import find_change, place_structure, summarize_tissues
from reid_audit.utility.names import pair_names, rename_structures
from reid_audit.utility.structures import StructureSet, structures_from_labels
from reid_audit.volume import clip_volume
from reid_audit.volume.change import find_changed, tolerance_of
from reid_audit.volume.names import plain_name

SCAN = ScanRef("p1", "1", "cut", Path("p1_cut.nii.gz"))
NAMES = {1: "skin", 2: "eye", 3: "brain", 4: "PTV 70", 5: "neck", 6: "jaw"}
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])


def _head(modality: Modality = Modality.CT) -> tuple[Volume, np.ndarray]:
    """Tissue from 5 to 35 each way, voxels of 2 x 1 x 3 mm; a little bone; eye 2 mm and jaw 3 mm behind the face."""
    rng = np.random.default_rng(0)
    ct = modality is Modality.CT
    intensity = rng.normal(-1000 if ct else 10, 3, (40, 40, 40)).astype(np.float32)
    intensity[5:35, 5:35, 5:35] = rng.normal(40 if ct else 500, 30, (30, 30, 30))
    intensity[5:35, 5:10, 5:35] = 900 if ct else 100
    labels = np.zeros(intensity.shape, dtype=np.int32)
    labels[5:35, 5:35, 5:35] = 1
    labels[10:16, 28:33, 24:28] = 2
    labels[10:30, 10:20, 22:32] = 3
    labels[20:24, 12:16, 12:15] = 4
    labels[18:22, 12:18, 6:9] = 5
    labels[12:28, 24:32, 8:11] = 6
    return Volume(np.rint(intensity), AFFINE, modality, "p1.nii.gz"), labels


def _cut(volume: Volume, fill: float = -1000.0) -> Volume:
    """Everything in front of j = 28 and above k = 20 becomes air, but for the brain."""
    intensity = volume.intensity.copy()
    intensity[:, 30:, 22:] = fill
    return replace(volume, intensity=intensity, source="p1_cut.nii.gz")


def _structures(labels: np.ndarray) -> StructureSet:
    return structures_from_labels(labels, AFFINE, names=NAMES, source="labels")


def test_the_change_is_where_voxels_differ() -> None:
    volume, _ = _head()
    change = find_change(volume, _cut(volume))
    assert change.tolerance == 1
    assert not change.changed[:, :30].any()
    assert not change.changed[:, :, :22].any()
    assert change.changed[5:35, 30:35, 22:35].all()
    assert change.removed[5:35, 30:35, 22:35].all()
    assert change.components[0].kind is ChangeKind.CONSTANT
    # 30 x 5 x 13 voxels of tissue, and the air around them as far as its noise was not within the tolerance.
    assert change.components[0].volume_cm3 == pytest.approx(change.changed.sum() * 0.006, rel=0.05)
    assert find_change(volume, volume).box is None


def test_rounding_is_no_change() -> None:
    volume, _ = _head()
    shaken = replace(volume, intensity=volume.intensity + np.float32(0.9))
    assert find_change(volume, shaken).box is None
    assert find_change(volume, shaken, tolerance=0.5).changed.all()


def test_kinds_of_change() -> None:
    volume, _ = _head()
    box = (slice(6, 34), slice(20, 39), slice(10, 30))
    smooth, other = volume.intensity.copy(), volume.intensity.copy()
    smooth[box] = ndimage.gaussian_filter(smooth[box], 2)
    other[box] = np.random.default_rng(1).normal(40, 30, other[box].shape)
    assert find_change(volume, replace(volume, intensity=smooth)).components[0].kind is ChangeKind.BLURRED
    replaced = find_change(volume, replace(volume, intensity=other))
    assert replaced.components[0].kind is ChangeKind.REPLACED
    blurred = find_change(volume, replace(volume, intensity=smooth))
    assert blurred.removed.mean() < 0.01


def test_fill_by_any_value_counts_as_removed() -> None:
    volume, _ = _head()
    assert find_change(volume, _cut(volume, fill=0.0)).removed[10:30, 31:34, 24:30].mean() > 0.95  # 0 HU: masked by 0
    mr, _ = _head(Modality.MR)
    change = find_change(mr, _cut(mr, fill=0.0))
    assert change.removed[5:35, 30:35, 22:35].all()
    assert change.tolerance == pytest.approx(0.005 * np.ptp(np.percentile(mr.intensity[::2, ::2, ::2], [0, 99.5])))


def test_storing_in_eight_bits_is_no_change() -> None:
    """Half of the voxels are 250, half 0: the range is 250, half a percent of it 1.25, a step of 8 bits 0.98."""
    intensity = np.zeros((4, 4, 4), dtype=np.float32)
    intensity[:, :, 2:] = 250
    scan = Volume(intensity, np.eye(4), Modality.MR)
    assert tolerance_of(scan) == pytest.approx(1.25)
    stored = replace(scan, intensity=intensity + np.float32(0.98))
    assert not find_changed(scan, stored).any()
    assert find_changed(scan, replace(scan, intensity=intensity + np.float32(1.3))).all()
    assert tolerance_of(replace(scan, modality=Modality.CT)) == 1


def test_tissues_by_the_original() -> None:
    volume, _ = _head()
    moved = replace(volume, intensity=volume.intensity + np.where(volume.intensity < -500, -90, 0).astype(np.float32))
    actual = {t.tissue: t for t in summarize_tissues(volume, moved, find_change(volume, moved))}
    assert actual["air"].mean == pytest.approx(-90, abs=1e-3)
    assert actual["air"].median == -90
    assert actual["air"].mean_before == pytest.approx(-1000, abs=0.1)
    assert actual["air"].changed == 1
    assert (actual["soft_tissue"].mean, actual["bone"].mean) == (0, 0)
    assert sum(actual[t].voxels for t in ("air", "soft_tissue", "bone")) == actual["all"].voxels == 40**3
    padded = volume.intensity.copy()
    padded[:, :2] = -3024  # no header says so, and the defacer left it
    was, now = (replace(volume, intensity=np.where(padded < -2000, padded, v.intensity)) for v in (volume, moved))
    air = summarize_tissues(was, now, find_change(clip_volume(was), clip_volume(now)))[0]
    assert (air.median, air.mean_before) == (-90, pytest.approx(-1000, abs=0.1))
    assert air.voxels == actual["air"].voxels - 40 * 2 * 40
    mr, _ = _head(Modality.MR)
    assert [t.tissue for t in summarize_tissues(mr, mr, find_change(mr, mr))] == ["all"]


def test_the_face_is_the_front_half_of_the_outline() -> None:
    volume, labels = _head()
    skin = find_facial_skin(volume)
    assert (skin.front[5:35, 5:35] == 34).all()
    assert (skin.front >= 0).sum() == 30 * 30
    actual = {name: distance_to_face_mm(s, skin) for name, s in _structures(labels).structures.items()}
    assert actual["skin"] == 0
    assert actual["eye"] == pytest.approx(2)
    assert actual["jaw"] == pytest.approx(3)
    assert actual["brain"] == pytest.approx(15)
    with pytest.raises(InputError, match="above the skin level"):
        find_facial_skin(replace(volume, intensity=np.full_like(volume.intensity, -1000)))


def test_a_chest_is_no_face() -> None:
    intensity = np.full((20, 40, 130), -1000, dtype=np.float32)
    intensity[2:18, 10:30, 40:125] = 40  # a head of 255 mm
    intensity[2:18, 2:38, :30] = 40  # a chest, further to the front
    intensity[8:12, 12:20, 30:40] = 40  # a neck between them
    skin = find_facial_skin(Volume(intensity, AFFINE, Modality.CT))
    assert (skin.front[2:18, 40:125] == 29).all()
    assert (skin.front[:, :30] == -1).all()


def test_depth_is_measured_from_the_skin_along_j() -> None:
    volume, _ = _head()
    depths = depths_of_change_mm(find_change(volume, _cut(volume)).changed, find_facial_skin(volume))
    assert depths.max() == depths.min() == 4  # from voxel 34 to 30, 1 mm each
    far = volume.intensity.copy()
    far[20, 8, 20] = 300
    far[2, 38, 2] = 300  # beside the head: no depth
    only = find_change(volume, replace(volume, intensity=far)).changed
    np.testing.assert_array_equal(depths_of_change_mm(only, find_facial_skin(volume)), [26.0])


def test_places_against_the_change() -> None:
    volume, labels = _head()
    change, actual = find_change(volume, _cut(volume)), _structures(labels).structures
    places = {name: place_structure(s, change) for name, s in actual.items()}
    assert places == {
        "skin": Place.OVERLAPPING,
        "eye": Place.OVERLAPPING,
        "brain": Place.SAME_SLICES,
        "PTV 70": Place.BELOW,
        "neck": Place.BELOW,
        "jaw": Place.BELOW,
    }
    assert place_structure(actual["eye"], find_change(volume, volume)) is Place.NO_CHANGE
    upside = replace(volume, intensity=volume.intensity.copy())
    upside.intensity[:, 30:, :10] = -1000
    assert place_structure(actual["brain"], find_change(volume, upside)) is Place.ABOVE


def test_a_target_that_the_defacer_spared_is_kept() -> None:
    volume, labels = _head()
    cut = _cut(volume)
    spared = labels.copy()
    spared[18:22, 31:33, 24:27] = 4  # a target within the cut region, whose voxels are put back
    kept = cut.intensity.copy()
    kept[spared == 4] = volume.intensity[spared == 4]
    change = find_change(volume, replace(cut, intensity=kept))
    target = _structures(spared).structures["PTV 70"]
    assert place_structure(target, change) is Place.KEPT
    assert place_structure(target, find_change(volume, cut)) is Place.OVERLAPPING
    aired = np.where(volume.intensity < -500, np.float32(-1024), volume.intensity)  # other air all around the head
    around = find_change(volume, replace(volume, intensity=aired))
    assert place_structure(_structures(labels).structures["brain"], around) is Place.SAME_SLICES


def test_a_case_with_the_original_labels_alone() -> None:
    volume, labels = _head()
    case = measure_scan(SCAN, volume, _cut(volume), before=_structures(labels))
    numbers = {(m.metric, m.structure): m.value for m in case.measures}
    assert numbers["preserved", "eye"] == pytest.approx(2 / 5)
    assert numbers["unchanged", "brain"] == numbers["preserved", "PTV 70"] == 1
    assert numbers["lost", "eye"] == 0
    assert (numbers["brain_intact", "all"], numbers["brain_changed", "all"]) == (1, 0)
    assert numbers["depth_max", "all"] == 4
    # The front half of the head begins at j = 20: 30 x 15 x 30 voxels, of which 30 x 5 x 13 were cut.
    assert numbers["front_changed", "all"] == pytest.approx(30 * 5 * 13 / (30 * 15 * 30))
    assert not any(metric == "dice" for metric, _ in numbers)
    positions = {p.structure: p.position for p in case.places}
    assert positions == {
        "skin": Position.ON_FACE,
        "eye": Position.ON_FACE,
        "jaw": Position.ON_FACE,
        "brain": Position.SAME_SLICES,
        "PTV 70": Position.ELSEWHERE,
        "neck": Position.ELSEWHERE,
    }


def test_a_case_with_labels_before_and_after() -> None:
    volume, labels = _head()
    after = labels.copy()
    after[:, 30:, 22:] = 0
    after[labels == 5] = 0
    after[0, 0, 0] = 7  # a structure that was not there
    names = NAMES | {7: "speck", 8: "lens"}
    actual = measure_scan(
        SCAN,
        volume,
        _cut(volume),
        before=structures_from_labels(labels, AFFINE, names=names),
        after=structures_from_labels(after, AFFINE, names=names),
    )
    numbers = {(m.metric, m.structure): m for m in actual.measures}
    assert numbers["dice", "eye"].value == pytest.approx(2 * 2 / (5 + 2))
    assert numbers["dice", "neck"].value == 0  # empty afterwards
    assert math.isnan(numbers["hd95", "neck"].value)
    assert numbers["dice", "PTV 70"].value == numbers["surface_dice_2mm", "PTV 70"].value == 1
    volume_of_eye = numbers["volume_difference", "eye"]
    assert (volume_of_eye.before, volume_of_eye.after) == (pytest.approx(0.72), pytest.approx(0.288))
    assert numbers["dice", "speck"].value == 0
    assert math.isnan(numbers["dice", "lens"].value)
    assert math.isnan(numbers["volume_difference", "lens"].value)


def test_mr_has_units_of_its_own() -> None:
    volume, labels = _head(Modality.MR)
    case = measure_scan(SCAN, volume, _cut(volume, fill=0.0), before=_structures(labels))
    shift = next(m for m in case.measures if m.metric == "hu_shift")
    assert (shift.unit, shift.structure) == ("units of the scan", "all")
    numbers = {(m.metric, m.structure): m.value for m in case.measures}
    assert numbers["depth_max", "all"] == 4
    assert numbers["preserved", "eye"] == pytest.approx(2 / 5)
    assert {p.structure for p in case.places if p.position == "on_face"} == {"skin", "eye", "jaw"}


def test_the_brain_criterion_fails_for_one_voxel() -> None:
    volume, labels = _head()
    touched = volume.intensity.copy()
    touched[12, 12, 25] += 5
    case = measure_scan(SCAN, volume, replace(volume, intensity=touched), before=_structures(labels))
    numbers = {m.metric: m.value for m in case.measures if m.structure == "all"}
    assert numbers["brain_intact"] == 0
    assert numbers["brain_changed"] == pytest.approx(1 / (20 * 10 * 10))


def test_an_unchanged_scan_is_a_finding() -> None:
    volume, labels = _head()
    case = measure_scan(SCAN, volume, volume, before=_structures(labels))
    assert "unchanged" in {f.code for f in case.findings}
    assert {p.place for p in case.places} == {Place.NO_CHANGE}
    assert math.isnan(next(m.value for m in case.measures if m.metric == "depth_max"))


def test_other_grids_are_refused() -> None:
    volume, labels = _head()
    with pytest.raises(InputError, match="differ in voxels"):
        measure_scan(SCAN, volume, replace(volume, intensity=volume.intensity[1:]))
    moved = structures_from_labels(labels, AFFINE + np.eye(4) * [0, 0, 0.5, 0], source="labels.nii.gz")
    with pytest.raises(InputError, match="mm apart"):
        measure_scan(SCAN, volume, _cut(volume), before=moved)
    with pytest.raises(InputError, match="negative"):
        structures_from_labels(labels - 1, AFFINE)


# --- names ---


def _named(*names: str) -> StructureSet:
    labels = np.zeros((4, 4, len(names) + 1), dtype=np.int32)
    for value in range(len(names)):
        labels[0, 0, value] = value + 1
    return structures_from_labels(labels, np.eye(4), names=dict(enumerate(names, start=1)), source="set")


def test_spelling_does_not_matter() -> None:
    assert plain_name(" Parotid-R ") == plain_name("parotid_r") == plain_name("PAROTID R") == "parotid_r"
    pairs, findings = pair_names(_named("Parotid R", "Eye"), _named("parotid_r", "Eye"))
    assert pairs == [("Parotid R", "parotid_r"), ("Eye", "Eye")]
    assert [f.code for f in findings] == ["spelled_otherwise"]


def test_missing_and_renamed_structures_are_findings() -> None:
    pairs, findings = pair_names(_named("parotid_right", "eye"), _named("parotid_rght", "cord"))
    assert [f.code for f in findings] == ["missing_after", "missing_after", "missing_before", "missing_before"]
    assert "--alias 'parotid_rght=parotid_right'" in findings[0].text
    assert ("cord", "cord") in pairs
    renamed = rename_structures(_named("parotid_rght", "cord"), {"Parotid Rght": "parotid_right"})
    assert pair_names(_named("parotid_right", "cord"), renamed)[1] == []
    with pytest.raises(InputError, match="two structures"):
        rename_structures(_named("a", "b"), {"a": "b"})


def test_values_may_share_a_name() -> None:
    labels = np.array([[[0, 1, 2, 5]]], dtype=np.int32)
    actual = structures_from_labels(labels, np.eye(4), names={1: "eyes", 2: "eyes", 9: "lens"})
    assert actual.structures["eyes"].voxels == 2
    assert actual.empty == ("lens",)
    assert set(structures_from_labels(labels, np.eye(4)).structures) == {"label 1", "label 2", "label 5"}


def test_settings_name_other_brains() -> None:
    volume, labels = _head()
    touched = _cut(volume)
    eyes = measure_scan(SCAN, volume, touched, before=_structures(labels), settings=UtilitySettings(brain=("Eye",)))
    numbers = {m.metric: m.value for m in eyes.measures if m.structure == "all"}
    assert numbers["brain_intact"] == 0
    assert numbers["brain_changed"] == pytest.approx(3 / 5)
