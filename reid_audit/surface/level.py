"""The intensity between air and skin."""

from collections.abc import Callable
from math import floor, isnan, nan

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Modality, Volume

CT_LEVEL_HU = -300.0
"""Between air (-1000 HU) and skin (about 0 HU), above foam, hair and padding."""

CT_WINDOW_HU = (-1024.0, 200.0)
"""Above 200 HU nothing tells where the skin is, and metal would pull the smoothing."""

_MR_LEVELS_OF_OTSU = (0.45, 0.3, 0.2, 0.6, 0.8)  # the first is the default
_PET_PERCENTILE = 95.0
_MR_FURTHER_LEVELS = (0.15, 1.0, 0.1, 1.2)  # tried only where none of those shows a face
_CLEARLY_SURER = 1.25


def without_nan(intensity: NDArray[np.float32], air: float) -> NDArray[np.float32]:
    """Replace what is not finite by air."""
    bad = ~np.isfinite(intensity)
    return np.where(bad, np.float32(air), intensity) if bad.any() else intensity


def air_of(volume: Volume) -> float:
    """Intensity given to whatever is not head."""
    if volume.modality is Modality.CT:
        return CT_WINDOW_HU[0]
    low, _ = span_of(volume)
    return min(low, 0.0) if np.isfinite(low) else 0.0


def span_of(volume: Volume) -> tuple[float, float]:
    """Least and largest finite intensity; ``(nan, nan)`` where there is none."""
    if not volume.intensity.size:
        return float("nan"), float("nan")
    low, high = float(volume.intensity.min()), float(volume.intensity.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = volume.intensity[np.isfinite(volume.intensity)]
    return (float(finite.min()), float(finite.max())) if finite.size else (float("nan"), float("nan"))


def no_surface(volume: Volume, level: float) -> InputError:
    """Say that nothing lies on one of the two sides of the level."""
    low, high = span_of(volume)
    hint = " (a CT in HU has air near -1000)" if volume.modality is Modality.CT else ""
    return InputError(
        f"{volume.source or 'volume'}: no skin surface at level {level:g}: "
        f"intensities are {low:g} to {high:g}{hint}; pass --level"
    )


def binned(volume: Volume, target_mm: float) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Mean over blocks of about ``target_mm``: less noise, fewer voxels. Also the voxels per block along each axis."""
    factors = tuple(
        max(1, min(floor(target_mm / s), n)) for s, n in zip(volume.spacing_mm, volume.intensity.shape, strict=True)
    )
    means = _block_means(volume.intensity, factors)
    if not np.isfinite(means).all():
        means = _block_means(without_nan(volume.intensity, air_of(volume)), factors)
    return means, factors


def _block_means(values: NDArray[np.float32], factors: tuple[int, ...]) -> NDArray[np.float32]:
    """Mean over blocks; what does not fill a block at the end is left out. Widest strides first: planes add fast."""
    for axis in np.argsort(np.abs(values.strides))[::-1]:
        blocks, factor = np.moveaxis(values, axis, 0), factors[axis]
        whole = len(blocks) // factor * factor
        total = blocks[:whole:factor].copy(order="K")
        for start in range(1, factor):
            total += blocks[start:whole:factor]
        values = np.moveaxis(total / np.float32(factor), 0, axis)
    return values


def candidate_levels(volume: Volume) -> tuple[float, ...]:
    """Levels worth trying, the default first.

    CT has one, -300 HU. MR has fractions of Otsu's threshold between air and tissue, taken on 2 mm block means below
    the 99.5th percentile: skin is darker than the middle between the two because it is thin and lies next to fat. PET
    has the 95th percentile (Bou Hanna 2024), which lies at the skin where the field of view is wide, then those of MR.

    Raises
    ------
    InputError
        Where the image is constant or holds no finite number.
    """
    return _levels(volume, _MR_LEVELS_OF_OTSU)


def _levels(volume: Volume, fractions: tuple[float, ...]) -> tuple[float, ...]:
    if volume.modality is Modality.CT:
        return (CT_LEVEL_HU,)
    from skimage.filters import threshold_otsu

    values, _ = binned(volume, 2.0)
    low, high = np.percentile(values, [0.5, 99.5])
    if not high > low:
        msg = f"{volume.source}: no skin level: 99 % of the image has the one intensity {low:g}; pass --level"
        raise InputError(msg)
    otsu = float(threshold_otsu(np.clip(values, low, high), nbins=512))
    levels = tuple(float(low + f * (otsu - low)) for f in fractions)
    is_first = volume.modality is Modality.PET and fractions is _MR_LEVELS_OF_OTSU
    return (float(np.percentile(values, _PET_PERCENTILE)), *levels) if is_first else levels


def find_level(volume: Volume) -> float:
    """Give the intensity between air and skin: the first of `candidate_levels`."""
    return candidate_levels(volume)[0]


def refine_level(volume: Volume, look: Callable[[float], float]) -> float:
    """Choose the level at which a detector is surest, as a human would who looks at one picture after the other.

    Parameters
    ----------
    volume : Volume
        An original: its defaced partners are meshed at the same level.
    look : callable
        Takes a level, gives the confidence of a detector in the portrait at that level, NaN where there is no face.

    Returns
    -------
    float
        The default, `find_level`, unless another level is clearly surer (by a quarter) or the default shows no face at
        all: two visits of a person then differ less than by chasing the maximum, which is flat. The default also where
        no level shows a face. CT has one level, and nobody is asked.
    """
    levels = candidate_levels(volume)
    if len(levels) == 1:
        return levels[0]
    confidence = {level: look(level) for level in levels}
    if all(isnan(value) for value in confidence.values()):
        confidence = {level: look(level) for level in _levels(volume, _MR_FURTHER_LEVELS)}
    seen = {level: value for level, value in confidence.items() if not isnan(value)}
    if not seen:
        return levels[0]
    surest = max(seen, key=lambda level: seen[level])
    default = confidence.get(levels[0], nan)
    needs_more = isnan(default) or default <= 0 or seen[surest] > _CLEARLY_SURER * default
    return surest if needs_more else levels[0]
