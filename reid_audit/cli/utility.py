"""What the protection cost: `utility`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.cli.options import (
    ManifestArgument,
    OutsideOption,
    OverwriteOption,
    WorkersOption,
    show_progress,
    words_of,
)
from reid_audit.cli.utility_words import say_trade_off, say_utility
from reid_audit.cli.words import out
from reid_audit.dataset import read_manifest
from reid_audit.records import AuditResult, InputError, prepare_folder, write_private
from reid_audit.report import RESULT_FILE, result_from_json, result_to_json
from reid_audit.utility import (
    UTILITY_FILE,
    UtilitySettings,
    cross_conditions,
    measure_utility,
    read_label_names,
    read_model_scores,
    trade_offs,
    with_utility,
    write_utility,
)


def _aliases_of(given: Sequence[str]) -> dict[str, str]:
    aliases = {}
    for each in given:
        old, sign, new = each.partition("=")
        if not sign or not old.strip() or not new.strip():
            raise InputError(f"--alias must read NAME_IN_THE_FILE=NAME_TO_USE; got {each!r}")
        aliases[old.strip()] = new.strip()
    return aliases


def _read_audit(path: Path) -> AuditResult:
    path = path / RESULT_FILE if path.is_dir() else path
    try:
        return result_from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read; --audit takes the {RESULT_FILE} of an audit") from error


def utility(
    manifest: ManifestArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.", show_default=False)],
    segmentations: Annotated[
        Path | None,
        typer.Option(
            "--segmentations",
            help="Folder of label maps, mask folders or RT structure sets named like the scans, or a table "
            "with the columns of a manifest.",
            show_default=False,
        ),
    ] = None,
    doses: Annotated[
        Path | None, typer.Option("--doses", help="The same for RT doses or dose images.", show_default=False)
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option("--names", help="Table of label values: columns index and name.", show_default=False),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", help="NAME_IN_THE_FILE=NAME_TO_USE; may be given often.", show_default=False),
    ] = None,
    brain: Annotated[
        str, typer.Option("--brain", help="Structures whose voxels must not change, with commas.")
    ] = ",".join(UtilitySettings().brain),
    models: Annotated[
        Path | None,
        typer.Option(
            "--models",
            help="Scores of models: columns trained_on, evaluated_on, subject, structure, score.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[float, typer.Option("--tolerance", help="Of the surface Dice, in mm.")] = 2.0,
    dose_unit: Annotated[str, typer.Option("--dose-unit", help="Of dose images: Gy or cGy.")] = "Gy",
    audit: Annotated[
        Path | None,
        typer.Option(
            "--audit",
            help="The result.json of an audit of these defacers: prints the trade-off of risk and cost, and writes "
            "the audit's result with the cost in it.",
            show_default=False,
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            "--maps", help="Private folder for difference maps and change masks, which show faces.", show_default=False
        ),
    ] = None,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
    allow_outside: OutsideOption = False,
) -> None:
    """Measure what the protection cost: segmentations, voxels, dose and volumes before and after.

    Example: [bold]reid-audit utility manifest.csv --segmentations labels -o utility[/]
    """
    cohort = read_manifest(manifest, allow_outside=allow_outside)
    settings = UtilitySettings(
        tolerance_mm=tolerance,
        brain=tuple(words_of(brain)),
        aliases=_aliases_of(alias or ()),
        names=None if names is None else read_label_names(names),
        dose_unit=dose_unit,
    )
    audited = None if audit is None else _read_audit(audit)
    matrix = None if models is None else cross_conditions(read_model_scores(models))
    prepare_folder(output, UTILITY_FILE, overwrite=overwrite)
    with reid_audit.local_executor(workers) as executor, show_progress() as progress:
        found = measure_utility(
            cohort,
            segmentations=segmentations,
            doses=doses,
            settings=settings,
            matrix=matrix,
            maps=maps,
            executor=executor,
            progress=progress,
        )
    written = write_utility(found, output, overwrite=overwrite)
    say_utility(found)
    if audited is not None:
        joined = with_utility(audited, found.values)
        say_trade_off(trade_offs(joined))
        write_private(output / RESULT_FILE, result_to_json(joined))
        out.print(f"Audit with its cost: {escape(str(output / RESULT_FILE))}", soft_wrap=True)
    out.print(f"Result: {escape(str(written))}", soft_wrap=True)
