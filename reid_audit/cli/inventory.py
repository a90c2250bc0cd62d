"""What a dataset holds: `inventory`."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import reid_audit
from reid_audit.cli.choosing import CohortArgument, DatasetOptions
from reid_audit.cli.options import expand, show_progress
from reid_audit.cli.words import out
from reid_audit.dataset import Aside, salt_home, take_inventory, write_manifest
from reid_audit.dataset.priors import tell_priors
from reid_audit.records import ORIGINAL, Group, ScanRef, natural_key, prepare_file

EXIT_ASKED = 2
LAYOUTS = {"manifest": "a manifest", "BIDS": "a BIDS dataset", "DICOM": "a tree of DICOM files"}
_SHOWN = (Group.SAME, Group.DIFFERENT, Group.DEFACED_SAME, Group.DEFACED_DIFFERENT, Group.DEFACED_SAME_SCAN)


@expand
def inventory(
    path: CohortArgument,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Manifest to write (CSV or TSV, readable by you alone).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a manifest that is there already.")] = False,
    images: DatasetOptions,
) -> None:
    """Show what a dataset holds, what is set aside and why, before any pixel is read; write it as a manifest.

    Exit code 2 where something must be chosen first: each question names the option that answers it.

    Example: [bold]reid-audit inventory bids -o manifest.csv[/]
    """
    if output is not None:
        prepare_file(output, mark=b"condition", overwrite=overwrite)
    with show_progress() as progress:
        listed = take_inventory(path, **images.reading, progress=progress)
    out.print(f"{escape(listed.source)}: read as {LAYOUTS[listed.layout]}")
    if listed.cohort is not None:
        _say_cohort(listed.cohort)
    _say_aside(listed.aside)
    if listed.layout == "DICOM":
        salt = str(images.salt_file or salt_home())
        out.say(f"People have pseudonyms; who has the salt can undo them: {escape(salt)}")
    for note in listed.notes:
        out.print(f"[yellow]Note:[/] {escape(note)}")
    if listed.cohort is None:
        for question in listed.questions:
            out.print(f"[bold yellow]To choose:[/] {escape(question)}")
        raise typer.Exit(EXIT_ASKED)
    if output is None:
        again = f"reid-audit inventory {escape(shlex.quote(str(path)))} -o manifest.csv"
        out.say(f"Next, with the options given here: {again}")
        return
    write_manifest(output, listed.cohort.scans, listed.cohort.strata)
    folder = output.parent.resolve()
    outside = any(not scan.path.resolve().is_relative_to(folder) for scan in listed.cohort.scans)
    out.say(f"Manifest (private: it says where the scans are): {escape(str(output))}")
    command = "calibrate" if listed.cohort.conditions == (ORIGINAL,) else "score"
    target = "calibration.json" if command == "calibrate" else "result"
    flag = " --allow-outside" if outside else ""
    out.say(f"Next: reid-audit {command} {escape(shlex.quote(str(output)))}{flag} -o {target}")


def _say_cohort(cohort: reid_audit.Cohort) -> None:
    table = Table("condition", "people", "visits", "scans", "modality", title="Found", title_justify="left")
    several = len(cohort.images) > 1
    if several:
        table.add_column("images", overflow="fold")
    for condition in cohort.conditions:
        scans = [scan for scan in cohort.scans if scan.condition == condition]
        people = {(scan.session, scan.subject) for scan in scans}
        visits = [str(sum(session == at for at, _ in people)) for session in cohort.sessions]
        shown = ", ".join(f"{session}: {n}" for session, n in zip(cohort.sessions, visits, strict=True))
        modalities = sorted({str(scan.modality or "to be told") for scan in scans})
        table.add_row(
            escape(condition),
            str(len({scan.subject for scan in scans})),
            escape(shown if len(cohort.sessions) <= 4 else f"{len(cohort.sessions)} kinds"),
            str(len(scans)),
            ", ".join(modalities),
            *([_count_images(scans)] if several else []),
        )
    out.print(table)
    if several and (told := tell_priors(cohort.images)):
        out.print(f"Others matched undefaced images with photographs (Schwarz; looked at in this order): {told}.")
    if len(cohort.strata.columns):
        out.print(f"Strata: {escape(', '.join(map(str, cohort.strata.columns)))}")
    pairs = Table("comparison", "condition", "possible", "missing", "because", title="Pairs", title_justify="left")
    for pair in cohort.pair_accounting():
        if pair.group in _SHOWN and (pair.possible or pair.missing):
            counts, why = (str(pair.possible), str(pair.missing)), escape("; ".join(pair.reasons[:2]))
            pairs.add_row(pair.group.value, escape(pair.condition), *counts, why)
    out.print(pairs)


def _count_images(scans: Sequence[ScanRef]) -> str:
    counts = Counter(scan.image for scan in scans)
    return escape(", ".join(f"{image} ({counts[image]})" for image in sorted(counts, key=natural_key)))


def _say_aside(aside: tuple[Aside, ...]) -> None:
    if not aside:
        return
    table = Table("count", "what", "why", title="Set aside", title_justify="left")
    named = any(entry.examples for entry in aside)
    if named:
        table.add_column("such as", overflow="fold")
    for entry in sorted(aside, key=lambda entry: -entry.count):
        examples = [escape("\n".join(entry.examples))] if named else []
        reason = f"[bold yellow]{escape(entry.reason)}[/]" if entry.may_show else escape(entry.reason)
        table.add_row(str(entry.count), escape(entry.what), reason, *examples)
    out.print(table)
