"""Defacing: `deface`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from reid_audit.audit import find_eyes
from reid_audit.cli.deface_tools import ManyOptions, deface_every_study, deface_many, holds_many, list_tools
from reid_audit.cli.options import EncoderOptions, expand, show_progress, words_of
from reid_audit.cli.words import out
from reid_audit.deface import DefacedStudy, StudySettings, deface_files, deface_study, find_study
from reid_audit.records import InputError
from reid_audit.volume.roles import StructureNames

EYE_PLANE = "eye-plane"


def _names_of(table: Path | None, **given: list[str] | None) -> StructureNames:
    names = StructureNames() if table is None else StructureNames.read(table)
    return replace(names, **{key: tuple(patterns) for key, patterns in given.items() if patterns})


@expand
def deface(
    *,
    scan: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A DICOM study (folder), a scan, a manifest (CSV, TSV), a BIDS dataset, or a folder of --studies.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write; empty, or a manifest's to be continued.")
    ],
    tool: Annotated[
        str | None, typer.Option("--tool", "--with", help="Which defacers, with commas; see --list. Usual: eye-plane")
    ] = None,
    studies: Annotated[
        bool, typer.Option("--studies", help="INPUT holds a folder per study. Continues where it was stopped.")
    ] = False,
    command: Annotated[
        str, typer.Option("--command", help="Any program: 'tool {input} {output}'; no shell is used.")
    ] = "",
    structures: Annotated[
        Path | None, typer.Option("--structures", help="RT structure set, where it is not in the folder.")
    ] = None,
    dose: Annotated[
        list[Path] | None, typer.Option("--dose", help="RT dose, where it is not in the folder. Repeat it for more.")
    ] = None,
    many: ManyOptions,
    _list: Annotated[
        bool, typer.Option("--list", help="List the defacers and which are here.", callback=list_tools, is_eager=True)
    ] = False,
    eyes_from_portrait: Annotated[
        bool, typer.Option("--eyes-from-portrait", help="Find the eyes by face detection instead of contours.")
    ] = False,
    eye_names: Annotated[
        list[str] | None, typer.Option("--eye-names", help="Pattern for names of eyes, e.g. '^auge'; may be repeated.")
    ] = None,
    removed_names: Annotated[
        list[str] | None, typer.Option("--removed-names", help="Pattern for structures that are removed.")
    ] = None,
    target_names: Annotated[
        list[str] | None, typer.Option("--target-names", help="Pattern for targets, which are kept.")
    ] = None,
    brain_names: Annotated[
        list[str] | None, typer.Option("--brain-names", help="Pattern for the brain, which is kept.")
    ] = None,
    structure_names: Annotated[
        Path | None, typer.Option("--structure-names", help="TOML table of your clinic's names, as roles.toml.")
    ] = None,
    registered: Annotated[
        bool,
        typer.Option(
            "--registered",
            help="Cut and write further image series of the study too (CBCT, second CT, MR), where they share the "
            "scan's frame of reference or a registration object ties them to it.",
        ),
    ] = False,
    salt: Annotated[
        str | None, typer.Option("--salt", help="Word that makes the new UIDs the same each time. Secret.")
    ] = None,
    keep_private: Annotated[
        bool, typer.Option("--keep-private", help="Keep private DICOM elements: they may hold the picture.")
    ] = False,
    identity_removed: Annotated[
        bool, typer.Option("--identity-removed", help="Claim in (0012,0062) that names and numbers are gone.")
    ] = False,
    encoding: EncoderOptions,
) -> None:
    """Deface one scan at the eye plane, a folder of studies, or a manifest's originals by any defacers.

    A DICOM study is written as DICOM: CT series, RT structure set and RT dose alike. Many scans give a manifest that
    [bold]reid-audit score[/] takes, and defacing.json with seconds, memory and failures. Nothing says that the result
    is safe: judge it with [bold]reid-audit score[/].

    Example: [bold]reid-audit deface patient-07 -o defaced[/]

    Example: [bold]reid-audit deface patients --studies -o defaced[/]

    Example: [bold]reid-audit deface manifest.csv -o defaced --tool face-box,blur:5mm,pydeface --quality[/]
    """
    names = _names_of(structure_names, eyes=eye_names, removed=removed_names, targets=target_names, brain=brain_names)
    settings = StudySettings(names, salt, keep_private, identity_removed, registered)
    if studies:
        one_only = {"--tool": tool not in (None, EYE_PLANE), "--command": command, "--structures": structures,
                    "--dose": dose, "--labels": many.labels, "--eyes-from-portrait": eyes_from_portrait}  # fmt: skip
        if wrong := [option for option, given in one_only.items() if given]:
            raise InputError(f"{wrong[0]} does not go with --studies, which cuts each at the eyes that are drawn in it")
        deface_every_study(scan, output, settings, many.workers)
        return
    if holds_many(scan) or command or tool not in (None, EYE_PLANE):
        tools = words_of(EYE_PLANE if tool is None and not command else tool or "")
        deface_many(scan, output, tools, command, many)
        return
    study = find_study(scan, structures=structures, doses=dose or ()) if scan.is_dir() else None
    eyes = None
    if eyes_from_portrait:
        place = scan if study is None else study.images[0].parent
        eyes = find_eyes(place, settings=encoding.settings)
    if study is None:
        if structures is not None or dose:
            raise InputError(f"{scan.name}: is no folder; --structures and --dose belong to a DICOM study")
        written = deface_files(
            scan, output, labels=many.labels, label_names=many.label_names, names=names, eyes_ras_mm=eyes
        )
        _say_cut(written.removed.sum(), written.kept.sum(), ())
    else:
        with show_progress() as progress:
            done = deface_study(study, output, settings=settings, eyes_ras_mm=eyes, progress=progress)
        _say_cut(done.removed.sum(), done.kept.sum(), done.notes)
        _say_structures(done)
    out.say(f"Written: {escape(str(output))}")


def _say_cut(removed: int, kept: int, notes: tuple[str, ...]) -> None:
    out.say(f"Scan: {removed} voxels became air, {kept} in front of the eyes stayed for targets and brain.")
    for note in notes:
        out.say(f"[yellow]Note:[/] {escape(note)}")


def _say_structures(done: DefacedStudy) -> None:
    changes = done.structures
    if changes is not None:
        for what, which in (("removed", changes.removed), ("clipped", changes.clipped), ("emptied", changes.emptied)):
            if which:
                out.say(f"Structures {what}: {escape(', '.join(which))}")
        out.print(f"Structures as they were: {len(changes.kept)}")
    for folder, voxels, by in done.registered:
        out.say(f"{folder}: {voxels} voxels became air; placed by {escape(by)}.")
    for zeroed, stayed in done.dose_voxels:
        out.say(f"Dose: {zeroed} voxels set to zero, {stayed} in front of the eyes stayed for targets and brain.")
