"""Structure sets and doses as heads: the skin that a body contour, or a low isodose, draws around a patient.

Words
-----
body
    The structure that outlines the patient: of the type EXTERNAL, else by its name (see roles.toml).
isodose
    Where the dose falls to 2 % of its maximum: at the skin wherever beams pass it.
as a CT
    Both become values in HU that cross the level of CT skin at the contour or isodose, so that all that is done with a
    CT can be done with them. They are no CT, and their notes say so.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Modality
from reid_audit.volume.header import damaged_header_errors, read_header
from reid_audit.volume.roles import StructureNames
from reid_audit.volume.rt_dose import read_dose_grid
from reid_audit.volume.rt_structures import Roi, fill_rois, read_rois
from reid_audit.volume.stored import Stored, check_declared, lps_to_ras

BODY_MODALITIES = ("RTSTRUCT", "RTDOSE")
"""What DICOM calls the objects that can show a face and are no images."""

BODY_TAGS = ("StructureSetROISequence", "RTROIObservationsSequence")
"""What `find_body` needs of a header."""

_LEVEL_HU, _AIR_HU, _TISSUE_HU = -300.0, -1000.0, 400.0
"""The level of CT skin lies half-way between the two others, where a contour cuts a voxel in halves."""
_ISODOSE = 0.02
_PIXEL_MM, _FINER = 1.2, 2
_MARGIN = 3
_SMOOTH_MM = 1.5


def body_modality(path: Path) -> str:
    """Return ``"RTSTRUCT"`` or ``"RTDOSE"`` where a file is one; empty where it is not."""
    try:
        header = read_header(path, ("Modality",))
    except OSError:
        return ""
    except damaged_header_errors():
        return ""
    modality = "" if header is None else str(header.get("Modality") or "").upper()
    return modality if modality in BODY_MODALITIES else ""


def find_body(header: Any, names: StructureNames = StructureNames()) -> int | None:
    """Return the number of the structure that outlines the patient: by type first, then by name. None without one."""
    kinds = {
        item.get("ReferencedROINumber"): str(item.get("RTROIInterpretedType") or "").upper()
        for item in header.get("RTROIObservationsSequence") or ()
    }
    structures = list(header.get("StructureSetROISequence") or ())
    by_type = [item for item in structures if kinds.get(item.get("ROINumber")) == "EXTERNAL"]
    by_name = [item for item in structures if names.is_body(str(item.get("ROIName") or ""))]
    for item in (*by_type, *by_name):
        return int(item.ROINumber)
    return None


def read_body(path: Path, name: str = "") -> Stored:
    """Read a structure set or a dose as values in HU that cross the level of CT skin at the body or the isodose.

    Parameters
    ----------
    path : Path
        A DICOM file for which `body_modality` is not empty.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        There is no body contour or no dose, or it cannot be placed.
    """
    from pydicom import dcmread

    name = name or path.name
    try:
        ds = dcmread(path, force=True)
        return _read_contour(ds, name) if ds.Modality == "RTSTRUCT" else _read_isodose(ds, name)
    except InputError:
        raise
    except damaged_header_errors() as error:
        raise InputError(f"{name}: the structure set or dose is damaged; export it again") from error


def _read_contour(ds: Any, name: str) -> Stored:
    number = find_body(ds)
    if number is None:
        raise InputError(f"{name}: the structure set has no contour of the body (of type EXTERNAL, or called BODY)")
    ds.ROIContourSequence = [item for item in ds.get("ROIContourSequence") or () if item.ReferencedROINumber == number]
    corners_mm = _corners_of(read_rois(ds, np.eye(4), name), number)
    if len(corners_mm) < 2:
        raise InputError(f"{name}: the contour of the body lies in fewer than two planes")
    heights_mm = np.array(sorted({round(float(part[:, 2].mean()), 2) for part in corners_mm}))
    step_mm = float(np.median(np.diff(heights_mm)))
    every = np.concatenate(corners_mm)
    pixel_mm = _PIXEL_MM / _FINER
    spacing_mm = np.array([pixel_mm, pixel_mm, step_mm])
    low_mm = np.array([*every.min(axis=0)[:2], heights_mm[0]]) - _MARGIN * spacing_mm * [_FINER, _FINER, 1]
    high_mm = np.array([*every.max(axis=0)[:2], heights_mm[-1]]) + _MARGIN * spacing_mm * [_FINER, _FINER, 1]
    size = np.ceil((high_mm - low_mm) / spacing_mm).astype(int) + 1
    size[:2] += -size[:2] % _FINER
    shape = tuple(int(n) for n in size)
    check_declared(name, shape, None)
    voxel_to_lps_mm = np.diag([*spacing_mm, 1.0])
    voxel_to_lps_mm[:3, 3] = low_mm
    rois = [roi for roi in read_rois(ds, np.linalg.inv(voxel_to_lps_mm), name) if roi.number == number]
    inside = fill_rois(rois, shape)
    share = inside.reshape(shape[0] // _FINER, _FINER, shape[1] // _FINER, _FINER, shape[2]).mean(axis=(1, 3))
    coarse = voxel_to_lps_mm @ np.diag([_FINER, _FINER, 1, 1])
    coarse[:3, 3] += (_FINER - 1) / 2 * spacing_mm * [1, 1, 0]
    values = _smooth(_AIR_HU + (_TISSUE_HU - _AIR_HU) * share, spacing_mm * [_FINER, _FINER, 1])
    return Stored(values, lps_to_ras(coarse), modality=Modality.CT, notes=("the body contour of a structure set",))


def _smooth(values: NDArray[np.floating], spacing_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Take the terraces off that slices and voxels leave, as an attacker would."""
    from scipy.ndimage import gaussian_filter

    smoothed: NDArray[np.float32] = gaussian_filter(values.astype(np.float32), _SMOOTH_MM / spacing_mm)
    return smoothed


def _corners_of(rois: Iterable[Roi], number: int) -> list[NDArray[np.float64]]:
    return [c.voxels for roi in rois if roi.number == number for c in roi.contours if len(c.voxels) > 2]


def _read_isodose(ds: Any, name: str) -> Stored:
    grid = read_dose_grid(ds, name)
    check_declared(name, grid.shape, None)
    dose = np.asarray(ds.pixel_array, dtype=np.float32).reshape(grid.shape).transpose(2, 1, 0)
    most = float(dose.max())
    if not most > 0:
        raise InputError(f"{name}: the dose is 0 everywhere")
    rise = (_LEVEL_HU - _AIR_HU) / (_ISODOSE * most)
    voxel_to_lps_mm = grid.voxel_to_lps(name)
    spacing_mm = np.linalg.norm(voxel_to_lps_mm[:3, :3], axis=0)
    values = _smooth(np.minimum(_AIR_HU + rise * dose, _TISSUE_HU), spacing_mm)
    note = f"the isodose at {_ISODOSE:.0%} of the maximum of a dose"
    return Stored(values, lps_to_ras(voxel_to_lps_mm), modality=Modality.CT, notes=(note,))
