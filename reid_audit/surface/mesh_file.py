"""A skin as a file that other programs open."""

from pathlib import Path

from reid_audit.records import InputError, Skin, write_private

MESH_ENDINGS = (".stl", ".ply", ".glb")


def check_mesh_name(path: Path) -> None:
    """Refuse an ending that no mesh is written with. InputError names those that are."""
    if path.suffix.lower() not in MESH_ENDINGS:
        endings = ", ".join(MESH_ENDINGS)
        raise InputError(f"{path.name}: a mesh is written as one of {endings}, not as {path.suffix.lower()!r}")


def write_mesh(skin: Skin, path: Path) -> None:
    """Write a skin as a mesh, for its owner's eyes only (mode 0600): the shape of a face is biometric data.

    Parameters
    ----------
    skin : Skin
    path : Path
        Ends on ``.stl`` (binary), ``.ply`` (binary, with normals) or ``.glb``. STL and PLY are in mm in the frame RAS+;
        glTF prescribes metres and y upwards, so that a head stands upright and looks at +z. A file there is replaced.

    Raises
    ------
    InputError
        Where the ending is another, the folder is missing, or the skin has no faces.
    """
    import numpy as np
    import trimesh

    path = Path(path)
    ending = path.suffix.lower()
    check_mesh_name(path)
    if not len(skin.faces):
        raise InputError(f"{path.name}: the skin has no faces, there is nothing to write")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path.name}: there is no such folder to write it to")
    vertices, normals = skin.vertices_ras_mm, skin.normals
    if ending == ".glb":
        # x to the left of the head, y to the top, z to the front: right-handed, as glTF has it.
        to_gltf = np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=np.float32)
        vertices, normals = vertices @ to_gltf.T / np.float32(1000), normals @ to_gltf.T
    mesh = trimesh.Trimesh(vertices, skin.faces, vertex_normals=normals, process=False)
    write_private(path, mesh.export(file_type=ending[1:]))
