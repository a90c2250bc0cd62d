"""Fill what a defacer cut away with an average head.

Words
-----
removed
    Air outside the head where the laid shape is deep inside. An untouched head has none, and is left as it is.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.lay import HeadShape, Laid
from reid_audit.records import Volume

_COARSE_MM = 3.0
_CLOSING_MM = 6.0  # openings narrower than twice this, nostrils and ears, are no way in
_DEEP_MM = 8.0  # faces differ by less from the average
_SHALLOW_MM = 3.0
_LEAST_CM3 = 3.0
_EDGE_MM = 1.5  # over which the filling goes from air to tissue, on each side of its surface


def _distance_on(volume: Volume, shape: HeadShape, laid: Laid, step: tuple[int, int, int]) -> NDArray[np.float32]:
    """Signed distance to the laid shape at every ``step``-th voxel, in mm of the scan."""
    from scipy.ndimage import affine_transform

    matrix = np.linalg.inv(shape.voxel_to_head_mm) @ np.linalg.inv(laid.head_to_ras_mm) @ volume.voxel_to_ras_mm
    size = tuple(-(-n // s) for n, s in zip(volume.intensity.shape, step, strict=True))
    return np.asarray(
        affine_transform(
            shape.distance_mm,
            matrix[:3, :3] * step,
            matrix[:3, 3],
            output_shape=size,
            order=1,
            mode="constant",
            cval=50.0,
        )
        * np.float32(laid.scale)
    )


def _find_removed(
    tissue: NDArray[np.bool_], distance_mm: NDArray[np.float32], spacing_mm: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Where the head was cut away, on a coarse grid; False everywhere for an untouched head."""
    from scipy import ndimage

    def ball(radius_mm: float) -> NDArray[np.bool_]:
        reach = [int(np.ceil(radius_mm / s)) for s in spacing_mm]
        offsets = np.meshgrid(
            *[np.arange(-r, r + 1) * s for r, s in zip(reach, spacing_mm, strict=True)], indexing="ij"
        )
        return np.asarray(sum(o**2 for o in offsets) <= radius_mm**2)

    pad = 1 + int(np.ceil(_CLOSING_MM / min(spacing_mm)))
    # The image goes on as it ends, so that an airway that the field of view cuts open is no way in.
    away_mm = ndimage.distance_transform_edt(~np.pad(tissue, pad, mode="edge"), sampling=spacing_mm)
    wide = away_mm > _CLOSING_MM
    pieces, _ = ndimage.label(wide)
    outer = pieces == pieces[0, 0, 0]
    reached = ndimage.distance_transform_edt(~outer, sampling=spacing_mm) <= _CLOSING_MM
    inner = tuple(slice(pad, -pad) for _ in range(3))
    air = reached[inner] & ~tissue
    core = air & (distance_mm < -_DEEP_MM)
    seen, count = ndimage.label(core)
    least = 1000.0 * _LEAST_CM3 / float(np.prod(spacing_mm))
    large = np.flatnonzero(np.bincount(seen.ravel())[1:] >= least) + 1 if count else np.zeros(0, dtype=int)
    core = np.isin(seen, large)
    if not core.any():
        return np.asarray(core)
    whole = ndimage.binary_propagation(core, mask=air & (distance_mm < -_SHALLOW_MM))
    return np.asarray(ndimage.binary_dilation(whole, ball(_SHALLOW_MM + _COARSE_MM)))


def fill_head(volume: Volume, shape: HeadShape, laid: Laid, *, level: float, air: float) -> Volume:
    """Fill what was cut away from a head with the laid shape.

    Parameters
    ----------
    volume : Volume
        The defaced scan.
    shape, laid : HeadShape, Laid
    level : float
        Intensity of the skin.
    air : float
        Intensity around the head, below the level.

    Returns
    -------
    Volume
        Filled with one intensity above the level; ``volume`` itself where nothing was cut away.
    """
    step = tuple(max(1, round(_COARSE_MM / s)) for s in volume.spacing_mm)
    steps = (step[0], step[1], step[2])
    thin = volume.intensity[:: step[0], :: step[1], :: step[2]]
    spacing = tuple(s * n for s, n in zip(volume.spacing_mm, step, strict=True))
    removed = _find_removed(thin > level, _distance_on(volume, shape, laid, steps), spacing)  # NaN is air
    if not removed.any():
        return volume
    for axis, n in enumerate(step):
        removed = np.repeat(removed, n, axis=axis)
    removed = removed[tuple(slice(0, n) for n in volume.intensity.shape)]
    distance = _distance_on(volume, shape, laid, (1, 1, 1))
    filling = np.float32(level) + np.float32(level - air) * np.clip(-distance / np.float32(_EDGE_MM), -1, 1)
    intensity = np.where(removed, np.fmax(volume.intensity, filling), volume.intensity)
    return replace(volume, intensity=intensity.astype(np.float32))
