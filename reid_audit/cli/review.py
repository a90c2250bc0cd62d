"""Look at the scans that need a human: `review`."""

import getpass
import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.cli.choosing import CohortArgument, DatasetOptions
from reid_audit.cli.options import RendererName, RendererOption, expand
from reid_audit.cli.words import err, out
from reid_audit.records import FRAMES, Review, prepare_file
from reid_audit.render import make_renderer
from reid_audit.report import RESULT_FILE, read_result
from reid_audit.report.words import counted
from reid_audit.review import REVIEW_FILE, Pictures, Progress, list_cases, list_screened, measure_agreement, serve
from reid_audit.screen import list_images, read_screening


@expand
def review(
    result: Annotated[
        Path,
        typer.Argument(
            help="Folder that `score` wrote, or its result.json; or the JSON of `screen RELEASE -o screening.json`."
        ),
    ],
    dataset: CohortArgument,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Answers; review.json beside the result if left out.")
    ] = None,
    reader: Annotated[
        str, typer.Option("--reader", help="Your name, which the answers carry.", show_default="your login")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Also the scans that no rule asks to be looked at.")] = False,
    renderer: RendererOption = RendererName.AUTO,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 = any that is free.")] = 0,
    images: DatasetOptions,
) -> None:
    """Show the scans that need a human, before and after defacing, on a page of this machine, and keep the answers.

    The page opens by a link that works once and listens on the loopback address only. Portraits live in memory. Give
    the answers to `score --review`, `report --review` or `certify --review`; those on a screening, whose images are
    shown without originals, to `screen --review`. Needs Starlette and uvicorn, which the extra named review brings.

    Example: [bold]reid-audit review result manifest.csv --reader "A. Steward"[/]
    """
    path = output or (result if result.is_dir() else result.parent) / REVIEW_FILE
    prepare_file(path, mark=b'"judged_utc"')
    screened = _is_screening(result)
    if screened:
        screening = read_screening(result)
        cohort, made_utc = screening.source, screening.created_utc
        frames = images.choice.frames or FRAMES[-1]
        listed = list_images(dataset, allow_outside=bool(images.reading["allow_outside"]), frames=frames)
        cases = list_screened(screening, listed, every=every)
        unseen = sum(image.needs_look and not image.image_sha256 for image in screening.images)
        if unseen:
            out.print(f"{counted(unseen, 'file')} gave no volume and cannot be shown here: open them yourself.")
    else:
        judged = read_result(result)
        cohort, made_utc = judged.cohort, judged.created_utc
        cases = list_cases(judged, reid_audit.read_cohort(dataset, **images.reading), every=every)
    if not cases:
        out.print("No scan needs a look; --all shows every other one.")
        return
    progress = Progress.start(path, cohort, made_utc, cases, reader or getpass.getuser())
    answered = len(progress.mine())
    out.print(f"{counted(len(cases), 'scan')} to look at, {answered} of them answered by {escape(progress.reader)}.")

    def say(link: str) -> None:
        out.say(f"Open this link; it works once, and on this machine only:\n{escape(link)}")
        err.print("Ctrl-C or the key q ends the review; every answer is kept at once.")

    with make_renderer(renderer.value) as engine:
        try:
            serve(progress, Pictures(cases, engine), port=port, say=say)
        except KeyboardInterrupt:
            err.print("Stopped.")
    say_review(progress.review)
    if progress.review.readings:
        source = str(result / RESULT_FILE if result.is_dir() else result)
        command = f"screen {dataset}" if screened else f"report {source}"
        out.say(f"Answers: {escape(str(path))}")
        out.say(f"Into the verdict: reid-audit {escape(command)} --review {escape(str(path))}")


def _is_screening(path: Path) -> bool:
    """Whether a file is the JSON of a screening; what is neither that nor a result is refused where it is read."""
    try:
        made = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        return False
    return isinstance(made, dict) and "expect_defaced" in made


def say_review(review: Review) -> None:
    """Count the answers of each reader, and say how far two readers agree."""
    for reader in review.readers:
        counts = Counter(reading.answer.value for reading in review.readings if reading.reader == reader)
        out.print(f"{escape(reader)}: {', '.join(f'{count} {answer}' for answer, count in counts.items())}")
    for first, second, count, kappa in measure_agreement(review):
        told = "not defined: both gave one answer throughout" if kappa != kappa else f"{kappa:.2f}"
        out.print(f"{escape(first)} and {escape(second)}, {counted(count, 'scan')}: Cohen's kappa {told}")
