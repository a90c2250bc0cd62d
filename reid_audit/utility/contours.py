"""RT structure sets as the structures of a scan."""

from pathlib import Path

import numpy as np

from reid_audit.records import Finding, Grid, InputError, Volume
from reid_audit.utility.structures import Structure, StructureSet, crop_mask
from reid_audit.volume.header import read_dicom
from reid_audit.volume.rt_structures import fill_roi, read_rois
from reid_audit.volume.stored import lps_to_ras


def read_rtstruct(path: Path, grid: Volume | Grid) -> StructureSet:
    """Draw the contours of an RT structure set on a scan's voxels; see `reid_audit.volume.rt_structures`.

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
    source, lies = Path(path).name, grid.grid if isinstance(grid, Volume) else grid
    ds = read_dicom(Path(path), modality="RTSTRUCT", what="a structure set")
    ras_to_voxel = np.asarray(np.linalg.inv(lies.voxel_to_ras_mm), dtype=np.float64)
    rois = read_rois(ds, ras_to_voxel @ lps_to_ras(np.eye(4)), source)
    if not any(roi.contours for roi in rois):
        raise InputError(f"{source}: the structure set holds no contour; export it again")
    structures: dict[str, Structure] = {}
    empty: list[str] = []
    findings: list[Finding] = []
    for roi in rois:
        if roi.name in structures or roi.name in empty:
            raise InputError(f"{source}: two structures are called {roi.name!r}; rename one of them")
        tilted = next((contour for contour in roi.contours if contour.tilted), None)
        if tilted is not None:
            raise InputError(
                f"{source}: a contour of {roi.name!r} does not lie in one slice of the scan (it spans "
                f"{np.ptp(tilted.voxels[:, 2]):.1f}); give the scan that it was drawn on"
            )
        open_contours = sum(not contour.closed for contour in roi.contours)
        if open_contours:
            text = f"{roi.name!r}: {open_contours} contours are points or open lines and were left out"
            findings.append(Finding("open_contours", "info", text, float(open_contours)))
        structure = crop_mask(roi.name, *fill_roi(roi, lies.shape))
        if structure is not None:
            structures[roi.name] = structure
            continue
        empty.append(roi.name)
        if roi.planes():
            text = f"{roi.name!r} has contours, but none on the scan's voxels"
            findings.append(Finding("outside_scan", "warning", text))
        else:
            findings.append(Finding("empty_structure", "info", f"{roi.name!r} has no closed contour"))
    return StructureSet(structures, lies.shape, lies.voxel_to_ras_mm, source, tuple(empty), tuple(findings))
