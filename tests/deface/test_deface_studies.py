"""Many radiotherapy studies in one run: each says how it went, and what is done is not done again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from reid_audit import InputError, Volume, read_volume
from reid_audit.cli import main
from reid_audit.dataset import read_manifest
from reid_audit.deface import StudySettings, deface_studies, read_defacing
from reid_audit.phantom import make_phantom, write_rt_set
from reid_audit.records import Modality
from reid_audit.volume import write_volume
from reid_audit.work import SerialExecutor

pytestmark = pytest.mark.slow


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Three studies: the eyes of p2 have names that tell nothing."""
    folder = tmp_path / "patients"
    for identity in (1, 2, 3):
        write_rt_set(make_phantom(identity, spacing_mm=6.0), folder / f"p{identity}", ptv=["nose"])
    structures = folder / "p2" / "RS.dcm"
    ds = pydicom.dcmread(structures)
    for item in ds.StructureSetROISequence:
        item.ROIName = item.ROIName.replace("Eye_", "Structure_")
    ds.save_as(structures)
    return folder


def _deface(folder: Path, out: Path):
    settings = StudySettings(salt="s")
    scans, runs = deface_studies(folder, out, settings=settings, executor=SerialExecutor())
    return scans, {run.subject: run for run in runs}


def _written(out: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("p*/CT0001.dcm")}


def test_a_run_continues_where_it_was_stopped(patients: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scans, runs = _deface(patients, out)
    assert {name: run.status.value for name, run in runs.items()} == {"p1": "ok", "p2": "failed", "p3": "ok"}
    assert "--eye-names" in runs["p2"].reason
    assert [(s.subject, s.condition) for s in scans] == [
        (p, c) for p in ("p1", "p3") for c in ("original", "eye-plane")
    ]
    assert (read_volume(scans[0].path).intensity != read_volume(scans[1].path).intensity).any()
    first = _written(out)
    again = _deface(patients, out)[1]
    assert _written(out) == first
    assert again["p1"].seconds == runs["p1"].seconds  # kept, not measured anew
    (patients / "p3" / "RD.dcm").unlink()
    third = _deface(patients, out)[1]
    assert (_written(out)["p1"], _written(out)["p3"] > first["p3"]) == (first["p1"], True)
    assert third["p3"].status == "ok"
    assert not (out / "p3" / "RD.dcm").exists()
    assert (out / ".defacing").stat().st_mode & 0o77 == 0
    with pytest.raises(InputError, match="one folder per study"):
        _deface(patients / "p1" / "CT", out)


def test_the_command_counts_successes_failures_and_seconds(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["deface", "patients", "--studies", "-o", "out", "--workers", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 3 studies defaced (67%)" in said
    assert "seconds a study on average (SD" in said
    rows = Path("out/studies.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [["study", "status"], ["p1", "ok"], ["p2", "failed"], ["p3", "ok"]]
    assert [run.status for run in read_defacing(Path("out/defacing.json"))] == ["ok", "failed", "ok"]
    assert len(read_manifest(Path("out/manifest.csv")).scans) == 4
    names = ["--eye-names", "^(structure|eye)_[lr]$", "--eye-names", "^eyes?$"]
    assert main(["deface", "patients", "--studies", "-o", "out", "--workers", "1", *names]) == 0
    assert "3 of 3 studies defaced" in capsys.readouterr().out
    for more in (["--with", "face-box"], ["--dose", "x.dcm"], ["--labels", "x"]):
        assert main(["deface", "patients", "--studies", "-o", "other", *more]) == 2
        assert "does not go with --studies" in capsys.readouterr().err
    assert main(["deface", "patients", "-o", "other"]) == 2
    assert "--studies" in capsys.readouterr().err


def test_a_bids_dataset_is_no_single_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bids").mkdir()
    Path("bids/dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    for subject in ("01", "02"):
        path = Path(f"bids/sub-{subject}/anat/sub-{subject}_T1w.nii.gz")
        path.parent.mkdir(parents=True)
        values = np.zeros((20, 20, 20), np.float32)
        values[4:16, 4:16, 4:16] = np.random.default_rng(0).uniform(100, 200, (12, 12, 12))
        write_volume(Volume(values, np.diag([5.0, 5.0, 5.0, 1.0]), Modality.MR), path)
    assert main(["deface", "bids", "--with", "no-op", "-o", "out", "--workers", "1"]) == 0
    cohort = read_manifest(Path("out/manifest.csv"))
    assert {(s.subject, s.condition) for s in cohort.scans} == {
        (p, c) for p in ("01", "02") for c in ("original", "no-op")
    }
