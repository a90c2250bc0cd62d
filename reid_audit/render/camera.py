"""The camera: where it stands, and where a point of the head falls in the picture."""

from dataclasses import dataclass
from math import cos, radians, sin, tan

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import RenderError, Skin, View, measure_head_box

_EYES_BELOW_TOP_MM = 115.0


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A view as vectors: position in RAS mm, and the unit axes of the picture in RAS."""

    position_ras_mm: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    towards: NDArray[np.float64]  # from the target to the camera

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3): rows are right, up and towards the camera; turns RAS into camera directions."""
        return np.array([self.right, self.up, self.towards])


def place_camera(view: View) -> Camera:
    """Turn the angles of a view into vectors. A positive roll turns the picture clockwise."""
    azimuth, elevation, roll = radians(view.azimuth_deg), radians(view.elevation_deg), radians(view.roll_deg)
    towards = np.array([-sin(azimuth) * cos(elevation), cos(azimuth) * cos(elevation), sin(elevation)])
    up = np.array([sin(azimuth) * sin(elevation), -cos(azimuth) * sin(elevation), cos(elevation)])
    right = np.cross(up, towards)
    right, up = cos(roll) * right + sin(roll) * up, cos(roll) * up - sin(roll) * right
    position = np.array(view.target_ras_mm) + view.distance_mm * towards
    return Camera(position, right, up, towards)


def camera_matrix(view: View) -> NDArray[np.float64]:
    """Give the (3, 4) matrix from homogeneous RAS mm to homogeneous pixel (column, row).

    The third component is the depth in mm before the camera. The centre of the upper left pixel is (0, 0), so the
    target falls on ``(size_px - 1) / 2``.
    """
    camera = place_camera(view)
    focal_px = view.size_px / 2 / tan(radians(view.view_angle_deg) / 2)
    middle_px = (view.size_px - 1) / 2
    intrinsic = np.array([[focal_px, 0, middle_px], [0, focal_px, middle_px], [0, 0, 1]])
    rotation = np.array([camera.right, -camera.up, -camera.towards])  # rows grow downwards, depth away from the camera
    matrix: NDArray[np.float64] = intrinsic @ np.hstack([rotation, -rotation @ camera.position_ras_mm[:, None]])
    return matrix


def target_of(skin: Skin, axes: NDArray[np.float64] | None = None) -> tuple[float, float, float]:
    """Find the middle of the head at the height of the eyes, in RAS mm.

    Told from the top of the head: neither the neck nor shoulders nor what a defacer removed from the face move it.

    Parameters
    ----------
    skin : Skin
    axes : (3, 3) float64, optional
        Rows are the head's right, front and top in RAS; by default those of RAS itself.

    Raises
    ------
    RenderError
        Where the skin has no vertices.
    """
    vertices = skin.vertices_ras_mm
    if not len(vertices):
        msg = "no view: the skin has no vertices"
        raise RenderError(msg)
    along = vertices if axes is None else vertices @ axes.T.astype(np.float32)
    head_box = measure_head_box(along)
    target = np.array([*head_box.middle_mm, head_box.top_mm - _EYES_BELOW_TOP_MM])
    x, y, z = (round(float(value), 3) for value in (target if axes is None else target @ axes))
    return x, y, z


def frontal_view(skin: Skin, *, azimuth_deg: float = 0.0, elevation_deg: float = 0.0) -> View:
    """Look at the face of a head that lies straight in the scanner from the front, or from a direction around it.

    `reid_audit.render.pose.find_frontal_view` faces a head that does not.

    Raises
    ------
    RenderError
        Where the skin has no vertices.
    """
    return View(azimuth_deg=azimuth_deg, elevation_deg=elevation_deg, target_ras_mm=target_of(skin))
