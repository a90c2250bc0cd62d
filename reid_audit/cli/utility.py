"""What the protection cost: `utility`."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import reid_audit
from reid_audit.cli.choosing import CohortArgument, DatasetOptions
from reid_audit.cli.options import OverwriteOption, WorkersOption, expand, pair_of, show_progress, words_of
from reid_audit.cli.words import out
from reid_audit.dataset import read_cohort
from reid_audit.records import InputError, prepare_empty_folder, prepare_folder, write_private
from reid_audit.report import RESULT_FILE, read_result, result_to_json
from reid_audit.report.figures import save_figures
from reid_audit.report.utility_figures import list_utility_figures
from reid_audit.report.utility_page import write_utility_page
from reid_audit.report.utility_tables import Listing, list_programs, list_risks, list_tables, list_trade_off
from reid_audit.report.utility_words import say_costs
from reid_audit.utility import (
    UTILITY_FILE,
    Criterion,
    Utility,
    UtilitySettings,
    cross_conditions,
    measure_same_scan,
    measure_utility,
    read_label_names,
    read_model_scores,
    read_quality,
    read_utility,
    trade_offs,
    with_utility,
    write_utility,
)


def _criteria_of(given: str) -> tuple[Criterion, ...]:
    known = {criterion.lower(): criterion for criterion in Criterion}
    unknown = [word for word in words_of(given) if word.lower() not in known]
    if unknown:
        raise InputError(f"--exclude takes {', '.join(Criterion)}; got {unknown[0]!r}")
    return tuple(known[word.lower()] for word in words_of(given))


def _read_beside(given: str) -> tuple[str, Utility]:
    name, folder = pair_of("--beside", given, form="NAME=FOLDER")
    return name, read_utility(Path(folder))


def say_listings(listings: Iterable[Listing]) -> None:
    """Print tables, and sentences where there is no header."""
    for listing in listings:
        if not listing.header:
            out.say(escape(listing.title))
            continue
        table = Table(*map(escape, listing.header), title=escape(listing.title), title_justify="left")
        for column in table.columns[1:]:
            column.overflow = "fold"
        for row in listing.rows:
            table.add_row(*map(escape, row))
        out.print(table)
        out.print()


@expand
def utility(
    dataset: CohortArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.")],
    segmentations: Annotated[
        Path | None,
        typer.Option(
            "--segmentations",
            help="Folder of label maps, mask folders or RT structure sets named like the scans, or a table "
            "with the columns of a manifest.",
        ),
    ] = None,
    doses: Annotated[Path | None, typer.Option("--doses", help="The same for RT doses or dose images.")] = None,
    volumes: Annotated[
        Path | None,
        typer.Option(
            "--volumes",
            help="Volumes that another program measured, in place of the segmentations': a table as SynthSeg's, "
            "or a folder of results of FreeSurfer, FastSurfer or TotalSegmentator, named like the scans.",
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option("--names", help="Table of label values: columns index and name.")
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option("--alias", help="NAME_IN_THE_FILE=NAME_TO_USE; may be given often.")
    ] = None,
    brain: Annotated[
        str, typer.Option("--brain", help="Structures whose voxels must not change, with commas.")
    ] = ",".join(UtilitySettings().brain),
    models: Annotated[
        Path | None,
        typer.Option("--models", help="Scores of models: columns trained_on, evaluated_on, subject, structure, score."),
    ] = None,
    tolerance: Annotated[float, typer.Option("--tolerance", help="Of the surface Dice, in mm.")] = 2.0,
    dose_unit: Annotated[str, typer.Option("--dose-unit", help="Of dose images: Gy or cGy.")] = "Gy",
    audit: Annotated[
        Path | None,
        typer.Option(
            "--audit",
            help="The folder of an audit of these defacers: prints the trade-off of risk and cost, and writes the "
            "audit's result with the cost in it.",
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            "--maps", help="Private folder for what shows faces: difference maps, change masks, and a page with slices."
        ),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder for every figure, SVG and PNG; no heads.")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            "--beside",
            help="NAME=FOLDER: what this command wrote for the same scans with another segmentation program, to stand "
            "beside this one.",
        ),
    ] = None,
    qc: Annotated[
        Path | None,
        typer.Option(
            "--qc",
            help="Whether each face is removed: the quality.csv of `deface --quality`, or a human's table with the "
            "columns subject, session, condition, removed.",
        ),
    ] = None,
    exclude: Annotated[
        str,
        typer.Option(
            "--exclude",
            help="Leave scans out that fail, with commas: C1 (brain changed), C2 (wrong place), C3 (original segmented "
            "badly), QC.",
        ),
    ] = "",
    common: Annotated[
        bool, typer.Option("--common", help="Summarise the visits alone that every defacer passes.")
    ] = False,
    deleted: Annotated[
        str,
        typer.Option(
            "--deleted",
            help="Structures that the defacer deletes on purpose, with commas, beside eyes and lenses that an RT "
            "structure set no longer names: in no average of all structures.",
        ),
    ] = "",
    over_defacers: Annotated[
        bool, typer.Option("--correct-over-defacers", help="Correct tests over all defacers, not within each.")
    ] = False,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
    images: DatasetOptions,
) -> None:
    """Measure what the protection cost: segmentations, voxels, dose and volumes before and after.

    Example: [bold]reid-audit utility manifest.csv --segmentations labels -o utility[/]

    Example: [bold]reid-audit utility bids --condition face-box=defaced/face-box -o utility[/]
    """
    cohort = read_cohort(dataset, **images.reading)
    settings = UtilitySettings(
        tolerance_mm=tolerance,
        brain=tuple(words_of(brain)),
        aliases=dict(pair_of("--alias", each, form="NAME_IN_THE_FILE=NAME_TO_USE") for each in alias or ()),
        names=None if names is None else read_label_names(names),
        dose_unit=dose_unit,
        deleted=tuple(words_of(deleted)),
    )
    audited = None if audit is None else read_result(audit, scores=True)
    other = None if beside is None else _read_beside(beside)
    criteria, quality = _criteria_of(exclude), None if qc is None else read_quality(qc)
    matrix = None if models is None else cross_conditions(read_model_scores(models))
    prepare_folder(output, UTILITY_FILE, overwrite=overwrite)
    if figures is not None:
        prepare_empty_folder(figures, overwrite=overwrite)
    with reid_audit.local_executor(workers) as executor, show_progress() as progress:
        measured = measure_utility(
            cohort,
            segmentations=segmentations,
            doses=doses,
            volumes=volumes,
            settings=settings,
            matrix=matrix,
            quality=quality,
            exclude=criteria,
            common=common,
            over_defacers=over_defacers,
            maps=maps,
            executor=executor,
            progress=progress,
        )
    write_utility(measured, output, overwrite=overwrite)
    say_listings(list_tables(measured))
    joined = None if audited is None else with_utility(audited, measured.values)
    programs = () if other is None else tuple(list_programs(measured, other[1], other[0]))
    say_listings(programs)
    tell = partial(write_utility_page, measured, audited=joined, programs=programs)
    written = tell(output)
    pictured = None if maps is None else tell(maps, pictures=maps)
    if figures is not None:
        drawn = save_figures(list_utility_figures(measured, joined), figures)
        out.say(f"Figures: {len(drawn)} files in {escape(str(figures))}")
    if joined is not None:
        say_listings([list_risks(measure_same_scan(joined)), list_trade_off(trade_offs(joined))])
        write_private(output / RESULT_FILE, result_to_json(joined))
        out.say(f"Audit with its cost: {escape(str(output / RESULT_FILE))}")
    for condition, text in say_costs(measured).items():
        out.say(f"{escape(condition)}: {escape(text)}.")
    out.say(f"Page: {escape(str(written))}")
    if pictured is not None:
        out.say(f"Private page, with slices through heads: {escape(str(pictured))}")
