"""Without a network: every command but `weights fetch` works, or says at once which file it lacks and how to get it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from reid_audit import Volume
from reid_audit.cli import app, main
from reid_audit.records import Modality
from reid_audit.volume import write_volume


def _walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from _walk(command.get_command(None, name), (*path, name))


COMMANDS = dict(_walk(typer.main.get_command(app)))
FETCH = ("weights", "fetch")
LACKING = "ArcFace"
NAMES_ENCODERS = ("encoder", "encoders")  # in `plan` they are how many
MORE = {
    ("demo",): ["--subjects", "2"],
    ("phantom",): ["--subjects", "1", "--visits", "1"],
    ("deface",): ["--eyes-from-portrait"],
    ("bids",): ["--skip-bids-validation"],
    ("plan",): ["--max-rate", "0.05"],
}
"""So that a command that works does not work for long, and one that can use a recogniser does."""


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was asked for; nothing is connected to."""
    asked: list[object] = []

    def refuse(*given: object, **_: object) -> None:
        asked.append(given)
        raise OSError("no network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return asked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small cohort, and an empty weights home."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    half = np.where(np.arange(8) < 4, -1000, 40).astype(np.float32)
    volume = Volume(np.tile(half, (8, 8, 1)), np.eye(4), Modality.CT)
    lines = ["subject,session,condition,path"]
    for person in ("p1", "p2"):
        for session, condition in (("1", "original"), ("2", "original"), ("1", "tool")):
            name = f"{person}_{session}_{condition}.nii"
            write_volume(volume, tmp_path / name)
            lines.append(f"{person},{session},{condition},{name}")
            if condition == "original":
                place = tmp_path / "raw" / f"sub-{person}" / f"ses-{session}" / "anat"
                place.mkdir(parents=True)
                write_volume(volume, place / f"sub-{person}_ses-{session}_T1w.nii.gz")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


INPUTS = {
    "manifest": "manifest.csv",
    "dataset": "manifest.csv",
    "volume": "p1_1_original.nii",
    "scan": "p1_1_original.nii",
    "bids_dir": "raw",
    "analysis": "participant",
}
OUTPUTS = ("output", "out_dir", "out")


def _arguments(path: tuple[str, ...], command: Any) -> list[str]:
    """What the command cannot do without: the cohort or a scan by its name, else a file that is not there."""
    given = [*path, *MORE.get(path, [])]
    for parameter in command.params:
        if parameter.name in NAMES_ENCODERS and path != ("plan",):
            value = LACKING
        elif parameter.name in OUTPUTS:
            value = str(Path.cwd() / ("made.png" if path == ("render",) else "made"))
        elif parameter.name == "workers":
            value = "1"
        elif parameter.required:
            value = INPUTS.get(parameter.name, LACKING if path[0] == "weights" else "absent")
        else:
            continue
        given += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return given


def test_the_commands_are_found() -> None:
    assert {("demo",), ("score",), ("choose-model",), FETCH} <= set(COMMANDS)


@pytest.mark.parametrize("path", sorted(set(COMMANDS) - {FETCH}), ids=" ".join)
def test_no_command_but_fetch_connects(
    path: tuple[str, ...], folder: Path, connections: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[path]
    began = time.process_time()  # of this process, so that a busy machine does not fail it
    code = main(_arguments(path, command))
    seconds = time.process_time() - began
    assert connections == []
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert "Usage:" not in told.err, "say in this test what the command needs"
    assert code in (0, 1, 2, 3, 4)
    if path != ("plan",) and any(parameter.name in NAMES_ENCODERS for parameter in command.params):
        assert code == 2
        for words in ("arcface_weights.onnx", str(folder / "home"), f"reid-audit weights fetch {LACKING}"):
            assert words in told.err.replace("\n", ""), words
        assert seconds < 1


def test_fetch_says_that_it_has_no_network(
    folder: Path, connections: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FETCH, LACKING]) == 2
    assert connections
    told = " ".join(capsys.readouterr().err.split())
    for words in ("arcface_weights.onnx of ArcFace could not be fetched", "no network", "reid-audit weights import"):
        assert words in told
