"""What a file holds, still on its storage axes, and the checks that come before any other."""

import logging
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import FRAMES, InputError, Modality

MAX_GIB = 4.0
"""Largest image that is read, as stored and as float32; a header is judged by it before any voxel is unpacked."""

LIMIT_VARIABLE = "REID_AUDIT_MAX_GIB"
"""Environment variable that sets another limit, for those who trust their files and have the memory."""

_SPACING_LIMITS_MM = (0.05, 20.0)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A volume on its storage axes: `values` are any real numbers, to be multiplied by `slope`, plus `intercept`."""

    values: NDArray[Any]
    voxel_to_ras_mm: NDArray[np.float64]
    slope: float = 1.0
    intercept: float = 0.0
    modality: Modality | None = None
    notes: tuple[str, ...] = ()


_READING = threading.RLock()
"""Held while reading: the switches that keep the libraries quiet belong to the whole process."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep nibabel, pydicom and NumPy from warning, and put every switch back afterwards."""
    loggers = [logging.getLogger(name) for name in ("nibabel", "nibabel.global", "pydicom")]
    with _READING, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        disabled = [logger.disabled for logger in loggers]
        try:
            for logger in loggers:
                logger.disabled = True
            yield
        finally:
            for logger, was in zip(loggers, disabled, strict=True):
                logger.disabled = was


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Send what ITK, GDCM and MetaIO write to the error stream to nowhere: not all of it can be switched off."""
    try:
        kept = os.dup(2)
    except OSError:  # no error stream, e.g. under a service manager
        yield
        return
    with _READING:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def ending(path: Path) -> str:
    """Give the ending in lower case, ``".nii.gz"`` as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def max_gib() -> float:
    """Give the largest image that is read, in GiB: `MAX_GIB`, unless the environment says otherwise.

    Raises
    ------
    InputError
        Where the environment holds no positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit = float(text) if text else MAX_GIB
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise InputError(f"{LIMIT_VARIABLE} must be a positive number of GiB; got {text!r}")
    return limit


def check_declared(name: str, shape: Iterable[int], dtype: np.dtype[Any] | None, *, frames: str = "") -> None:
    """Refuse what the header alone rules out, before a voxel is unpacked; of 4-D files, unless `frames` are chosen."""
    shape = tuple(int(n) for n in shape)
    text = " x ".join(map(str, shape))
    if dtype is not None and dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else "colour or compound values"
        raise InputError(f"{name}: holds {kind}; one real number per voxel is needed")
    if any(n < 1 for n in shape):
        raise InputError(f"{name}: is empty, its header declares {text} voxels")
    n_bytes = max(4, dtype.itemsize if dtype is not None else 0)
    if int(np.prod(shape, dtype=object)) * n_bytes > max_gib() * 2**30:
        raise InputError(
            f"{name}: declares {text} voxels of {n_bytes} bytes, over the limit of {max_gib():g} GiB; crop or resample "
            f"it, or set {LIMIT_VARIABLE} to a higher limit"
        )
    if len(shape) > 3 and max(shape[3:]) > 1 and not frames:
        raise InputError(
            f"{name}: holds {int(np.prod(shape[3:]))} volumes ({text}); give one, or choose with --four-d (in a "
            f"manifest: the column series): {' or '.join(FRAMES)}"
        )
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise InputError(f"{name}: holds a single slice ({text}); a head needs a whole volume")


def lps_to_ras(voxel_to_lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn an affine of DICOM or ITK into RAS+: x and y change sign. The only place where this happens."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ voxel_to_lps_mm


def corner_shift_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Largest distance between where two affines put a corner voxel of the grid."""
    corners = np.array([[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
    return float(np.linalg.norm((corners @ (a - b).T)[:, :3], axis=1).max())


def numbers(values: Iterable[float]) -> str:
    """Write numbers for a message, e.g. ``"1 x 1 x 2.5"``."""
    return " x ".join(f"{float(x):.4g}" for x in values)


def check_affine(name: str, affine: NDArray[np.float64]) -> list[str]:
    """Refuse an affine that cannot be that of a head scan; note a sheared one."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise InputError(f"{name}: its affine holds values that are not finite; write its orientation again")
    axes = affine[:3, :3]
    spacing_mm = np.linalg.norm(axes, axis=0)
    low, high = _SPACING_LIMITS_MM
    if spacing_mm.min() < low or spacing_mm.max() > high:
        text = f"{numbers(spacing_mm)} mm"
        raise InputError(f"{name}: its spacing is {text}, outside [{low:g}, {high:g}] mm; is it in another unit?")
    unit = axes / spacing_mm
    if abs(np.linalg.det(unit)) < 0.05:
        raise InputError(f"{name}: its affine is singular (two axes run alike); write its orientation again")
    cosine = float(np.abs(unit.T @ unit - np.eye(3)).max())
    return [f"sheared by {np.degrees(np.arcsin(min(cosine, 1))):.1f} deg (gantry tilt?)"] if cosine > 2e-3 else []
