"""Whether eyes, nose and mouth are gone, measured on heads that a reader can draw and on a phantom."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from reid_audit import InputError, ScanRef, Volume
from reid_audit.deface import (
    AverageReface,
    Defacer,
    EyePlaneCut,
    FaceBox,
    FaceRemoval,
    NoDefacing,
    ShellBlur,
    SkinNoise,
    apply_defacer,
    examine_defacing,
    find_face_frame,
    summarise_quality,
    write_quality,
)
from reid_audit.deface.quality import QUALITY_SURFACE
from reid_audit.phantom import LABELS, PhantomScan, make_phantom
from reid_audit.records import Modality, Skin
from reid_audit.surface import depths_of_change_mm, extract_skin, find_facial_skin
from reid_audit.utility import read_quality
from reid_audit.utility.case import measure_scan
from reid_audit.utility.change import find_change


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return make_phantom(1, spacing_mm=3.5)


@pytest.fixture(scope="module")
def skin(scan: PhantomScan) -> Skin:
    return extract_skin(scan.volume, settings=QUALITY_SURFACE)


_DEFACED: dict[Defacer, Volume] = {}


def _examine(scan: PhantomScan, skin: Skin, defacer: Defacer, **kwargs):
    if defacer not in _DEFACED:
        _DEFACED[defacer] = apply_defacer(defacer, scan.volume, scan.labels, LABELS).volume
    return examine_defacing(scan.volume, _DEFACED[defacer], scan.landmarks_ras_mm, skin=skin, **kwargs)


NOTHING: set[str] = set()
ALL = {"eye_right", "eye_left", "nose", "mouth", "chin"}


@pytest.mark.parametrize(
    ("defacer", "removed"),
    [
        (NoDefacing(), NOTHING),
        (ShellBlur(2.0), NOTHING),
        (AverageReface(), NOTHING),
        (SkinNoise(), NOTHING),
        (EyePlaneCut(), {"eye_right", "eye_left"}),
        (FaceBox(), ALL),
        (FaceRemoval(), ALL),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_part_is_judged(scan: PhantomScan, skin: Skin, defacer: Defacer, removed: set[str]) -> None:
    quality = _examine(scan, skin, defacer)
    assert {part.part for part in quality.parts if part.removed} == removed
    assert quality.removed == (removed == ALL)


def test_depth_is_that_of_the_box(scan: PhantomScan, skin: Skin) -> None:
    quality = _examine(scan, skin, FaceBox())
    nose, eye = scan.landmarks_ras_mm["nose"], scan.landmarks_ras_mm["eye_left"]
    # The box begins 24 mm behind the front of the eyes.
    assert quality.impacted_depth_mm == pytest.approx(nose[1] - eye[1] + 24.0, abs=12.0)
    original, defaced = scan.volume, apply_defacer(FaceBox(), scan.volume).volume
    depths = depths_of_change_mm(find_change(original, defaced).changed, find_facial_skin(original))
    assert quality.impacted_depth_mm == depths.max()
    assert 5 < quality.depth_median_mm < quality.depth_p95_mm < quality.impacted_depth_mm
    assert 200 < quality.altered_cm3 < 600
    untouched = _examine(scan, skin, NoDefacing())
    assert isnan(untouched.depth_median_mm)
    assert isnan(untouched.impacted_depth_mm)
    assert untouched.altered_cm3 == 0


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
@pytest.mark.parametrize("defacer", [FaceBox(), AverageReface(), ShellBlur(5.0)], ids=lambda d: d.name)
def test_both_commands_measure_one_depth(modality: Modality, defacer: Defacer) -> None:
    scan = make_phantom(2, modality=modality, spacing_mm=4.0)
    defaced = apply_defacer(defacer, scan.volume).volume
    quality = examine_defacing(scan.volume, defaced, scan.landmarks_ras_mm)
    ref = ScanRef("p", "1", defacer.name, Path("p.nii.gz"))
    measured = {m.metric: m.value for m in measure_scan(ref, scan.volume, defaced).measures if m.structure == "all"}
    assert quality.impacted_depth_mm == measured["depth_max"] > 10


def test_the_summary_of_depths_is_their_mean(scan: PhantomScan, skin: Skin) -> None:
    rows = [replace(_examine(scan, skin, FaceBox()), impacted_depth_mm=depth) for depth in (40.0, 50.0, 90.0)]
    assert summarise_quality(rows)[0].impacted_depth_mm == 60


@pytest.mark.parametrize("sigma_mm", [2.0, 5.0, 10.0, 20.0])
def test_a_blur_removes_nothing_however_strong(scan: PhantomScan, skin: Skin, sigma_mm: float) -> None:
    quality = _examine(scan, skin, ShellBlur(sigma_mm))
    assert not any(part.removed for part in quality.parts)


def test_quality_is_written_scan_by_scan(scan: PhantomScan, skin: Skin, tmp_path: Path) -> None:
    rows = [_examine(scan, skin, d, condition=d.name, subject="01", session="1") for d in (FaceBox(), EyePlaneCut())]
    write_quality(rows, tmp_path / "quality.csv")
    assert read_quality(tmp_path / "quality.csv") == {("01", "1", "face-box"): True, ("01", "1", "eye-plane"): False}
    header, box, plane = (line.split(",") for line in (tmp_path / "quality.csv").read_text().splitlines())
    assert header[3:9] == ["removed", "eye_right", "eye_left", "nose", "mouth", "chin"]
    assert (box[3:9], plane[3:9]) == (["1"] * 6, ["0", "1", "1", "0", "0", "0"])


def test_what_is_covered_is_not_removed(scan: PhantomScan, skin: Skin) -> None:
    """A block of water before the face, as quickshear leaves it in CT."""
    intensity = scan.volume.intensity.copy()
    to_voxel = np.linalg.inv(scan.volume.voxel_to_ras_mm)
    eye = to_voxel @ [*scan.landmarks_ras_mm["eye_left"], 1.0]
    intensity[6:-6, int(eye[1]) :, : int(eye[2]) + 8] = 0.0
    covered = replace(scan.volume, intensity=intensity)
    quality = examine_defacing(scan.volume, covered, scan.landmarks_ras_mm, skin=skin)
    nose = next(part for part in quality.parts if part.part == "nose")
    assert (nose.covered, nose.removed, quality.removed) == (True, False, False)
    assert nose.shift_mm > 4


def test_a_face_that_a_detector_finds_is_not_removed(scan: PhantomScan, skin: Skin) -> None:
    assert _examine(scan, skin, FaceBox(), face_found=False).removed
    assert not _examine(scan, skin, FaceBox(), face_found=True).removed


def test_nothing_left_is_removed(scan: PhantomScan, skin: Skin) -> None:
    empty = replace(scan.volume, intensity=np.full_like(scan.volume.intensity, -1000.0))
    quality = examine_defacing(scan.volume, empty, scan.landmarks_ras_mm, skin=skin)
    assert quality.removed
    assert all(isnan(part.shift_mm) for part in quality.parts)


def test_landmarks_of_the_average_head_give_the_same_answer(scan: PhantomScan, skin: Skin) -> None:
    landmarks = find_face_frame(scan.volume).landmarks_ras_mm()
    for defacer, removed in ((FaceBox(), True), (EyePlaneCut(), False)):
        defaced = apply_defacer(defacer, scan.volume, scan.labels, LABELS).volume
        assert examine_defacing(scan.volume, defaced, landmarks, skin=skin).removed is removed


def test_landmarks_that_cannot_be_meant(scan: PhantomScan, skin: Skin) -> None:
    landmarks = scan.landmarks_ras_mm
    with pytest.raises(InputError, match="nose missing"):
        examine_defacing(scan.volume, scan.volume, {k: v for k, v in landmarks.items() if k != "nose"}, skin=skin)
    with pytest.raises(InputError, match=r"mouth lies \d+ mm from the skin"):
        examine_defacing(scan.volume, scan.volume, landmarks | {"mouth": (0, 300, 0)}, skin=skin)
    other = Volume(scan.volume.intensity[1:], scan.volume.voxel_to_ras_mm, scan.volume.modality)
    with pytest.raises(InputError, match="differ in voxels"):
        examine_defacing(scan.volume, other, landmarks, skin=skin)


def test_the_summary_counts(scan: PhantomScan, skin: Skin) -> None:
    rows = [_examine(scan, skin, d, condition=d.name) for d in (FaceBox(), EyePlaneCut(), FaceBox())]
    box, plane = summarise_quality(rows)
    assert (box.condition, box.scans, box.removed) == ("face-box", 2, 2)
    assert dict(box.parts) == dict.fromkeys(ALL, 2)
    assert (plane.scans, plane.removed, dict(plane.parts)["eye_left"], dict(plane.parts)["nose"]) == (1, 0, 1, 0)
    assert dict(plane.shifts_mm)["nose"] == pytest.approx(0.0, abs=0.1)
    assert summarise_quality([]) == ()
