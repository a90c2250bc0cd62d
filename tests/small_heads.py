"""A small head, every voxel of it different, as an array, a volume and a NIfTI file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from reid_audit.records import Modality, Volume

AFFINE = np.array([[1.0, 0, 0, -10], [0, 2, 0, -20], [0, 0, 3, -30], [0, 0, 0, 1]])


def head(shape: tuple[int, int, int] = (5, 6, 7)) -> np.ndarray:
    """An asymmetrical CT: air, a block of tissue, and every voxel of the block different."""
    values = np.full(shape, -1000, np.int16)
    block = values[1:-1, 1:-2, 2:-1]
    block[:] = np.arange(block.size).reshape(block.shape)
    return values


def nifti(path: Path, values: np.ndarray | None = None, affine: np.ndarray = AFFINE, **codes: int) -> Path:
    image = nib.Nifti1Image(head() if values is None else values, affine)
    for form, code in codes.items():
        getattr(image, f"set_{form}")(affine, code=code)
    image.to_filename(path)
    return path


def volume(values: Any = None, affine: np.ndarray = AFFINE, modality: Modality = Modality.CT) -> Volume:
    return Volume(np.asarray(head() if values is None else values, np.float32), affine, modality, "made.nii.gz")
