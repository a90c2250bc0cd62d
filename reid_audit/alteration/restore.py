"""A defaced scan laid back where its original lies, in its original's units."""

from dataclasses import replace

import numpy as np

from reid_audit.alteration.intensity import unmap
from reid_audit.alteration.judge import Alteration
from reid_audit.records import Modality, OriginalSummary, Volume


def restore(defaced: Volume, alteration: Alteration, original: OriginalSummary) -> Volume:
    """Undo a turn, a motion, a mirror and a scale, so that the original's camera and skin level fit.

    No voxel is interpolated: axes are exchanged and turned round, and the affine carries the rest. What a defacer took
    away stays away.

    Returns
    -------
    Volume
        The same object where nothing has to be undone.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    placement, intensity = alteration.fit.placement, alteration.fit.intensity
    values, affine = defaced.intensity, defaced.voxel_to_ras_mm
    is_placed, is_scaled = np.allclose(placement, np.eye(4), atol=1e-6), "rescaled" not in alteration.codes
    if is_placed and is_scaled:
        return defaced
    if not is_scaled:
        restored = unmap(values.astype(np.float64), intensity, level=original.skin_level, air=original.air)
        values = restored.astype(np.float32)
        if original.grid.modality is Modality.CT:
            values = np.clip(values, -1024.0, 3071.0)
    if not is_placed:
        affine = np.linalg.inv(placement) @ affine
        to_ras = io_orientation(affine)
        affine = affine @ inv_ornt_aff(to_ras, values.shape)
        values = apply_orientation(values, to_ras)
    values = np.asfortranarray(values, dtype=np.float32)
    return replace(defaced, intensity=values, voxel_to_ras_mm=affine, modality=original.grid.modality)
