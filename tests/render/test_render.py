"""Shapes whose picture is known by hand, in every engine that the machine can run."""

import multiprocessing
import os
import signal
import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from reid_audit.records import EngineError, InputError, RenderError, Skin, View
from reid_audit.render import Light, Lighting, _gl, camera_matrix, frontal_view, make_renderer, save_picture

ENGINES = ("vtk", "pyrender", "raycast")


@pytest.fixture(scope="module")
def engines():
    started = {}
    for name in ENGINES:
        try:
            started[name] = make_renderer(name)
        except EngineError as error:
            started[name] = error
    yield started
    for renderer in started.values():
        if not isinstance(renderer, EngineError):
            renderer.close()


@pytest.fixture(params=ENGINES)
def renderer(request, engines):
    engine = engines[request.param]
    if isinstance(engine, EngineError):
        pytest.skip(str(engine))
    return engine


def skin_of(mesh):
    return Skin(
        np.asarray(mesh.vertices, np.float32),
        np.asarray(mesh.faces, np.int32),
        np.asarray(mesh.vertex_normals, np.float32),
        level=0.0,
    )


def ball(centre, radius_mm, detail=3):
    mesh = trimesh.creation.icosphere(subdivisions=detail, radius=radius_mm)
    mesh.apply_translation(centre)
    return mesh


def bumpy_head(*, left_ear=True):
    """An ellipsoid with brows, a nose (+y) and one ear, on the subject's left (-x)."""
    mesh = ball((0, 0, 0), 1.0, detail=6)
    v = np.array(mesh.vertices)
    v *= (72, 92, 112)

    def bump(centre, sigma, height_mm):
        return height_mm * np.exp(-0.5 * (((v - centre) / sigma) ** 2).sum(axis=1))[:, None]

    out = np.array(mesh.vertices)
    v = v + out * bump((0, 90, -20), (9, 30, 14), 24) + out * bump((28, 80, 25), (16, 30, 6), 6)
    v = v + out * bump((-28, 80, 25), (16, 30, 6), 6) - out * bump((28, 80, 10), (10, 30, 7), 7)
    v = v - out * bump((-28, 80, 10), (10, 30, 7), 7) + out * bump((0, 85, -55), (22, 30, 5), 5)
    if left_ear:
        v = v + np.array([-1.0, 0, 0]) * bump((-72, -5, 5), (30, 8, 16), 22)
    return skin_of(trimesh.Trimesh(v, mesh.faces, process=False))


def flat_plate(half_mm=60.0):
    """A square facing the front."""
    vertices = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]], np.float32) * half_mm
    normals = np.tile(np.float32([0, 1, 0]), (4, 1))
    return Skin(vertices, np.int32([[0, 2, 1], [0, 3, 2]]), normals, level=0.0)


def both(*meshes):
    return skin_of(trimesh.util.concatenate(list(meshes)))


def covered(portrait, background=0):
    return portrait.pixels[:, :, 0] != background


VIEWS = [
    View(),
    View(azimuth_deg=40, elevation_deg=20, target_ras_mm=(10.0, -20.0, 30.0)),
    View(azimuth_deg=-75, elevation_deg=-30, roll_deg=25, target_ras_mm=(0.0, 5.0, 0.0)),
    View(elevation_deg=90, size_px=300, view_angle_deg=25, distance_mm=700),
    View(azimuth_deg=180, target_ras_mm=(1000.0, 2000.0, -1500.0), size_px=256),
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: f"az{v.azimuth_deg:g}")
def test_a_point_falls_where_the_camera_matrix_says(renderer, view):
    rng = np.random.default_rng(1)
    lit = Lighting(ambient=1.0)
    for _ in range(2):
        centre = np.array(view.target_ras_mm) + rng.uniform(-60, 60, 3)
        portrait = renderer.render(skin_of(ball(centre, 5.0)), view, lighting=lit)
        homogeneous = portrait.ras_mm_to_px @ [*centre, 1.0]
        column, row = homogeneous[:2] / homogeneous[2]
        rows, columns = np.nonzero(covered(portrait))
        assert columns.mean() == pytest.approx(column, abs=0.35)
        assert rows.mean() == pytest.approx(row, abs=0.35)


def test_camera_matrix_by_hand():
    view = View(size_px=512, view_angle_deg=90, distance_mm=1000)
    matrix = camera_matrix(view)
    # The target falls on the middle; 1000 mm to the subject's left, at 45 degrees, on the right edge.
    np.testing.assert_allclose(matrix @ [0, 0, 0, 1], 1000 * np.array([255.5, 255.5, 1]))
    np.testing.assert_allclose(matrix @ [-1000, 0, 0, 1], 1000 * np.array([511.5, 255.5, 1]))
    np.testing.assert_allclose(matrix @ [0, 0, 1000, 1], 1000 * np.array([255.5, -0.5, 1]), atol=1e-9)
    np.testing.assert_allclose((matrix @ [0, 500, 0, 1])[2], 500)  # depth


def test_positive_roll_turns_the_picture_clockwise():
    top = camera_matrix(View(roll_deg=90)) @ [0, 0, 100, 1]
    assert top[0] / top[2] > 256
    assert top[1] / top[2] == pytest.approx(255.5)


def test_the_left_ear_is_on_the_right_of_a_frontal_picture(renderer):
    columns = np.nonzero(covered(renderer.render(bumpy_head(), View())).any(axis=0))[0]
    plain = np.nonzero(covered(renderer.render(bumpy_head(left_ear=False), View())).any(axis=0))[0]
    assert columns.max() > plain.max() + 10
    assert columns.min() == plain.min()


def test_azimuth_90_sees_the_left_side(renderer):
    head = ball((0, 0, 0), 70.0)
    alone, with_ball = both(head), both(head, ball((-90, 0, 0), 5.0))  # beside the left cheek
    differ = [
        (renderer.render(alone, v).pixels != renderer.render(with_ball, v).pixels).any()
        for v in (View(azimuth_deg=90), View(azimuth_deg=-90))
    ]
    assert differ == [True, False]  # from the right it hides behind the head


def test_a_plate_has_the_grey_value_of_the_formula(renderer):
    lighting = Lighting(
        lights=(Light(0, 60, 0.4), Light(-90, 0, 0.9)), ambient=0.2, albedo=0.5, gamma=2.0, background=33
    )
    expected = 255 * (0.5 * (0.2 + 0.4 * np.cos(np.radians(60)))) ** (1 / 2.0)  # the second lamp grazes it
    pixels = renderer.render(flat_plate(), View(), lighting=lighting).pixels
    assert abs(int(pixels[256, 256, 0]) - expected) <= 1
    assert (pixels[:20] == 33).all()
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_an_unlit_head_on_black_is_black_and_no_error(renderer):
    dark = Lighting(lights=(), ambient=0.0, background=0)
    assert not renderer.render(bumpy_head(), View(size_px=64), lighting=dark).pixels.any()


def test_a_picture_with_nothing_in_it_is_an_error(renderer, monkeypatch):
    def draw_nothing(skin, grey, view, background):
        shape = (view.size_px, view.size_px)
        return np.zeros(shape, np.uint8), np.zeros(shape, bool)

    monkeypatch.setattr(renderer, "_draw", draw_nothing)
    with pytest.raises(EngineError, match=r"empty picture.*--renderer raycast"):
        renderer.render(bumpy_head(), View(size_px=64))


def test_a_key_light_on_the_left_of_the_picture_lights_the_left(renderer):
    pixels = renderer.render(bumpy_head(), View(), lighting=Lighting(lights=(Light(-60, 0, 1.0),))).pixels
    assert pixels[256, 150, 0] > pixels[256, 362, 0] + 50


def test_the_same_skin_gives_the_same_pixels_twice(renderer):
    head = bumpy_head()
    first = renderer.render(head, View()).pixels
    renderer.render(flat_plate(), replace(View(), size_px=128, azimuth_deg=30))
    np.testing.assert_array_equal(renderer.render(head, View()).pixels, first)


def test_a_skin_wound_inside_out_looks_the_same(renderer):
    head = bumpy_head()
    inside_out = replace(head, faces=np.ascontiguousarray(head.faces[:, ::-1]))
    pictures = [renderer.render(skin, View()).pixels.astype(int) for skin in (head, inside_out)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5


def test_a_portrait_says_what_it_is(renderer):
    view = View(size_px=100)
    portrait = renderer.render(bumpy_head(), view)
    assert portrait.pixels.shape == (100, 100, 3)
    assert portrait.pixels.dtype == np.uint8
    assert portrait.view == view
    assert portrait.renderer == renderer.name
    np.testing.assert_array_equal(portrait.ras_mm_to_px, camera_matrix(view))
    assert all(isinstance(v, str) and v for v in renderer.identity.values())


def test_a_view_of_nothing_is_an_error(renderer):
    with pytest.raises(RenderError, match="nothing of the skin"):
        renderer.render(bumpy_head(), View(target_ras_mm=(5000.0, 0.0, 0.0)))
    empty = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0.0)
    with pytest.raises(RenderError):
        renderer.render(empty, View())


@pytest.mark.parametrize("other", ["pyrender", "raycast"])
@pytest.mark.parametrize("view", [View(), View(azimuth_deg=35, elevation_deg=10)], ids=["front", "aside"])
def test_engines_agree(engines, other, view):
    for name in ("vtk", other):
        if isinstance(engines[name], EngineError):
            pytest.skip(str(engines[name]))
    each, two = (engines[n].render(bumpy_head(), view).pixels.astype(int) for n in ("vtk", other))
    difference = abs(each - two)
    assert difference.mean() < 0.1
    assert (difference > 8).mean() < 0.005  # only along edges


def test_frontal_view_looks_at_the_middle_of_the_head():
    head = bumpy_head()
    view = frontal_view(head, azimuth_deg=20, elevation_deg=-5)
    x, y, z = view.target_ras_mm
    assert abs(x) < 8  # one ear
    assert abs(y) < 12  # the nose
    assert z == pytest.approx(0, abs=6)  # the eyes of a head 224 mm high
    assert (view.azimuth_deg, view.elevation_deg) == (20, -5)


def test_frontal_view_is_not_moved_by_shoulders_or_a_removed_face():
    head = bumpy_head(left_ear=False)
    view = np.array(frontal_view(head).target_ras_mm)
    shoulders = trimesh.creation.box(extents=(420, 200, 60))
    shoulders = shoulders.subdivide_to_size(6.0)
    shoulders.apply_translation((0, -20, -200))
    mesh = trimesh.Trimesh(head.vertices_ras_mm, head.faces, process=False)
    np.testing.assert_allclose(frontal_view(both(mesh, shoulders)).target_ras_mm, view, atol=3)
    far = np.array(head.vertices_ras_mm)
    np.testing.assert_allclose(frontal_view(replace(head, vertices_ras_mm=far + 500)).target_ras_mm, view + 500, atol=1)


def test_frontal_view_of_nothing_is_an_error():
    nothing = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0.0)
    with pytest.raises(RenderError):
        frontal_view(nothing)


@pytest.fixture
def no_opengl(monkeypatch):
    monkeypatch.setattr(_gl.sys, "platform", "linux")
    monkeypatch.setattr(_gl, "_load", lambda name: None)
    _gl.window_class.cache_clear()
    yield
    _gl.window_class.cache_clear()


@pytest.mark.usefixtures("no_opengl")
def test_without_opengl_auto_casts_rays_and_says_so():
    with make_renderer("auto") as renderer:
        assert renderer.name == "raycast"
        assert "no working OpenGL" in renderer.notice
        assert covered(renderer.render(bumpy_head(), View())).mean() > 0.1
    with make_renderer("raycast") as renderer:
        assert renderer.notice == ""


@pytest.mark.usefixtures("no_opengl")
@pytest.mark.parametrize("name", ["vtk", "pyrender"])
def test_without_opengl_the_error_names_the_way_out(name):
    with pytest.raises(EngineError, match="--renderer raycast"):
        make_renderer(name)


def test_an_unknown_renderer_is_an_error():
    with pytest.raises(InputError, match=r"'blender'.*auto, vtk, pyrender, raycast"):
        make_renderer("blender")


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_renderer_draws_no_more(name, engines):
    if isinstance(engines[name], EngineError):
        pytest.skip(str(engines[name]))
    renderer = make_renderer(name)
    renderer.render(flat_plate(), View(size_px=32))
    renderer.close()
    renderer.close()
    with pytest.raises(EngineError, match="closed"):
        renderer.render(flat_plate(), View(size_px=32))


def test_the_environment_is_left_alone(engines):
    assert not isinstance(engines["raycast"], EngineError)
    before = dict(os.environ)
    for name in ENGINES:
        if not isinstance(engines[name], EngineError):
            with make_renderer(name) as renderer:
                renderer.render(flat_plate(), View(size_px=32))
    assert dict(os.environ) == before


@pytest.mark.parametrize("closing", ENGINES)
def test_closing_one_renderer_leaves_the_others_alone(renderer, closing):
    # All windows of a process share one EGL display, and some libraries end it with their own window.
    head = bumpy_head()
    before = renderer.render(head, View()).pixels
    try:
        other = make_renderer(closing)
    except EngineError as error:
        pytest.skip(str(error))
    other.render(flat_plate(), View(size_px=64))
    np.testing.assert_array_equal(renderer.render(head, View()).pixels, before)
    other.close()
    np.testing.assert_array_equal(renderer.render(head, View()).pixels, before)


def test_png_is_private_and_exact(tmp_path):
    with make_renderer("raycast") as renderer:
        portrait = renderer.render(flat_plate(), View(size_px=64))
    path = tmp_path / "portrait.png"
    path.touch(mode=0o644)
    save_picture(portrait, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    np.testing.assert_array_equal(np.asarray(Image.open(path)), portrait.pixels)


def _draw(name):
    with make_renderer(name) as renderer:
        return renderer.render(bumpy_head(), View()).pixels


@pytest.mark.slow
def test_a_spawned_worker_draws_the_same_pixels(renderer):
    here = renderer.render(bumpy_head(), View()).pixels
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(_draw, renderer.name).result(), here)


def test_a_signal_waits_until_an_engine_has_started() -> None:
    done = []

    def start() -> None:
        with _gl.hold_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("started")

    of_process = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        signal.signal(signal.SIGINT, of_process)
    assert done == ["started"]
    before = signal.getsignal(signal.SIGTERM)
    with _gl.hold_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    with ThreadPoolExecutor(1) as pool:  # handlers are the main thread's: nothing is held, and nothing raised
        assert pool.submit(lambda: _gl.hold_signals().__enter__()).result() is None
