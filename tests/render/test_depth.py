"""Depth maps: where lines along the view meet the skin."""

from __future__ import annotations

import numpy as np
import trimesh

from reid_audit.records import Skin, View
from reid_audit.render import measure_depth
from reid_audit.render.camera import place_camera

LEFT_MM = np.arange(-90.0, 91.0, 5.0)
UP_MM = np.arange(-60.0, 61.0, 5.0)
TURNED = View(azimuth_deg=20.0, elevation_deg=-15.0, roll_deg=10.0, target_ras_mm=(30.0, -12.0, 7.0))


def _ball(radius_mm: float, centre_ras_mm: np.ndarray) -> Skin:
    mesh = trimesh.creation.icosphere(subdivisions=5, radius=radius_mm)
    normals = np.asarray(mesh.vertices / radius_mm, np.float32)
    vertices = np.asarray(mesh.vertices + centre_ras_mm, np.float32)
    return Skin(vertices, np.asarray(mesh.faces, np.int32), normals, 0.0)


def test_a_ball_at_the_target_is_a_ball_from_every_side() -> None:
    left, up = np.meshgrid(LEFT_MM, UP_MM)
    square = 70.0**2 - left**2 - up**2
    for view in (View(), TURNED):
        depth_mm = measure_depth(_ball(70.0, np.array(view.target_ras_mm)), view, LEFT_MM, UP_MM)
        assert depth_mm.shape == left.shape
        inside = square > 300.0
        np.testing.assert_allclose(depth_mm[inside], np.sqrt(square[inside]), atol=0.5)
        assert np.isnan(depth_mm[square < 0]).all()


def test_what_stands_before_counts_and_lies_where_the_view_says() -> None:
    """A small ball 80 mm before the target, 30 mm to the head's left and 20 mm up, hides the large one there."""
    axes = place_camera(TURNED).axes
    middle = np.array(TURNED.target_ras_mm)
    large, small = _ball(70.0, middle), _ball(10.0, middle + np.array([30.0, 20.0, 80.0]) @ axes)
    both = Skin(
        np.concatenate([large.vertices_ras_mm, small.vertices_ras_mm]),
        np.concatenate([large.faces, small.faces + len(large.vertices_ras_mm)]),
        np.concatenate([large.normals, small.normals]),
        0.0,
    )
    depth_mm = measure_depth(both, TURNED, LEFT_MM, UP_MM)
    row, column = np.unravel_index(np.nanargmax(depth_mm), depth_mm.shape)
    assert (LEFT_MM[column], UP_MM[row]) == (30.0, 20.0)
    assert abs(depth_mm[row, column] - 90.0) < 0.1
    nearer = depth_mm - measure_depth(large, TURNED, LEFT_MM, UP_MM)
    assert int((np.nan_to_num(nearer) > 1.0).sum()) == 9  # cells within 10 mm, the rim left out


def test_the_head_has_its_left_on_the_left_side() -> None:
    """RAS: the head's left is -x, and it is where ``left_mm`` grows."""
    depth_mm = measure_depth(_ball(30.0, np.array([-40.0, 0.0, 0.0])), View(), LEFT_MM, UP_MM)
    assert np.nanmean(np.broadcast_to(LEFT_MM, depth_mm.shape)[np.isfinite(depth_mm)]) == 40.0


def test_a_skin_without_triangles_and_one_beside_the_lines_are_nowhere() -> None:
    nothing = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0.0)
    for skin in (nothing, _ball(10.0, np.array([500.0, 0.0, 0.0]))):
        assert np.isnan(measure_depth(skin, View(), LEFT_MM, UP_MM)).all()
