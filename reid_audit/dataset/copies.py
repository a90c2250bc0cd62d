"""Other copies of a face in a tree: what kinds of files can show one, and those that were looked at and allowed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from reid_audit.records import InputError, read_cells

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
MESHES = (".stl", ".ply", ".obj", ".glb", ".off")

_KINDS: Mapping[tuple[str, ...], tuple[str, str]] = {
    PICTURES: ("picture", "may be a screenshot or preview that shows the face"),
    (*MESHES, ".gii", ".vtk", ".vtp", ".3mf"): ("mesh", "may be the surface of a head"),
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".wmv"): ("video", "may show the face"),
    (".pdf", ".pptx", ".docx", ".html", ".svg"): ("document", "may hold pictures of the face"),
    (".zip", ".tar", ".tgz", ".7z", ".rar", ".tar.gz", ".tar.xz"): ("archive", "is not looked into"),
    (".npy", ".npz", ".h5", ".hdf5", ".mat", ".pt", ".pkl", ".mnc", ".img"): ("array", "may hold the voxels of a head"),
    (".lta", ".xfm", ".x5"): ("transform", "may undo a registration, and with it what a template hides"),
}
DICOM_COPIES = {
    "SC": "a secondary capture: a picture that may show the face",
    "OT": "an object of another kind: a picture that may show the face",
    "XC": "a photograph",
    "DOC": "a document that may hold pictures of the face",
    "M3D": "a model that may be the surface of a head",
    "STL": "a model that may be the surface of a head",
}
"""Modalities that can show a face and are no scan."""

ICON = "IconImageSequence"
"""A thumbnail within a DICOM image."""
THUMBNAILS = "thumbnail", "within DICOM images, and may show the face: remove IconImageSequence"

_BY_NAME = {
    "defacemask": ("mask", "has the outline of the face that was removed"),
    "facemask": ("mask", "has the outline of the face that was removed"),
}


def name_copy(path: Path) -> tuple[str, str] | None:
    """Say what a file is that can show a face and is no scan, and why it can; None where it cannot by its name."""
    name = path.name.lower()
    for word, told in _BY_NAME.items():
        if word in name and not name.endswith(".json"):
            return told
    return next((told for endings, told in _KINDS.items() if name.endswith(endings)), None)


def read_allowed(path: Path | None) -> Mapping[str, str]:
    """Read which files may show a face: people consented, or somebody looked.

    Parameters
    ----------
    path : Path, optional
        A CSV or TSV with the columns ``sha256`` (of the file, 64 hex digits) and ``reason``. None: no file may.

    Returns
    -------
    mapping of str to str
        SHA-256 in small letters to reason.

    Raises
    ------
    InputError
        The table cannot be read or lacks a column, a hash is none, or a reason is empty.
    """
    if path is None:
        return MappingProxyType({})
    if not path.is_file():
        raise InputError(f"{path.name}: there is no such table; give --allow a CSV with the columns sha256 and reason")
    table, lines = read_cells(path, known=("sha256", "reason"), hint="the first line should read: sha256,reason")
    if not {"sha256", "reason"} <= set(table.columns):
        raise InputError(f"{path.name}: lacks the column sha256 or reason; it has {', '.join(table.columns)}")
    allowed = {}
    for line, digest, reason in zip(lines, table["sha256"].str.lower(), table["reason"], strict=True):
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise InputError(
                f"{path.name}, line {line}: sha256 must be 64 hex digits, as sha256sum prints; got {digest!r}"
            )
        if not reason:
            raise InputError(f"{path.name}, line {line}: the reason is empty; say why this file may show a face")
        allowed[digest] = reason
    return allowed


def find_reason(path: Path, allowed: Mapping[str, str]) -> str:
    """Return why a file may show a face; empty where nobody allowed it. Hashes it only where something is allowed."""
    if not allowed or not path.is_file():
        return ""
    with path.open("rb") as stream:
        return allowed.get(hashlib.file_digest(stream, "sha256").hexdigest(), "")
