"""What every engine has in common: shading before, sampling and the record after."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import EngineError, Portrait, RenderError, Skin, View
from reid_audit.render.camera import camera_matrix
from reid_audit.render.shading import Lighting, average, shade


class Renderer(Protocol):
    """Draws portraits. Contract: the same skin, view and lighting give the same pixels, bit by bit.

    Attributes
    ----------
    name : str
        ``"vtk"``, ``"pyrender"`` or ``"raycast"``.
    notice : str
        What was used instead of what was asked for, and why; "" where nothing was.
    identity : mapping of str to str
        Package versions and graphics driver: what may change a pixel beside skin, view and lighting.
    """

    name: str
    notice: str

    @property
    def identity(self) -> Mapping[str, str]: ...

    def render(self, skin: Skin, view: View, *, lighting: Lighting = Lighting()) -> Portrait:
        """Draw a skin; raises `RenderError` where nothing of it falls into the picture."""

    def close(self) -> None:
        """Free window and memory. A closed renderer draws no more; closing twice is harmless."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine(ABC):
    """Base of the three engines."""

    name: str
    _closed = False

    def __init__(self, *, notice: str = "") -> None:
        self.notice = notice

    @abstractmethod
    def _draw(
        self, skin: Skin, grey: NDArray[np.uint8], view: View, background: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Cover the pixels of ``view``: grey values (h, w), row 0 at the top, and where the skin is (h, w)."""

    @abstractmethod
    def _free(self) -> None:
        """Give back what the engine holds."""

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """Package versions and graphics driver."""

    def render(self, skin: Skin, view: View, *, lighting: Lighting = Lighting()) -> Portrait:
        """Draw a skin.

        Raises
        ------
        RenderError
            Where nothing of the skin falls into the picture.
        EngineError
            Where the renderer was closed or drew an empty picture.
        """
        if self._closed:
            msg = f"renderer {self.name!r} is closed; make a new one"
            raise EngineError(msg)
        matrix = camera_matrix(view)
        if not _in_picture(skin, view, matrix):
            msg = "nothing of the skin falls into the picture: the view was made for another head"
            raise RenderError(msg)
        fine = replace(view, size_px=view.size_px * lighting.supersampling)
        samples, covered = self._draw(skin, shade(skin, view, lighting), fine, lighting.background)
        if not covered.any():
            msg = f"renderer {self.name!r} drew an empty picture of a head in view; use --renderer raycast"
            raise EngineError(msg)
        grey = average(samples, lighting.supersampling)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
        return Portrait(pixels=pixels, view=view, ras_mm_to_px=matrix, renderer=self.name)

    def close(self) -> None:
        """Free window and memory."""
        if not self._closed:
            self._closed = True
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def faces_out(skin: Skin) -> bool:
    """Whether triangles run counterclockwise seen from outside, as the normals say: the backs need not be drawn then.

    A hundredth of them tells it. A mesh that is wound otherwise, or at random, is drawn from both sides.
    """
    faces = skin.faces[::100]
    a, b, c = (skin.vertices_ras_mm[faces[:, corner]] for corner in range(3))
    outwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), skin.normals[faces[:, 0]]) > 0
    return bool(outwards.mean() > 0.95)


def _in_picture(skin: Skin, view: View, matrix: NDArray[np.float64]) -> bool:
    if not len(skin.faces):
        return False
    # A few tell it of nearly every head; all are asked where those do not.
    return any(
        _any_in_picture(vertices, view, matrix) for vertices in (skin.vertices_ras_mm[::64], skin.vertices_ras_mm)
    )


def _any_in_picture(vertices_ras_mm: NDArray[np.float32], view: View, matrix: NDArray[np.float64]) -> bool:
    projected = vertices_ras_mm @ matrix[:, :3].T + matrix[:, 3]
    before = projected[:, 2] > 0
    px = projected[before, :2] / projected[before, 2:]
    return bool(((px > -0.5) & (px < view.size_px - 0.5)).all(axis=1).any())
