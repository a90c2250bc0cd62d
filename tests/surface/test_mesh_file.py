"""Meshes are written, and read back by another library as they were."""

import stat

import numpy as np
import pytest
import trimesh

from reid_audit.records import InputError, Skin
from reid_audit.surface import write_mesh


@pytest.fixture
def skin():
    box = trimesh.creation.box((10.0, 20.0, 30.0)).subdivide()
    box.apply_translation((100.0, -50.0, 7.0))
    return Skin(
        np.asarray(box.vertices, np.float32), np.asarray(box.faces, np.int32), np.array(box.vertex_normals, "f4"), 0.0
    )


@pytest.mark.parametrize("ending", [".stl", ".ply", ".PLY"])
def test_mm_and_ras_are_kept(skin, tmp_path, ending):
    write_mesh(skin, tmp_path / f"head{ending}")
    mesh = trimesh.load_mesh(tmp_path / f"head{ending}", file_type=ending[1:].lower())
    assert len(mesh.faces) == len(skin.faces)
    np.testing.assert_allclose(mesh.bounds, [[95, -60, -8], [105, -40, 22]], atol=1e-4)
    assert mesh.volume == pytest.approx(6000, rel=1e-4)  # negative were the faces inside out


def test_gltf_is_in_metres_and_upright(skin, tmp_path):
    write_mesh(skin, tmp_path / "head.glb")
    mesh = trimesh.load_scene(tmp_path / "head.glb").to_geometry()
    np.testing.assert_allclose(mesh.bounds, [[-0.105, -0.008, -0.060], [-0.095, 0.022, -0.040]], atol=1e-6)
    assert mesh.volume > 0


@pytest.mark.skipif(not hasattr(__import__("os"), "fchmod"), reason="modes of files are POSIX's")
def test_a_mesh_is_for_its_owner_alone(skin, tmp_path):
    path = tmp_path / "head.stl"
    path.write_bytes(b"an older file")
    path.chmod(0o644)
    write_mesh(skin, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_ending_is_an_error_that_names_the_known_ones(skin, tmp_path):
    with pytest.raises(InputError, match=r"head\.obj.*\.stl, \.ply, \.glb"):
        write_mesh(skin, tmp_path / "head.obj")
    assert not list(tmp_path.iterdir())


def test_no_faces_or_no_folder_is_an_error(skin, tmp_path):
    empty = Skin(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0.0)
    with pytest.raises(InputError, match="no faces"):
        write_mesh(empty, tmp_path / "head.stl")
    with pytest.raises(InputError, match="folder"):
        write_mesh(skin, tmp_path / "nowhere" / "head.stl")
