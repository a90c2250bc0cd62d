"""The command line as its users meet it, called in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer

import reid_audit
from reid_audit import Volume
from reid_audit.accuracy import read_calibrations
from reid_audit.cli import _read_help, app, main
from reid_audit.records import Modality
from reid_audit.report.form import result_from_json
from reid_audit.volume import write_volume

COMMANDS = (
    *("demo", "phantom", "inventory", "bids", "render", "mesh", "deface", "choose-model", "calibrate"),
    *("score", "compare", "report", "utility", "stats", "plan"),
)
WEIGHTS = ("list", "fetch", "import", "verify")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    commands = typer.main.get_command(app)
    for name in commands.list_commands(None):  # the list is read from the source; the command is what runs
        assert _read_help(name).split("\n\n")[0] == commands.get_command(None, name).help.split("\n\n")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"Example: reid-audit {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", WEIGHTS)
def test_every_weights_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", command, "--help"]) == 0
    assert f"Example: reid-audit weights {command}" in capsys.readouterr().out


def test_weights_are_listed_verified_and_imported_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path / "home"))
    assert main(["weights", "list"]) == 0
    assert "dlib-recogniser: present" in capsys.readouterr().out
    assert main(["weights", "verify", "dlib-recogniser"]) == 0
    assert "0 wrong" in capsys.readouterr().out
    assert main(["weights", "import", str(tmp_path / "stick")]) == 2
    assert "stick" in capsys.readouterr().err
    assert main(["weights", "fetch", "nonsense"]) == 2
    assert "no model file is called" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"reid-audit {reid_audit.__version__}"


@pytest.mark.parametrize(
    "argv",
    [["nonsense"], ["score"], ["render", "x.nii.gz"], ["score", "m.csv", "-o", "out", "--workers", "many"]],
    ids=["command", "argument", "option", "value"],
)
def test_wrong_use_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "Traceback" not in capsys.readouterr().err


MANIFEST = "subject,session,condition,path\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["manifest.csv", "no such"]),
        ("", ["manifest.csv", "empty"]),
        ("subject,session,path\np1,1,a.nii\n", ["manifest.csv", "condition"]),
        (MANIFEST + "p1,1,original,a.nii\np1,1,original,b.nii\n", ["manifest.csv", "lines 2, 3"]),
        (MANIFEST + "p1,1,original,../a.nii\n", ["manifest.csv", "line 2"]),
        (MANIFEST + "p1,1,original,a.nii\np1,1,cut,b.nii\n", ["manifest.csv", "same", "--calibration"]),
        (MANIFEST + "p1,1,original,a.nii\np1,2,original,c.nii\np1,1,cut,b.nii\n", ["manifest.csv", "two people"]),
        (MANIFEST + "p1,1,original,a.nii\np2,1,original,c.nii\np1,1,cut,b.nii\n", ["manifest.csv", "second visit"]),
    ],
    ids=["missing", "empty", "column", "duplicate", "outside", "one scan", "one subject", "one visit"],
)
def test_a_manifest_that_cannot_be_audited(
    text: str | None, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.csv"
    if text is not None:
        manifest.write_text(text)
    assert main(["score", str(manifest), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert "Traceback" not in error


def _one_voxel_thick(path: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 3), dtype=np.int16), np.eye(4)), path)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("missing.nii.gz", None),
        ("empty.nii.gz", lambda path: path.write_bytes(b"")),
        ("text.nii.gz", lambda path: path.write_text("not an image")),
        ("series.nii.gz", _one_voxel_thick),
        ("folder", Path.mkdir),
    ],
)
def test_a_scan_that_cannot_be_drawn(
    name: str, make: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if callable(make):
        make(path)
    assert main(["render", str(path), "-o", str(tmp_path / "out.png")]) == 2
    error = capsys.readouterr().err
    assert name in error
    assert "Traceback" not in error
    assert not (tmp_path / "out.png").exists()


def test_an_encoder_without_its_files_ends_at_once_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    volume = Volume(np.zeros((8, 8, 8), dtype=np.float32), np.eye(4), Modality.CT)
    write_volume(volume, tmp_path / "a.nii.gz")
    (tmp_path / "m.csv").write_text(
        MANIFEST + "p1,1,original,a.nii.gz\np1,2,original,b.nii.gz\np2,1,original,c.nii.gz\np1,1,cut,d.nii.gz\n"
    )
    assert main(["score", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "--encoder", "Facenet512"]) == 2
    error = capsys.readouterr().err
    assert "facenet512_weights.onnx" in error
    assert "--encoder dlib" in error


@pytest.mark.slow
def test_calibrate_then_score(demo_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibration, out = tmp_path / "calibration.json", tmp_path / "result"
    shared = ["--encoder", "dlib", "--workers", "2"]
    assert main(["calibrate", str(demo_manifest), "-o", str(calibration), *shared]) == 0
    assert "youden" in capsys.readouterr().out
    assert [each.fingerprint.encoder for each in read_calibrations(calibration)] == ["dlib"]

    quick = ["--attack", "registered", "--canaries", "1"]
    code = main(["score", str(demo_manifest), "--calibration", str(calibration), "-o", str(out), *quick, *shared])
    text = capsys.readouterr().out
    result = result_from_json((out / "result.json").read_text())
    assert code == result.verdict.exit_code
    assert len(result.scans) == 20
    for words in ("blur-2mm", "eye-plane", "face-removal", "strongest attacker", "chance", "Control", "Report:"):
        assert words in text
    assert json.loads((out / "result.json").read_text())["schema_version"] == 2

    again = ["score", str(demo_manifest), "--calibration", str(calibration), "-o", str(out), *shared]
    assert main(again) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*again, "--overwrite", "--renderer", "raycast"]) == 2
    assert "renderer" in capsys.readouterr().err


@pytest.mark.slow
def test_phantom_then_render(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom", "--subjects", "1", "--visits", "1", "--modality", "MR", "--out", str(tmp_path / "h")]) == 0
    scan = next((tmp_path / "h").glob("*.nii.gz"))
    assert main(["render", str(scan), "-o", str(tmp_path / "p.png"), "--azimuth", "20", "--encoder", "dlib"]) == 0
    assert "face: " in capsys.readouterr().out
    assert main(["mesh", str(scan), "-o", str(tmp_path / "head.stl")]) == 0
    assert "triangles" in capsys.readouterr().out
    assert (tmp_path / "p.png").stat().st_mode & 0o077 == 0


def _write_distances(path: Path, people: int, *, shift: float) -> None:
    """Mated distances are 0.1; non-mated are 0.5 and up; defacing adds `shift` to all."""
    rows = ["group,probe_subject,reference_subject,distance,sex"]
    for i in range(people):
        rows.append(f"same,p{i},p{i},{0.1 + i / 1000:.4f},{'FM'[i % 2]}")
        rows.append(f"defaced_same,p{i},p{i},{0.1 + shift + i / 1000:.4f},{'FM'[i % 2]}")
        for j in range(people):
            far = 0.5 + ((7 * i + 11 * j) % 17) / 100
            if i < j:
                rows.append(f"different,p{i},p{j},{far:.4f},")
            if i != j:
                rows.append(f"defaced_different,p{i},p{j},{far + shift:.4f},")
    path.write_text("\n".join(rows) + "\n")


def test_stats_sees_through_a_shift_of_every_distance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_distances(tmp_path / "d.csv", 30, shift=0.6)
    assert main(["stats", str(tmp_path / "d.csv"), "-o", str(tmp_path / "out")]) == 1
    text = capsys.readouterr().out
    assert "30 of 30, 100.0 % (88.4 to 100.0 %)  1.000" in text  # nobody matches, but the search finds all
    assert "FAIL" in text
    result = result_from_json((tmp_path / "out" / "result.json").read_text())
    assert result.evidence.attack("defaced").linkability.value == 1.0
    assert {cell.value for cell in result.evidence.strata} == {"F", "M"}


@pytest.mark.parametrize(
    ("within", "error"),
    [("within:site", "there is no such column; there are: sex"), ("sex", "must be auto, all or within:COLUMN")],
)
def test_non_mated_comparisons_need_a_column(
    within: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_distances(tmp_path / "d.csv", 10, shift=0.6)
    assert main(["stats", str(tmp_path / "d.csv"), "--non-mated", within]) == 2
    assert error in " ".join(capsys.readouterr().err.split())


def test_ten_people_without_a_match_are_not_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_distances(tmp_path / "d.csv", 10, shift=0.6)
    assert main(["stats", "-v", str(tmp_path / "d.csv")]) in (1, 4)
    assert "the policy asks for 30" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("group,distance\nsame,near\n", "number in"),
        ("group,distance\nsame,-0.1\n", "number in"),
        ("group,distance\nfriends,0.1\n", "unknown group"),
        ("a,b\n1,2\n", "group and distance"),
        ("group,distance\n", "no"),
    ],
    ids=["word", "negative", "group", "columns", "empty"],
)
def test_stats_refuses_what_is_no_table_of_distances(
    text: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.csv").write_text(text)
    assert main(["stats", str(tmp_path / "d.csv")]) in (2, 4)
    told = capsys.readouterr()
    assert word in told.err + told.out
    assert "Traceback" not in told.err


def test_stats_reproduces_paper_1(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "-vv", str(shared / "reference" / "osullivan2025_distances.csv")]) == 4
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "distance 0.3310",
        "TMR 66 of 68",
        "FMR 169 of 1411",
        "statistic 0, p = 7.641e-13",
        "statistic 68, p = 1.6e-22",
    ):
        assert words in text


def test_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--max-rate", "0.05", "--confidence", "0.95"]) == 0
    text = capsys.readouterr().out
    assert all(number in text for number in ("59", "93", "124"))
    assert main(["plan", "--max-rate", "2"]) == 2
    assert "max_rate" in capsys.readouterr().err


def test_plan_simulates_the_whole_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[policy]\nmin_subjects = 301\n")  # more than any cohort that is tried
    options = ["plan", "--policy", str(policy), "--attack", "naive", "--visits", "2", "--worlds", "1"]
    assert main([*options, "--strata", "sex", "--format", "json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    (by_encoders,) = planned["by_encoders"]
    assert [(plan["target"], plan["subjects"]) for plan in by_encoders["plans"]] == [
        (0.8, None),
        (0.9, None),
        (0.95, None),
    ]
    assert planned["policy"]["min_subjects"] == 301
    assert planned["strata"] == ["sex"]
    assert main(["plan", "--visits", "none"]) == 2
    assert "--visits" in capsys.readouterr().err
