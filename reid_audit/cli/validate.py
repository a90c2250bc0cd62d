"""Whether this installation measures what the release measured: `validate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from reid_audit.cli.options import FormatOption, OutputFormat, WorkersOption, words_of
from reid_audit.cli.running import start_run
from reid_audit.cli.words import err, out
from reid_audit.records import prepare_file, to_json, write_private
from reid_audit.report.words import counted
from reid_audit.validation import PARTS, Validation
from reid_audit.validation import validate as validate_installation
from reid_audit.validation.run import REFERENCE_ENCODER


def validate(
    encoder: Annotated[
        str,
        typer.Option("--encoder", help="Also yours, with commas: Facenet512, ArcFace, onnx:FILE; see `weights list`."),
    ] = REFERENCE_ENCODER,
    detector: Annotated[str, typer.Option("--detector", help="auto, dlib, retinaface, yunet ...")] = "auto",
    only: Annotated[str, typer.Option("--only", help=f"Parts, with commas: {', '.join(PARTS)}.")] = ",".join(PARTS),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file to write.")] = None,
    form: FormatOption = OutputFormat.TEXT,
    workers: WorkersOption = None,
) -> None:
    """Measure this installation on synthetic heads, and set each number beside what the release measured.

    Exit codes: 0 everything that was measured holds, 1 something differs, 2 wrong use or a missing file.

    Example: [bold]reid-audit validate --encoder dlib,Facenet512 -o validation.json[/]
    """
    if output is not None:
        prepare_file(output, mark=b'"measurements"')
    with start_run(workers=workers) as run:
        validation = validate_installation(
            words_of(only), encoders=words_of(encoder), detector=detector, executor=run.executor, progress=run.progress
        )
    if form is OutputFormat.JSON:
        out.out(to_json(validation), end="")
    else:
        _say(validation)
    if output is not None:
        write_private(output, to_json(validation))
        err.say(f"Validation: {escape(str(output))}")
    raise typer.Exit(validation.exit_code)


def _say(validation: Validation) -> None:
    """Print each number beside the release's, what was left out, and what describes this installation."""
    parts = dict.fromkeys(measurement.part for measurement in validation.measurements)
    for part in parts:
        out.print(f"[bold]{escape(part)}[/]")
        for each in (measurement for measurement in validation.measurements if measurement.part == part):
            word = "[bold green]holds  [/]" if each.holds else "[bold red]DIFFERS[/]"
            released = "" if each.released != each.released else f"; release {each.released:.4g}"
            room = f"{each.low:.4g} to {each.high:.4g}"
            out.say(f"  {word} {escape(each.name)} {each.value:.4g} ({room}{released}): {escape(each.text)}")
    for omission in validation.omissions:
        out.say(f"[yellow]Not measured:[/] {omission.part}, {escape(omission.name)}: {escape(omission.reason)}")
    out.print("[bold]This installation[/]")
    for name, value in validation.facts:  # no table: a digest must not be cut
        out.say(f"  {escape(name)}: {escape(value)}")
    differing = len(validation.differing)
    told = f"{differing} of them outside their bounds" if differing else "everything holds"
    measured = f"{counted(len(validation.measurements), 'number')} in {validation.seconds:.0f} s"
    out.print(f"\n{measured}: {told}. reid-audit {validation.tool_version}")
