"""`phantom` and `demo`: what their options hand on and what they say, with writers in place of the slow ones."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from reid_audit.cli import main
from reid_audit.release import ORIGINALS, RELEASE
from reid_audit.testing import make_result

room = import_module("reid_audit.cli.synthetic")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What each writer was called with; each tells its progress."""
    calls: dict[str, dict[str, Any]] = {}

    def stand_in(name: str, gives: Any) -> None:
        def write(*where: Path, progress: Any, **how: Any) -> Any:
            calls[name] = how
            progress(1, 1)
            return gives(*where)

        monkeypatch.setattr(room, name, write)

    for name in ("write_cohort", "write_rt_cohort"):
        stand_in(name, lambda where: where / "manifest.csv")
    stand_in("write_bids_cohort", lambda where: where)
    stand_in("write_release", lambda where: [("a", "b")] * 9)
    return calls


@pytest.mark.parametrize(
    ("options", "writer", "says"),
    [
        ([], "write_cohort", "3 people, 2 visits each: {}/manifest.csv"),
        (["--bids", "--modality", "MR"], "write_bids_cohort", "3 people, 2 visits each: {}"),
        (["--dicom", "--visits", "1"], "write_rt_cohort", "3 people, 1 studies each: {}/manifest.csv"),
        (
            ["--release"],
            "write_release",
            f"{{}}/{ORIGINALS} and {{}}/{RELEASE}; 9 files of the release are not defaced",
        ),
        (["--release", "--no-hide"], "write_release", "9 files"),
    ],
)
def test_each_kind_of_cohort_has_its_writer(
    options: list[str],
    writer: str,
    says: str,
    told: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["phantom", "--subjects", "3", "--seed", "5", "--out", str(tmp_path), *options]) == 0
    assert says.replace("{}", str(tmp_path)) in capsys.readouterr().out
    assert list(told) == [writer]
    assert (told[writer]["subjects"], told[writer]["seed"]) == (3, 5)
    if writer == "write_release":
        assert told[writer]["hide"] is ("--no-hide" not in options)
    if writer == "write_bids_cohort":
        assert told[writer]["modality"] == "MR"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dicom", "--modality", "PT"], "--dicom writes radiotherapy studies of CT; got --modality PT"),
        (["--no-hide"], "--no-hide is about --release; give both"),
        (["--release", "--difficulty", "hard"], "people of the difficulty easy; got --difficulty hard"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    options: list[str], says: str, told: dict[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["phantom", "--out", str(tmp_path / "out"), *options]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not told


def test_the_demo_writes_its_result_and_ends_with_0_whatever_its_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = make_result(8, {"blur-2mm": 0.2}, draws=20)
    asked: dict[str, Any] = {}

    def run_demo(**how: Any) -> Any:
        asked.update(how)
        return result

    monkeypatch.setattr(room, "run_demo", run_demo)
    words = ["demo", "-o", str(tmp_path / "out"), "--subjects", "8", "--attack", "naive", "--workers", "1"]
    assert main([*words, "--encoder", "dlib", "--seed", "3", "--keep-scans", str(tmp_path / "scans")]) == 0
    assert result.verdict.exit_code == 1
    assert "FAIL" in capsys.readouterr().out
    assert (tmp_path / "out" / "result.json").is_file()
    assert (asked["subjects"], asked["attacks"], asked["seed"]) == (8, ["naive"], 3)
    assert asked["settings"].encoders == ("dlib",)
    assert asked["keep_scans"] == tmp_path / "scans"
