"""The BIDS-App on synthetic heads, and the raw dataset that the phantom writes."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from trees import write_bids

from reid_audit import Decision, InputError, read_cohort
from reid_audit.bids_app import check_dataset, check_folders, keep_labels
from reid_audit.cli import main
from reid_audit.dataset import take_inventory
from reid_audit.phantom import write_bids_cohort
from reid_audit.records import FaceRecord, Modality
from reid_audit.report.form import result_from_json

DEFACER = "eye-plane"


@pytest.fixture(scope="module")
def raw(demo_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people of the demo as BIDS: raw CT, and one derivative of the first visit."""
    root = write_bids(tmp_path_factory.mktemp("bids") / "raw", people=0)
    with demo_manifest.open() as stream:
        for row in csv.DictReader(stream):
            if row["condition"] not in ("original", DEFACER) or row["subject"] == "p004":
                continue
            tree = root if row["condition"] == "original" else root / "derivatives" / row["condition"]
            stem = f"sub-{row['subject']}_ses-{row['session']}"
            place = tree / f"sub-{row['subject']}" / f"ses-{row['session']}" / "ct"
            place.mkdir(parents=True)
            os.link(demo_manifest.parent / row["path"], place / f"{stem}_ct.nii.gz")
    return root


@pytest.mark.slow
def test_participants_then_group(raw, tmp_path, capsys, demo_faces, monkeypatch) -> None:
    monkeypatch.setattr("reid_audit.work.digests._SETTLED_NS", 0)  # the links were made a moment ago
    out, work = raw / "derivatives" / "reid-audit", tmp_path / "work"
    shared = ["--encoder", "dlib", "--attack", "registered", "-w", str(work), "--n_procs", "1"]
    first = ["bids", str(raw), str(out), "participant", "--participant_label", "p001", "sub-p002", *shared]
    assert main(first) == 0
    assert sorted(path.name for path in out.glob("sub-*")) == ["sub-p001", "sub-p002"]
    assert main(["bids", str(raw), str(out), "participant", *shared]) == 0
    assert "Next: the same with `group`" in capsys.readouterr().out
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    with (out / "sub-p003" / "sub-p003_faces.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["session"], row["condition"]) for row in rows] == [
        ("1", "original"),
        ("1", DEFACER),
        ("2", "original"),
    ]
    assert set(json.loads((out / "faces.json").read_text())) == set(rows[0])
    _same_as_by_manifest(rows, demo_faces[2])

    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    code = main(["bids", str(raw), str(out), "group", *shared])
    assert code in (1, 4)  # three people are too few for a PASS; what links them is shown all the same
    after = {path for path in work.rglob("*") if path.is_file()}
    assert after == set(before), "every face was finished by the participants"
    result = result_from_json((out / "reid_result.json").read_text())
    assert code == result.verdict.exit_code
    checks = [check for verdict in result.verdict.conditions for check in verdict.checks]
    assert "subjects" in {check.name for check in checks if check.decision is Decision.INCOMPLETE}
    assert (len(result.scans), {scan.status.value for scan in result.scans} & {"unreadable"}) == (9, set())
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["SourceDatasets"] == [{"URL": "../.."}]
    assert description["GeneratedBy"][0]["Name"] == "reid-audit"
    for path in out.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
            assert str(raw.parent) not in path.read_text()
    again = take_inventory(raw)
    assert again.cohort is not None
    assert again.cohort.conditions == ("original", DEFACER), "its own derivative is no condition"
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if validator.is_file():
        _validate(validator, out)


def _same_as_by_manifest(rows: list[dict[str, str]], faces: list[FaceRecord]) -> None:
    expected = {(face.scan.session, face.scan.condition): face for face in faces if face.scan.subject == "p003"}
    for row in rows:
        face = expected[row["session"], row["condition"]].face
        assert row["status"] == face.status.value
        if face.confidence == face.confidence:
            assert float(row["confidence"]) == pytest.approx(face.confidence, rel=1e-4)


def _validate(validator: Path, root: Path) -> dict[str, object]:
    """Run the official validator, which brings its schema along, and return what it found."""
    done = subprocess.run(
        [validator, "--format", "json", "--ignoreWarnings", str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    actual = json.loads(done.stdout)
    errors = [issue for issue in actual["issues"]["issues"] if issue.get("severity") == "error"]
    assert (done.returncode, errors) == (0, []), done.stdout
    return actual["summary"]


@pytest.mark.slow
@pytest.mark.parametrize("modality", list(Modality))
def test_the_official_validator_accepts_what_the_phantom_writes(tmp_path, modality) -> None:
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.is_file():
        pytest.skip("needs the official validator, bids-validator-deno")
    out = tmp_path / "raw"
    root = write_bids_cohort(out, subjects=2, visits=2, modality=modality, spacing_mm=6.0)
    summary = _validate(validator, root)
    if modality is Modality.MR:
        assert (len(summary["subjects"]), len(summary["sessions"])) == (2, 2)
        (root / "sub-p01" / "ses-1" / "anat" / "sub-p01_ses-1_T1.nii.gz").write_bytes(b"x")
        with pytest.raises(AssertionError, match="NOT_INCLUDED"):  # so that it is known to look
            _validate(validator, root)


def test_the_phantom_as_bids_is_read_as_a_cohort(tmp_path, capsys) -> None:
    root = write_bids_cohort(tmp_path / "raw", subjects=2, visits=2, spacing_mm=6.0, seed=5)
    cohort = read_cohort(root)
    assert [scan.key for scan in cohort.scans] == [f"p0{k}/{v}/original" for k in (1, 2) for v in (1, 2)]
    assert set(cohort.strata.columns) == {"age", "sex", "site"}
    assert (cohort.strata != "").all(axis=None)
    again = write_bids_cohort(tmp_path / "again", subjects=2, visits=2, spacing_mm=6.0, seed=5)
    files = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]
    assert len(files) == 4 * 3 + 4 + 2
    for path in files:
        assert (root / path).read_bytes() == (again / path).read_bytes()
    with pytest.raises(InputError, match="subjects must be at least 1"):
        write_bids_cohort(tmp_path, subjects=0)


def test_labels_choose_people_and_sessions(tmp_path) -> None:
    cohort = read_cohort(write_bids(tmp_path / "raw", derivatives=("tool",)))
    got = keep_labels(cohort, ["sub-01", "03"], ["ses-2"])
    assert [scan.key for scan in got.scans] == ["01/2/original", "01/2/tool", "03/2/original", "03/2/tool"]
    assert list(got.strata.index) == ["01", "03"]
    assert keep_labels(cohort, [], []).scans == cohort.scans
    with pytest.raises(InputError, match=r"--participant-label: '7' has no scan in the dataset; there are 01, 02, 03"):
        keep_labels(cohort, ["7"], [])
    with pytest.raises(InputError, match="--session-label: 'x'"):
        keep_labels(cohort, [], ["x"])


def test_results_do_not_mix_with_the_data(tmp_path) -> None:
    root = write_bids(tmp_path / "raw", derivatives=("tool",))
    for bad in (root, root / "derivatives", root / "sub-01", root / "derivatives" / "tool"):
        description = root / "derivatives" / "tool" / "dataset_description.json"
        description.write_text('{"GeneratedBy": [{"Name": "another"}]}')
        with pytest.raises(InputError, match=r"lies within|holds a folder per tool|another tool made"):
            check_folders(root, bad)
    check_folders(root, root / "derivatives" / "reid-audit")
    check_folders(root, tmp_path / "elsewhere")


def test_a_dataset_must_say_what_it_is(tmp_path, capsys) -> None:
    root = write_bids(tmp_path / "raw")
    check_dataset(root)
    (root / "dataset_description.json").write_text('{"Name": "x"}')
    with pytest.raises(InputError, match=r"lacks BIDSVersion; mend it, or pass --skip-bids-validation"):
        check_dataset(root)
    (root / "dataset_description.json").write_text("[]")
    with pytest.raises(InputError, match="is not a JSON object"):
        check_dataset(root)
    (root / "dataset_description.json").unlink()
    assert main(["bids", str(root), str(tmp_path / "out"), "group"]) == 2
    assert "dataset_description.json is absent" in capsys.readouterr().err
    assert main(["bids", str(root), str(tmp_path / "out"), "group", "--skip-bids-validation"]) == 2
    assert "every scan is 'original'" in " ".join(capsys.readouterr().err.split())


def test_standard_options(capsys, tmp_path) -> None:
    assert main(["bids", "--version"]) == 0
    assert capsys.readouterr().out.startswith("reid-audit ")
    assert main(["bids", str(tmp_path), str(tmp_path / "out"), "session"]) == 2
    root = write_bids(tmp_path / "raw")
    out = str(tmp_path / "out")
    assert main(["bids", str(root), out, "group", "--mem-mb", "0"]) == 2
    assert main(["bids", str(root), out, "participant", "--participant_label", "01", "99"]) == 2
    assert "'99' has no scan" in capsys.readouterr().err
