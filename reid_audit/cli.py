"""The command line: translates words into one call of the public API, and its result into words. Computes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table

import reid_audit
from reid_audit.records import (
    AuditResult,
    Calibration,
    Decision,
    Modality,
    ReidAuditError,
    Status,
)
from reid_audit.report import (
    control_at,
    distance_at,
    estimate_text,
    match_at,
    percent,
    rank1_text,
    rate_text,
    test_text,
)

EXIT_USAGE = 2

app = typer.Typer(
    name="reid-audit",
    help="Can a face-recognition attacker still link your head CT and MRI scans to people?",
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 wrong use or input, 3 REVIEW, 4 INCOMPLETE.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class RendererName(StrEnum):
    """Engines that draw portraits."""

    AUTO = "auto"
    VTK = "vtk"
    PYRENDER = "pyrender"
    RAYCAST = "raycast"


EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="auto, dlib, Facenet512, ArcFace, another of `weights list`, or onnx:FILE for your own. "
        "auto = Facenet512 where its files are, else dlib.",
    ),
]
DetectorOption = Annotated[str, typer.Option("--detector", help="auto, dlib, retinaface, yunet, opencv ...")]
RendererOption = Annotated[
    RendererName, typer.Option("--renderer", help="auto = VTK, or the CPU ray caster where there is no OpenGL.")
]
LevelOption = Annotated[
    float | None,
    typer.Option("--level", help="Skin level in the scan's own units (HU for CT). Found by itself if left out."),
]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Processes; one per core if left out.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of all resampling.")]
AttackOption = Annotated[
    str, typer.Option("--attack", help="Attackers, with commas: naive, aligned, registered. naive always runs.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there already.")]
ManifestArgument = Annotated[
    Path, typer.Argument(help="CSV or TSV with the columns subject, session, condition, path.", show_default=False)
]


def _settings(encoder: str, detector: str, renderer: RendererName, level: float | None) -> reid_audit.Settings:
    return reid_audit.Settings(encoder=encoder, detector=detector, renderer=renderer.value, level=level)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show bars on the error stream, one per stage, and give the function that moves them."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        Remaining(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        known: dict[str, int] = {}

        def move(stage: str, done: int, total: int) -> None:
            if stage not in known:
                known[stage] = int(bars.add_task(stage, total=total))
            bars.update(bars.tasks[known[stage]].id, completed=done, total=total)

        yield move


def _say_unacquired(rows: Sequence[tuple[str, str, Status, str]]) -> None:
    """Count the scans that gave no clear face by condition and reason; rows are (scan, condition, status, reason)."""
    groups: dict[tuple[str, Status, str], list[str]] = {}
    for key, condition, status, reason in rows:
        if status is not Status.OK:
            groups.setdefault((condition, status, reason), []).append(key)
    if not groups:
        out.print(f"A face was found in each of {len(rows)} scans.")
        return
    lost = sum(len(keys) for keys in groups.values())
    table = Table("scans", "condition", "outcome", "reason", title=f"{lost} of {len(rows)} scans to know of")
    table.title_justify = "left"
    for (condition, status, reason), keys in groups.items():
        which = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
        table.add_row(f"{len(keys)}: {escape(which)}", escape(condition), status.value, escape(reason))
    out.print(table)


COLOURS = {
    Decision.PASS: "bold green",
    Decision.REVIEW: "bold yellow",
    Decision.FAIL: "bold red",
    Decision.INCOMPLETE: "bold magenta",
}


def _say_block(heading: str, lines: Sequence[tuple[str, str]]) -> None:
    out.print(heading)
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(f"  {name}", escape(value))
    out.print(table)


def _say_result(result: AuditResult) -> None:
    """Print attack, control and chance together, and the verdict with its reasons."""
    name = result.verdict.policy.threshold
    distance = distance_at(result)
    rule = f"cosine distance below {distance:.4f} ({name})" if distance == distance else f"never: no {name} threshold"
    out.print(f"\nMatch = {rule}. Counts, shares, 95 % intervals.\n")
    for control in result.evidence.controls:
        tmr, fmr = control_at(control, name)
        _say_block(
            f"[bold]before defacing[/] ({control.attack} attacker): the control",
            [
                ("originals matched", rate_text(tmr)),
                ("different people matched", rate_text(fmr)),
                ("own person first", rank1_text(control.search)),
                ("AUC same/different", estimate_text(control.auc)),
                ("no face found", rate_text(control.fta)),
            ],
        )
    for verdict in result.verdict.conditions:
        out.print(f"\n[bold]{escape(verdict.condition)}[/]: {_word(verdict.decision)}")
        for attack in (one for one in result.evidence.attacks if one.condition == verdict.condition):
            match = match_at(attack, name)
            _say_block(
                f"  {attack.attack} attacker",
                [
                    ("  matched after defacing", rate_text(match.counted)),
                    ("  different people matched", rate_text(match.strangers)),
                    ("  own person first", rank1_text(attack.search)),
                    ("  AUC own/other originals", f"{estimate_text(attack.linkability)}; 0.5 = no link left"),
                    ("  no vector to compare", rate_text(attack.fta)),
                ],
            )
        reasons = [check.text for check in verdict.checks if check.decision is verdict.decision]
        _say_block("  because", [("-", reason) for reason in reasons])
    out.print()
    for check in result.verdict.checks:
        if check.decision is not Decision.PASS:
            out.print(f"{_word(check.decision)} for all: {escape(check.text)}")
    out.print(f"Verdict: {_word(result.verdict.decision)}")


def _word(decision: Decision) -> str:
    return f"[{COLOURS[decision]}]{decision.value}[/]"


# --- commands ---


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"reid-audit {reid_audit.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.")] = Path("reid-audit-demo"),
    subjects: Annotated[int, typer.Option("--subjects", help="How many synthetic people.")] = 30,
    modality: Annotated[Modality, typer.Option("--modality", help="What they are scanned with.")] = Modality.CT,
    keep_scans: Annotated[
        Path | None, typer.Option("--keep-scans", help="Keep the synthetic scans in this folder.", show_default=False)
    ] = None,
    encoder: EncoderOption = "auto",
    detector: DetectorOption = "auto",
    renderer: RendererOption = RendererName.AUTO,
    attack: AttackOption = ",".join(reid_audit.ATTACKS),
    workers: WorkersOption = None,
    seed: SeedOption = 0,
) -> None:
    """Run the main job on synthetic heads: two visits each, three defacers, one verdict each.

    Always ends with exit code 0 where it ran: its verdicts are about defacers made to be judged.

    Example: [bold]reid-audit demo --subjects 30[/]
    """
    settings = _settings(encoder, detector, renderer, None)
    with reid_audit.local_executor(workers) as executor, _progress() as progress:
        result, scores = reid_audit.run_demo(
            subjects=subjects,
            modality=modality,
            settings=settings,
            attacks=_words(attack),
            seed=seed,
            keep_scans=keep_scans,
            executor=executor,
            progress=progress,
        )
    page = reid_audit.write_result(result, scores, output, overwrite=True)
    _say_audit(result)
    out.print(f"Report: {escape(str(page))}", soft_wrap=True)


def _say_audit(result: AuditResult) -> None:
    settings = result.settings
    out.print(f"Recogniser {settings['encoder']}, detector {settings['detector']}, renderer {settings['renderer']}.")
    for notice in (*result.notices, *result.mismatches):
        out.print(f"[yellow]Note:[/] {escape(notice)}")
    _say_unacquired([(f"{r.subject}/{r.session}", r.condition, r.status, r.reason) for r in result.scans])
    _say_result(result)


@app.command()
def phantom(
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder for the cohort.", show_default=False)],
    subjects: Annotated[int, typer.Option("--subjects", help="How many synthetic people.")] = 10,
    visits: Annotated[int, typer.Option("--visits", help="Scans of each.")] = 2,
    modality: Annotated[Modality, typer.Option("--modality", help="CT in HU, or T1-like MR.")] = Modality.CT,
    seed: SeedOption = 0,
) -> None:
    """Write a cohort of synthetic heads: scans, label maps and a manifest.

    Example: [bold]reid-audit phantom --subjects 10 --visits 2 --modality CT --out heads[/]
    """
    with _progress() as progress:
        manifest = reid_audit.write_cohort(
            out_dir,
            subjects=subjects,
            visits=visits,
            modality=modality,
            seed=seed,
            progress=lambda done, total: progress("heads", done, total),
        )
    out.print(f"{subjects} people, {visits} visits each: {escape(str(manifest))}", soft_wrap=True)


@app.command()
def render(
    volume: Annotated[
        Path, typer.Argument(help="A scan: a file, or a folder with one DICOM series.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="PNG to write (readable by you alone).", show_default=False)
    ],
    azimuth: Annotated[float, typer.Option("--azimuth", help="Degrees towards the subject's left; 0 = front.")] = 0.0,
    elevation: Annotated[float, typer.Option("--elevation", help="Degrees upwards.")] = 0.0,
    level: LevelOption = None,
    renderer: RendererOption = RendererName.AUTO,
    encoder: EncoderOption = "auto",
    detector: DetectorOption = "auto",
) -> None:
    """Draw the portrait of one scan, as the recogniser sees it, and say whether a face is found in it.

    Example: [bold]reid-audit render scan.nii.gz -o portrait.png --azimuth 20[/]
    """
    with err.status("drawing"):
        portrait, face, findings = reid_audit.render_scan(
            volume,
            azimuth_deg=azimuth,
            elevation_deg=elevation,
            settings=_settings(encoder, detector, renderer, level),
        )
        reid_audit.save_png(portrait, output)
    found = face.reason or "found"
    score = "" if face.confidence != face.confidence else f", detector score {face.confidence:.2f}"
    out.print(
        f"{escape(str(output))}: drawn by {portrait.renderer}; face: {face.status.value} ({found}){score}, "
        f"recogniser {face.encoder}",
        soft_wrap=True,
    )
    for finding in findings:
        out.print(f"  {finding.severity}: {escape(finding.text)}")


@app.command()
def mesh(
    volume: Annotated[Path, typer.Argument(help="A scan: a file, or a folder with one series.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="STL, PLY or GLB file to write.", show_default=False)],
    level: LevelOption = None,
) -> None:
    """Write the skin of one scan as a mesh, in RAS mm. It shows the face: keep it as safe as the scan.

    Example: [bold]reid-audit mesh scan.nii.gz -o head.stl[/]
    """
    with err.status("meshing"):
        skin = reid_audit.extract_skin(reid_audit.read_volume(volume), level=level)
        reid_audit.write_mesh(skin, output)
    out.print(f"{escape(str(output))}: {len(skin.faces)} triangles, level {skin.level:g}", soft_wrap=True)
    for finding in skin.checks:
        out.print(f"  {finding.severity}: {escape(finding.text)}")


@app.command()
def calibrate(
    manifest: ManifestArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration file to write.")] = Path(
        "calibration.json"
    ),
    encoder: EncoderOption = "auto",
    detector: DetectorOption = "auto",
    renderer: RendererOption = RendererName.AUTO,
    level: LevelOption = None,
    workers: WorkersOption = None,
    seed: SeedOption = 0,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Accept paths outside the manifest's folder.")
    ] = False,
) -> None:
    """Find the thresholds at which the recogniser tells the originals of a cohort apart.

    Example: [bold]reid-audit calibrate manifest.csv -o calibration.json[/]
    """
    cohort = reid_audit.read_manifest(manifest, allow_outside=allow_outside)
    with reid_audit.local_executor(workers) as executor, _progress() as progress:
        calibration, records, notices = reid_audit.calibrate_cohort(
            cohort,
            settings=_settings(encoder, detector, renderer, level),
            seed=seed,
            executor=executor,
            progress=progress,
        )
    reid_audit.write_calibration(calibration, output)
    for notice in (*notices, *calibration.notes):
        out.print(f"[yellow]Note:[/] {escape(notice)}")
    _say_unacquired(
        [(f"{r.scan.subject}/{r.scan.session}", r.scan.condition, r.face.status, r.face.reason) for r in records]
    )
    _say_calibration(calibration)
    out.print(f"Calibration: {escape(str(output))}", soft_wrap=True)


def _say_calibration(calibration: Calibration) -> None:
    out.print(
        f"Thresholds from {calibration.subjects} people, {calibration.same_pairs} same and "
        f"{calibration.different_pairs} different comparisons; AUC {estimate_text(calibration.auc)}, "
        f"EER {percent(calibration.eer)}.\n"
    )
    for point in calibration.thresholds:
        if point.distance != point.distance:
            out.print(f"[bold]{point.name}[/]: not offered, {escape(point.reason)}")
            continue
        interval = f" ({point.low:.4f} to {point.high:.4f})" if point.low == point.low else ""
        _say_block(
            f"[bold]{point.name}[/]: distance {point.distance:.4f}{interval}",
            [
                ("same people matched", f"{rate_text(point.tmr)}; held out: {rate_text(point.tmr_held_out)}"),
                ("different people matched", f"{rate_text(point.fmr)}; held out: {rate_text(point.fmr_held_out)}"),
            ],
        )


@app.command()
def score(
    manifest: ManifestArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.", show_default=False)],
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration", help="From `calibrate`; without it the cohort's own originals.", show_default=False
        ),
    ] = None,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Use a calibration of other settings; the report will say so.")
    ] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="TOML file with your limits.", show_default=False)
    ] = None,
    encoder: EncoderOption = "auto",
    detector: DetectorOption = "auto",
    renderer: RendererOption = RendererName.AUTO,
    level: LevelOption = None,
    attack: AttackOption = ",".join(reid_audit.ATTACKS),
    workers: WorkersOption = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Accept paths outside the manifest's folder.")
    ] = False,
) -> None:
    """Answer whether the defaced scans of a cohort can still be linked to their people.

    Exit codes: 0 PASS, 1 FAIL, 2 wrong use or input, 3 REVIEW, 4 INCOMPLETE.

    Example: [bold]reid-audit score manifest.csv --calibration calibration.json -o result[/]
    """
    cohort = reid_audit.read_manifest(manifest, allow_outside=allow_outside)
    limits = reid_audit.Policy() if policy is None else reid_audit.read_policy(policy)
    thresholds = None if calibration is None else reid_audit.read_calibration(calibration)
    reid_audit.report.prepare_folder(output, overwrite=overwrite)
    with reid_audit.local_executor(workers) as executor, _progress() as progress:
        result, scores = reid_audit.audit_cohort(
            cohort,
            calibration=thresholds,
            allow_mismatch=allow_mismatch,
            policy=limits,
            attacks=_words(attack),
            settings=_settings(encoder, detector, renderer, level),
            seed=seed,
            executor=executor,
            progress=progress,
        )
    page = reid_audit.write_result(result, scores, output, overwrite=overwrite)
    _say_audit(result)
    out.print(f"Report: {escape(str(page))}", soft_wrap=True)
    raise typer.Exit(result.verdict.exit_code)


@app.command()
def stats(
    distances: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns group and cosine_distance; optionally condition, subject, sex ...",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the result.", show_default=False)
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="TOML file with your limits.", show_default=False)
    ] = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Weigh distances that were measured elsewhere: any laboratory's own embeddings can be judged.

    Groups: same, different, defaced_same, defaced_different, defaced_same_scan. An empty distance = no face.

    Example: [bold]reid-audit stats distances.csv -o result[/]
    """
    limits = reid_audit.Policy() if policy is None else reid_audit.read_policy(policy)
    scores, strata = reid_audit.read_scores(distances), reid_audit.read_score_strata(distances)
    if output is not None:
        reid_audit.report.prepare_folder(output, overwrite=overwrite)
    with err.status("weighing"):
        result = reid_audit.judge_scores(scores, source=distances.name, policy=limits, strata=strata, seed=seed)
    for notice in result.notices:
        out.print(f"[yellow]Note:[/] {escape(notice)}")
    _say_calibration(result.calibration)
    _say_result(result)
    _say_tests(result)
    if output is not None:
        page = reid_audit.write_result(result, scores, output, overwrite=overwrite)
        out.print(f"Report: {escape(str(page))}", soft_wrap=True)
    raise typer.Exit(result.verdict.exit_code)


def _say_tests(result: AuditResult) -> None:
    tests = [test for control in result.evidence.controls for test in control.tests]
    tests += [test for attack in result.evidence.attacks for test in attack.tests]
    lines = [(f"{test.condition} {test.name}: {test.compared}".strip(), test_text(test)) for test in tests]
    _say_block("\nTests", lines)


@app.command()
def plan(
    max_rate: Annotated[
        float, typer.Option("--max-rate", help="Match rate that must not be exceeded, in (0, 1).")
    ] = 0.10,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the one-sided bound.")] = 0.95,
    most_matches: Annotated[int, typer.Option("--matches", help="Plan for up to so many matches.")] = 5,
) -> None:
    """Say how many people an audit needs to show that the match rate lies below a limit.

    Example: [bold]reid-audit plan --max-rate 0.05 --confidence 0.95[/]
    """
    table = Table("people who match after defacing", "people needed")
    for matches in range(most_matches + 1):
        table.add_row(str(matches), str(reid_audit.people_needed(max_rate, confidence, matches)))
    out.print(table)
    out.print(
        f"So many matches among so many people bound the match rate below {max_rate:.3g} "
        f"at {confidence:.0%} confidence."
    )


weights_app = typer.Typer(
    help="List, fetch, import and verify the recognisers' model files.", no_args_is_help=True, rich_markup_mode="rich"
)
app.add_typer(weights_app, name="weights")
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Take the new file where another one is recorded.")]


def _say_weights(files: Sequence[reid_audit.WeightsFile]) -> None:
    for file in files:
        size = "" if file.size_bytes is None else f"{file.size_bytes / 1e6:.1f} MB"
        digest = "no digest published or recorded yet"
        if file.sha256 is not None:
            digest = f"SHA-256 {file.sha256} ({'pinned' if file.pinned else 'recorded'})"
        lines = [("file", f"{file.file_name} {size}".strip()), ("digest", digest), ("licence", file.licence)]
        lines.append(("source", file.source))
        _say_block(
            f"[bold]{file.name}[/]: {file.state.value}", lines + ([("note", file.reason)] if file.reason else [])
        )


@weights_app.command("list")
def list_weights() -> None:
    """List every model file that the package can use, and whether it is there.

    Example: [bold]reid-audit weights list[/]
    """
    out.print(f"Files are looked for in {escape(str(reid_audit.weights_home()))}", soft_wrap=True)
    _say_weights(reid_audit.list_weights())


def _move_bytes(progress: Callable[[str, int, int], None], name: str, done: int, total: int | None) -> None:
    progress(f"{name} (bytes)", done, total or done)


@weights_app.command("fetch")
def fetch_weights(
    names: Annotated[list[str], typer.Argument(help="Names from `weights list`.", show_default=False)],
    replace: ReplaceOption = False,
) -> None:
    """Download model files: the only command that opens a connection.

    Example: [bold]reid-audit weights fetch Facenet512 RetinaFace[/]
    """
    for name in names:
        with _progress() as progress:
            move = partial(_move_bytes, progress, name)
            path = reid_audit.fetch_weights(name, override=replace, progress=move)
        out.print(f"{escape(name)}: {escape(str(path))}", soft_wrap=True)


@weights_app.command("import")
def import_weights(
    source: Annotated[
        Path, typer.Argument(help="A model file, or a folder or stick that holds some.", show_default=False)
    ],
    replace: ReplaceOption = False,
) -> None:
    """Take model files from a folder or USB stick, where a machine has no network.

    Example: [bold]reid-audit weights import /media/stick[/]
    """
    for path in reid_audit.import_weights(source, override=replace):
        out.print(f"imported {escape(str(path))}", soft_wrap=True)


@weights_app.command("verify")
def verify_weights(
    names: Annotated[
        list[str] | None, typer.Argument(help="All that are there, if left out.", show_default=False)
    ] = None,
) -> None:
    """Check model files against their pinned or recorded digests. Exit code 1 where one is wrong.

    Example: [bold]reid-audit weights verify[/]
    """
    files = reid_audit.verify_weights(names)
    _say_weights(files)
    wrong = [file for file in files if file.state.value == "wrong"]
    out.print(f"{len(files)} files, {len(wrong)} wrong")
    raise typer.Exit(1 if wrong else 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the program's name; ``sys.argv[1:]`` by default.
    """
    try:
        app(args=None if argv is None else list(argv))
    except ReidAuditError as error:
        err.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        return EXIT_USAGE
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
