"""Options that several commands share, and what they come to."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

import reid_audit
from reid_audit.attack import choose_attacks, list_attacks
from reid_audit.cli.words import err

DEFAULT_ATTACKS = ",".join(attack.name for attack in choose_attacks())
ALL_ATTACKS = ",".join(attack.name for attack in list_attacks())


class RendererName(StrEnum):
    """Engines that draw portraits."""

    AUTO = "auto"
    VTK = "vtk"
    PYRENDER = "pyrender"
    RAYCAST = "raycast"


class DeviceName(StrEnum):
    """Where ONNX graphs run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


_FIRST = 3
"""So many must be done before it is said how long the rest takes: the first ones load engines and are slow."""


class OutputFormat(StrEnum):
    """What a command prints."""

    TEXT = "text"
    JSON = "json"


class ResultFormat(StrEnum):
    """What a command prints that ends in a verdict."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


LevelOption = Annotated[
    float | None,
    typer.Option("--level", help="Skin level in the scan's own units (HU for CT). Found by itself if left out."),
]
RendererOption = Annotated[
    RendererName,
    typer.Option("--renderer", help="auto = VTK where installed and OpenGL works, else the CPU ray caster."),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="Processes; one per core if left out. Never more than fit into memory.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of all resampling.")]
AttackOption = Annotated[
    str,
    typer.Option(
        "--attack",
        help="Attackers, with commas: naive (always runs), aligned, registered, multiview, fillin, "
        "defaced_gallery, shape, regions, channels, fusion, learned. "
        "multiview draws seven portraits of every scan, also of originals: some three times as long in all. "
        "fillin meshes every defaced scan twice: some one and a half times. "
        "defaced_gallery costs nothing and needs two defaced visits. "
        "shape needs no recogniser: the depth of the face's skin, 0.06 to 0.2 seconds per scan; "
        "regions and channels say which part of the head it is, and change no verdict. "
        "learned costs nothing and learns what a defacer does from 8 people or more.",
    ),
]
ManifestArgument = Annotated[
    Path, typer.Argument(help="CSV or TSV with the columns subject, session, condition, path.")
]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Print every attacker and rule; twice: every measurement.")
]
FormatOption = Annotated[
    OutputFormat, typer.Option("--format", help="What is printed: text for people, or the result as JSON.")
]
ResultFormatOption = Annotated[
    ResultFormat,
    typer.Option("--format", help="What is printed: text for people, the result as JSON, or its rules as JUnit XML."),
]
NonMatedOption = Annotated[
    str,
    typer.Option(
        "--non-mated",
        help="Whom the rules compare people with: all; within:COLUMN, only people of one value of a column of the "
        "manifest or table; auto = within:sex where the sex of most is known.",
    ),
]
PolicyOption = Annotated[Path | None, typer.Option("--policy", help="TOML file with your limits.")]
OutsideOption = Annotated[bool, typer.Option("--allow-outside", help="Accept paths outside the manifest's folder.")]
ReviewOption = Annotated[
    Path | None, typer.Option("--review", help="Answers of `reid-audit review`: they enter the verdict.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there already.")]


@dataclass(frozen=True, kw_only=True)
class PortraitOptions:
    """How portraits are drawn and faces are looked for in them."""

    detector: Annotated[str, typer.Option("--detector", help="auto, dlib, retinaface, yunet, opencv ...")] = "auto"
    renderer: RendererOption = RendererName.AUTO
    level: LevelOption = None
    device: Annotated[
        DeviceName, typer.Option("--device", help="Where ONNX recognisers run. auto = CUDA where it starts.")
    ] = DeviceName.AUTO

    def settings_with(self, encoders: str) -> reid_audit.Settings:
        """Return the settings with these encoders, which have commas between them."""
        return reid_audit.Settings(
            tuple(words_of(encoders)), self.detector, self.renderer.value, self.device.value, self.level
        )


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(PortraitOptions):
    """The same, and by what faces are compared."""

    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            help="auto, dlib, Facenet512, ArcFace, another of `weights list`, or onnx:FILE for your own. "
            "Several with commas: the worst counts. auto = Facenet512 where its files are, else dlib.",
        ),
    ] = "auto"

    @property
    def settings(self) -> reid_audit.Settings:
        """What the options stand for."""
        return self.settings_with(self.encoder)


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of its dataclass parameters as options of its own.

    Typer reads options off a signature: the result's holds a parameter for each field, with its annotation and default.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))
            continue
        of_fields = get_type_hints(groups[name], include_extras=True)
        parameters += [
            Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=of_fields[field.name])
            for field in fields(groups[name])
        ]

    @wraps(command)
    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def column_of(non_mated: str) -> str:
    """Return the column behind ``within:``, or the word ``auto`` or ``all``. InputError where it is none of these."""
    kind, _, column = non_mated.partition(":")
    if (kind == "within" and column) or non_mated in ("auto", "all"):
        return column or kind
    raise reid_audit.InputError(f"--non-mated must be auto, all or within:COLUMN; got {non_mated!r}")


def words_of(text: str) -> list[str]:
    """Return the words between the commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def pair_of(option: str, text: str, *, form: str = "NAME=VALUE", may_be_empty: bool = False) -> tuple[str, str]:
    """Return what stands before and behind the sign of equality. InputError without it, or where a side is empty."""
    name, sign, value = (part.strip() for part in text.partition("="))
    if not sign or not name or not (value or may_be_empty):
        raise reid_audit.InputError(f"{option} must read {form}; got {text!r}")
    return name, value


@contextmanager
def show_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show bars on the error stream, one per stage, and give the function that moves them.

    Where that is no terminal (a batch job's log) a line per stage now and then says the same.
    """
    if not err.is_terminal:
        yield _LinesOfProgress()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        _Remaining(),
    )
    with Progress(*columns, console=err, transient=True, speed_estimate_period=600.0) as bars:
        known: dict[str, int] = {}

        def move(stage: str, done: int, total: int) -> None:
            if stage not in known:
                known[stage] = int(bars.add_task(stage, total=total))
            bars.update(bars.tasks[known[stage]].id, completed=done, total=total)

        yield move


class _Remaining(TimeRemainingColumn):
    """Says how long the rest takes once enough is done to tell."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.completed >= _FIRST else Text("-:--:--", style="progress.remaining")


class _LinesOfProgress:
    """Writes a line where a stage began and was silent for long, and where it ended after that."""

    def __init__(self, *, silence_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence_s, self._clock = silence_s, clock
        self._began: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = self._clock()
        began = self._began.setdefault(stage, now)
        last = self._said.get(stage, began)
        ended = done >= total and stage in self._said
        if now - last < self._silence_s and not ended:
            return
        self._said[stage] = now
        left = f", about {_minutes((now - began) / done * (total - done))} left" if _FIRST <= done < total else ""
        err.print(f"{stage}: {done} of {total} after {_minutes(now - began)}{left}", soft_wrap=True, markup=False)


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
