"""The audit as a BIDS-App: `bids`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

import reid_audit
from reid_audit.accuracy import read_calibrations
from reid_audit.audit import describe_scans
from reid_audit.bids_app import PAGE_FILE, check_dataset, keep_labels, run_group, run_participants
from reid_audit.cli import say_version
from reid_audit.cli.choosing import ImageOptions
from reid_audit.cli.options import ALL_ATTACKS, AttackOption, EncoderOptions, SeedOption, expand, words_of
from reid_audit.cli.running import LogOption, SchedulerOption, start_run
from reid_audit.cli.words import out, say_result, say_unacquired
from reid_audit.records import InputError
from reid_audit.verdict import read_policy
from reid_audit.work import Store, default_workers
from reid_audit.work.local import WORKER_BYTES


class Analysis(StrEnum):
    """Levels of a BIDS-App."""

    PARTICIPANT = "participant"
    GROUP = "group"


_MANY = ("--participant-label", "--participant_label", "--session-label", "--session_label")


class ManyLabels(TyperCommand):
    """A command whose label options take every word up to the next option, as those of BIDS-Apps do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its words."""
        spread: list[str] = []
        option, taken = "", 0
        for word in args:
            if word.startswith("-"):
                option, taken = (word if word in _MANY else ""), 0
                spread.append(word)
                continue
            if option and taken:
                spread.append(option)
            taken += 1
            spread.append(word)
        return super().parse_args(ctx, spread)


def _workers(n_procs: int | None, mem_mb: int | None) -> int | None:
    if mem_mb is None:
        return n_procs
    if mem_mb < 1:
        raise InputError(f"--mem-mb must be at least 1. Got {mem_mb} instead.")
    return min(n_procs or default_workers(), max(1, mem_mb * 10**6 // WORKER_BYTES))


@expand
def bids(
    *,
    bids_dir: Annotated[Path, typer.Argument(help="Raw BIDS dataset.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder for the derivative.")],
    analysis: Annotated[Analysis, typer.Argument(metavar="participant|group", help="Level.")],
    participant_label: Annotated[
        list[str] | None,
        typer.Option("--participant-label", "--participant_label", help="Only these people, with or without sub-."),
    ] = None,
    session_label: Annotated[
        list[str] | None,
        typer.Option("--session-label", "--session_label", help="Only these sessions, with or without ses-."),
    ] = None,
    n_procs: Annotated[
        int | None,
        typer.Option("--n-procs", "--n_procs", "--n-cpus", "--n_cpus", help="Processes; one per core if left out."),
    ] = None,
    mem_mb: Annotated[
        int | None, typer.Option("--mem-mb", "--mem_mb", help="Memory for all processes together.")
    ] = None,
    skip_validation: Annotated[
        bool,
        typer.Option(
            "--skip-bids-validation", "--skip_bids_validation", help="Accept a dataset without a description."
        ),
    ] = False,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            "-w",
            help="Private folder for finished faces (biometric data); the store of `score` if left out.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    calibration: Annotated[Path | None, typer.Option("--calibration", help="From `calibrate`, for the group.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="TOML file with your limits, for the group.")] = None,
    images: ImageOptions,
    encoding: EncoderOptions,
    attack: AttackOption = ALL_ATTACKS,
    scheduler: SchedulerOption = None,
    log: LogOption = None,
    seed: SeedOption = 0,
) -> None:
    """Run as a BIDS-App: faces of the participants first, then the audit of the group, as a BIDS derivative.

    Exit codes of the group are those of `score`: 0 PASS, 1 FAIL, 2 wrong use or input, 3 REVIEW, 4 INCOMPLETE.

    Example: [bold]reid-audit bids raw raw/derivatives/reid-audit participant --participant-label 01 02[/]
    """
    if not skip_validation and bids_dir.is_dir():
        check_dataset(bids_dir)
    whole = reid_audit.read_cohort(bids_dir, choice=images.choice, layout="bids", allow_outside=images.allow_outside)
    cohort = keep_labels(whole, participant_label or (), session_label or ())
    limits = reid_audit.Policy() if policy is None else read_policy(policy)
    thresholds = () if calibration is None else read_calibrations(calibration)
    store = Store(work_dir)
    common: dict[str, Any] = {"settings": encoding.settings, "attacks": words_of(attack), "store": store}
    with start_run(workers=_workers(n_procs, mem_mb), scheduler=scheduler, store=store, log=log) as run:
        common |= {"executor": run.executor, "progress": run.progress}
        if analysis is Analysis.PARTICIPANT:
            everybody = cohort.originals == whole.originals
            records = run_participants(cohort, bids_dir, out_dir, everybody=everybody, **common)
            say_unacquired(describe_scans(records))
            out.say(f"Next: the same with `group`, once every participant is done. Tables: {escape(str(out_dir))}")
            return
        result = run_group(cohort, bids_dir, out_dir, calibrations=thresholds, policy=limits, seed=seed, **common)
    say_result(result, report=out_dir / PAGE_FILE)
    raise typer.Exit(result.verdict.exit_code)


COMMAND_CLASS = ManyLabels
