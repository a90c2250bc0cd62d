"""Portraits by pyrender, over EGL or OSMesa."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import EngineError, Skin, View
from reid_audit.render._engine import Engine
from reid_audit.render._gl import window_class
from reid_audit.render.camera import place_camera


@contextmanager
def _platform() -> Iterator[None]:
    """PyOpenGL and pyrender read their platform from the environment, at import and at each window."""
    before = os.environ.get("PYOPENGL_PLATFORM")
    os.environ["PYOPENGL_PLATFORM"] = "egl" if window_class() == "vtkEGLRenderWindow" else "osmesa"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYOPENGL_PLATFORM"]
        else:
            os.environ["PYOPENGL_PLATFORM"] = before


class PyrenderRenderer(Engine):
    """One off-screen context, reused for every portrait."""

    name = "pyrender"

    def __init__(self, *, notice: str = "") -> None:
        super().__init__(notice=notice)
        self._open()

    def _open(self) -> None:
        with _platform():
            try:
                import pyrender
            except ModuleNotFoundError as error:
                msg = f"renderer 'pyrender' cannot start ({error}): pip install 'reid-audit[pyrender]'"
                raise EngineError(msg) from error
            except (ImportError, AttributeError) as error:
                # AttributeError: PyOpenGL was imported before, for a screen.
                msg = f"renderer 'pyrender' cannot start: {error}; use --renderer raycast, which needs no OpenGL"
                raise EngineError(msg) from error
            self._window: Any = pyrender.OffscreenRenderer(64, 64)

    @property
    def identity(self) -> Mapping[str, str]:
        """Package versions and platform."""
        return {"pyrender": version("pyrender"), "PyOpenGL": version("PyOpenGL"), "window": window_class()}

    def _draw(
        self, skin: Skin, grey: NDArray[np.uint8], view: View, background: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        import pyrender

        camera = place_camera(view)
        rgba = np.ones((len(grey), 4), dtype=np.float32)
        rgba[:, :3] = grey[:, None] / np.float32(255)
        skin_part = pyrender.Primitive(
            positions=skin.vertices_ras_mm,
            normals=skin.normals,
            color_0=rgba,
            indices=skin.faces.astype(np.uint32),
            material=pyrender.MetallicRoughnessMaterial(baseColorFactor=(1.0, 1.0, 1.0, 1.0), doubleSided=True),
        )
        scene = pyrender.Scene(bg_color=[background / 255] * 3)
        scene.add(pyrender.Mesh([skin_part]))
        pose = np.eye(4)
        pose[:3, :3] = camera.axes.T
        pose[:3, 3] = camera.position_ras_mm
        depth = (camera.position_ras_mm - skin.vertices_ras_mm) @ camera.towards
        near = max(1.0, float(depth.min()) - 1.0)
        lens = pyrender.PerspectiveCamera(
            yfov=np.radians(view.view_angle_deg), znear=near, zfar=float(depth.max()) + 1.0, aspectRatio=1.0
        )
        scene.add(lens, pose=pose)
        flags = pyrender.RenderFlags.FLAT | pyrender.RenderFlags.SKIP_CULL_FACES
        from OpenGL.error import Error

        try:
            picture, z = self._cover(scene, flags, view.size_px)
        except Error:
            # Another library closed the EGL display that a process shares, as VTK does with its last window.
            self._free()
            self._open()
            try:
                picture, z = self._cover(scene, flags, view.size_px)
            except Error as error:
                msg = f"renderer 'pyrender' failed in OpenGL: {error}; use --renderer raycast"
                raise EngineError(msg) from error
        return picture[:, :, 0].copy(), z > 0

    def _cover(self, scene: Any, flags: int, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        with _platform():
            self._window.viewport_width = self._window.viewport_height = size_px
            picture, depth = self._window.render(scene, flags=flags)
        return picture, depth

    def _free(self) -> None:
        """Give back the context alone: pyrender's own ``delete`` ends the EGL display for all of the process.

        VTK would go on there with wrong pictures and without a word.
        """
        from OpenGL.error import Error

        window, self._window = self._window, None
        platform, window._platform = window._platform, None
        with _platform(), suppress(Error):  # the display may be gone already, and the context with it
            platform.make_current()
            window._renderer.delete()
            if hasattr(platform, "_egl_display"):
                from OpenGL.EGL import eglDestroyContext

                platform.make_uncurrent()
                eglDestroyContext(platform._egl_display, platform._egl_context)
                platform._egl_context = platform._egl_display = None
            else:
                platform.delete_context()
