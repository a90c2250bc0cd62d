"""A cohort: `calibrate`, `score`, `stats`."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.accuracy import read_calibrations, write_calibrations
from reid_audit.attack import SAMPLE, choose_attacks
from reid_audit.audit import describe_scans, plan_run
from reid_audit.cli.choosing import CohortArgument, DatasetOptions
from reid_audit.cli.options import (
    DEFAULT_ATTACKS,
    AttackOption,
    EncoderOptions,
    NonMatedOption,
    OverwriteOption,
    PolicyOption,
    ResultFormat,
    ResultFormatOption,
    ReviewOption,
    SeedOption,
    VerboseOption,
    column_of,
    expand,
    words_of,
)
from reid_audit.cli.running import RunOptions
from reid_audit.cli.words import err, out, say_calibration, say_plan, say_result, say_unacquired
from reid_audit.dataset import read_gallery
from reid_audit.face import check_encoders
from reid_audit.match import join_attacks, read_score_strata
from reid_audit.records import prepare_file, prepare_folder
from reid_audit.report import RESULT_FILE, result_to_json, result_to_junit
from reid_audit.verdict import fold_review, read_policy


@expand
def calibrate(
    dataset: CohortArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration file to write.")] = Path(
        "calibration.json"
    ),
    encoding: EncoderOptions,
    running: RunOptions,
    seed: SeedOption = 0,
    images: DatasetOptions,
) -> None:
    """Find the thresholds at which an encoder tells the originals of a cohort apart; several go into one file.

    Example: [bold]reid-audit calibrate manifest.csv -o calibration.json[/]
    """
    cohort = reid_audit.read_cohort(dataset, **images.reading)
    settings, store = encoding.settings, running.open_store()
    check_encoders(settings.encoders, detector=settings.detector)
    if running.dry_run:
        cohort = replace(cohort, scans=cohort.originals)
        say_plan(plan_run(cohort, settings=settings, attacks=(), store=store, limit=running.limit, canaries=0), store)
        return
    prepare_file(output, mark=b'"calibrations"')
    with running.start(store) as run:
        calibrations, records, _ = reid_audit.calibrate(
            cohort,
            settings=settings,
            seed=seed,
            executor=run.executor,
            progress=run.progress,
            store=run.store,
            limit=running.limit,
        )
    write_calibrations(calibrations, output)
    for calibration in calibrations:
        encoder = calibration.fingerprint.encoder
        out.print(f"[bold]Recogniser {escape(encoder)}[/]")
        for notice in calibration.notes:
            out.print(f"[yellow]Note:[/] {escape(notice)}")
        say_unacquired(describe_scans(record for record in records if record.face.encoder == encoder))
        say_calibration(calibration)
    out.say(f"Calibration: {escape(str(output))}")
    words = shlex.join(["reid-audit", "score", str(dataset), "--calibration", str(output), "-o", "result"])
    out.say(f"Next, with the defaced scans in it: {escape(words)}")


@expand
def score(
    dataset: CohortArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.")],
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="From `calibrate`; without it the cohort's own originals.")
    ] = None,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Use a calibration of other settings; the report will say so.")
    ] = False,
    policy: PolicyOption = None,
    review: ReviewOption = None,
    non_mated: NonMatedOption = "auto",
    canaries: Annotated[
        int,
        typer.Option(
            "--canaries",
            min=0,
            help="Subjects whose originals are weakly defaced in memory, to show that the attackers see. 0 = none: "
            "quicker, and nothing passes.",
        ),
    ] = SAMPLE,
    encoding: EncoderOptions,
    attack: AttackOption = DEFAULT_ATTACKS,
    with_portraits: Annotated[
        Path | None,
        typer.Option(
            "--with-portraits",
            help="Keep every scan's portrait in this new private folder. They show faces; none is kept otherwise.",
        ),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(
            "--gallery",
            help="Photographs to look the scans up in: a folder with p01.jpg for the subject p01, or a CSV with "
            "subject, path. They are read and not kept.",
        ),
    ] = None,
    running: RunOptions,
    verbose: VerboseOption = 0,
    form: ResultFormatOption = ResultFormat.TEXT,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    images: DatasetOptions,
) -> None:
    """Answer whether the defaced scans of a cohort can still be linked to their people.

    Exit codes: 0 PASS, 1 FAIL, 2 wrong use or input, 3 REVIEW, 4 INCOMPLETE.

    Example: [bold]reid-audit score manifest.csv --calibration calibration.json -o result[/]
    """
    cohort = reid_audit.read_cohort(dataset, **images.reading)
    photos = () if gallery is None else read_gallery(gallery, cohort.subjects, allow_outside=images.allow_outside)
    limits = reid_audit.Policy() if policy is None else read_policy(policy)
    thresholds = () if calibration is None else read_calibrations(calibration)
    answers = None
    if review is not None:
        from reid_audit.review import read_review

        answers = read_review(review)
    within = column_of(non_mated)
    settings, store = encoding.settings, running.open_store()
    attacks = words_of(attack)
    if running.dry_run:
        plan = plan_run(cohort, settings=settings, attacks=attacks, store=store, limit=running.limit, canaries=canaries)
        say_plan(plan, store)
        return
    prepare_folder(output, RESULT_FILE, overwrite=overwrite)
    check_encoders(settings.encoders, detector=settings.detector)
    with running.start(store) as run:
        result = reid_audit.audit(
            cohort,
            calibrations=thresholds,
            allow_mismatch=allow_mismatch,
            policy=limits,
            non_mated_within=within,
            canaries=canaries,
            attacks=attacks,
            gallery=photos,
            settings=settings,
            seed=seed,
            portraits=with_portraits,
            executor=run.executor,
            progress=run.progress,
            store=run.store,
            limit=running.limit,
        )
    if answers is not None:
        result = fold_review(result, answers)
    page = reid_audit.write_result(result, output, overwrite=overwrite)
    _say(result, form, verbosity=verbose, page=page)
    raise typer.Exit(result.verdict.exit_code)


def stats(
    distances: Annotated[
        Path,
        typer.Argument(help="CSV with the columns group and cosine_distance; optionally condition, subject, sex ..."),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the result.")] = None,
    policy: PolicyOption = None,
    non_mated: NonMatedOption = "auto",
    verbose: VerboseOption = 0,
    form: ResultFormatOption = ResultFormat.TEXT,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Weigh distances that were measured elsewhere: any laboratory's own embeddings can be judged.

    Groups: same, different, defaced_same, defaced_different, defaced_same_scan. An empty distance = no face.

    Example: [bold]reid-audit stats distances.csv -o result[/]
    """
    limits = reid_audit.Policy() if policy is None else read_policy(policy)
    within = column_of(non_mated)
    scores = join_attacks(reid_audit.read_scores(distances), choose_attacks())
    strata = read_score_strata(distances)
    if output is not None:
        prepare_folder(output, RESULT_FILE, overwrite=overwrite)
    with err.status("weighing"):
        result = reid_audit.assess_scores(
            scores, source=distances.name, policy=limits, strata=strata, non_mated_within=within, seed=seed
        )
    page = None if output is None else reid_audit.write_result(result, output, overwrite=overwrite)
    _say(result, form, verbosity=verbose, page=page)
    raise typer.Exit(result.verdict.exit_code)


def _say(result: reid_audit.AuditResult, form: ResultFormat, *, verbosity: int, page: Path | None) -> None:
    if form is ResultFormat.TEXT:
        say_result(result, verbosity=verbosity, report=page)
    else:
        out.out(result_to_json(result) if form is ResultFormat.JSON else result_to_junit(result), end="")
