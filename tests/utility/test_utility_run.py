"""A cohort of heads of boxes through `measure_utility` and the command, as a user meets them."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import EXAMPLES, TESTS
from rt_files import write_rtdose, write_rtstruct

from reid_audit import Face, InputError, ScanRef, Status, Volume, assess_scores, local_executor, read_volume
from reid_audit.cli import main
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.dataset.companions import find_companions
from reid_audit.match import compare_faces
from reid_audit.records import FaceRecord, Modality
from reid_audit.report import write_result
from reid_audit.report.form import result_from_json
from reid_audit.utility import (
    UtilitySettings,
    count_targets,
    measure_utility,
    read_label_names,
    read_structures,
    read_utility,
    write_utility,
)
from reid_audit.utility.case import measure_scan
from reid_audit.utility.structures import structures_from_labels
from reid_audit.utility.summarize import summarize_cases
from reid_audit.volume import read_labels, write_labels, write_volume

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
NAMES = {1: "skin", 2: "eye", 3: "brain", 4: "PTV_70", 5: "cord"}
MATRIX = "trained_on,evaluated_on,subject,structure,score\n" + "".join(
    f"{a},{b},p{i},eye,{0.8 - 0.1 * (a != b) + 0.01 * i}\n"
    for a in ("original", "cut")
    for b in ("original", "cut")
    for i in range(7)
)


def _head(person: int) -> tuple[Volume, np.ndarray]:
    rng = np.random.default_rng(person)
    intensity = rng.normal(-1000, 2, (30, 30, 24)).astype(np.float32)
    intensity[4:26, 4:26, 2:22] = rng.normal(40, 10, (22, 22, 20))
    labels = np.zeros(intensity.shape, dtype=np.uint8)
    labels[4:26, 4:26, 2:22] = 1
    labels[8:12, 21:25, 13:16] = 2
    labels[8 : 20 + person, 8:16, 13:20] = 3
    labels[14:18, 9:12, 7:9] = 4
    labels[10:12, 8:10, 2 : 9 + person] = 5
    return Volume(np.rint(intensity), AFFINE, Modality.CT), labels


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Three people, the defacers cut and cover; labels of the originals and, for cut, of the defaced scans."""
    folder = tmp_path / "study"
    (folder / "labels").mkdir(parents=True)
    (folder / "doses").mkdir()
    scans = []
    for person in range(3):
        subject = f"p{person}"
        volume, labels = _head(person)
        cut, cover, after = volume.intensity.copy(), volume.intensity.copy(), labels.copy()
        cut[:, 23:, 13:] = -1000
        after[:, 23:, 13:] = 0
        cover[:, 24:, 4:] = 30
        for condition, values in (("original", volume.intensity), ("cut", cut), ("cover", cover)):
            path = folder / f"{subject}_1_{condition}.nii.gz"
            write_volume(replace(volume, intensity=values), path)
            scans.append(ScanRef(subject, "1", condition, path, Modality.CT))
        write_labels(labels, AFFINE, folder / "labels" / f"{subject}_1_original_labels.nii.gz")
        write_labels(after, AFFINE, folder / "labels" / f"{subject}_1_cut_seg.nii.gz")
        dose = np.add.outer(np.add.outer(np.zeros(16), np.linspace(0, 60, 16)), np.zeros(20)).astype(np.float32)
        place = np.diag([4.0, 4.0, 4.0, 1.0])
        write_volume(Volume(dose, place, Modality.MR), folder / "doses" / f"{subject}_1_original_dose.nii.gz")
    write_manifest(folder / "manifest.csv", scans)
    (folder / "names.csv").write_text("index,name\n" + "".join(f"{v},{n}\n" for v, n in NAMES.items()))
    (folder / "models.csv").write_text(MATRIX)
    return folder


def _measure(cohort: Path, **more: object):
    settings = UtilitySettings(names=NAMES, brain=("brain",))
    return measure_utility(
        read_manifest(cohort / "manifest.csv"), segmentations=cohort / "labels", settings=settings, **more
    )


def test_a_cohort_from_files_to_rows(cohort: Path) -> None:
    done = []
    actual = _measure(cohort, doses=cohort / "doses", progress=lambda *at: done.append(at))
    assert done[-1] == ("scans", 6, 6)
    assert [(c.subject, c.condition, c.reason) for c in actual.cases][:2] == [("p0", "cut", ""), ("p0", "cover", "")]
    values = {(v.condition, v.metric, v.structure): v for v in actual.values if v.structure != "all"}
    assert values["cut", "dice", "eye"].mean == pytest.approx(2 * 2 / (4 + 2))
    assert values["cut", "dice", "PTV_70"].mean == values["cut", "dice", "cord"].mean == 1
    assert values["cut", "preserved", "eye"].mean == pytest.approx(0.5)
    assert values["cover", "preserved", "brain"].mean == values["cover", "unchanged", "brain"].mean == 1
    assert not any(condition == "cover" and metric == "dice" for condition, metric, _ in values)
    # The front half of the eye is gone, where the dose is higher.
    gone = values["cut", "dose_d0.01cc_difference", "eye"]
    assert gone.mean == pytest.approx(-400, abs=60)  # 4 mm at 1 Gy/mm
    assert values["cut", "dose_d0.01cc_difference", "cord"].mean == 0
    assert count_targets(actual.cases, "cut").scans["below"] == 3
    assert count_targets(actual.cases, "cover").scans["same_slices"] == 3
    places = {(p.condition, p.place, p.structure): p for p in actual.places}
    assert places["cut", "below", "PTV_70"].smallest == 1
    assert places["cut", "overlapping", "eye"].mean < 1


def test_air_below_what_a_scanner_stores_is_seen(cohort: Path) -> None:
    """mri_reface sets the air of a CT from -1000 to -1090 HU (Ammar 2025): half of it here, and all of it below."""
    for person, share in enumerate((1.0, 1.0, 0.4)):
        volume = replace(_head(person)[0], intensity=np.where(_head(person)[1] == 0, np.float32(-1000), np.float32(40)))
        shifted = volume.intensity.copy()
        air = np.argwhere(shifted == -1000)
        shifted[tuple(air[: round(share * len(air))].T)] = -1090
        write_volume(volume, cohort / f"p{person}_1_original.nii.gz")
        write_volume(replace(volume, intensity=shifted), cohort / f"p{person}_1_cover.nii.gz")
    cases = {c.subject: c for c in _measure(cohort).cases if c.condition == "cover"}
    numbers = {who: {m.metric: m for m in c.measures if m.structure == "air"} for who, c in cases.items()}
    assert numbers["p0"]["hu_shift_median"].value == -90
    assert (numbers["p0"]["hu_shift"].before, numbers["p0"]["hu_shift"].after) == (-1000, -1090)
    assert numbers["p2"]["hu_shift_median"].value == 0
    assert numbers["p2"]["hu_shift"].value == pytest.approx(-36, abs=0.01)


def test_what_is_deleted_on_purpose_pulls_no_average() -> None:
    """An RT structure set that deletes the eyes no longer names them; a model that finds none leaves them empty."""
    volume, labels = _head(0)
    defaced = volume.intensity.copy()
    defaced[:, 21:, 13:] = -1000
    scan = ScanRef("p0", "1", "cut", Path("p0.nii.gz"))
    before = structures_from_labels(labels, AFFINE, names=NAMES)
    without = {value: name for value, name in NAMES.items() if name != "eye"}

    def summarize(names: dict[int, str], after: np.ndarray, **options: object):
        actual = structures_from_labels(after, AFFINE, names=names)
        case = measure_scan(
            scan,
            volume,
            replace(volume, intensity=defaced),
            before=before,
            after=actual,
            settings=UtilitySettings(brain=("brain",), **options),
        )
        rows = {(v.metric, v.structure, v.position): v.mean for v in summarize_cases([case])}
        return rows, {finding.code for finding in case.findings}

    blind = np.where(labels == 2, 0, labels).astype(np.uint8)
    rows, codes = summarize(without, blind)
    assert rows["dice", "all", "all"] == 1
    assert rows["dice", "all", "deleted"] == rows["dice", "eye", "deleted"] == 0
    assert "deleted" in codes
    assert "missing_after" not in codes
    missed, _ = summarize(NAMES, blind)
    assert missed["dice", "all", "all"] == pytest.approx(4 / 5)
    assert summarize(NAMES, blind, deleted=("Eye",))[0]["dice", "all", "all"] == 1
    renamed, codes = summarize({**without, 2: "oeil gauche"}, labels)
    assert renamed["dice", "all", "all"] == pytest.approx(4 / 6)
    assert "missing_after" in codes


def test_workers_change_nothing(cohort: Path) -> None:
    def without_seconds(actual):
        return replace(actual, cases=tuple(replace(case, seconds=0.0) for case in actual.cases))

    with local_executor(2) as executor:
        parallel = _measure(cohort, executor=executor)
    assert repr(without_seconds(parallel)) == repr(without_seconds(_measure(cohort)))  # repr: NaN is not itself


def test_the_result_is_read_back_as_it_was(cohort: Path, tmp_path: Path) -> None:
    actual = _measure(cohort)
    folder = tmp_path / "result"
    path = write_utility(actual, folder)
    assert repr(read_utility(path)) == repr(actual)
    assert repr(read_utility(folder)) == repr(actual)
    assert {p.name for p in folder.iterdir()} == {"utility.json", "utility.csv", "utility_cases.csv"}
    assert all(p.stat().st_mode & 0o77 == 0 for p in folder.iterdir())
    assert str(tmp_path) not in path.read_text()
    assert "NaN" not in path.read_text()
    with pytest.raises(InputError, match="--overwrite"):
        write_utility(actual, folder)
    write_utility(actual, folder, overwrite=True)
    content = json.loads(path.read_text())
    content["cases"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"utility\.json is not what.*cases"):
        read_utility(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_utility(tmp_path / "nowhere.json")


def test_what_cannot_be_read_costs_one_scan(cohort: Path) -> None:
    (cohort / "p0_1_cut.nii.gz").write_bytes(b"damaged")
    small, labels = _head(1)
    write_volume(replace(small, intensity=small.intensity[:, :, 1:]), cohort / "p1_1_cut.nii.gz")
    write_labels(labels[1:], AFFINE, cohort / "labels" / "p2_1_cut_seg.nii.gz")
    actual = {(c.subject, c.condition): c for c in _measure(cohort).cases}
    assert "p0_1_cut.nii.gz" in actual["p0", "cut"].reason
    assert "differ in voxels" in actual["p1", "cut"].reason
    assert actual["p2", "cut"].reason == ""
    (finding,) = (f for f in actual["p2", "cut"].findings if f.code == "no_segmentation")
    assert "p2_1_cut_seg.nii.gz" in finding.text
    assert any(m.metric == "preserved" for m in actual["p2", "cut"].measures)  # what remains is measured
    assert all(actual[p, "cover"].reason == "" for p in ("p0", "p1", "p2"))


def test_an_original_that_is_missing_is_counted(cohort: Path) -> None:
    text = (cohort / "manifest.csv").read_text().splitlines()
    (cohort / "manifest.csv").write_text("\n".join(line for line in text if not line.startswith("p0,1,original")))
    actual = _measure(cohort)
    assert [c.reason for c in actual.cases if c.subject == "p0"] == [
        "no original of this subject, session and image to compare with"
    ] * 2


def test_dose_outside_and_unreadable_dose_are_findings(cohort: Path) -> None:
    small = np.full((4, 4, 4), 20, dtype=np.float32)
    small[0, 0, 0] = 21
    write_volume(Volume(small, np.diag([4.0, 4.0, 4.0, 1.0]), Modality.MR), cohort / "doses/p0_1_original_dose.nii.gz")
    (cohort / "doses/p1_1_original_dose.nii.gz").write_bytes(b"")
    actual = {(c.subject, c.condition): c for c in _measure(cohort, doses=cohort / "doses").cases}
    outside = [f for f in actual["p0", "cut"].findings if f.code == "outside_dose"]
    assert any("100.0% of it lies outside" in f.text for f in outside)
    lost = next(m for m in actual["p0", "cut"].measures if m.metric == "dose_mean_difference" and m.structure == "eye")
    assert math.isnan(lost.value)
    assert "no_dose" in {f.code for f in actual["p1", "cut"].findings}
    assert "no_dose_after" in {f.code for f in actual["p2", "cover"].findings}


def test_without_segmentations_the_scan_is_measured(cohort: Path) -> None:
    actual = measure_utility(read_manifest(cohort / "manifest.csv"))
    assert {v.metric for v in actual.values} >= {"changed_volume", "depth_max", "hu_shift"}
    assert not {v.metric for v in actual.values} & {"dice", "preserved"}


def test_cohorts_and_places_that_cannot_be_used(cohort: Path, tmp_path: Path) -> None:
    manifest = read_manifest(cohort / "manifest.csv")
    with pytest.raises(InputError, match="every scan is 'original'"):
        measure_utility(replace(manifest, scans=manifest.originals))
    with pytest.raises(InputError, match=r"nowhere.*--segmentations"):
        measure_utility(manifest, segmentations=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file in it belongs"):
        measure_utility(manifest, segmentations=tmp_path / "empty")


def test_companions_are_found_by_name_or_table(tmp_path: Path) -> None:
    scan = ScanRef("07", "2", "original", tmp_path / "head.nii.gz")
    other = replace(scan, condition="cut", path=tmp_path / "head_cut.nii.gz")
    for name in ("head.nii.gz", "head_cut_dseg.mgz", "readme.txt"):
        (tmp_path / name).touch()
    actual = find_companions(tmp_path, option="--doses")
    assert actual.of(scan) == tmp_path / "head.nii.gz"
    assert actual.of(other) == tmp_path / "head_cut_dseg.mgz"
    (tmp_path / "HEAD_seg.nii").touch()
    with pytest.raises(InputError, match="several files"):
        find_companions(tmp_path, option="--doses").of(scan)
    bids = tmp_path / "bids"
    (bids / "sub-07_ses-2").mkdir(parents=True)
    assert find_companions(bids, option="--doses").of(scan) == bids / "sub-07_ses-2"
    assert find_companions(bids, option="--doses").of(other) is None
    (tmp_path / "07_2_desc-brain.nii").touch()
    bare = replace(scan, path=tmp_path / "absent.nii")
    assert find_companions(tmp_path, option="--labels").of(bare) is None  # "desc-brain" is no known ending
    assert find_companions(tmp_path, option="--labels").of(bare, any_suffix=True) == tmp_path / "07_2_desc-brain.nii"
    table = tmp_path / "segmentations.csv"
    table.write_text("subject,session,condition,path\n07,2,original,bids/a.nii\n07,2,cut,/elsewhere/b.nii\n")
    assert find_companions(table, option="--doses").of(other) == Path("/elsewhere/b.nii")


def test_folders_of_masks(tmp_path: Path) -> None:
    volume, labels = _head(0)
    for value, name in ((2, "eye"), (3, "brain"), (9, "lens")):
        write_labels((labels == value).astype(np.uint8), AFFINE, tmp_path / f"{name}.nii.gz")
    actual = read_structures(tmp_path, volume)
    assert set(actual.structures) == {"eye", "brain"}
    assert actual.empty == ("lens",)
    assert actual.structures["eye"].voxels == (labels == 2).sum()
    write_labels(labels[1:], AFFINE, tmp_path / "other.nii.gz")
    with pytest.raises(InputError, match="another grid"):
        read_structures(tmp_path, volume)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none: holds neither"):
        read_structures(tmp_path / "none", volume)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "columns index and name"),
        ("value;title\n1;eye\n", "columns index and name"),
        ("index,name\none,eye\n", "whole number"),
        ("index,name\n1,eye\n1,lens\n", "occurs twice"),
    ],
)
def test_label_names_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "names.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_label_names(path)


def test_label_names_of_bids(tmp_path: Path) -> None:
    path = tmp_path / "dseg.tsv"
    path.write_text("index\tname\tabbreviation\n0\tbackground\tBG\n17\thippocampus\tH\n53\thippocampus\tH\n")
    assert read_label_names(path) == {17: "hippocampus", 53: "hippocampus"}


def _square(x: float, y: float, half: float, z: float) -> np.ndarray:
    """A square in LPS mm around a point in RAS mm."""
    a, b = -x, -y
    return np.array(
        [(a - half, b - half, z), (a + half, b - half, z), (a + half, b + half, z), (a - half, b + half, z)]
    )


def test_rt_structures_and_doses_from_files_to_rows(cohort: Path) -> None:
    rt = cohort / "rt"
    rt.mkdir()
    planes = [39.0, 42.0, 45.0]  # of the eye
    eye = [_square(19, 45, 4, z) for z in planes]
    half = [loop + np.array([0, 2, 0]) for loop in eye]
    for person in range(3):
        write_rtstruct(
            rt / f"p{person}_1_original_rtstruct.dcm", {"Eye L": eye, "lens": [], "PTV": [_square(30, 20, 5, 24.0)]}
        )
        write_rtstruct(rt / f"p{person}_1_cut_rtstruct.dcm", {"eye_l": half, "PTV": [_square(30, 20, 5, 24.0)]})
        y = -2.0 * np.arange(60)  # LPS: the dose grows to the front by 1 Gy/mm
        values = np.broadcast_to(80 + -(y + 60)[None, :, None], (40, 60, 30)).copy()
        write_rtdose(
            cohort / "doses" / f"p{person}_1_original_dose.dcm",
            np.clip(values, 0, None)[:, ::-1],
            spacing=(2.0, 2.0, 3.0),
            position_lps=(-70, -118, -3),
        )
        (cohort / "doses" / f"p{person}_1_original_dose.nii.gz").unlink()
    actual = measure_utility(read_manifest(cohort / "manifest.csv"), segmentations=rt, doses=cohort / "doses")
    assert {c.reason for c in actual.cases} == {""}
    values = {(v.condition, v.metric, v.structure): v for v in actual.values}
    assert values["cut", "dice", "Eye L"].mean == pytest.approx(0.75)  # moved by a quarter of its depth
    assert values["cut", "dice", "PTV"].mean == 1
    assert values["cut", "dose_d0.01cc_difference", "Eye L"].mean == pytest.approx(-200, abs=1)
    assert values["cut", "dose_mean_difference", "Eye L"].mean == pytest.approx(-200, abs=1)
    codes = {f.code for c in actual.cases if c.condition == "cut" for f in c.findings}
    assert codes == {"spelled_otherwise", "missing_after", "empty_structure"}
    assert count_targets(actual.cases, "cut").scans["below"] == 3


def test_maps_are_private_and_add_up(cohort: Path) -> None:
    _measure(cohort, maps=cohort / "maps")
    assert (cohort / "maps").stat().st_mode & 0o77 == 0
    assert all(p.stat().st_mode & 0o77 == 0 for p in (cohort / "maps").iterdir())
    assert len(list((cohort / "maps").iterdir())) == 3 * 6
    original, cut = (read_volume(cohort / f"p0_1_{c}.nii.gz").intensity for c in ("original", "cut"))
    difference = read_volume(cohort / "maps" / "p0_1_cut_difference.nii.gz", modality=Modality.MR).intensity
    np.testing.assert_array_equal(original + difference, cut)
    changed, _ = read_labels(cohort / "maps" / "p0_1_cut_changed.nii.gz")
    np.testing.assert_array_equal(changed == 1, np.abs(difference) > 1)


def test_the_command(cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(cohort)
    argv = ["utility", "manifest.csv", "--segmentations", "labels", "--doses", "doses", "--names", "names.csv"]
    argv += ["--models", "models.csv", "--brain", "brain", "--alias", "cord=spinal cord", "-o", "out", "--workers", "1"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    for words in (
        "6 of 6 defaced scans were measured",
        "Segmentations before and after: cut",
        "surface dice 2mm",
        "spinal cord",
        "Dice by place against the changed voxels",
        "Planning target volumes",
        "all (nCR)",
        "trained on cut",
        "2 of 2 pairs of models differ",
        "brain intact",
        "cGy",
    ):
        assert words in text, words
    assert "nan" not in text
    assert read_utility(cohort / "out").matrix is not None
    more = ["--beside", "other=out", "--figures", "figures", "-o", "again"]
    assert main([*argv, *more]) == 0
    text = capsys.readouterr().out
    assert "Two segmentation programs, cut" in text
    assert "Private page" not in text
    assert "models-on-originals" in " ".join(path.name for path in (cohort / "figures").iterdir())
    assert "voxels that were not removed" in (cohort / "again" / "utility.html").read_text()
    assert main([*argv, *more[:-1], "third"]) == 2
    assert "figures is not an empty folder" in capsys.readouterr().err
    assert main(argv) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*argv, "--overwrite"]) == 0


def test_the_command_joins_an_audit(
    cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    faces = []
    for i in range(8):
        person = rng.normal(size=16)
        for visit, condition, noise in (
            ("1", "original", 0.3),
            ("2", "original", 0.3),
            ("1", "cut", 1),
            ("1", "cover", 4),
        ):
            vector = person + noise * rng.normal(size=16)
            scan = ScanRef(f"p{i}", visit, condition, Path("p.nii.gz"))
            faces.append(FaceRecord(scan, Face(Status.OK, "random", vector=vector / np.linalg.norm(vector))))
    result = assess_scores(compare_faces(faces), source="cohort.csv", draws=50)
    write_result(result, cohort / "audit")
    monkeypatch.chdir(cohort)
    argv = ["utility", "manifest.csv", "--segmentations", "labels", "--names", "names.csv", "--workers", "1"]
    assert main([*argv, "--audit", "audit", "-o", "out"]) == 0
    text = capsys.readouterr().out
    assert "Trade-off of risk and cost" in text
    assert "Distance of defaced scans to their own originals" in text
    joined = result_from_json((cohort / "out" / "result.json").read_text())
    assert {v.condition for v in joined.utility} == {"cut", "cover"}
    assert joined.verdict.decision is result.verdict.decision
    assert main([*argv, "--audit", "nothing.json", "-o", "other"]) == 2
    assert "nothing.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--alias", "cord"], "--alias"),
        (["--names", "nothing.csv"], "nothing.csv"),
        (["--segmentations", "nothing"], "nothing"),
        (["--models", "manifest.csv"], "trained_on"),
        (["--beside", "out"], "--beside must read NAME=FOLDER"),
        (["--doses", "doses", "--dose-unit", "rad"], "--dose-unit"),
    ],
)
def test_wrong_use_of_the_command(
    cohort: Path, more: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(cohort)
    assert main(["utility", "manifest.csv", "-o", "out", "--workers", "1", *more]) == 2
    assert words in capsys.readouterr().err


def _load(path: Path):
    """Import a script that is not part of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_runs_in_a_small_form() -> None:
    actual = _load(TESTS / "benchmarks" / "bench_utility.py").run(size=48, structures=4, naive=1)
    assert actual["measures"] > 60
    assert actual["times_faster"] > 1


@pytest.mark.slow
def test_the_example_prints_the_tables_of_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = _load(EXAMPLES / "utility_tables.py")
    monkeypatch.chdir(tmp_path)
    argv = ["utility_tables.py", "--subjects", "2", "--spacing", "4", "--without-risk", "--workers", "1"]
    monkeypatch.setattr("sys.argv", argv)
    example.main()
    text = capsys.readouterr().out
    for words in (
        "6 of 6 defaced scans",
        "Sahlsten 2023",
        "O'Sullivan-Steben 2025",
        "Ammar 2025",
        "Molchanova 2023",
        "trained on",
        "(nCR)",
        "cGy",
    ):
        assert words in text, words
    assert list(tmp_path.iterdir()) == []
