"""Real scans, where the folder that holds them is there. No picture, vector or number of a person is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import EXAMPLES

from reid_audit import Settings, Status
from reid_audit.audit import render_scan
from reid_audit.cli import main
from reid_audit.report.form import result_from_json

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "folder", ["mr_dicom_philips", "mr_dicom_decubitus/HFS", "mr_dicom_decubitus/HFP"], ids=lambda f: f.split("/")[-1]
)
def test_a_real_mr_series_becomes_an_upright_centred_face(shared: Path, folder: str) -> None:
    portrait, face, _ = render_scan(shared / "data" / folder, settings=Settings(encoders=("dlib",)))
    assert face.status is Status.OK
    assert face.box_px is not None
    assert face.landmarks_px is not None
    left, top, right, bottom = face.box_px
    size = portrait.pixels.shape[0]
    assert abs((left + right) / 2 - size / 2) < size / 8
    assert abs((top + bottom) / 2 - size / 2) < size / 5
    # dlib's five landmarks: the corners of the two eyes, then the base of the nose, which is below them.
    assert face.landmarks_px[4, 1] > face.landmarks_px[:4, 1].max()


def test_label_map_people_are_audited_to_a_verdict_with_complete_accounting(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import subprocess
    import sys

    script = EXAMPLES / "simulate_visits.py"
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in sorted((shared / "data" / "synthseg_labels").glob("*.nii.gz"))[:3]:
        (labels / path.name).symlink_to(path)
    subprocess.run([sys.executable, script, labels, tmp_path / "cohort"], check=True, capture_output=True)
    code = main(
        [
            "score",
            str(tmp_path / "cohort" / "manifest.csv"),
            "-o",
            str(tmp_path / "out"),
            "--encoder",
            "dlib",
            "--attack",
            "naive",
            *("--canaries", "0"),
        ]
    )
    told = capsys.readouterr().out
    assert code in (1, 3, 4)
    assert "Report:" in told
    result = result_from_json((tmp_path / "out" / "result.json").read_text())
    assert code == result.verdict.exit_code
    assert len({row.subject for row in result.scans}) == 3
    assert len(result.scans) == 9
    lost = [row for row in result.scans if row.status is not Status.OK]
    assert all(row.reason for row in lost)
    assert sum(rate.trials for rate in [result.evidence.controls[0].fta]) == 6
