"""Synthetic heads: `demo` and `phantom`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.cli.options import (
    DEFAULT_ATTACKS,
    AttackOption,
    EncoderOptions,
    SeedOption,
    VerboseOption,
    WorkersOption,
    expand,
    show_progress,
    words_of,
)
from reid_audit.cli.running import start_run
from reid_audit.cli.words import out, say_result
from reid_audit.demo import run_demo
from reid_audit.face import check_encoders
from reid_audit.phantom import write_bids_cohort, write_cohort, write_rt_cohort
from reid_audit.records import InputError, Modality, prepare_folder
from reid_audit.release import HIDDEN_FILE, ORIGINALS, RELEASE, write_release
from reid_audit.report import RESULT_FILE


@expand
def demo(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.")] = Path("reid-audit-demo"),
    subjects: Annotated[int, typer.Option("--subjects", help="How many synthetic people.")] = 30,
    modality: Annotated[Modality, typer.Option("--modality", help="What they are scanned with.")] = Modality.CT,
    keep_scans: Annotated[
        Path | None, typer.Option("--keep-scans", help="Keep the synthetic scans in this folder.")
    ] = None,
    encoding: EncoderOptions,
    attack: AttackOption = DEFAULT_ATTACKS,
    workers: WorkersOption = None,
    seed: SeedOption = 0,
    verbose: VerboseOption = 0,
) -> None:
    """Run the main job on synthetic heads: two visits each, three defacers, one verdict each.

    Always ends with exit code 0 where it ran: its verdicts are about defacers made to be judged.

    Example: [bold]reid-audit demo --subjects 30[/]
    """
    settings = encoding.settings
    prepare_folder(output, RESULT_FILE, overwrite=True)
    check_encoders(settings.encoders, detector=settings.detector)
    with start_run(workers=workers) as run:
        result = run_demo(
            subjects=subjects,
            modality=modality,
            settings=settings,
            attacks=words_of(attack),
            seed=seed,
            keep_scans=keep_scans,
            executor=run.executor,
            progress=run.progress,
        )
    page = reid_audit.write_result(result, output, overwrite=True)
    say_result(result, verbosity=verbose, report=page)


def phantom(
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder for the cohort.")],
    subjects: Annotated[int, typer.Option("--subjects", help="How many synthetic people.")] = 10,
    visits: Annotated[int, typer.Option("--visits", help="Scans of each.")] = 2,
    modality: Annotated[
        Modality, typer.Option("--modality", help="CT in HU, T1-like MR, or PET of FDG.")
    ] = Modality.CT,
    difficulty: Annotated[
        str,
        typer.Option(
            "--difficulty", help="How alike people are and how much a visit changes them: easy, typical or hard."
        ),
    ] = "easy",
    bids: Annotated[bool, typer.Option("--bids", help="As a raw BIDS dataset instead of a manifest.")] = False,
    seed: SeedOption = 0,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Write each as DICOM: CT series, RT structure set, RT dose.")
    ] = False,
    release: Annotated[
        bool,
        typer.Option(
            "--release",
            help="Originals and a defaced release of everything: BIDS, DICOM, previews, meshes; some files in it are "
            "not defaced (hidden.csv).",
        ),
    ] = False,
    hide: Annotated[
        bool, typer.Option("--hide/--no-hide", help="With --release: whether some files are not defaced.")
    ] = True,
) -> None:
    """Write a cohort of synthetic heads: scans, label maps and a manifest, or a BIDS dataset.

    Example: [bold]reid-audit phantom --subjects 10 --visits 2 --modality CT --out heads[/]
    """
    if dicom and modality is not Modality.CT:
        raise InputError(f"--dicom writes radiotherapy studies of CT; got --modality {modality}.")
    if not hide and not release:
        raise InputError("--no-hide is about --release; give both")
    if release and difficulty != "easy":
        raise InputError(f"--release writes people of the difficulty easy; got --difficulty {difficulty}.")
    with show_progress() as progress:
        if release:
            hidden = write_release(
                out_dir,
                subjects=subjects,
                seed=seed,
                hide=hide,
                progress=lambda done, total: progress("people", done, total),
            )
            out.say(
                f"{subjects} people: {escape(str(out_dir / ORIGINALS))} and {escape(str(out_dir / RELEASE))}; "
                f"{len(hidden)} files of the release are not defaced: {escape(str(out_dir / HIDDEN_FILE))}"
            )
            return
        form = write_bids_cohort if bids else write_cohort
        write = write_rt_cohort if dicom else partial(form, modality=modality)
        place = write(
            out_dir,
            subjects=subjects,
            visits=visits,
            seed=seed,
            difficulty=difficulty,
            progress=lambda done, total: progress("studies" if dicom else "heads", done, total),
        )
    out.say(f"{subjects} people, {visits} {'studies' if dicom else 'visits'} each: {escape(str(place))}")
