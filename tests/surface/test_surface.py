"""Solids whose surface is known by hand: spheres, shells, boxes, a couch."""

from itertools import permutations, product

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from reid_audit.records import InputError, Modality, Skin, Volume
from reid_audit.surface import CT_LEVEL_HU, SurfaceSettings, candidate_levels, extract_skin, find_level, refine_level
from reid_audit.surface.isosurface import mesh_level
from reid_audit.surface.masks import dilate, erode, largest
from reid_audit.volume import read_volume

AIR, TISSUE = -1000.0, 40.0
HALF = (AIR + TISSUE) / 2  # the level at which partial volume leaves a surface where it is


def grid(affine, shape):
    """RAS mm of each voxel centre, (i, j, k, 3)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def centred(matrix, shape):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def paint(depth_mm, *, air=AIR, tissue=TISSUE):
    """Tissue where a point lies deeper than 0 mm inside the solid, with an edge 1 mm wide."""
    return (air + (tissue - air) * np.clip(0.5 + depth_mm, 0, 1)).astype(np.float32)


def ct(depth_mm, affine, **kwargs):
    return Volume(paint(depth_mm, **kwargs), affine, Modality.CT, "solid.nii")


def sphere(radius_mm=30.0, centre=(0.0, 0.0, 0.0), *, spacing=(1.0, 1.0, 1.0), shape=(80, 80, 80), matrix=None):
    affine = centred(np.diag(spacing) if matrix is None else matrix, shape)
    return radius_mm - np.linalg.norm(grid(affine, shape) - centre, axis=-1), affine


def mesh_of(skin: Skin) -> trimesh.Trimesh:
    return trimesh.Trimesh(skin.vertices_ras_mm, skin.faces, process=False)


def codes(skin):
    return {finding.code for finding in skin.checks}


def test_sphere_has_its_radius_and_normals_point_out():
    skin = extract_skin(ct(*sphere()), level=HALF)
    radius = np.linalg.norm(skin.vertices_ras_mm, axis=1)
    assert abs(radius - 30.0).max() < 0.3
    outward = skin.vertices_ras_mm / radius[:, None]
    assert (skin.normals * outward).sum(axis=1).min() > 0.99
    np.testing.assert_allclose(np.linalg.norm(skin.normals, axis=1), 1, atol=1e-5)


def test_sphere_is_closed_and_wound_outwards():
    skin = extract_skin(ct(*sphere()), level=HALF)
    mesh = mesh_of(skin)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 30**3, rel=0.02)  # negative if the faces were inside out
    assert skin.vertices_ras_mm.dtype == np.float32
    assert skin.faces.dtype == np.int32
    assert skin.normals.dtype == np.float32
    assert skin.level == HALF


def test_a_cavity_is_not_meshed():
    depth, affine = sphere()
    skin = extract_skin(ct(np.minimum(depth, 10.0 - depth), affine), level=HALF)  # a shell 10 mm thick
    assert np.linalg.norm(skin.vertices_ras_mm, axis=1).min() > 29.0


def test_a_cavity_behind_a_narrow_hole_is_not_meshed_but_a_pit_is():
    depth, affine = sphere()
    xyz = grid(affine, depth.shape)
    shell = np.minimum(depth, 10.0 - depth)
    nostril = 3.0 - np.linalg.norm(xyz[..., [0, 2]], axis=-1)  # radius 3 mm, along y, into the cavity
    nostril[xyz[..., 1] < 0] = -1
    skin = extract_skin(ct(np.minimum(shell, -nostril), affine), level=HALF)
    assert np.linalg.norm(skin.vertices_ras_mm, axis=1).min() > 10.0
    assert mesh_of(skin).body_count == 1
    wide = 12.0 - np.linalg.norm(xyz - (0, 30.0, 0), axis=-1)  # an eye socket of 12 mm
    skin = extract_skin(ct(np.minimum(depth, -wide), affine), level=HALF)
    in_socket = skin.vertices_ras_mm[np.abs(skin.vertices_ras_mm[:, [0, 2]]).max(axis=1) < 2]
    assert in_socket[:, 1].max() == pytest.approx(18.0, abs=0.6)


def test_airways_cut_by_the_field_of_view_are_not_entered():
    shape = (80, 80, 80)
    affine = centred(np.eye(3), shape)
    xyz = grid(affine, shape)
    across = np.linalg.norm(xyz[..., :2], axis=-1)
    neck = np.minimum(30.0 - across, 30.0 - xyz[..., 2])  # a cylinder that goes on below the box
    windpipe = np.minimum(9.0 - across, 10.0 - xyz[..., 2])
    skin = extract_skin(ct(np.minimum(neck, -windpipe), affine), level=HALF)
    inside = skin.vertices_ras_mm[np.linalg.norm(skin.vertices_ras_mm[:, :2], axis=1) < 15]
    assert ((inside[:, 2] > 28) | (inside[:, 2] < -38)).all()  # only the two flat ends


def test_the_larger_of_two_spheres_is_kept():
    large, affine = sphere(20.0, (-18, 0, 0))
    small, _ = sphere(10.0, (25, 0, 0))
    skin = extract_skin(ct(np.maximum(large, small), affine), level=HALF)
    assert skin.vertices_ras_mm[:, 0].max() < 3


def head_on_couch():
    """An ellipsoid on a hollow plate that touches it, with two thin ears."""
    shape = (130, 110, 110)
    affine = centred(np.diag([2.0, 2.0, 2.0]), shape)
    xyz = grid(affine, shape)
    head = 40 * (1 - np.linalg.norm(xyz / (70, 90, 95), axis=-1))
    ears = np.minimum(18 - np.linalg.norm(xyz[..., 1:], axis=-1), 82 - np.abs(xyz[..., 0]))
    ears = np.minimum(ears, np.where(np.abs(xyz[..., 1]) < 2, 2.0, -2.0))
    sheet = np.minimum(2.0 - np.abs(xyz[..., 1] + 91), 115 - np.abs(xyz[..., 0]))
    return head, ears, sheet, affine


def test_a_couch_is_cut_off_and_ears_are_not():
    head, ears, sheet, affine = head_on_couch()
    skin = extract_skin(ct(np.maximum.reduce([head, ears, sheet]), affine))
    low, high = skin.vertices_ras_mm.min(axis=0), skin.vertices_ras_mm.max(axis=0)
    assert high[0] > 78  # ears, beyond the 70 mm of the head
    assert low[0] < -78
    assert high[0] < 90  # the couch reached 115
    assert low[1] > -95
    assert "couch_removed" in codes(skin)
    assert "couch_removed" not in codes(extract_skin(ct(np.maximum(head, ears), affine)))


def test_a_couch_that_goes_on_above_the_head_does_not_hide_the_chin():
    shape = (60, 60, 150)
    affine = centred(np.diag([4.0, 4.0, 4.0]), shape)
    xyz = grid(affine, shape)
    head = 40 * (1 - np.linalg.norm((xyz - [0, 0, -160]) / (70, 90, 110), axis=-1))  # z from -270 to -50 mm
    couch = 4.0 - np.abs(xyz[..., 1] + 92)  # up to 300 mm
    skin = extract_skin(ct(np.maximum(head, couch), affine))
    face = skin.vertices_ras_mm[skin.vertices_ras_mm[:, 1] > -60]
    assert face[:, 2].min() == pytest.approx(-265, abs=8)
    assert face[:, 2].max() == pytest.approx(-55, abs=8)


def test_a_small_headrest_is_cut_off_and_a_hollow_nose_is_not():
    head, _, _, affine = head_on_couch()
    xyz = grid(affine, head.shape)
    headrest = np.min(np.array([60, 2, 60]) - np.abs(xyz - (0, -91, 0)), axis=-1)
    nose = 24 - np.linalg.norm(xyz - (0, 88, 0), axis=-1)  # nothing but a wall around the air in it
    nose = np.minimum(nose, 4 - nose)
    skin = extract_skin(ct(np.maximum.reduce([head, headrest, nose]), affine))
    low, high = skin.vertices_ras_mm.min(axis=0), skin.vertices_ras_mm.max(axis=0)
    assert high[1] > 105  # the head alone ends at 90, the nose at 112
    behind = skin.vertices_ras_mm[skin.vertices_ras_mm[:, 1] < -86]
    assert np.abs(behind[:, [0, 2]]).max() < 50  # only where it touched
    assert low[1] > -95
    assert "couch_removed" in codes(skin)


@pytest.mark.parametrize("spacing", [(3.0, 2.0, 1.0), (1.0, 1.0, 5.0), (0.5, 0.5, 0.7)])
def test_anisotropic_voxels_give_the_same_sphere(spacing):
    shape = tuple(int(np.ceil(76 / s)) for s in spacing)
    skin = extract_skin(ct(*sphere(spacing=spacing, shape=shape)), level=HALF)
    radius = np.linalg.norm(skin.vertices_ras_mm, axis=1)
    assert np.median(radius) == pytest.approx(30.0, abs=0.3)
    assert abs(radius - 30.0).max() < max(1.0, 0.5 * max(spacing))


def test_a_box_has_its_edges_in_mm_on_3_2_1_mm_voxels():
    shape = (24, 36, 72)
    affine = centred(np.diag([3.0, 2.0, 1.0]), shape)
    depth = np.min(np.array([20.0, 22.0, 24.0]) - np.abs(grid(affine, shape)), axis=-1)
    skin = extract_skin(ct(depth, affine), level=HALF)
    error_mm = abs(np.ptp(skin.vertices_ras_mm, axis=0) - [40, 44, 48])
    assert (error_mm <= [3, 2, 1]).all()  # half a voxel on either side


def test_gantry_tilt_is_undone_by_the_affine():
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0.36], [0, 0, 1.0]])  # sheared by 20 degrees
    skin = extract_skin(ct(*sphere(matrix=matrix, shape=(80, 110, 80))), level=HALF)
    assert abs(np.linalg.norm(skin.vertices_ras_mm, axis=1) - 30).max() < 0.4
    assert ((skin.normals * skin.vertices_ras_mm / 30).sum(axis=1)).min() > 0.99


def lopsided(affine, shape):
    xyz = grid(affine, shape)
    ball = 24.0 - np.linalg.norm(xyz, axis=-1)
    nose = 8.0 - np.linalg.norm(xyz - (6, 24, 3), axis=-1)
    return np.maximum(ball, nose)


@pytest.mark.slow
def test_all_48_orientations_give_the_same_outward_surface():
    shape = (70, 70, 70)
    reference = None
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        matrix = np.eye(3)[:, list(order)] * signs
        affine = centred(matrix, shape)
        mesh = mesh_of(extract_skin(ct(lopsided(affine, shape), affine), level=HALF))
        assert mesh.volume > 0, (order, signs)
        if reference is None:
            reference = mesh
        np.testing.assert_allclose(mesh.bounds, reference.bounds, atol=0.05)
        np.testing.assert_allclose(mesh.center_mass, reference.center_mass, atol=0.02)


@settings(max_examples=8, deadline=None)
@given(st.floats(20, 32), st.tuples(*[st.floats(-5, 5)] * 3))
def test_a_sphere_anywhere_has_its_radius(radius_mm, centre):
    skin = extract_skin(ct(*sphere(radius_mm, centre)), level=HALF)
    assert abs(np.linalg.norm(skin.vertices_ras_mm - centre, axis=1) - radius_mm).max() < 0.3


def test_the_same_volume_gives_the_same_mesh_twice():
    first, second = (extract_skin(ct(*sphere())) for _ in range(2))
    np.testing.assert_array_equal(first.vertices_ras_mm, second.vertices_ras_mm)
    np.testing.assert_array_equal(first.normals, second.normals)
    np.testing.assert_array_equal(first.faces, second.faces)


def test_the_input_is_left_alone():
    volume = ct(*sphere())
    before = volume.intensity.copy()
    extract_skin(volume)
    np.testing.assert_array_equal(volume.intensity, before)


@pytest.mark.parametrize("level", [5000.0, -5000.0])
def test_a_level_out_of_range_is_an_error_that_names_level_and_range(level):
    with pytest.raises(InputError, match=rf"solid\.nii: no skin surface at level {level:g}.*-1000 to 40.*--level"):
        extract_skin(ct(*sphere()), level=level)


@pytest.mark.parametrize("fill", [0.0, np.nan])
@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_a_constant_or_empty_image_is_an_error(fill, modality):
    volume = Volume(np.full((20, 20, 20), fill, np.float32), np.eye(4), modality, "flat.nii")
    with pytest.raises(InputError, match=r"flat\.nii"):
        extract_skin(volume)


def test_a_single_slice_is_an_error():
    with pytest.raises(InputError, match="at least 2 voxels"):
        extract_skin(Volume(np.zeros((20, 20, 1), np.float32), np.eye(4), Modality.CT, "slice.nii"))


def test_ct_that_is_not_in_hu_is_an_error_or_a_finding():
    depth, affine = sphere()
    with pytest.raises(InputError, match="HU"):
        extract_skin(ct(depth, affine, air=0.0, tissue=255.0))
    assert "not_hu" in codes(extract_skin(ct(depth, affine, air=0.0, tissue=255.0), level=100.0))
    assert "not_hu" not in codes(extract_skin(ct(depth, affine)))


def test_a_surface_too_small_for_a_head_is_a_finding():
    assert "small_surface" in codes(extract_skin(ct(*sphere())))
    head, _, _, affine = head_on_couch()
    assert "small_surface" not in codes(extract_skin(ct(head, affine)))


def test_thick_slices_are_a_finding():
    assert "thick_slices" in codes(extract_skin(ct(*sphere(spacing=(1, 1, 5.0), shape=(80, 80, 16)))))
    assert "thick_slices" not in codes(extract_skin(ct(*sphere())))


def test_a_high_level_in_ct_finds_bone():
    depth, affine = sphere()
    skin = extract_skin(ct(depth, affine, tissue=1500.0), level=800.0)
    assert np.linalg.norm(skin.vertices_ras_mm, axis=1).mean() == pytest.approx(30, abs=1)


def test_nan_is_air():
    depth, affine = sphere()
    volume = ct(depth, affine)
    volume.intensity[depth < -3] = np.nan
    skin = extract_skin(volume, level=HALF)
    assert abs(np.linalg.norm(skin.vertices_ras_mm, axis=1) - 30.0).max() < 0.3


def test_padding_beyond_the_scanner_range_is_air():
    depth, affine = sphere()
    volume = ct(depth, affine)
    volume.intensity[depth < -3] = -3024.0
    skin = extract_skin(volume, level=HALF)
    assert abs(np.linalg.norm(skin.vertices_ras_mm, axis=1) - 30.0).max() < 0.3


def mr_head(*, noise, bias, rng):
    shape = (90, 110, 120)
    affine = centred(np.diag([2.0, 2.0, 2.0]), shape)
    xyz = grid(affine, shape)
    depth = 40 * (1 - np.linalg.norm(xyz / (70, 90, 100), axis=-1))
    tissue = np.where(depth > 12, 800.0, 450.0)  # brain, scalp
    tissue = np.where((depth > 6) & (depth < 12), 60.0, tissue)  # skull is dark
    image = paint(depth, air=0.0, tissue=1.0) * tissue * (1 + bias * xyz[..., 2] / 100)
    image = np.hypot(image + rng.normal(0, noise, shape), rng.normal(0, noise, shape))
    return Volume(image.astype(np.float32), affine, Modality.MR, "mr.nii"), depth


@pytest.mark.parametrize("noise", [5.0, 40.0])
@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_mr_skin_is_found_under_noise_and_bias(noise, bias):
    volume, _ = mr_head(noise=noise, bias=bias, rng=np.random.default_rng(0))
    level = find_level(volume)
    assert 3 * noise < level < 450
    skin = extract_skin(volume)
    size = np.ptp(skin.vertices_ras_mm, axis=0)
    np.testing.assert_allclose(size, [140, 180, 200], atol=4.0)
    deep = np.linalg.norm(skin.vertices_ras_mm / (70, 90, 100), axis=1)
    assert deep.min() > 0.93  # the dark skull and what it encloses are not meshed


def test_mr_level_follows_the_scale_of_the_image():
    volume, _ = mr_head(noise=10.0, bias=0.2, rng=np.random.default_rng(0))
    scaled = Volume(volume.intensity * 7, volume.voxel_to_ras_mm, Modality.MR)
    assert find_level(scaled) == pytest.approx(7 * find_level(volume), rel=1e-3)


def test_candidate_levels_start_with_the_default():
    volume, _ = mr_head(noise=10.0, bias=0.0, rng=np.random.default_rng(0))
    levels = candidate_levels(volume)
    assert levels[0] == find_level(volume)
    assert len(set(levels)) == len(levels) > 2
    assert candidate_levels(ct(*sphere())) == (CT_LEVEL_HU,)


def test_a_level_that_the_detector_likes_as_well_as_any_stays():
    volume, _ = mr_head(noise=10.0, bias=0.0, rng=np.random.default_rng(0))
    default, *others = candidate_levels(volume)
    assert refine_level(volume, lambda level: 1.0 if level == default else 1.2) == default
    assert refine_level(volume, lambda level: 1.0 if level == default else np.nan) == default
    assert refine_level(volume, lambda level: 1.0 + (level == others[2])) == others[2]
    assert refine_level(volume, lambda level: -0.3 if level == default else -0.1 * level) == default


def test_further_levels_are_tried_only_where_no_face_is_seen():
    volume, _ = mr_head(noise=10.0, bias=0.0, rng=np.random.default_rng(0))
    candidates, asked = candidate_levels(volume), []

    def look(level):
        asked.append(level)
        return np.nan if level in candidates else level

    assert refine_level(volume, look) == max(asked) > max(candidates)
    assert refine_level(volume, lambda level: np.nan) == candidates[0]


def test_nobody_is_asked_about_the_level_of_ct():
    assert refine_level(ct(*sphere()), lambda level: pytest.fail("asked")) == CT_LEVEL_HU


def test_shoulders_are_not_meshed():
    shape = (100, 60, 240)
    affine = centred(np.diag([3.0, 3.0, 3.0]), shape)
    xyz = grid(affine, shape)
    body = np.minimum(70 - np.abs(xyz[..., 0]), 70 - np.abs(xyz[..., 1]))
    body = np.minimum(body, 300 - xyz[..., 2])  # top at z = 300 mm, no bottom
    skin = extract_skin(ct(body, affine))
    assert skin.vertices_ras_mm[:, 2].max() == pytest.approx(300, abs=2)
    assert skin.vertices_ras_mm[:, 2].min() == pytest.approx(0, abs=20)


def test_settings_change_the_mesh():
    volume = ct(*sphere())
    fine, coarse = (extract_skin(volume, settings=SurfaceSettings(voxel_mm=v)) for v in (1.0, 2.0))
    assert len(fine.faces) > 3 * len(coarse.faces)


@pytest.mark.slow
def test_a_level_in_the_noise_is_a_finding():
    volume, _ = mr_head(noise=40.0, bias=0.0, rng=np.random.default_rng(0))
    assert "level_doubtful" not in codes(extract_skin(volume))
    assert "level_doubtful" in codes(extract_skin(volume, level=45.0))


@pytest.mark.slow
def test_a_field_of_view_that_cuts_the_head_is_a_finding():
    head, _, _, affine = head_on_couch()
    whole = ct(head, affine)
    assert not {code for code in codes(extract_skin(whole)) if code.startswith("cut_")}

    def crop(*slices):
        moved = affine.copy()
        moved[:3, 3] = (affine @ [*(s.start or 0 for s in slices), 1])[:3]
        return codes(extract_skin(Volume(whole.intensity[slices], moved, Modality.CT)))

    every = slice(None)
    assert "cut_front" in crop(every, slice(0, 90), every)  # the head ends 45 voxels from the middle, at 99
    assert "cut_back" in crop(every, slice(20, None), every)
    assert "cut_top" in crop(every, every, slice(0, 90))
    assert "cut_left" in crop(slice(40, None), every, every)  # RAS: the left is where x is small
    assert "cut_bottom" in crop(every, every, slice(30, None))  # 145 mm are left below the top


def test_a_defaced_scan_has_the_mesh_of_its_original_where_its_voxels_are_equal():
    head, ears, _, affine = head_on_couch()
    original = ct(np.maximum(head, ears), affine)
    xyz = grid(affine, head.shape)
    defaced = Volume(
        np.where((xyz[..., 1] > 60) | (xyz[..., 2] > 60), np.float32(AIR), original.intensity), affine, Modality.CT
    )
    each, two = (extract_skin(v, level=CT_LEVEL_HU).vertices_ras_mm for v in (original, defaced))
    kept = [v[(v[:, 1] < 50) & (v[:, 2] < 50)] for v in (each, two)]
    assert len(kept[0]) == len(kept[1]) > 10_000
    distance_mm, _ = cKDTree(kept[0]).query(kept[1])  # the lattice is the same although the crop, and the order, is not
    assert distance_mm.max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mr_dicom_philips", "mr_dicom_decubitus/HFS", "mr_dicom_decubitus/HFP"])
def test_real_mr_heads_have_the_size_of_heads(name):
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{name} needs ../shared/data")
    skin = extract_skin(read_volume(folder))
    width, length, _ = np.ptp(skin.vertices_ras_mm, axis=0)
    assert 140 < width < 200
    assert 190 < length < 250
    assert not codes(skin) & {"level_doubtful", "small_surface", "cut_front", "cut_bottom"}
    assert mesh_of(skin).is_watertight
    assert len(skin.faces) < 400_000


def test_the_largest_piece_is_found_where_the_planes_that_tell_it_are_empty():
    mask = np.zeros((6, 8, 8), dtype=bool)
    mask[1:4, 1:3, 1:3] = mask[2, 5:7, 5:7] = True  # planes 0 and 4 hold nothing
    expected = mask.copy()
    expected[2, 5:7, 5:7] = False
    np.testing.assert_array_equal(largest(mask, every=4), expected)
    np.testing.assert_array_equal(largest(mask), expected)


def test_a_ball_grows_as_its_radius_says():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[4, 4, 4] = True
    at = np.linalg.norm(np.indices(mask.shape) - 4, axis=0)
    for radius in (1, 2, 3):
        np.testing.assert_array_equal(dilate(mask, radius), at < radius + 0.5)
    np.testing.assert_array_equal(erode(dilate(mask, 2), 2), mask)


@pytest.mark.parametrize("digits", [None, 1], ids=["smooth", "ties"])
def test_the_mesh_of_a_level_is_that_of_flying_edges(digits):
    """VTK makes the same triangles, wound the same way, with the same normals, also where voxels lie at the level."""
    core, data, support = (
        pytest.importorskip(f"vtkmodules.{name}")
        for name in ("vtkFiltersCore", "vtkCommonDataModel", "util.numpy_support")
    )
    field = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 8, (18, 21, 25)), 1.5).astype(np.float32)
    field = np.asfortranarray(field if digits is None else field.round(digits))
    image, edges = data.vtkImageData(), core.vtkFlyingEdges3D()
    image.SetDimensions(*field.shape)
    image.GetPointData().SetScalars(support.numpy_to_vtk(field.ravel(order="F")))
    edges.SetInputData(image)
    edges.SetValue(0, 0.2)
    edges.Update()
    mesh = edges.GetOutput()
    corners = support.vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    expected = np.hstack(
        [
            support.vtk_to_numpy(mesh.GetPoints().GetData())[corners].mean(axis=1),
            support.vtk_to_numpy(mesh.GetPointData().GetNormals())[corners].mean(axis=1),
        ]
    )
    vertices, faces, normals = mesh_level(field, 0.2)
    assert len(faces) == len(corners) > 1000
    found = np.hstack([vertices[faces].mean(axis=1), normals[faces].mean(axis=1)])
    distance, index = cKDTree(found).query(expected)
    assert distance.max() < 1e-4
    a, b, c = (support.vtk_to_numpy(mesh.GetPoints().GetData())[corners[:, k]].astype(float) for k in range(3))
    d, e, f = (vertices[faces[index, k]].astype(float) for k in range(3))
    np.testing.assert_allclose(np.cross(b - a, c - a), np.cross(e - d, f - d), atol=1e-4)


@pytest.mark.parametrize("rim", [True, False], ids=["within", "to the border"])
def test_the_mesh_of_a_level_is_that_of_scikit_image(rim):
    """To the last bit and in the same order; where the level crosses the border, the same triangles."""
    field = np.random.default_rng(2).integers(-4, 5, (17, 18, 19)).astype(np.float32) + np.float32(0.3)
    field = np.asfortranarray(np.pad(field, 1, constant_values=-9) if rim else field)
    vertices, faces, _ = mesh_level(field, 0.2)
    expected, corners, _, _ = marching_cubes(field.T, np.nextafter(np.float32(0.2), -1), method="lorensen")
    expected = expected[:, ::-1]
    if rim:
        np.testing.assert_array_equal(vertices, expected)
        np.testing.assert_array_equal(faces, corners)
    triangles, others = (np.sort(each.reshape(-1, 9), axis=0) for each in (vertices[faces], expected[corners]))
    assert len(vertices) == len(expected) > 1000
    np.testing.assert_allclose(triangles, others, atol=1e-5)


def test_the_mesh_of_a_level_that_is_nowhere_is_empty():
    assert [part.shape for part in mesh_level(np.zeros((3, 4, 5), np.float32), 0.5)] == [(0, 3)] * 3
