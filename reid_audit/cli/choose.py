"""Which encoder: `choose-model`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from reid_audit import local_executor
from reid_audit.accuracy.choose import CHOICE_FILE, EncoderChoice, write_choice
from reid_audit.audit.choose import choose_model as choose
from reid_audit.cli.options import (
    ManifestArgument,
    OutsideOption,
    OverwriteOption,
    PortraitOptions,
    WorkersOption,
    expand,
    show_progress,
)
from reid_audit.cli.words import out
from reid_audit.dataset import read_manifest
from reid_audit.face import check_encoders
from reid_audit.records import prepare_folder
from reid_audit.report.words import estimate_text, rate_text


@expand
def choose_model(
    *,
    manifest: ManifestArgument,
    encoders: Annotated[
        str, typer.Option("--encoders", help="Recognisers with commas, as for --encoder: dlib,onnx:FILE.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for choice.json and choice.csv.")
    ] = None,
    portraits: PortraitOptions,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
    allow_outside: OutsideOption = False,
) -> None:
    """Compare encoders on the originals of a cohort: which would an attacker take?

    Example: [bold]reid-audit choose-model manifest.csv --encoders dlib,onnx:model.onnx -o choice[/]
    """
    cohort = read_manifest(manifest, allow_outside=allow_outside)
    settings = portraits.settings_with(encoders)
    check_encoders(settings.encoders, detector=settings.detector)
    if output is not None:
        prepare_folder(output, CHOICE_FILE, overwrite=overwrite)
    with local_executor(workers) as executor, show_progress() as progress:
        choice = choose(cohort, settings=settings, executor=executor, progress=progress)
    path = None if output is None else write_choice(choice, output, overwrite=overwrite)
    _say_choice(choice)
    if path is not None:
        out.say(f"Numbers: {escape(str(path))}")


def _say_choice(choice: EncoderChoice) -> None:
    for notice in choice.notices:
        out.print(f"[yellow]Note:[/] {escape(notice)}")
    table = Table("encoder", "AUC", "TMR at FMR 1 %", "overlap", "H", "no face", "s per face")
    for score in choice.scores:
        numbers = [(score.overlap, ".3f"), (score.h.statistic, ".1f")]
        overlap, h = ("" if number != number else format(number, form) for number, form in numbers)
        table.add_row(
            escape(score.encoder) + (" (stand-in)" if score.stand_in else ""),
            estimate_text(score.auc),
            rate_text(score.tmr),
            overlap,
            h,
            rate_text(score.fta),
            "" if score.seconds != score.seconds else f"{score.seconds:.3f}",
        )
    out.print(table)
    for score in choice.scores:
        if score.reason:
            out.print(f"  {escape(score.encoder)}: {escape(score.reason)}")
    out.print(f"Recommended: [bold]{escape(choice.recommended or 'none')}[/]: {escape(choice.reason)}.")
