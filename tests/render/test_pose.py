"""Heads that were turned by known angles, and the view that faces them again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reid_audit.face import make_encoder
from reid_audit.match import cosine_distances
from reid_audit.phantom import make_phantom
from reid_audit.records import RenderError, Skin, View
from reid_audit.render import (
    find_frontal_view,
    find_head_pose,
    frontal_view,
    make_renderer,
    views_around,
)
from reid_audit.render.camera import place_camera
from reid_audit.surface import SurfaceSettings, extract_skin

NOWHERE = float("nan")


@pytest.fixture(scope="module")
def upright():
    """A synthetic head that lies straight."""
    scan = make_phantom(20, pose_sd_deg=0, shift_sd_mm=0, spacing_mm=2.0)
    return extract_skin(scan.volume, settings=SurfaceSettings(voxel_mm=2.0))


def turned(skin, angles_deg, shift_mm=(0.0, 0.0, 0.0)):
    """The same head, pitched up, rolled and yawed by angles about x, y, z."""
    rotation = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    return replace(
        skin,
        vertices_ras_mm=(skin.vertices_ras_mm @ rotation.T + shift_mm).astype(np.float32),
        normals=(skin.normals @ rotation.T).astype(np.float32),
    ), rotation


def angle_deg(a, b):
    return np.degrees(np.arccos(np.clip((a * b).sum(axis=-1), -1, 1)))


@pytest.mark.parametrize(
    "angles_deg", [(15, 0, 0), (-15, 0, 0), (0, 15, 0), (0, 0, 15), (0, 0, -15), (10, -12, 14), (-12, 15, -15)]
)
def test_the_pose_turns_with_the_head(upright, angles_deg):
    head, rotation = turned(upright, angles_deg, shift_mm=(8.0, -5.0, 12.0))
    straight = find_head_pose(upright).axes
    actual = find_head_pose(head).axes
    assert angle_deg(actual, straight @ rotation.T).max() < 1.5


def test_a_straight_head_is_seen_from_the_front(upright):
    right, front, up = find_head_pose(upright).axes
    assert angle_deg(right, [1, 0, 0]) < 1.5
    assert angle_deg(front, [0, 1, 0]) < 8  # faces lean a little, each in its own way
    np.testing.assert_allclose(np.cross(right, front), up, atol=1e-9)


def test_an_ear_more_does_not_turn_the_head(upright):
    """Everything that stands out on one side beside the cheek is cut off."""
    x = upright.vertices_ras_mm[:, 0]
    keep = (x < np.percentile(x, 98))[upright.faces].all(axis=1)
    used, faces = np.unique(upright.faces[keep], return_inverse=True)
    one_eared = replace(
        upright,
        vertices_ras_mm=upright.vertices_ras_mm[used],
        normals=upright.normals[used],
        faces=faces.reshape(-1, 3).astype(np.int32),
    )
    assert angle_deg(find_head_pose(one_eared).axes, find_head_pose(upright).axes).max() < 2


def test_the_portrait_of_a_turned_head_is_that_of_the_straight_one(upright):
    head, _ = turned(upright, (9, -8, 12), shift_mm=(5.0, 3.0, -9.0))
    with make_renderer("raycast") as renderer:
        pictures = [renderer.render(skin, find_frontal_view(skin)).pixels.astype(float) for skin in (upright, head)]
        as_it_lies = renderer.render(head, frontal_view(head)).pixels.astype(float)
    assert abs(pictures[1] - pictures[0]).mean() < 2.5
    assert abs(as_it_lies - pictures[0]).mean() > 3 * abs(pictures[1] - pictures[0]).mean()


def test_the_same_skin_gives_the_same_view_twice(upright):
    assert find_frontal_view(upright) == find_frontal_view(upright)


def test_one_look_is_enough_where_it_sees_a_face(upright):
    seen = []

    def look(view):
        seen.append(view)
        return 0.3

    assert find_frontal_view(upright, look) == seen[0] == find_frontal_view(upright)
    assert len(seen) == 1


def test_the_surest_nod_is_taken_where_the_shape_led_to_no_face(upright):
    first = find_frontal_view(upright)

    def look(view):
        nod = view.elevation_deg - first.elevation_deg
        return {10: 0.4, 20: 0.9}.get(round(nod), NOWHERE)

    assert find_frontal_view(upright, look).elevation_deg - first.elevation_deg == pytest.approx(20, abs=0.1)


def test_nobody_sees_a_face_and_the_shape_decides(upright):
    looks = []
    view = find_frontal_view(upright, lambda v: looks.append(v) or NOWHERE)
    assert view == find_frontal_view(upright)
    assert len(looks) <= 6


def test_no_vertices_is_an_error():
    empty = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), level=0.0)
    with pytest.raises(RenderError, match="no vertices"):
        find_frontal_view(empty)


@pytest.mark.parametrize("shape", ["ball", "plate", "few"])
def test_what_is_no_head_gets_a_view_all_the_same(shape):
    rng = np.random.default_rng(0)
    points = rng.standard_normal((12 if shape == "few" else 4000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    normals = points.copy()
    points *= [80, 80, 80] if shape != "plate" else [80, 0.01, 80]
    skin = Skin(points.astype(np.float32), np.zeros((0, 3), np.int32), normals.astype(np.float32), level=0.0)
    view = find_frontal_view(skin)
    assert np.isfinite([view.azimuth_deg, view.elevation_deg, view.roll_deg, *view.target_ras_mm]).all()
    assert abs(view.roll_deg) < 45


def test_views_around_a_straight_view_are_its_angles():
    around = views_around(View())
    angles = {(v.azimuth_deg, v.elevation_deg, v.roll_deg) for v in around}
    assert angles == {(15, 0, 0), (-15, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 10, 0), (0, -10, 0)}


def test_views_around_a_rolled_view_keep_the_head_upright():
    view = View(azimuth_deg=7, elevation_deg=-9, roll_deg=12, target_ras_mm=(1.0, 2.0, 3.0))
    straight = place_camera(view)
    for other, expected in zip(views_around(view), (15, 15, 30, 30, 10, 10), strict=True):
        camera = place_camera(other)
        assert angle_deg(camera.towards, straight.towards) == pytest.approx(expected, abs=0.01)
        across = camera.right if expected == 10 else camera.up  # what the camera turns about stays
        assert angle_deg(across, straight.right if expected == 10 else straight.up) == pytest.approx(0, abs=0.01)
        assert other.target_ras_mm == view.target_ras_mm


@pytest.mark.slow
def test_turned_people_are_recognised_only_when_they_are_faced():
    """Six people twice, turned by up to 15 degrees about every axis."""
    encoder, people = make_encoder("dlib"), range(6)
    vectors = {"faced": [[], []], "as they lie": [[], []]}
    with make_renderer() as renderer:
        for visit in (1, 2):
            for person in people:
                skin = extract_skin(make_phantom(person, visit, pose_sd_deg=6.8, spacing_mm=2.0).volume)
                for name, view in (("faced", find_frontal_view(skin)), ("as they lie", frontal_view(skin))):
                    face = encoder.encode(renderer.render(skin, view))
                    assert face.acquired
                    vectors[name][visit - 1].append(face.vector)
    distance = {name: cosine_distances(np.array(a), np.array(b)) for name, (a, b) in vectors.items()}
    rank1 = {name: np.mean(d.argmin(axis=0) == np.arange(len(people))) for name, d in distance.items()}
    assert rank1["faced"] == 1.0
    assert distance["faced"].trace() < 0.5 * distance["as they lie"].trace()
