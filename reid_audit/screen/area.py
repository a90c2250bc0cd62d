"""Which voxels were altered."""

import numpy as np

from reid_audit.attack.lay import Laid, average_shape
from reid_audit.records import Volume
from reid_audit.screen.head import head_coordinates
from reid_audit.screen.texture import Mask, Texture
from reid_audit.surface.masks import pieces

_LEAST_QUIET_CM3 = 8.0  # of tissue without noise in the face; whole faces have 0 to 2
_LEAST_ROUGH_CM3 = 30.0  # of too much noise in the face; whole faces have up to 8
_LEAST_CM3 = 5.0  # of a piece that touches the face
_CLOSING_MM = 10.0  # edges inside a replaced face look like noise
_FADE_MM = 4.0  # how far an alteration reaches beyond the place where its noise is clearly missing
_COARSE_MM = 2.0
_INSIDE_MM = -6.0  # air that lies deeper in the average head is missing tissue


def _pieces_in(mask: Mask, where: Mask, least_cm3: float, voxel_cm3: float) -> Mask:
    """Keep the pieces of a mask that have at least so much volume in a place."""
    labels, count = pieces(mask)
    if not count:
        return mask
    cm3 = np.bincount(labels[where].ravel(), minlength=count + 1) * voxel_cm3
    cm3[0] = 0
    return np.asarray((cm3 >= least_cm3)[labels])


def _close(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Close gaps and grow by the fade, on a grid of about 2 mm."""
    from scipy.ndimage import distance_transform_edt

    steps = [max(1, round(_COARSE_MM / s)) for s in spacing_mm]
    thin = mask[tuple(slice(None, None, step) for step in steps)]
    if not thin.any():
        return mask
    sampling = [step * s for step, s in zip(steps, spacing_mm, strict=True)]
    grown = distance_transform_edt(~thin, sampling=sampling) <= _CLOSING_MM + _FADE_MM
    closed = np.ones_like(grown) if grown.all() else distance_transform_edt(grown, sampling=sampling) > _CLOSING_MM
    for axis, step in enumerate(steps):
        closed = np.repeat(closed, step, axis=axis)
    return np.asarray(closed[tuple(slice(0, n) for n in mask.shape)] | mask)


def find_altered(volume: Volume, texture: Texture, face: Mask) -> Mask:
    """Mark where values were blurred, replaced, shuffled or made constant.

    Parameters
    ----------
    volume : Volume
    texture : Texture
    face : (i, j, k) bool
        Where faces are; pieces that do not touch it do not count.

    Returns
    -------
    (i, j, k) bool
        Empty where noise is as it is beside the face. Air counts where that beside the face has noise.
    """
    voxel_cm3 = float(np.prod(volume.spacing_mm)) / 1000
    tissue = _pieces_in(texture.quiet & texture.tissue & face, face, 2.0, voxel_cm3)
    labels, _ = pieces(tissue)
    is_quiet = bool(tissue.any()) and float(np.bincount(labels.ravel())[1:].max()) * voxel_cm3 >= _LEAST_QUIET_CM3
    rough = _pieces_in(texture.rough & face, face, _LEAST_ROUGH_CM3, voxel_cm3)
    air = (texture.flat | (texture.quiet if is_quiet else False)) & ~texture.tissue & texture.air_speaks
    if not is_quiet:
        return _pieces_in(air, face, _LEAST_CM3, voxel_cm3) | rough
    return _close(_pieces_in(tissue | air, face, _LEAST_CM3, voxel_cm3), volume.spacing_mm) | rough


def find_missing(volume: Volume, texture: Texture, laid: Laid) -> Mask:
    """Mark the air that lies where the average head has tissue: what was removed where all air has one value."""
    from scipy.ndimage import map_coordinates

    shape = average_shape()
    m = np.linalg.inv(shape.voxel_to_head_mm)
    at = head_coordinates(volume, laid)
    index = [m[a, a] * at[a] + m[a, 3] for a in range(3)]
    distance = map_coordinates(shape.distance_mm, index, order=1, mode="constant", cval=50.0) * laid.scale
    deep = texture.flat & ~texture.tissue & (distance < _INSIDE_MM)
    return _pieces_in(deep, np.ones_like(deep), _LEAST_CM3, float(np.prod(volume.spacing_mm)) / 1000)
