"""The terminal: a result on one screen at any width, more with -v, no colour where it is piped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from reid_audit.cli import main, words
from reid_audit.match import write_scores
from reid_audit.records import Check, Decision
from reid_audit.testing import make_result, make_scores

DEFACERS = {"eye-plane": 0.9, "blur-2mm": 0.4, "face-removal": 60.0}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distances of thirty subjects, three defacers and four attackers."""
    path = tmp_path_factory.mktemp("screen") / "distances.csv"
    scores, _ = make_scores(30, DEFACERS, attacks=("naive", "aligned", "registered", "multiview-mean"))
    write_scores(scores, path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Distances of twelve subjects, a defacer and an attacker."""
    path = tmp_path_factory.mktemp("screen") / "small.csv"
    write_scores(make_scores(12, {"blur-2mm": 0.4}, attacks=("naive",))[0], path)
    return path


def _capture(argv: list[str], folder: Path, width: int) -> list[str]:
    """Run a command in tmux on a screen of that width, and return the lines that it leaves there."""
    session, done = f"reid-audit-{width}", folder / f"done{width}"
    tmux = [shutil.which("tmux") or "tmux", "-L", f"reid-audit-test-{folder.name}"]
    command = f"env -u COLUMNS {sys.executable} -m reid_audit {' '.join(argv)}; touch {done}; sleep 60"
    subprocess.run([*tmux, "new-session", "-d", "-s", session, "-x", str(width), "-y", "100", command], check=True)
    try:
        for _ in range(1200):
            if done.exists():
                break
            time.sleep(0.1)
        time.sleep(0.3)
        screen = subprocess.run(
            [*tmux, "capture-pane", "-p", "-t", session], capture_output=True, text=True, check=True
        )
    finally:
        subprocess.run([*tmux, "kill-session", "-t", session], check=False)
    return screen.stdout.rstrip().splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_an_output_that_nobody_reads_is_an_error_and_no_fail(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    argv = [sys.executable, "-m", "reid_audit", "screen", str(tmp_path), "--no-store", "--workers", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux on the PATH")
@pytest.mark.parametrize("width", [80, 140])
def test_a_result_of_three_defacers_fits_one_screen(table: Path, tmp_path: Path, width: int) -> None:
    lines = _capture(["stats", str(table), "-o", str(tmp_path / "out")], tmp_path, width)
    assert 15 < len(lines) <= 30
    text = " ".join(" ".join(lines).split())
    for expected in (
        *DEFACERS,
        "strongest attacker",
        "FAIL",
        "chance: rank 1 3 %",
        "Control (originals",
        "To mend:",
        "Report:",
    ):
        assert expected in text, expected
    assert ("30 of 30, 100.0 % (88.4 to 100.0 %)" in text) == (width == 140)


def test_notes_and_a_finding_fit_the_screen_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(words.out, "_width", 80)
    result, _ = make_result(30, DEFACERS)
    unfit = Check("unfit", Decision.REVIEW, "1 of 60 scans have findings that make them unfit: p006/2/original.")
    result = replace(
        result,
        verdict=replace(result.verdict, checks=(*result.verdict.checks, unfit)),
        notices=(
            "Faces are recognised with dlib, as Facenet512's files are not here. It lacks retinaface.onnx.",
            *result.notices,
            "Thresholds of fusion come from this cohort's originals. They are compared in the same way.",
        ),
    )
    words.say_result(result, report=Path("reid-audit-demo/report.html"))
    lines = capsys.readouterr().out.splitlines()
    assert 20 < len(lines) <= 30
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("Note: ") for line in lines) == 3


def test_the_headline_says_that_a_policy_is_looser(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    for limit, said in ((0.6, False), (0.9, True)):
        policy.write_text(f"max_linkability = {limit}\n", encoding="utf-8")
        out = tmp_path / f"out{limit}"
        assert main(["stats", str(small), "--policy", str(policy), "-o", str(out)]) == 1
        assert capsys.readouterr().out.startswith("FAIL under a policy looser than the default  ") == said
        page = (out / "report.html").read_text(encoding="utf-8")
        assert ("<strong>FAIL under a policy looser than the default</strong>" in page) == said


def test_more_is_told_when_it_is_asked_for(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for more in ([], ["-v"], ["-vv"]):
        assert main(["stats", str(small), *more]) == 1
        told.append(capsys.readouterr().out)
    assert [len(text) for text in told] == sorted(len(text) for text in told)
    assert "Match = cosine distance below" not in told[0]
    assert "Match = cosine distance below" in told[1]
    assert "mann_whitney" not in told[1]
    assert "mann_whitney" in told[2]
    assert all("\x1b" not in text for text in told)


def test_a_result_can_be_piped_as_json(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(small), "--format", "json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"]["decision"] == "FAIL"
