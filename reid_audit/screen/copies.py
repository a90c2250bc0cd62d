"""Pictures and meshes: a face detector looks at them, and that is all that is asked."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from reid_audit.attack import read_photo
from reid_audit.face import Encoder
from reid_audit.records import InputError, RenderError, Skin, Status
from reid_audit.render import Renderer, find_frontal_view
from reid_audit.screen.records import NAN, ImageScreening, ScreenState

_LEAST_PX = 512
_TURNS = {
    "RAS": np.eye(3, dtype=np.float32),
    "LPS": np.diag([-1, -1, 1]).astype(np.float32),
    "glTF": np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32),
}
"""What turns the axes of a mesh into RAS: frames that head meshes are written in."""
_SURE = (Status.OK, Status.MANY_FACES)


def screen_picture(path: Path, encoder: Encoder, told: ImageScreening) -> ImageScreening:
    """Look for a face in a picture. What cannot be read is unknown."""
    began = time.monotonic()
    try:
        photo = read_photo(path)
    except InputError as error:
        return replace(told, reason=str(error), seconds=time.monotonic() - began)
    scale = -(-_LEAST_PX // max(photo.pixels.shape[:2]))
    enlarged = photo.pixels.repeat(scale, axis=0).repeat(scale, axis=1) if scale > 1 else photo.pixels
    face = encoder.encode(replace(photo, pixels=enlarged))
    return replace(_conclude(told, [(face.status, face.confidence)], "picture"), seconds=time.monotonic() - began)


def screen_mesh(path: Path, encoder: Encoder, renderer: Renderer, told: ImageScreening) -> ImageScreening:
    """Look for a face on a mesh, in every frame that head meshes are written in."""
    began = time.monotonic()
    try:
        seen = list(_look(path, encoder, renderer))
    except InputError as error:
        return replace(told, reason=str(error), seconds=time.monotonic() - began)
    return replace(_conclude(told, seen, "mesh"), seconds=time.monotonic() - began)


def _look(path: Path, encoder: Encoder, renderer: Renderer) -> Iterator[tuple[Status, float]]:
    import trimesh

    try:
        mesh = trimesh.load(path, force="mesh", process=False)
        vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
        normals = np.asarray(mesh.vertex_normals, np.float32)
    except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(f"is no mesh that can be read ({type(error).__name__})") from error
    size = float(np.ptp(vertices, axis=0).max()) if len(vertices) else 0.0
    if not len(faces) or not size > 0:
        raise InputError("holds no faces of a surface")
    unit = next((scale for scale in (1.0, 10.0, 1000.0) if 100 < size * scale < 1000), 250.0 / size)  # mm, cm, m
    for turn in _TURNS.values():
        skin = Skin(unit * vertices @ turn.T, faces, normals @ turn.T, level=NAN)
        try:
            face = encoder.encode(renderer.render(skin, find_frontal_view(skin)))
        except RenderError:  # no pose in this frame: the next one
            continue
        yield face.status, face.confidence


def _conclude(told: ImageScreening, seen: list[tuple[Status, float]], what: str) -> ImageScreening:
    sure = [confidence for status, confidence in seen if status in _SURE]
    if sure:
        return replace(
            told, state=ScreenState.FACE, reason=f"a detector is sure of a face in this {what}", confidence=max(sure)
        )
    broken = not seen or any(status is Status.BACKEND_ERROR for status, _ in seen)
    if broken or any(status is Status.LOW_CONFIDENCE for status, _ in seen):
        return replace(told, reason=f"whether this {what} shows a face could not be told")
    return replace(told, state=ScreenState.NO_FACE, reason=f"a detector saw no face in this {what}")
