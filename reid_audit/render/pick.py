"""Where on the head a point of a portrait lies."""

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Skin, View
from reid_audit.render.camera import camera_matrix, place_camera


def pick_on_skin(skin: Skin, view: View, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points of the skin that a portrait shows at some pixels.

    Parameters
    ----------
    skin : Skin
    view : View
        Of the portrait.
    points_px : (n, 2) float
        Column, row; need not be whole.

    Returns
    -------
    (n, 3) float64
        RAS mm; NaN where the portrait shows the background.
    """
    camera = place_camera(view)
    matrix = camera_matrix(view)[:, :3]
    points = np.asarray(points_px, dtype=np.float64).reshape(-1, 2)
    rays = np.linalg.solve(matrix, np.column_stack([points, np.ones(len(points))]).T).T
    corners = (skin.vertices_ras_mm - camera.position_ras_mm)[skin.faces]
    a, along, across = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    points_ras_mm = np.full((len(points), 3), np.nan)
    for n, ray in enumerate(rays):  # Moeller & Trumbore 1997, doi:10.1080/10867651.1997.10487468
        p = np.cross(ray, across)
        determinant = np.einsum("ij,ij->i", along, p)
        flat = np.abs(determinant) < 1e-12
        determinant = np.where(flat, 1.0, determinant)
        u = np.einsum("ij,ij->i", -a, p) / determinant
        q = np.cross(-a, along)
        v = q @ ray / determinant
        distance = np.einsum("ij,ij->i", across, q) / determinant
        met = ~flat & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
        if met.any():
            points_ras_mm[n] = camera.position_ras_mm + distance[met].min() * ray
    return points_ras_mm
