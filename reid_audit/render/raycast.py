"""Portraits by casting rays on the CPU (Embree): no OpenGL, no driver, no screen."""

from collections.abc import Mapping
from importlib.metadata import version
from math import radians, tan

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import EngineError, Skin, View
from reid_audit.render._engine import Engine, faces_out
from reid_audit.render.camera import place_camera


class RaycastRenderer(Engine):
    """One ray per sample, the first triangle that it meets, its grey value by barycentric coordinates."""

    name = "raycast"

    def __init__(self, *, notice: str = "") -> None:
        super().__init__(notice=notice)
        try:
            import embreex  # noqa: F401
        except ImportError as error:
            msg = f"renderer 'raycast' cannot start: {error}; reinstall the package embreex"
            raise EngineError(msg) from error

    @property
    def identity(self) -> Mapping[str, str]:
        """Version of the ray caster."""
        return {"embreex": version("embreex")}

    def _draw(
        self, skin: Skin, grey: NDArray[np.uint8], view: View, background: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        camera = place_camera(view)
        # About the camera: float32, which Embree works in, keeps 0.1 micrometre there.
        local = ((skin.vertices_ras_mm - camera.position_ras_mm) @ camera.axes.T).astype(np.float32)
        faces = _drop_backs(local, skin.faces) if faces_out(skin) else skin.faces
        used = np.zeros(len(local), bool)
        used[faces] = True
        scene = EmbreeScene()
        TriangleMesh(scene, local[used], (np.cumsum(used, dtype=np.int32) - 1)[faces])

        half = tan(radians(view.view_angle_deg) / 2)
        across = ((np.arange(view.size_px) + 0.5) / view.size_px * 2 - 1) * half
        fan = np.empty((view.size_px, view.size_px, 3), dtype=np.float32)
        fan[..., 0] = across
        fan[..., 1] = -across[:, None]
        fan[..., 2] = -1.0
        rays = fan.reshape(-1, 3)
        origins = np.zeros_like(rays)
        hit = scene.run(origins, rays)
        seen = hit >= 0
        samples = np.full(len(rays), background, dtype=np.uint8)
        samples[seen] = _interpolate(local, faces[hit[seen]], grey, rays[seen])
        shape = (view.size_px, view.size_px)
        return samples.reshape(shape), seen.reshape(shape)

    def _free(self) -> None:
        """Nothing is held between two pictures."""


def _drop_backs(local: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep the triangles that run counterclockwise seen from the origin."""
    a, b, c = (local[faces[:, corner]] for corner in range(3))
    faces_here: NDArray[np.bool_] = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    return faces[faces_here]


def _interpolate(
    local: NDArray[np.float32], corners: NDArray[np.int32], grey: NDArray[np.uint8], rays: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Grey value where each ray, from the origin, crosses the plane of its triangle (Moeller-Trumbore)."""
    a, b, c = (local[corners[:, k]].astype(np.float64) for k in range(3))
    edge_1, edge_2, ray = b - a, c - a, rays.astype(np.float64)
    p = np.cross(ray, edge_2)
    determinant = np.einsum("ij,ij->i", edge_1, p)
    determinant = np.where(np.abs(determinant) > 1e-12, determinant, 1e-12)
    u = np.clip(np.einsum("ij,ij->i", -a, p) / determinant, 0, 1)
    v = np.clip(np.einsum("ij,ij->i", ray, np.cross(-a, edge_1)) / determinant, 0, 1 - u)
    values = grey[corners].astype(np.float64)
    mixed = values[:, 0] + u * (values[:, 1] - values[:, 0]) + v * (values[:, 2] - values[:, 0])
    rounded: NDArray[np.uint8] = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
    return rounded
