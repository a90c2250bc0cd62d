"""Further images of a study, cut by the mask of its planning scan: a CBCT, a second CT, an MR in its place.

An image of the scan's own frame of reference lies where the scan lies. One of another frame is carried there by a DICOM
Spatial Registration object, whose matrices map each frame of reference into one registered system (PS3.3 C.20.2). Each
voxel is asked whether its centre lies beyond the cut, which needs no resampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask
from reid_audit.deface.rt_structures import is_taken
from reid_audit.records import InputError
from reid_audit.volume.dicom import Stack, find_stack
from reid_audit.volume.header import read_dicom

_FLAT = 1e-3  # a determinant of a matrix that carries no volume


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredImage:
    """A further image and what of it is to be removed: (file, row, column) bool. ``by`` says how it was placed."""

    stack: Stack
    removed: Mask
    by: str


def _read_frames(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return for each frame of reference of a registration object the matrix into its registered system."""
    ds = read_dicom(path, modality="REG", what="a registration")
    frames = {str(ds.get("FrameOfReferenceUID") or ""): np.eye(4)}
    if "RegistrationSequence" not in ds:
        raise InputError(
            f"{path.name}: holds no rigid registration; a deformable one cannot carry a plane: leave it out"
        )
    for item in ds.RegistrationSequence:
        matrices = [
            np.array(matrix.FrameOfReferenceTransformationMatrix, dtype=np.float64).reshape(4, 4)
            for registration in item.get("MatrixRegistrationSequence") or ()
            for matrix in registration.get("MatrixSequence") or ()
        ]
        if len(matrices) != 1:
            raise InputError(f"{path.name}: holds {len(matrices)} matrices for one frame, not one; export it anew")
        if not abs(np.linalg.det(matrices[0][:3, :3])) > _FLAT:
            raise InputError(f"{path.name}: its matrix flattens the scan; export it anew")
        frames[str(item.get("FrameOfReferenceUID") or "")] = matrices[0]
    frames.pop("", None)
    return frames


def _find_way(
    uid: str, scan_uid: str, registrations: Sequence[tuple[str, dict[str, NDArray[np.float64]]]]
) -> tuple[NDArray[np.float64], str] | None:
    """Return the matrix from one frame of reference into the scan's, in LPS mm, and what it comes from."""
    if uid and uid == scan_uid:
        return np.eye(4, dtype=np.float64), "the scan's own frame of reference"
    for name, frames in registrations:
        if uid in frames and scan_uid in frames:
            way: NDArray[np.float64] = np.asarray(np.linalg.solve(frames[scan_uid], frames[uid]), dtype=np.float64)
            return way, name
    return None


def _mask(stack: Stack, to_voxel: NDArray[np.float64], cut: EyeCut, safe: Mask) -> Mask:
    """Return which voxels of a stack the cut takes; ``to_voxel`` maps its own voxels to those of the scan."""
    columns, rows, slices = stack.shape
    removed = np.zeros((slices, rows, columns), dtype=bool)
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    for n in range(slices):
        own = np.stack([column, row, np.full_like(row, n)], axis=-1)
        removed[n] = is_taken(cut, safe, own @ to_voxel[:3, :3].T + to_voxel[:3, 3])
    return removed


def find_registered(
    series: Sequence[Sequence[Path]],
    registrations: Sequence[Path],
    *,
    cut: EyeCut,
    safe: Mask,
    voxel_to_lps: NDArray[np.float64],
    frame_uid: str,
) -> tuple[list[RegisteredImage], list[str]]:
    """Place the further images of a study against its cut.

    Parameters
    ----------
    series : sequence of sequence of Path
        The files of each further image series.
    registrations : sequence of Path
        Spatial registration objects.
    cut : EyeCut
    safe : (i, j, k) bool
        Voxels of targets and brain, on the scan.
    voxel_to_lps : (4, 4) float64
        Of the scan.
    frame_uid : str
        Frame of reference of the scan.

    Returns
    -------
    images : list of RegisteredImage
    notes : list of str
        Which series could not be placed and are left out.

    Raises
    ------
    InputError
        A series or a registration cannot be read, or is deformable.
    """
    known = [(path.name, _read_frames(path)) for path in registrations]
    images, notes = [], []
    lps_to_voxel = np.linalg.inv(voxel_to_lps)
    for files in series:
        stack = find_stack(files, files[0].parent.name)
        uid = str(_header(stack.files[0]).get("FrameOfReferenceUID") or "")
        way = _find_way(uid, frame_uid, known)
        if way is None:
            notes.append(f"{len(files)} slices of a series were left out: no registration ties their frame to the scan")
            continue
        matrix, by = way
        ras_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
        removed = _mask(stack, lps_to_voxel @ matrix @ ras_to_lps @ stack.voxel_to_ras_mm, cut, safe)
        if not removed.any():
            notes.append(f"{len(files)} slices of a registered series lie nowhere beyond the cut and are as they were")
        images.append(RegisteredImage(stack, removed, by))
    return images, notes


def _header(path: Path) -> Any:
    return read_dicom(path, pixels=False)
