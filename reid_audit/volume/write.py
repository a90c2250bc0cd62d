"""Volumes and label maps to NIfTI, the same bytes for the same values."""

from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from reid_audit.records import InputError, Volume, write_private
from reid_audit.volume.stored import check_affine, ending, quiet


def _write_nifti(values: NDArray[Any], voxel_to_ras_mm: NDArray[np.float64], path: Path) -> None:
    """Write bytes that depend on the values alone: no time and no name in the gzip header."""
    import nibabel as nib

    path = Path(path)
    if ending(path) not in (".nii", ".nii.gz"):
        raise InputError(f"{path.name}: volumes are written as .nii or .nii.gz, not as '{ending(path)}'")
    with quiet():
        image = nib.Nifti1Image(values, voxel_to_ras_mm)
        image.set_sform(voxel_to_ras_mm, code=1)
        # A q-form cannot hold a shear: better none than a wrong one.
        image.set_qform(voxel_to_ras_mm, code=0 if check_affine(path.name, voxel_to_ras_mm) else 1)
        image.header.set_xyzt_units("mm")
        content = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        content = igzip.compress(content, compresslevel=1, mtime=0)
    write_private(path, content)


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume as NIfTI. The same volume gives the same bytes.

    CT is rounded to whole HU (int16). MR is kept exactly: int16 where all values are whole numbers in its range, else
    float32. An existing file is replaced, in one step.

    Raises
    ------
    InputError
        Where the ending is neither .nii nor .nii.gz, the values are not finite, or the file cannot be written.
    """
    values = volume.intensity
    if not np.isfinite(values).all():
        raise InputError(f"{path.name}: the volume holds values that are not finite")
    whole = values if not volume.is_hu else np.rint(values)
    if np.abs(whole).max(initial=0) <= 32767 and (volume.is_hu or np.array_equal(whole, np.rint(whole))):
        values = whole.astype(np.int16)
    _write_nifti(values, volume.voxel_to_ras_mm, path)


def write_labels(labels: NDArray[np.integer[Any]], voxel_to_ras_mm: NDArray[np.float64], path: Path) -> None:
    """Write a label map as NIfTI: uint8 where it fits, else uint16. The same labels give the same bytes.

    Raises
    ------
    InputError
        Where a label is not a whole number in [0, 65535], or as for `write_volume`.
    """
    if labels.dtype.kind not in "biu" or labels.ndim != 3:
        raise InputError(f"{path.name}: labels are whole numbers on three axes, not {labels.dtype} on {labels.ndim}")
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > 65535:
        raise InputError(f"{path.name}: labels lie within [0, 65535], not {low} to {high}")
    _write_nifti(labels.astype(np.uint8 if high < 256 else np.uint16), voxel_to_ras_mm, path)
