"""Read a scan into a Volume: float32 in RAS+ mm, CT in HU, everything doubtful named in its notes.

Words
-----
storage axes
    The order and direction in which a file keeps its voxels. They end here: every `Volume` has its axes growing to the
    subject's right, front and top. An oblique scan is turned by quarter turns only, never resampled.
LPS
    The frame of DICOM and ITK, x to the left and y to the back. Turned into RAS+ in one place, `lps_to_ras`.
padding
    Voxels that the scanner never measured. They become air before anything else looks at the values: the smallest
    measured value in MR, and -1024 HU in CT, where everything below -1024 HU counts as padding.
HU
    Hounsfield units. A CT keeps [-1024, 3071]; metal is clipped at the upper end. Whoever measures what was done to
    the intensities asks for the values as they stand (``clip_hu=False``).

What is refused, with an `InputError` that names the file and the rule: no file; an empty, damaged or unknown file; more
than one volume; colour or complex values; one slice; a constant image; half or more of the values not finite; spacings
outside [0.05, 20] mm; a singular affine; over 4 GiB, declared or unpacked (the environment variable REID_AUDIT_MAX_GIB
sets another limit); a DICOM folder with several series or missing slices; a CT that is not in HU. Messages carry no
folder and no DICOM identifier. A DICOM stack of uneven gaps is interpolated to even ones, and a note says so.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import FRAMES, Grid, InputError, Modality, Volume
from reid_audit.volume.air import PADDING_HU
from reid_audit.volume.bodies import body_modality, read_body
from reid_audit.volume.cause import name_cause
from reid_audit.volume.dicom import read_dicom
from reid_audit.volume.files import read_itk, read_nibabel
from reid_audit.volume.identity import digest_image, digest_voxels
from reid_audit.volume.stored import Stored, check_affine, corner_shift_mm, ending, quiet
from reid_audit.volume.write import write_labels, write_volume

MAX_HU = 3071.0
"""The upper end of what a CT keeps: 12 bits, as scanners store it."""

_MAX_NOT_FINITE = 0.5
_TISSUE_HU = -400.0  # above the level of the skin begins, with room
READERS: dict[str, Callable[[Path], Stored]] = {
    **dict.fromkeys((".nii", ".nii.gz", ".mgz", ".mgh"), read_nibabel),
    **dict.fromkeys((".nrrd", ".mha", ".mhd"), read_itk),
}
"""What reads a file, by its ending; a folder is read as a DICOM series."""

_DICOM_ENDINGS = (".dcm", ".ima", ".dicom")


def _to_ras(name: str, stored: Stored) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """View the values on axes that grow to the right, front and top, and the affine that goes with the view."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    to_ras = io_orientation(stored.voxel_to_ras_mm)
    view = apply_orientation(stored.values, to_ras)
    affine = stored.voxel_to_ras_mm @ inv_ornt_aff(to_ras, stored.values.shape)
    if not (np.diag(affine) > 0).all():
        raise InputError(f"{name}: its axes are sheared so strongly that right, front and top cannot be told apart")
    return view, affine


def _as_float32(view: NDArray[Any]) -> NDArray[np.float32]:
    """Copy to float32 with the first axis contiguous, as most files keep it and VTK wants it.

    Where another axis is contiguous in the file, plane by plane through both: a plane stays in the cache, and one
    transposing copy of a whole head takes up to six times as long.
    """
    out = np.empty(view.shape, np.float32, order="F")
    fastest = int(np.argmin(np.abs(view.strides)))
    if fastest == 0:
        out[...] = view
        return out
    planes = 3 - fastest
    for source, target in zip(np.moveaxis(view, planes, 0), np.moveaxis(out, planes, 0), strict=True):
        target[...] = source
    return out


def _span(values: NDArray[Any]) -> tuple[float, float]:
    """Least and largest value; NaN where one of them is."""
    return float(values.min()), float(values.max())


def _looks_like_hu(values: NDArray[np.float32]) -> bool:
    """Whether values have a CT's two modes: air at -1000 HU (or padding below it) and soft tissue around 0..100 HU."""
    air = np.mean(values <= -850)
    tissue = np.mean((values >= -200) & (values <= 200))
    return bool(air >= 0.02 and tissue >= 0.02)


def _choose_modality(
    name: str, values: NDArray[np.float32], asked: Modality | None, header: Modality | None
) -> tuple[Modality, list[str]]:
    """Settle the modality: the caller's, checked against the header, or the header's, or told from the values."""
    if asked and header and asked is not header:
        raise InputError(f"{name}: modality {asked} was asked for, its header says {header}; correct the manifest")
    step = tuple(max(1, n // 64) for n in values.shape)
    sample = values[:: step[0], :: step[1], :: step[2]]
    sample = sample[np.isfinite(sample)]
    hu = _looks_like_hu(sample)
    modality = asked or header
    if modality is None:
        modality = Modality.CT if hu else Modality.MR
        why = "air near -1000 and tissue near 0" if hu else "not in HU"
        return modality, [f"modality {modality} told from the values ({why}); the file does not say"]
    if modality is Modality.CT and not np.any(sample <= -500):
        value_range = f"{sample.min(initial=np.inf):g} to {sample.max(initial=-np.inf):g}"
        raise InputError(
            f"{name}: intensities are not HU ({value_range}, no air below -500); "
            "convert it without windowing, or give modality MR"
        )
    if asked is Modality.MR and header is None and hu:
        return modality, ["values look like HU although the modality is given as MR"]
    return modality, []


def _unmeasured(values: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Find what lies outside a round field of view, where a program wrote one value that tissue has; None = nothing."""
    corners = values[:: len(values) - 1, :: values.shape[1] - 1, :: values.shape[2] - 1]
    value = corners[0, 0, 0]
    if not (corners == value).all() or value <= _TISSUE_HU:
        return None
    from scipy.ndimage import label

    pieces, _ = label(values == value)
    of_corners = np.unique(pieces[:: len(values) - 1, :: values.shape[1] - 1, :: values.shape[2] - 1])
    outside: NDArray[np.bool_] = np.isin(pieces, of_corners)
    return outside


def _finish(stored: Stored, name: str, modality: Modality | None, *, clipped: bool = True) -> Volume:
    notes = list(stored.notes) + check_affine(name, stored.voxel_to_ras_mm)
    view, affine = _to_ras(name, stored)
    values = _as_float32(view)
    if stored.slope != 1.0:
        values *= np.float32(stored.slope)
    if stored.intercept != 0.0:
        values += np.float32(stored.intercept)
    as_stored = stored.slope == 1.0 and stored.intercept == 0.0 and view.dtype.itemsize <= 2  # exact, and read faster
    low, high = _span(view if as_stored else values)
    finite = None if isfinite(low) and isfinite(high) else np.isfinite(values)
    missing = 0.0 if finite is None else 1.0 - np.count_nonzero(finite) / values.size
    if missing >= _MAX_NOT_FINITE:
        raise InputError(f"{name}: {missing:.0%} of its values are not finite; fewer than half may be NaN or infinite")
    modality, more = _choose_modality(name, values, modality, stored.modality)
    notes += more
    if finite is not None:
        values[~finite] = PADDING_HU if modality is Modality.CT else values[finite].min()
        notes.append(f"{missing:.2%} of the values are not finite (NaN or infinite) and became air")
        low, high = _span(values)
    if clipped and modality is Modality.CT and (outside := _unmeasured(values)) is not None:
        notes.append(f"{values[0, 0, 0]:g} HU outside of the field of view became air ({np.mean(outside):.1%})")
        values[outside] = PADDING_HU
        low, high = _span(values)
    if clipped and modality is Modality.CT and (low < PADDING_HU or high > MAX_HU):
        np.clip(values, PADDING_HU, MAX_HU, out=values)
        notes += [f"padding below {PADDING_HU:g} HU (down to {low:g}) became air"] if low < PADDING_HU else []
        low, high = max(low, PADDING_HU), min(high, MAX_HU)
    if low >= high:
        raise InputError(f"{name}: every voxel has the value {low:g}; there is nothing to see")
    return Volume(values, affine, modality, source=name, notes=tuple(notes))


def _read_stored(path: Path, series: str = "", name: str = "") -> Stored:
    name, kind = name or path.name, ending(path)
    # os.path instead of Path: a name that no file can have is "absent", not another exception.
    if os.path.isdir(path):
        return read_dicom(path, series=series, name=name)
    if not os.path.exists(path):
        raise InputError(f"{name}: there is no such file; check the path in the manifest")
    if kind not in READERS and os.path.isfile(path) and body_modality(path):
        return read_body(path, name)
    frames = series if READERS.get(kind) is read_nibabel and series in FRAMES else ""
    if series != frames:
        raise InputError(f"{name}: a series is taken out of a folder, and this is a file; correct the manifest")
    if kind in _DICOM_ENDINGS:
        raise InputError(f"{name}: is one DICOM file; give the folder that holds its series")
    if kind not in READERS:
        known = ", ".join(READERS)
        raise InputError(f"{name}: its ending is not one of {known}, nor is it a folder with a DICOM series")
    if not os.path.isfile(path):
        raise InputError(f"{name}: is neither a file nor a folder")
    if os.path.getsize(path) == 0:
        raise InputError(f"{name}: is an empty file; copy it again")
    try:
        return read_nibabel(path, frames) if frames else READERS[kind](path)
    except InputError as error:
        cause = name_cause(path)
        if cause:
            raise InputError(f"{name}: {cause}") from error
        raise


def clip_volume(volume: Volume) -> Volume:
    """Return a CT within [-1024, 3071] HU, as `read_volume` gives it; an MR as it is."""
    if not volume.is_hu:
        return volume
    return replace(volume, intensity=np.clip(volume.intensity, np.float32(PADDING_HU), np.float32(MAX_HU)))


def read_volume(
    path: Path, *, modality: Modality | None = None, series: str = "", name: str = "", clip_hu: bool = True
) -> Volume:
    """Read a head CT, MR or PET into RAS+ mm.

    Parameters
    ----------
    path : Path
        A file (.nii, .nii.gz, .mgz, .mgh, .nrrd, .mha, .mhd) or a folder that holds one DICOM series. A structure set
        or dose is read as the body that it outlines, see `reid_audit.volume.bodies`.
    modality : Modality, optional
        None takes it from the DICOM header or, for other formats, tells it from the values: CT where at least 2 % of
        them are air (below -850 HU) and 2 % soft tissue (within 200 of 0 HU), else MR. What was told is noted.
    series : str
        Which DICOM series of a folder, by `reid_audit.records.name_series`; needed where it holds several. Of a 4-D
        NIfTI file ``"first"`` or ``"mean"``: its first volume, or the mean of all.
    name : str
        What messages call the scan; its name without folders by default.
    clip_hu : bool
        False leaves the HU of a CT as the file has them; what its header declares as padding is air all the same.

    Returns
    -------
    Volume
        Float32, the first axis contiguous; the axes grow to the right, front and top. CT in HU within [-1024, 3071],
        padding as air. Values that are not finite became air, with a note. ``source`` is the name without folders, or
        ``name``.

    Raises
    ------
    InputError
        For every reason in the module docstring. No other exception and no warning leaves this function.
    """
    path = Path(path) if Path(path).name else Path(path).resolve()  # Path(".") has no name
    with quiet():
        return _finish(_read_stored(path, series, name), name or path.name, modality, clipped=clip_hu)


def read_labels(path: Path) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Read a label map into RAS+ mm, the same way as a scan.

    Returns
    -------
    labels : (i, j, k) int32
    voxel_to_ras_mm : (4, 4) float64

    Raises
    ------
    InputError
        As for `read_volume`, and where a value is not a whole number. A map without any label is not an error.
    """
    path = Path(path) if Path(path).name else Path(path).resolve()  # Path(".") has no name
    with quiet():
        stored = _read_stored(path)
        check_affine(path.name, stored.voxel_to_ras_mm)
        view, affine = _to_ras(path.name, stored)
        scaled = view if stored.slope == 1 and stored.intercept == 0 else view * stored.slope + stored.intercept
        labels = np.asfortranarray(scaled, dtype=np.int32)
        if not np.array_equal(labels, scaled):
            raise InputError(f"{path.name}: is not a label map, its values are not whole numbers")
    return labels, affine


def check_same_grid(original: Volume | Grid, defaced: Volume | Grid, *, tolerance_mm: float = 0.1) -> None:
    """Check that a defaced scan lies on its original's voxel grid, so that both can share one level and one camera.

    Raises
    ------
    InputError
        Where modality or shape differ, or where a corner of the grid lies more than `tolerance_mm` elsewhere.
    """
    a, b = (scan.grid if isinstance(scan, Volume) else scan for scan in (original, defaced))
    names = f"{b.source or 'defaced'} and {a.source or 'original'}"
    mend = "resample the defaced scan onto its original's grid"
    if a.modality is not b.modality:
        raise InputError(f"{names}: one is {b.modality}, the other {a.modality}; correct the manifest")
    if a.shape != b.shape:
        sizes = " against ".join(" x ".join(map(str, grid.shape)) for grid in (b, a))
        raise InputError(f"{names}: differ in voxels, {sizes}; {mend}")
    shift_mm = corner_shift_mm(b.voxel_to_ras_mm, a.voxel_to_ras_mm, a.shape)
    if not shift_mm <= tolerance_mm:
        raise InputError(f"{names}: their grids lie up to {shift_mm:.2f} mm apart (limit {tolerance_mm:g}); {mend}")


STAGE_VERSION = 2
"""Raise when the same file gives another volume; kept faces are then made anew."""

__all__ = [
    "MAX_HU",
    "READERS",
    "STAGE_VERSION",
    "Stored",
    "check_same_grid",
    "clip_volume",
    "digest_image",
    "digest_voxels",
    "read_labels",
    "read_volume",
    "write_labels",
    "write_volume",
]
