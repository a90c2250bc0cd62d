"""`reid-audit deface`, and where it takes the eyes from when nobody drew them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from places import EXAMPLES

from reid_audit import InputError, Settings, Skin, View, Volume, read_volume
from reid_audit.audit import find_eyes
from reid_audit.cli import main
from reid_audit.phantom import LABELS, PhantomScan, make_phantom, write_rt_set
from reid_audit.records import Modality, TestResult
from reid_audit.render import camera_matrix, pick_on_skin
from reid_audit.report.papers import say_test
from reid_audit.volume import read_labels, write_labels, write_volume


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return make_phantom(4, 1, spacing_mm=2.0, pose_sd_deg=2.0)


def _eyes(scan: PhantomScan) -> list[np.ndarray]:
    matrix = scan.volume.voxel_to_ras_mm
    names = ("eye_left", "eye_right")
    return [matrix[:3] @ [*np.argwhere(scan.labels == LABELS[name]).mean(axis=0), 1] for name in names]


def test_a_pixel_of_a_portrait_is_found_on_the_skin() -> None:
    """A square of 200 mm, 50 mm in front of the middle and another behind it: the ray meets the near one."""
    corners = np.array([(-100, 0, -100), (100, 0, -100), (100, 0, 100), (-100, 0, 100)], dtype=float)
    vertices = np.concatenate([corners + np.array([0, y, 0]) for y in (50, -50)])
    faces = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7)], dtype=np.int32)
    skin = Skin(vertices, faces, np.zeros_like(vertices), 0.0)
    view = View(azimuth_deg=10.0, elevation_deg=5.0, target_ras_mm=(0.0, 0.0, 0.0))
    point = np.array([12.0, 50.0, -30.0])
    u, v, depth = camera_matrix(view) @ [*point, 1]
    actual = pick_on_skin(skin, view, np.array([[u / depth, v / depth], [-1e5, 0.0]]))
    np.testing.assert_allclose(actual[0], point, atol=1e-6)
    assert np.isnan(actual[1]).all()


@pytest.mark.slow
def test_the_eyes_of_a_portrait_lie_before_the_eyes(scan: PhantomScan, tmp_path: Path) -> None:
    write_volume(scan.volume, tmp_path / "scan.nii.gz")
    actual = find_eyes(tmp_path / "scan.nii.gz", settings=Settings(encoders=("dlib",), detector="dlib"))
    for eye, centre in zip(actual, _eyes(scan), strict=True):
        right, front, up = np.array(eye) - centre
        assert abs(right) < 6
        assert 10 < front < 20
        assert abs(up) < 6


@pytest.mark.slow
def test_a_scan_without_a_face_gives_no_eyes(tmp_path: Path) -> None:
    ball = np.full((40, 40, 40), -1000.0, dtype=np.float32)
    ball[np.linalg.norm(np.indices(ball.shape) - 19.5, axis=0) < 16] = 40.0
    write_volume(Volume(ball, np.diag([5.0, 5.0, 5.0, 1.0]), Modality.CT), tmp_path / "ball.nii.gz")
    with pytest.raises(InputError, match=r"ball\.nii\.gz"):
        find_eyes(tmp_path / "ball.nii.gz", settings=Settings(encoders=("dlib",), detector="dlib"))


@pytest.mark.slow
def test_a_study_is_defaced_from_the_command_line(
    scan: PhantomScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rt_set(scan, Path("study"), ptv=["nose"])
    assert main(["deface", "study", "--out", "defaced", "--salt", "s"]) == 0
    said = capsys.readouterr().out
    for words in ("Scan: ", "Structures removed: Eye_R, Eye_L", "Structures clipped: BODY", "Dose: ", "defaced"):
        assert words in said
    assert str(tmp_path) not in said
    assert main(["deface", "study", "--out", "defaced"]) == 2
    assert "is there already" in capsys.readouterr().err

    # Without eye contours it says what to do, and what it says works.
    ds = pydicom.dcmread("study/RS.dcm")
    for item in ds.StructureSetROISequence:
        item.ROIName = item.ROIName.replace("Eye_", "Seher_")
    ds.save_as("study/RS.dcm")
    assert main(["deface", "study", "--out", "second"]) == 2
    said = capsys.readouterr().err
    assert "--eyes-from-portrait" in said
    assert "--eye-names" in said
    assert main(["deface", "study", "--out", "named", "--eye-names", "^seher", "--removed-names", "^seher"]) == 0
    dlib = ["--encoder", "dlib", "--detector", "dlib"]
    assert main(["deface", "study", "--out", "seen", "--eyes-from-portrait", *dlib]) == 0
    assert "taken from the portrait" in capsys.readouterr().out
    drawn, seen = read_volume(Path("defaced")), read_volume(Path("seen"))
    original = read_volume(Path("study/CT"))
    cuts = []
    for volume in (drawn, seen):
        changed = volume.intensity != original.intensity
        cuts.append([np.flatnonzero(changed.any(axis=axes))[0] * 2.0 for axes in ((0, 2), (0, 1))])  # mm
    np.testing.assert_allclose(cuts[0], cuts[1], atol=6)


def test_a_label_map_is_cut_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scan = make_phantom(4, 1, spacing_mm=5.0)
    write_volume(scan.volume, Path("head.nii.gz"))
    write_labels(scan.labels, scan.volume.voxel_to_ras_mm, Path("organs.nii.gz"))
    rows = "".join(f"{value}\t{name}\n" for name, value in LABELS.items())
    Path("names.tsv").write_text(f"index\tname\n{rows}")
    labels = ["--labels", "organs.nii.gz", "--label-names", "names.tsv"]
    assert main(["deface", "head.nii.gz", *labels, "-o", "out"]) == 0
    assert "voxels became air" in capsys.readouterr().out
    mask, _ = read_labels(Path("out/mask.nii.gz"))
    after = read_volume(Path("out/head.nii.gz"))
    np.testing.assert_array_equal(after.intensity, np.where(mask, np.float32(-1000), scan.volume.intensity))
    left, _ = read_labels(Path("out/organs.nii.gz"))
    assert not np.isin(left, [LABELS["eye_left"], LABELS["eye_right"]]).any()

    for arguments, word in (
        (["head.nii.gz", "-o", "a"], "--labels"),
        (["head.nii.gz", *labels[:2], "-o", "a"], "--label-names"),
        (["head.nii.gz", *labels, "-o", "out"], "is there already"),
        (["head.nii.gz", *labels, "-o", "a", "--tool", "hammer"], "--tool"),
        (["head.nii.gz", *labels, "-o", "a", "--structures", "x.dcm"], "DICOM study"),
        (["absent.nii.gz", *labels, "-o", "a"], "absent.nii.gz"),
    ):
        assert main(["deface", *arguments]) == 2
        assert word in capsys.readouterr().err
    Path("names.tsv").write_text("kind\tname\n5\teye\n")
    assert main(["deface", "head.nii.gz", *labels, "-o", "a"]) == 2
    assert "columns index" in capsys.readouterr().err
    assert not Path("a").exists()


def load_example() -> ModuleType:
    path = EXAMPLES / "osullivan_table2.py"
    spec = importlib.util.spec_from_file_location("osullivan_table2", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


def test_the_example_makes_a_cohort_that_can_be_audited(tmp_path: Path) -> None:
    example = load_example()
    scans = [s for visit in (1, 2) for s in example.scan_patient(1, visit, tmp_path, seed=0, spacing_mm=6.0)]
    assert [(s.session, s.condition) for s in scans] == [("1", "original"), ("1", "eye-plane"), ("2", "original")]
    original, defaced, _ = (read_volume(s.path) for s in scans)
    assert (original.intensity != defaced.intensity).mean() > 0.01
    compared = "defaced_same vs different"
    test = TestResult("mann_whitney", compared, (20, 190), 20, 3069.0, 6e-6, "asymptotic", effect=0.19)
    assert "NOT as expected (mated scans lie farther apart than non-mated ones)" in say_test(
        test, expect_different=False
    )


@pytest.mark.slow
def test_the_example_prints_the_three_tests_and_what_links_the_scans_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--subjects", "3", "--spacing-mm", "4", "--workers", "1", "--encoder", "dlib"]
    monkeypatch.setattr("sys.argv", ["osullivan_table2.py", *options])
    load_example().main()
    said = capsys.readouterr().out
    assert "3 synthetic patients of variety 1.5" in said
    # Three people are too few for p < 0.005: the smallest p of 3 against 3 distances is 0.1.
    for compared, p in (
        ("same vs different", "0.1"),
        ("same vs defaced_same", "0.25"),
        ("defaced_same vs different", ""),
    ):
        assert re.search(rf"{compared} +\w+ +indistinguishable.* p = {p}", said), compared
    assert "same               0.0" in said
    assert "defaced_different  0." in said
    for attack in ("naive", "aligned", "registered"):
        assert re.search(rf"{attack} attacker\n(?:.*\n)*?  identity permutation +n = 3", said), attack
