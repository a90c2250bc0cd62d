"""Where a scan's noise is missing, too strong, or gone altogether.

The residual of a voxel is the least of three second differences of second differences, one for each pair of axes
(Immerkaer 1996, doi:10.1006/cviu.1996.0060, takes one): smooth anatomy cancels, a straight edge cancels along one pair,
noise along none. What is small is told by the same scan: a fifth of the residuals of head or air beside the face lie
below `Texture`'s threshold, and where noise is missing most do. So neither the dose nor the coil need be known.

Noise of a scanner is as strong between neighbours as between every other voxel; noise that was smoothed, or laid on by
interpolation, is weaker between neighbours. `Texture.fineness` compares the two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Volume

Mask = NDArray[np.bool_]

_SMALL = 0.2  # quantile of the residuals beside the face below which one is small
_LARGE = 0.95  # and above which one is large
_QUIET = (0.34, 0.37, 0.4, 0.45, 0.5, 0.6)
"""Share of small residuals around a voxel whose noise is missing: the least for which nothing beside the face is so."""

_CHANCE_CM3 = 4.0  # what may be so beside the face
_ROUGH = 0.4  # share of large ones around a voxel with too much
_MOST_NOISE = 3.0  # medians; anatomy's edges are larger
_LEAST_RESIDUAL = 1e-3
_MOST_RATIO = 3.0  # of logarithms
_WINDOW_MM = 9.0
_LEAST_WINDOW = 5  # voxels
_LEAST_COUNTED = 0.2  # share of a window that is not constant; below it few voxels would say much
_LEAST_VOXELS = 1000  # to know noise by
_FLAT_AIR = 0.5  # share of air without noise from which on air says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The noise of a scan; all masks are (i, j, k) on its grid.

    Attributes
    ----------
    tissue : bool
        Above the skin level.
    flat, quiet, rough : bool
    quiet_share, rough_share : (i, j, k) float32
        Share of small and of large residuals around each voxel.
    noise : (i, j, k) float32
        Mean of the residuals around each voxel, in medians of those beside the face; each counts up to three.
    fineness : (i, j, k) float32
        Mean logarithm of the residuals around each voxel over those of every other voxel, less that beside the face:
        0 as the scanner left it, negative where noise was smoothed.
    air_speaks : bool
        Whether air beside the face has noise, so that its absence in front of the face means something.
    tissue_speaks : bool
        The same of tissue: a label map, or a scan that was smoothed or filled with numbers of few kinds, has none.
    """

    tissue: Mask
    flat: Mask
    quiet: Mask
    rough: Mask
    quiet_share: NDArray[np.float32]
    rough_share: NDArray[np.float32]
    noise: NDArray[np.float32]
    fineness: NDArray[np.float32]
    air_speaks: bool
    tissue_speaks: bool


def find_flat(intensity: NDArray[np.float32]) -> Mask:
    """Mark the voxels that equal all their face neighbours, and those that equal such a neighbour."""
    inner = np.ones(intensity.shape, dtype=bool)
    equal = [np.diff(intensity, axis=axis) == 0 for axis in range(3)]
    for axis in range(3):
        same, marked = np.moveaxis(equal[axis], axis, 0), np.moveaxis(inner, axis, 0)
        marked[:-1] &= same
        marked[1:] &= same
    flat = inner.copy()
    for axis in range(3):
        same, seed, marked = (np.moveaxis(each, axis, 0) for each in (equal[axis], inner, flat))
        marked[:-1] |= seed[1:] & same
        marked[1:] |= seed[:-1] & same
    return flat


def _residual(intensity: NDArray[np.float32], step: int = 1) -> NDArray[np.float32]:
    from scipy.ndimage import convolve1d

    weights = [1, *[0] * (step - 1), -2, *[0] * (step - 1), 1]
    second: list[NDArray[Any]] = [convolve1d(intensity, weights, axis=a, mode="nearest") for a in range(2)]
    least = np.abs(convolve1d(second[0], weights, axis=1, mode="nearest"))
    for first in second:
        np.minimum(least, np.abs(convolve1d(first, weights, axis=2, mode="nearest")), out=least)
    return np.asarray(least, dtype=np.float32)


def _finer(residual: NDArray[np.float32], wide: NDArray[np.float32], tissue: Mask, known: Mask) -> NDArray[np.float32]:
    """Return logarithms of residuals over those of every other voxel, less their mean where the scan is known."""
    least = np.float32(_LEAST_RESIDUAL)
    ratio = np.clip(np.log((residual + least) / (wide + least)), -_MOST_RATIO, _MOST_RATIO)
    for which in (tissue, ~tissue):
        usual = ratio[known & which]
        ratio[which] -= usual.mean() if usual.size else 0.0
    return np.asarray(ratio, dtype=np.float32)


def _quantiles(values: NDArray[np.float32]) -> tuple[float, float, float]:
    if len(values) < _LEAST_VOXELS:
        return 0.0, 0.0, 0.0
    small, usual, large = np.quantile(values[:: 1 + len(values) // 500_000], (_SMALL, 0.5, _LARGE))
    return float(small), float(usual), float(large)


def _find_quiet(share: NDArray[np.float32], beside: Mask, voxel_cm3: float) -> Mask:
    from reid_audit.surface.masks import pieces

    quiet: Mask = share > _QUIET[-1]
    for least in _QUIET:
        quiet = share > least
        labels, count = pieces(quiet & beside)
        if not count or np.bincount(labels.ravel())[1:].max() * voxel_cm3 < _CHANCE_CM3:
            break
    return quiet


def measure_texture(volume: Volume, level: float, beside: Mask) -> Texture:
    """Tell where noise is missing or too strong.

    Parameters
    ----------
    volume : Volume
    level : float
        Intensity of the skin.
    beside : (i, j, k) bool
        Where the scan is likely to be as the scanner left it: everything but the face.
    """
    from scipy.ndimage import uniform_filter

    values = volume.intensity
    tissue, flat, residual = values > level, find_flat(values), _residual(values)
    known = beside & ~flat
    voxel_cm3 = float(np.prod(volume.spacing_mm)) / 1000
    of_tissue, of_air = (_quantiles(residual[known & which]) for which in (tissue, ~tissue))
    (small, usual, large), (small_air, usual_air, large_air) = of_tissue, of_air
    size = [max(_LEAST_WINDOW, round(_WINDOW_MM / s) // 2 * 2 + 1) for s in volume.spacing_mm]

    # Constant values have no residual and lend their neighbours none: only the others are counted.
    counted = np.maximum(uniform_filter((~flat).astype(np.float32), size), np.float32(_LEAST_COUNTED))

    def share(marked: Mask) -> NDArray[np.float32]:
        return np.asarray(uniform_filter((marked & ~flat).astype(np.float32), size) / counted)

    flat_air = float(flat[beside & ~tissue].mean()) if (beside & ~tissue).any() else 1.0
    air_speaks = small_air > 0 and flat_air < _FLAT_AIR
    quiet_share = share(residual < np.where(tissue, small, small_air))
    rough_share = share(residual > np.where(tissue, large, max(large, large_air)))
    quiet = _find_quiet(quiet_share, tissue & beside, voxel_cm3) & (tissue | air_speaks)
    in_medians = residual / np.maximum(np.where(tissue, usual, usual_air), np.float32(1e-6))
    noise = uniform_filter(np.minimum(in_medians, np.float32(_MOST_NOISE)), size)
    if not small > 0:
        quiet = np.zeros_like(tissue)
    rough = rough_share > _ROUGH
    finer = np.where(flat, np.float32(0), _finer(residual, _residual(values, 2), tissue, known))
    fineness = np.asarray(uniform_filter(finer, size) / counted)
    return Texture(tissue, flat, quiet, rough, quiet_share, rough_share, noise, fineness, air_speaks, small > 0)
