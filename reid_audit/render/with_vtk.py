"""Portraits by VTK, off-screen."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import EngineError, Skin, View
from reid_audit.render._engine import Engine, faces_out
from reid_audit.render._gl import window_class
from reid_audit.render.camera import place_camera


class VtkRenderer(Engine):
    """One off-screen window, reused for every portrait."""

    name = "vtk"

    def __init__(self, *, notice: str = "") -> None:
        super().__init__(notice=notice)
        try:
            import vtkmodules.vtkRenderingOpenGL2 as opengl
            from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
        except ModuleNotFoundError as error:
            msg = f"renderer 'vtk' cannot start ({error}): pip install 'reid-audit[vtk]'"
            raise EngineError(msg) from error

        self._window = getattr(opengl, window_class(), vtkRenderWindow)()
        self._window.SetOffScreenRendering(True)
        self._window.SetAlphaBitPlanes(True)  # alpha tells where the skin is, whatever its grey value
        self._window.SetMultiSamples(0)  # `Lighting.supersampling` smooths edges, alike in all engines
        self._scene = vtkRenderer()
        self._scene.SetBackgroundAlpha(0.0)
        self._window.AddRenderer(self._scene)
        self._scene.GetCullers().RemoveAllItems()  # they look for the bounds of every triangle
        self._mapper = vtkPolyDataMapper()
        self._mapper.SetColorModeToDirectScalars()
        self._actor = vtkActor()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().LightingOff()
        self._actor.GetProperty().SetInterpolationToGouraud()
        self._scene.AddActor(self._actor)

    @property
    def identity(self) -> Mapping[str, str]:
        """VTK's version and window class."""
        from vtkmodules.vtkCommonCore import vtkVersion

        return {"vtk": vtkVersion.GetVTKVersion(), "window": self._window.GetClassName()}

    def _draw(
        self, skin: Skin, grey: NDArray[np.uint8], view: View, background: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
        from vtkmodules.util.vtkConstants import VTK_INT
        from vtkmodules.vtkCommonCore import vtkPoints, vtkUnsignedCharArray
        from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

        points = vtkPoints()
        points.SetData(numpy_to_vtk(np.ascontiguousarray(skin.vertices_ras_mm, dtype=np.float32)))
        cells = vtkCellArray()
        cells.SetData(3, numpy_to_vtk(np.ascontiguousarray(skin.faces, dtype=np.int32).ravel(), array_type=VTK_INT))
        mesh = vtkPolyData()
        mesh.SetPoints(points)
        mesh.SetPolys(cells)
        rgb = np.repeat(grey[:, None], 3, axis=1)
        mesh.GetPointData().SetScalars(numpy_to_vtk(rgb))
        self._mapper.SetInputData(mesh)
        self._actor.GetProperty().SetBackfaceCulling(faces_out(skin))

        camera, lens = place_camera(view), self._scene.GetActiveCamera()
        lens.SetPosition(*camera.position_ras_mm)
        lens.SetFocalPoint(*view.target_ras_mm)
        lens.SetViewUp(*camera.up)
        lens.SetViewAngle(view.view_angle_deg)
        along_mm = skin.vertices_ras_mm @ camera.towards.astype(np.float32)
        depth_mm = float(camera.position_ras_mm @ camera.towards) - along_mm
        farthest_mm = float(depth_mm.max()) + 1
        lens.SetClippingRange(max(float(depth_mm.min()) - 1, farthest_mm / 1000), farthest_mm)
        self._scene.SetBackground(*[background / 255] * 3)
        self._window.SetSize(view.size_px, view.size_px)
        self._window.Render()
        buffer = vtkUnsignedCharArray()
        last = view.size_px - 1
        self._window.GetRGBACharPixelData(0, 0, last, last, 0, buffer, 0)
        picture = vtk_to_numpy(buffer).reshape(view.size_px, view.size_px, 4)[::-1]
        self._mapper.SetInputData(vtkPolyData())  # lets go of the mesh
        samples = picture[:, :, 0].copy()
        return samples, picture[:, :, 3] > 0

    def _free(self) -> None:
        self._window.Finalize()
        del self._window, self._scene, self._mapper, self._actor
