"""Which files of a release show a face, without originals: `screen`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from reid_audit.cli.options import OutsideOption, ReviewOption, WorkersOption
from reid_audit.cli.running import start_run
from reid_audit.cli.words import err, out
from reid_audit.records import FRAMES, Decision, InputError, prepare_file, to_json, write_private
from reid_audit.report import Case, cases_to_junit
from reid_audit.report.page import render_page
from reid_audit.report.tables import Table, to_csv
from reid_audit.report.words import counted
from reid_audit.review import read_review
from reid_audit.screen import ImageScreening, Screening, ScreenState, list_images
from reid_audit.screen import screen as screen_images
from reid_audit.work import Store

_COLOURS = {
    ScreenState.FACE: "bold red",
    ScreenState.ALTERED: "bold yellow",
    ScreenState.NO_FACE: "bold green",
    ScreenState.UNKNOWN: "bold magenta",
}
_COLUMNS = {
    "file": "Relative to what was screened; of a DICOM series a short name",
    "state": "face, altered, no face or unknown",
    "reason": "One sentence",
    "modality": "CT, MR or PT; empty where the file gave no volume",
    "parts": "What became of eyes, nose, mouth, chin and ears",
    "altered_cm3": "Volume of the altered area",
    "confidence": "Of the face detector in the portrait",
    "fitting": "Share of the skin within 4 mm of the average head laid on it",
    "claims": "What name, sidecar or tags say",
    "mask": "Name of the mask that was written",
}

_MARKS = {".html": b"<!doctype html>", ".csv": b"file,state,", ".json": b'"images"', ".xml": b"<testsuites"}


_DECISIONS = {0: Decision.PASS, 1: Decision.FAIL, 3: Decision.REVIEW}
"""What a gate's exit codes mean."""


class ScreenFormat(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    JUNIT = "junit"


_ENDINGS = {ScreenFormat.JUNIT: ".xml"}


def screen(
    path: Annotated[
        Path,
        typer.Argument(help="A scan, a folder (BIDS, DICOM, or in no order), or a manifest. No originals are needed."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write: .html, .csv, .json or .xml (JUnit).")
    ] = None,
    expect_defaced: Annotated[
        bool, typer.Option("--expect-defaced", help="A face is a fault: exit code 1; 3 where a human must look.")
    ] = False,
    masks: Annotated[Path | None, typer.Option("--masks", help="Folder for the altered areas as NIfTI.")] = None,
    form: Annotated[ScreenFormat, typer.Option("--format", help="What is printed.")] = ScreenFormat.TEXT,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Print parts, notes and claims.")] = 0,
    allow: Annotated[
        Path | None,
        typer.Option("--allow", help="Files that may show a face: a CSV with the columns sha256 and reason."),
    ] = None,
    four_d: Annotated[
        str,
        typer.Option(
            "--four-d",
            help="Of a 4-D image (bold, dwi, asl) look at its first volume, or at the mean of all.",
            metavar="first|mean",
        ),
    ] = FRAMES[-1],
    review: ReviewOption = None,
    allow_outside: OutsideOption = False,
    workers: WorkersOption = None,
    store: Annotated[Path | None, typer.Option("--store", help="Private folder for finished work.")] = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep nothing: a stopped run starts anew.")] = False,
) -> None:
    """Say of every image of a release whether it shows a face and whether that was altered, without originals.

    Volumes, structure sets (the contour of the body), doses (a low isodose), pictures and meshes are looked at. What
    else could show a face (videos, documents, archives) is named, and a human must look, unless --allow lists it.

    States: face, altered, no face, unknown. Exit codes: 0 none of this kind; with --expect-defaced 1 where a face was
    found and 3 where a human must look (unknown, or altered with eyes, nose or mouth left, blurred or covered); without
    it 3 where the state of an image is unknown.

    Example: [bold]reid-audit screen release --expect-defaced -o screening.html[/]
    """
    if output is not None:
        _check_output(output)
    answers = None if review is None else read_review(review)
    kept = None if no_store else Store(store)
    with start_run(workers=workers, store=kept) as run:
        images = list_images(path, allow=allow, allow_outside=allow_outside, frames=four_d, progress=run.progress)
        screening = screen_images(
            images,
            expect_defaced=expect_defaced,
            masks=masks,
            review=answers,
            store=kept,
            executor=run.executor,
            progress=run.progress,
        )
    if form is ScreenFormat.TEXT:
        say_screening(screening, verbose=verbose)
    else:
        typer.echo(_write(screening, _ENDINGS.get(form, f".{form.value}")), nl=False)
    if output is not None:
        write_private(output, _write(screening, output.suffix.lower()))
        err.say(f"Screening: {escape(str(output))}")
    raise typer.Exit(screening.exit_code)


def _check_output(output: Path) -> None:
    mark = _MARKS.get(output.suffix.lower())
    if mark is None:
        raise InputError(f"--output {output.name}: give a name that ends with {', '.join(_MARKS)}")
    prepare_file(output, mark=mark)


def _parts_text(image: ImageScreening) -> str:
    return ", ".join(f"{part.name} {part.state.value}" for part in image.parts)


def _write(screening: Screening, ending: str) -> str:
    if ending == ".html":
        return render_page("screening.html", screening=screening, parts_text=_parts_text)
    if ending == ".json":
        return to_json(screening)
    if ending == ".xml":
        return _to_junit(screening)
    rows = [
        (
            image.name,
            image.state.value,
            image.reason,
            image.modality,
            _parts_text(image),
            image.altered_cm3,
            image.confidence,
            image.fitting,
            "; ".join(image.claims),
            image.mask,
        )
        for image in screening.images
    ]
    return to_csv(Table(_COLUMNS, rows))


def _to_junit(screening: Screening) -> str:
    """Return a case for each image, and one for the gate, whose decision is that of the exit code."""
    cases = [Case("images", i.name, _decide(screening, i), f"{i.state.value}: {i.reason}") for i in screening.images]
    gate = Case("gate", "release", _DECISIONS[screening.exit_code], _count_states(screening))
    return cases_to_junit(screening.source, [*cases, gate])


def _decide(screening: Screening, image: ImageScreening) -> Decision:
    if screening.expect_defaced:
        return _DECISIONS[image.decision]
    return Decision.REVIEW if image.is_unknown else Decision.PASS


def say_screening(screening: Screening, *, verbose: int = 0) -> None:
    """Print one line per image, then the counts and what was set aside."""
    for image in screening.images:
        colour = _COLOURS[image.state]
        claimed = f" (claims: {escape('; '.join(image.claims))})" if image.claims else ""
        out.say(f"[{colour}]{image.state.value:8}[/] {escape(image.name)}: {escape(image.reason)}{claimed}")
        if verbose:
            _say_more(image)
    for aside in screening.aside:
        such_as = f", such as {', '.join(aside.examples)}" if aside.examples else ""
        out.say(f"Set aside: {aside.count} {escape(aside.what)}: {escape(aside.reason + such_as)}")
    out.print(_count_states(screening))


def _count_states(screening: Screening) -> str:
    told = ", ".join(f"{count} {state}" for state, count in screening.counts.items())
    return f"{counted(len(screening.images), 'image')}: {told}"


def _say_more(image: ImageScreening) -> None:
    lines = [_parts_text(image)] if image.parts else []
    if image.confidence == image.confidence:
        lines.append(f"{image.detector} sees a face, score {image.confidence:.2f}")
    if image.fitting == image.fitting:
        lines.append(f"{image.fitting:.0%} of the skin lies near the average head")
    if image.altered_cm3 > 0:
        lines.append(f"{image.altered_cm3:.0f} cm3 altered" + (f", mask {image.mask}" if image.mask else ""))
    for line in (*lines, *image.notes, f"{image.seconds:.1f} s"):
        out.say(f"           {escape(line)}")
