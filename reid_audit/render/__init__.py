"""From a head's skin to a portrait, without a screen.

Words
-----
engine
    What fills the triangles: a CPU ray caster (Embree, no OpenGL at all), or, where its extra is installed, VTK
    (off-screen OpenGL, several times as fast) or pyrender (OpenGL by EGL or OSMesa). Light and shade are computed once
    for all three (`shading`): an engine projects and covers.
portrait
    A picture of `View.size_px` pixels. The centre of its upper left pixel is (column, row) = (0, 0).
"""

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from reid_audit.records import EngineError, InputError, Portrait, Skin, View, write_private
from reid_audit.render._engine import Renderer
from reid_audit.render._gl import hold_signals, why_no_opengl
from reid_audit.render.camera import camera_matrix, frontal_view
from reid_audit.render.depth import measure_depth
from reid_audit.render.pick import pick_on_skin
from reid_audit.render.pose import HeadPose, Look, find_frontal_view, find_head_pose, turn_view, views_around
from reid_audit.render.shading import Light, Lighting
from reid_audit.render.symmetry import check_one_sided

RENDERERS = ("auto", "vtk", "pyrender", "raycast")
"""Names that `make_renderer` takes."""


def make_renderer(name: str = "auto") -> Renderer:
    """Start a renderer; close it, or use it in a ``with`` statement, to free its window and memory.

    Parameters
    ----------
    name : {"auto", "vtk", "pyrender", "raycast"}
        ``"auto"`` is VTK where it is installed (the extra ``vtk``), and the ray caster elsewhere or where OpenGL does
        not work; `Renderer.notice` says the latter.

    Raises
    ------
    EngineError
        Where the engine cannot run on this machine. The message names one that can.
    InputError
        Where there is no renderer of this name.
    """
    if name not in RENDERERS:
        msg = f"renderer: no {name!r}; choose one of {', '.join(RENDERERS)}"
        raise InputError(msg)
    if name == "raycast" or (name == "auto" and find_spec("vtkmodules") is None):
        from reid_audit.render.raycast import RaycastRenderer

        return RaycastRenderer()
    reason = why_no_opengl()
    if name == "auto" and reason:
        from reid_audit.render.raycast import RaycastRenderer

        return RaycastRenderer(notice=f"drawn by ray casting instead of VTK: {reason}")
    if reason:
        msg = f"renderer {name!r} cannot run here: {reason}; use --renderer raycast, which needs no OpenGL"
        raise EngineError(msg)
    with hold_signals():
        if name == "pyrender":
            from reid_audit.render.with_pyrender import PyrenderRenderer

            return PyrenderRenderer()
        from reid_audit.render.with_vtk import VtkRenderer

        return VtkRenderer()


def render_portrait(
    skin: Skin, view: View | None = None, *, renderer: str = "auto", lighting: Lighting = Lighting()
) -> Portrait:
    """Draw one portrait; who draws many keeps the renderer of `make_renderer` open.

    Parameters
    ----------
    skin : Skin
    view : View, optional
        The frontal one by default.
    renderer : {"auto", "vtk", "pyrender", "raycast"}
    lighting : Lighting

    Raises
    ------
    RenderError
        Where the skin has no pose or nothing of it can be seen.
    EngineError, InputError
        As `make_renderer`.
    """
    with make_renderer(renderer) as engine:
        return engine.render(skin, view or find_frontal_view(skin), lighting=lighting)


PICTURES: Mapping[str, tuple[str, bytes]] = {
    ".png": ("png", b"\x89PNG"),
    ".jpg": ("jpeg", b"\xff\xd8"),
    ".jpeg": ("jpeg", b"\xff\xd8"),
}
"""Endings of the pictures that are written: their format, and what such a file begins with."""


def picture_format(path: Path) -> tuple[str, bytes]:
    """Return the format of a picture and what it begins with, by its ending. InputError for others."""
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"{path.name}: a portrait is written as one of {', '.join(PICTURES)}; give such a name")
    return PICTURES[path.suffix.lower()]


def save_picture(portrait: Portrait, path: Path) -> None:
    """Write a portrait as `PICTURES`, for its owner's eyes only (mode 0600): it is biometric data."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(portrait.pixels).save(content, format=picture_format(path)[0])
    write_private(path, content.getvalue())


STAGE_VERSION = 1
"""Raise when the same skin gives another camera or portrait; kept faces are then made anew."""

__all__ = [
    "PICTURES",
    "RENDERERS",
    "STAGE_VERSION",
    "HeadPose",
    "Light",
    "Lighting",
    "Look",
    "Renderer",
    "camera_matrix",
    "check_one_sided",
    "find_frontal_view",
    "find_head_pose",
    "frontal_view",
    "make_renderer",
    "measure_depth",
    "pick_on_skin",
    "picture_format",
    "render_portrait",
    "save_picture",
    "turn_view",
    "views_around",
]
