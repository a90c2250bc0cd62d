"""RT structure sets: closed contours become masks on the scan's voxels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, Grid, InputError, Volume
from reid_audit.utility.structures import Structure, StructureSet, crop_mask
from reid_audit.volume.stored import lps_to_ras, quiet

_MAX_TILT_VOXELS = 0.5
"""How far a contour may run through the slices: more, and it does not lie in one."""


def open_dicom(path: Path, modality: str, what: str) -> Any:
    """Read one DICOM file of a modality, with every doubt named.

    Raises
    ------
    InputError
        The file is absent, no DICOM, or of another modality.
    """
    import pydicom
    from pydicom.errors import BytesLengthException, InvalidDicomError

    damaged = (InvalidDicomError, BytesLengthException, struct.error)
    try:
        with quiet():
            header = pydicom.dcmread(path)
            found = str(header.get("Modality") or "none")
    except FileNotFoundError as error:
        raise InputError(f"{path.name}: there is no such file") from error
    except (*damaged, OSError, EOFError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{path.name}: is not a readable DICOM file; copy it again") from error
    if found != modality:
        raise InputError(f"{path.name}: its modality is {found}; {what} has the modality {modality}")
    return header


def _grid_of(grid: Volume | Grid) -> Grid:
    return grid.grid if isinstance(grid, Volume) else grid


def _planes_of(
    contours: Any, ras_to_voxel: NDArray[np.float64], source: str, name: str
) -> tuple[list[tuple[float, NDArray[np.float64]]], int]:
    """Give the closed contours as (position along k, (n, 2) corners along i and j), and how many were not closed."""
    planes, others = [], 0
    for contour in contours:
        if str(contour.get("ContourGeometricType", "")) != "CLOSED_PLANAR":
            others += 1
            continue
        corners = np.asarray(contour.ContourData, dtype=np.float64).reshape(-1, 3)
        if len(corners) < 3:
            others += 1
            continue
        ras = lps_to_ras(np.eye(4))[:3, :3] @ corners.T
        i, j, k = ras_to_voxel[:3, :3] @ ras + ras_to_voxel[:3, 3:]
        if np.ptp(k) > _MAX_TILT_VOXELS:
            raise InputError(
                f"{source}: a contour of {name!r} does not lie in one slice of the scan (it spans {np.ptp(k):.1f}); "
                "give the scan that it was drawn on"
            )
        planes.append((float(k.mean()), np.stack([i, j], axis=1)))
    return planes, others


def _fill(
    planes: list[tuple[float, NDArray[np.float64]]], shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], tuple[int, int, int]]:
    """Fill contours: within a plane by even-odd, between planes up to half their distance."""
    from skimage.draw import polygon

    corners = np.concatenate([each for _, each in planes])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, np.array(shape[:2]))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, np.array(shape[:2]))
    by_position: dict[float, NDArray[np.bool_]] = {}
    size = tuple(np.maximum(high - low, 0))
    for position, each in planes:
        key = round(position, 2)
        filled = np.zeros(size, dtype=bool)
        filled[polygon(each[:, 0] - low[0], each[:, 1] - low[1], size)] = True
        by_position[key] = by_position.get(key, False) ^ filled
    at = np.array(sorted(by_position))
    step = float(np.median(np.diff(at))) if len(at) > 1 else 1.0
    reach = max(step, 1.0) / 2 + 1e-3
    first, last = max(0, int(np.ceil(at[0] - reach))), min(shape[2] - 1, int(np.floor(at[-1] + reach)))
    mask = np.zeros((*size, max(0, last - first + 1)), dtype=bool)
    for k in range(first, last + 1):
        nearest = at[np.argmin(np.abs(at - k))]
        if abs(nearest - k) <= reach:
            mask[:, :, k - first] = by_position[float(nearest)]
    return mask, (int(low[0]), int(low[1]), first)


def read_rtstruct(path: Path, grid: Volume | Grid) -> StructureSet:
    """Draw the contours of an RT structure set on a scan's voxels.

    A voxel belongs to a structure where its centre lies inside of the contour of its slice. Several contours in a slice
    combine by even-odd, so that holes stay holes. Where contours are further apart than slices, each fills the slices
    up to half way to the next.

    Parameters
    ----------
    path : Path
    grid : Volume or Grid
        Of the scan; its third axis must run along the normal of the contours.

    Returns
    -------
    StructureSet
        ``empty`` names the structures without a contour on the scan; findings ``"empty_structure"``,
        ``"outside_scan"`` and ``"open_contours"`` say why.

    Raises
    ------
    InputError
        No DICOM, no RTSTRUCT, no contour at all, two structures of one name, or a contour across slices.
    """
    header = open_dicom(Path(path), "RTSTRUCT", "a structure set")
    source, lies = Path(path).name, _grid_of(grid)
    ras_to_voxel = np.asarray(np.linalg.inv(lies.voxel_to_ras_mm), dtype=np.float64)
    contours_of = {
        int(item.ReferencedROINumber): list(item.get("ContourSequence") or ())
        for item in header.get("ROIContourSequence") or ()
    }
    structures: dict[str, Structure] = {}
    empty: list[str] = []
    findings: list[Finding] = []
    if not any(contours_of.values()):
        raise InputError(f"{source}: the structure set holds no contour; export it again")
    for item in header.get("StructureSetROISequence") or ():
        name = str(item.get("ROIName") or f"ROI {item.ROINumber}")
        if name in structures or name in empty:
            raise InputError(f"{source}: two structures are called {name!r}; rename one of them")
        planes, others = _planes_of(contours_of.get(int(item.ROINumber), []), ras_to_voxel, source, name)
        if others:
            text = f"{name!r}: {others} contours are points or open lines and were left out"
            findings.append(Finding("open_contours", "info", text, float(others)))
        if not planes:
            findings.append(Finding("empty_structure", "info", f"{name!r} has no closed contour"))
            empty.append(name)
            continue
        structure = crop_mask(name, *_fill(planes, lies.shape))
        if structure is None:
            findings.append(Finding("outside_scan", "warning", f"{name!r} has contours, but none on the scan's voxels"))
            empty.append(name)
        else:
            structures[name] = structure
    return StructureSet(structures, lies.shape, lies.voxel_to_ras_mm, source, tuple(empty), tuple(findings))
