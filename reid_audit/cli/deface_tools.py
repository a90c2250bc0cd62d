"""`deface` with other defacers than the eye plane: many scans, many tools, and the list of what there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import reid_audit
from reid_audit import deface
from reid_audit.cli.options import OutsideOption, WorkersOption, show_progress
from reid_audit.cli.words import add_groups, err, out
from reid_audit.dataset import read_cohort, write_manifest
from reid_audit.deface import QualitySummary
from reid_audit.phantom import LABEL_NAMES
from reid_audit.records import ORIGINAL, DefaceRun, DefacingSummary, InputError, ScanRef, summarise_defacing
from reid_audit.volume.names import read_label_values

MANIFEST_ENDINGS = (".csv", ".tsv")


@dataclass(frozen=True, kw_only=True)
class ManyOptions:
    """What concerns many scans and other defacers than the eye plane."""

    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label map on the grid of the scan (NIfTI), or a folder of them.")
    ] = None
    label_names: Annotated[
        Path | None, typer.Option("--label-names", help="TSV with the columns index and name (BIDS dseg).")
    ] = None
    brain_masks: Annotated[
        Path | None, typer.Option("--brain-masks", help="Brain mask, or their folder: kept, checked.")
    ] = None
    session: Annotated[
        list[str] | None, typer.Option("--session", help="Deface this session of a manifest alone; may be repeated.")
    ] = None
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for a tool on one scan.")] = 3600.0
    max_brain_cut: Annotated[
        float, typer.Option("--max-brain-cut", help="Share of a brain mask that a defacer may change.")
    ] = 0.0
    quality: Annotated[bool, typer.Option("--quality", help="Measure whether eyes, nose and mouth are removed.")] = (
        False
    )
    workers: WorkersOption = None
    allow_outside: OutsideOption = False


def holds_many(place: Path) -> bool:
    """Whether a place is a manifest or a BIDS dataset, and not one scan."""
    return place.suffix.lower() in MANIFEST_ENDINGS or (place / "dataset_description.json").is_file()


def list_tools(wanted: bool) -> None:
    """Print every defacer, what it removes and keeps, and whether it is on this machine; then leave."""
    if not wanted:
        return
    own = Table("name", "needs", "what it removes and keeps", title="Reference defacers, always there")
    for defacer in deface.list_defacers():
        own.add_row(defacer.name, escape(", ".join(defacer.needs)) or "-", escape(defacer.description))
    others = Table("name", "here", "takes", "what it removes and keeps; licence", title="Other people's tools")
    with err.status("looking"):
        tools = [deface.find_tool(tool) for tool in deface.TOOLS]
    for each in tools:
        tool = each.tool
        here = f"[green]yes[/] {escape(each.version)}" if each.is_available else f"no: {escape(each.reason)}"
        needs = "; needs a brain mask" if tool.needs_brain else ""
        note = f". {tool.note}" if tool.note else ""
        text = f"{tool.removes}{needs}. {tool.licence}{note}. {tool.url}"
        others.add_row(tool.name, here.strip(), ", ".join(tool.takes), escape(text))
    for table in (own, others):
        table.title_justify = "left"
        out.print(table)
    out.print("Also: blur:5mm (any sigma), skin-noise:3 (any seed), --command 'tool {input} {output}' (any program).")
    out.print('A tool in an environment of its own: PATH="$PATH:/its/environment/bin" reid-audit deface ...')
    raise typer.Exit


def _read_scans(
    place: Path, sessions: Sequence[str], allow_outside: bool
) -> tuple[list[ScanRef], reid_audit.Cohort | None]:
    if not holds_many(place):
        name = place.name.removesuffix(".gz").rsplit(".", 1)[0] if place.is_file() else place.name
        return [ScanRef(name, "1", ORIGINAL, place)], None
    cohort = read_cohort(place, allow_outside=allow_outside)
    absent = [session for session in sessions if session not in cohort.sessions]
    if absent:
        raise InputError(f"--session: nobody has {absent[0]!r}; there are {', '.join(cohort.sessions)}")
    return list(cohort.scans), cohort


def _read_names(labels: Path | None, names: Path | None) -> dict[str, int]:
    """Read what the values of the label maps mean; never guessed: a wrong brain would be kept, and nobody told."""
    if labels is None:
        return {}
    beside = (labels if labels.is_dir() else labels.parent) / LABEL_NAMES
    if names is None and not beside.is_file():
        raise InputError(f"--labels: what do the values mean? Give --label-names, or put {LABEL_NAMES} beside the maps")
    return read_label_values(names or beside)


def deface_many(place: Path, folder: Path, tools: Sequence[str], command: str, options: ManyOptions) -> None:
    """Deface the originals of a manifest, or one scan, by each tool; print how it went."""
    makers, sessions = deface.parse_makers(tools, command=command), options.session or ()
    scans, cohort = _read_scans(place, sessions, options.allow_outside)
    wanted = [s for s in scans if s.condition == ORIGINAL and (not sessions or s.session in sessions)]
    values = _read_names(options.labels, options.label_names)
    with reid_audit.local_executor(options.workers) as executor, show_progress() as progress:
        taken, runs = deface.deface_scans(
            wanted,
            makers,
            folder,
            companions=deface.Companions(options.labels, options.brain_masks, values),
            time_limit_s=options.time_limit,
            max_brain_cut=options.max_brain_cut,
            others=[s for s in scans if s.condition == ORIGINAL and s not in wanted],
            bids=place if place.is_dir() and cohort is not None else None,
            executor=executor,
            progress=progress,
        )
        examine = partial(deface.examine_scans, taken, executor=executor, progress=progress)
        examined, notes = examine() if options.quality else ((), ())
    _write(folder, taken, runs, cohort)
    if options.quality:
        deface.write_quality(examined, folder / deface.QUALITY_FILE)
        _say_quality(deface.summarise_quality(examined))
        for note in notes:
            out.say(f"[yellow]Not examined:[/] {escape(note)}")
    _end(folder, runs)


def deface_every_study(folder: Path, out_dir: Path, settings: deface.StudySettings, workers: int | None) -> None:
    """Deface every study of a folder; print and write how it went."""
    with reid_audit.local_executor(workers) as executor, show_progress() as progress:
        scans, runs = deface.deface_studies(folder, out_dir, settings=settings, executor=executor, progress=progress)
    _write(out_dir, scans, runs, None)
    deface.write_studies(runs, out_dir / deface.STUDIES_FILE)
    seconds = [run.seconds for run in runs if run.status == "ok"]
    if seconds:
        spread = f" (SD {stdev(seconds):.1f})" if len(seconds) > 1 else ""
        share = f"{len(seconds)} of {len(runs)} studies defaced ({len(seconds) / len(runs):.0%})"
        out.print(f"{share}, {fmean(seconds):.1f} seconds a study on average{spread}.")
    out.print(f"Study by study: {deface.STUDIES_FILE}")
    _end(out_dir, runs)


def _write(folder: Path, scans: Sequence[ScanRef], runs: Sequence[DefaceRun], cohort: reid_audit.Cohort | None) -> None:
    if scans:
        write_manifest(folder / "manifest.csv", scans, None if cohort is None else cohort.strata)
    deface.write_defacing(runs, folder / deface.DEFACING_FILE)
    _say_failures(runs)
    _say_summary(summarise_defacing(runs))


def _end(folder: Path, runs: Sequence[DefaceRun]) -> None:
    if not any(run.status == "ok" for run in runs):
        raise typer.Exit(2)
    out.say(f"Manifest: {escape(str(folder / 'manifest.csv'))}")


def _say_failures(runs: Sequence[DefaceRun]) -> None:
    lost = [run for run in runs if run.status != "ok"]
    table = Table("scans", "defacer", "outcome", "reason", title="Not defaced", title_justify="left")
    add_groups(table, ((f"{r.subject}/{r.session}", r.condition, r.status.value, r.reason) for r in lost))
    if lost:
        out.print(table)


def _number(value: float, digits: int = 1) -> str:
    return "-" if value != value else f"{value:.{digits}f}"


def _say_summary(summaries: Sequence[DefacingSummary]) -> None:
    table = Table("defacer", "version", "defaced", "failures", "seconds", "peak MB")
    for each in summaries:
        failures = ", ".join(f"{count} {status.value}" for status, count in each.failures) or "none"
        who, cost = map(escape, (each.condition, each.version or "-")), (each.median_seconds, each.peak_memory_mb)
        numbers = (_number(value, digits) for value, digits in zip(cost, (1, 0), strict=True))
        table.add_row(*who, f"{each.ok} of {each.runs}", failures, *numbers)
    out.print(table)


_SHORT = {"eye_right": "right eye", "eye_left": "left eye"}


def _say_quality(summaries: Sequence[QualitySummary]) -> None:
    if not summaries:
        return
    title = "What was removed; shift of the skin: median in mm, - back, + covered"
    table = Table("defacer", "part", "removed in", "shift", title=title)
    table.title_justify = "left"
    for each in summaries:
        shifts, scans = dict(each.shifts_mm), f"of {each.scans}"
        table.add_row(escape(each.condition), "eyes, nose and mouth", f"{each.removed} {scans}", "")
        for name, count in each.parts:
            table.add_row("", _SHORT.get(name, name), f"{count} {scans}", f"{shifts[name]:+.1f}")
        depth = f"altered {_number(each.depth_median_mm)}, impacted {_number(each.impacted_depth_mm)} mm deep"
        table.add_row("", depth, "", "", end_section=True)
    out.print(table)
    out.print(f"Scan by scan, for `utility --qc`: {deface.QUALITY_FILE}")
    out.print(
        "A face that was replaced, blurred or covered is not removed. Only `reid-audit score` says who can be found."
    )
