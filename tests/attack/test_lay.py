"""The average head laid on a skin: distances and slopes of a shape, and the pose that comes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from reid_audit import Skin
from reid_audit.attack.lay import HeadShape, average_shape, lay_head
from reid_audit.records import View
from reid_audit.surface.isosurface import mesh_level


def _ball(radius_mm: float = 20.0, spacing_mm: float = 2.0) -> HeadShape:
    axis = np.arange(-30.0, 30.1, spacing_mm)
    distance = np.sqrt(sum(along**2 for along in np.meshgrid(axis, axis, axis, indexing="ij"))) - radius_mm
    voxel_to_head_mm = np.diag([spacing_mm] * 3 + [1.0])
    voxel_to_head_mm[:3, 3] = axis[0]
    return HeadShape(distance.astype(np.float32), voxel_to_head_mm)


def test_distance_is_trilinear_and_its_slope_is_its_derivative() -> None:
    shape, points = _ball(), np.random.default_rng(0).uniform(-29.0, 29.0, (50, 3))
    distance, slope = shape.measure(points)
    index = (points + 30.0) / 2.0
    np.testing.assert_allclose(distance, map_coordinates(shape.distance_mm.astype(float), index.T, order=1), atol=1e-5)
    for axis in range(3):
        step = 1e-4 * np.eye(3)[axis]
        rise = (shape.measure(points + step)[0] - shape.measure(points - step)[0]) / 2e-4
        inside_a_cell = np.abs(index - np.rint(index)).min(axis=1) > 1e-3
        np.testing.assert_allclose(slope[inside_a_cell, axis], rise[inside_a_cell], atol=1e-4)


def test_beyond_the_grid_a_point_is_as_far_as_its_nearest_voxel_and_more() -> None:
    distance, slope = _ball().measure(np.array([[50.0, 0.0, 0.0]]))
    assert distance[0] == pytest.approx(30.0 - 20.0 + 20.0, abs=0.02)
    np.testing.assert_allclose(slope[0], [1.0, 0.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("turn_deg", [(0.0, 0.0, 0.0), (12.0, 0.0, 8.0), (-25.0, 5.0, -10.0)])
def test_a_turned_and_larger_average_head_is_found_where_it_is(turn_deg: tuple[float, float, float]) -> None:
    """The start faces the head as if it were not turned; the upper half of the face is gone."""
    shape = average_shape()
    vertices, faces, normals = mesh_level(np.asfortranarray(-shape.distance_mm), 0.0)
    at = vertices.astype(np.float64) @ shape.voxel_to_head_mm[:3, :3].T + shape.voxel_to_head_mm[:3, 3]
    at[(at[:, 1] > 40.0) & (at[:, 2] > -20.0) & (at[:, 2] < 60.0), 1] = 40.0  # cut flat
    turn = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    scales, shift = np.array([1.03, 1.03, 1.03]), np.array([6.0, -9.0, 4.0])
    placed = (at * scales) @ turn.T + shift
    skin = Skin(placed.astype(np.float32), faces, (normals @ turn.T).astype(np.float32), 0.0)
    laid = lay_head(skin, shape, View(target_ras_mm=(0.0, 0.0, 0.0)))
    expected = np.eye(4)
    expected[:3, :3], expected[:3, 3] = turn * scales, shift
    corners = np.array([[70.0, 0, 0, 1], [-70, 0, 0, 1], [0, 80, 0, 1], [0, -80, 60, 1], [0, 0, 120, 1]])
    missed_mm = np.linalg.norm((corners @ (laid.head_to_ras_mm - expected).T)[:, :3], axis=1)
    assert missed_mm.max() < 1.5
    assert laid.scale == pytest.approx(1.03, abs=0.01)
    assert 0.7 < laid.fitting < 0.99
    moved = replace(skin, vertices_ras_mm=skin.vertices_ras_mm + np.float32(10.0))
    np.testing.assert_allclose(
        np.subtract(lay_head(moved, shape, View(target_ras_mm=(10.0, 10.0, 10.0))).view.target_ras_mm, 10.0),
        laid.view.target_ras_mm,
        atol=0.3,
    )
