"""One scan: `render` and `mesh`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.audit import render_scan
from reid_audit.cli.options import EncoderOptions, LevelOption, expand
from reid_audit.cli.words import err, out
from reid_audit.records import prepare_file
from reid_audit.render import picture_format, save_picture
from reid_audit.surface import check_mesh_name, write_mesh


@expand
def render(
    *,
    volume: Annotated[Path, typer.Argument(help="A scan: a file, or a folder with one DICOM series.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG or JPEG to write (readable by you alone).")],
    azimuth: Annotated[float, typer.Option("--azimuth", help="Degrees towards the subject's left; 0 = front.")] = 0.0,
    elevation: Annotated[float, typer.Option("--elevation", help="Degrees upwards.")] = 0.0,
    encoding: EncoderOptions,
) -> None:
    """Draw the portrait of one scan, as the recogniser sees it, and say whether a face is found in it.

    Example: [bold]reid-audit render scan.nii.gz -o portrait.png --azimuth 20[/]
    """
    prepare_file(output, mark=picture_format(output)[1])
    with err.status("drawing"):
        portrait, face, findings = render_scan(
            volume, azimuth_deg=azimuth, elevation_deg=elevation, settings=encoding.settings
        )
        save_picture(portrait, output)
    outcome = face.reason or "found"
    score = "" if face.confidence != face.confidence else f", detector score {face.confidence:.2f}"
    out.say(
        f"{escape(str(output))}: drawn by {portrait.renderer}; face: {face.status.value} ({outcome}){score}, "
        f"recogniser {face.encoder}"
    )
    for finding in findings:
        out.print(f"  {finding.severity}: {escape(finding.text)}")


def mesh(
    volume: Annotated[Path, typer.Argument(help="A scan: a file, or a folder with one series.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="STL, PLY or GLB file to write.")],
    level: LevelOption = None,
) -> None:
    """Write the skin of one scan as a mesh, in RAS mm. It shows the face: keep it as safe as the scan.

    Example: [bold]reid-audit mesh scan.nii.gz -o head.stl[/]
    """
    check_mesh_name(output)
    prepare_file(output)
    with err.status("meshing"):
        skin = reid_audit.extract_skin(reid_audit.read_volume(volume), level=level)
        write_mesh(skin, output)
    out.say(f"{escape(str(output))}: {len(skin.faces)} triangles, level {skin.level:g}")
    for finding in skin.checks:
        out.print(f"  {finding.severity}: {escape(finding.text)}")
