"""Options that several commands share: a dataclass parameter becomes one option per field."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Annotated

import pytest
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from reid_audit import InputError
from reid_audit.cli.choosing import ImageOptions
from reid_audit.cli.options import EncoderOptions, RendererName, _LinesOfProgress, _Remaining, expand
from reid_audit.cli.running import RunOptions


@dataclass(frozen=True, kw_only=True)
class Paint:
    colour: Annotated[str, typer.Option("--colour")] = "red"
    coats: Annotated[int, typer.Option("--coats")] = 1


@expand
def paint(
    wall: Annotated[str, typer.Argument()], *, chosen: Paint, dry: Annotated[bool, typer.Option("--dry")] = False
) -> None:
    """Paint a wall."""
    typer.echo(f"{wall} {chosen.colour} {chosen.coats} {dry}")


def test_fields_become_options_where_the_parameter_stood() -> None:
    assert list(signature(paint).parameters) == ["wall", "colour", "coats", "dry"]
    assert paint.__doc__ == "Paint a wall."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["north"], "north red 1 False"),
        (["north", "--coats", "2", "--dry"], "north red 2 True"),
        (["--colour", "blue", "north"], "north blue 1 False"),
    ],
)
def test_typer_fills_the_dataclass(words: list[str], said: str) -> None:
    app = typer.Typer()
    app.command()(paint)
    assert CliRunner().invoke(app, words).stdout == said + "\n"


def test_encoder_options_come_to_settings() -> None:
    settings = EncoderOptions(encoder="dlib, ArcFace", renderer=RendererName.RAYCAST, level=-300.0).settings
    assert settings.encoders == ("dlib", "ArcFace")
    assert (settings.detector, settings.renderer, settings.skin_level) == ("auto", "raycast", -300.0)


def test_image_options_come_to_a_choice() -> None:
    choice = ImageOptions(suffix="T1w", which_run="first", where=["acq=mprage"], condition=["blur=out/blur"]).choice
    assert (choice.suffix, choice.run, choice.derivatives) == ("T1w", "first", ())
    assert (choice.where, choice.conditions) == ((("acq", "mprage"),), (("blur", Path("out/blur")),))
    with pytest.raises(InputError, match="--where must read NAME=VALUE; got 'acq'"):
        _ = ImageOptions(where=["acq"]).choice


def test_a_store_is_kept_or_not_but_not_both(tmp_path: Path) -> None:
    assert RunOptions(no_store=True).open_store() is None
    with pytest.raises(InputError, match="--store and --no-store exclude each other"):
        RunOptions(no_store=True, store=tmp_path).open_store()


def test_no_time_is_foretold_before_three_are_done(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines, remaining = _LinesOfProgress(clock=lambda: now), _Remaining()
    bars = Progress(remaining, auto_refresh=False, get_time=lambda: now, speed_estimate_period=600.0)
    bars.add_task("scans", total=10)
    shown = []
    lines("scans", 0, 10)
    for done in range(1, 6):
        now = 40.0 * done
        lines("scans", done, 10)
        bars.update(bars.tasks[0].id, completed=done)
        remaining._renderable_cache.clear()
        shown.append(remaining.render(bars.tasks[0]).plain)
    told = ["left" in line for line in capsys.readouterr().err.splitlines()]
    assert told == [False, False, True, True, True]
    assert shown[:2] == ["-:--:--"] * 2
    assert shown[2:] == ["0:04:40", "0:04:00", "0:03:20"]
