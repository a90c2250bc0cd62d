"""A DICOM RT dose after the cut: zero where the scan became air, untouched everywhere else.

The dose has a grid of its own. Each of its voxels is asked whether its centre lies beyond the cut, which needs no
resampling. Targets and brain keep their dose with a margin of one dose voxel: every voxel that a linear interpolation
at one of their scan voxels reads, so that no number of a target's dose changes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask
from reid_audit.deface.pixels import set_pixels
from reid_audit.deface.rt_structures import is_taken
from reid_audit.records import InputError
from reid_audit.volume.rt_dose import read_dose_grid

_MIN_OVERLAP = 0.5  # of the planes of a dose: with fewer inside the scan, its direction was read wrongly


def deface_dose(
    ds: Any, cut: EyeCut, kept: Mask, voxel_to_lps: NDArray[np.float64], frame_uid: str, name: str
) -> tuple[Mask, Mask]:
    """Set the dose to zero where the cut takes the scan, in place.

    Parameters
    ----------
    ds : pydicom.Dataset
    cut : EyeCut
    kept : (i, j, k) bool
        Voxels of targets and brain on the grid of the scan.
    voxel_to_lps : (4, 4) float
        Of the scan.
    frame_uid : str
        Frame of reference of the scan; empty = not known.
    name : str
        File name, for messages.

    Returns
    -------
    removed : (frame, row, column) bool
    stayed : (frame, row, column) bool
        Voxels beyond the cut that kept their dose for a target or the brain.

    Raises
    ------
    InputError
        No dose, another frame of reference, no place, or a place beside the scan.
    """
    if ds.get("Modality") != "RTDOSE":
        raise InputError(f"{name}: is {ds.get('Modality') or 'of no modality'}, not an RT dose")
    if frame_uid and ds.get("FrameOfReferenceUID") and str(ds.FrameOfReferenceUID) != frame_uid:
        raise InputError(f"{name}: belongs to another frame of reference than the scan; give the dose of this scan")
    grid = read_dose_grid(ds, name)
    lps_to_voxel = np.linalg.inv(voxel_to_lps)
    heights = (grid.corner + grid.planes_mm) @ lps_to_voxel[2, :3] + lps_to_voxel[2, 3]
    share = float(np.mean((heights > -1) & (heights < kept.shape[2])))
    if share < _MIN_OVERLAP:
        raise InputError(
            f"{name}: only {share:.0%} of its planes lie within the scan; its GridFrameOffsetVector and "
            "ImageOrientationPatient disagree with the scan: export the dose again"
        )
    # Voxels behind the cut count too, where what they read may lie in front of it.
    reach = 1 + np.ceil(grid.step_mm / np.linalg.norm(voxel_to_lps[:3, :3], axis=0)).astype(int)
    from_j, from_k = max(cut.front - int(reach[1]), 0), max(cut.bottom - int(reach[2]), 0)
    near = np.argwhere(kept[:, from_j:, from_k:]) + np.array([0, from_j, from_k])
    read = grid.around(near @ voxel_to_lps[:3, :3].T + voxel_to_lps[:3, 3])
    removed = np.zeros(grid.shape, dtype=bool)
    beyond = np.zeros(grid.shape, dtype=bool)
    for frame in range(grid.shape[0]):
        voxels = grid.points(frame) @ lps_to_voxel[:3, :3].T + lps_to_voxel[:3, 3]
        beyond[frame] = cut.beyond(voxels[..., 1], voxels[..., 2])
        removed[frame] = is_taken(cut, kept, voxels)
    removed &= ~read
    set_pixels(ds, removed, 0, name)
    return removed, beyond & ~removed
