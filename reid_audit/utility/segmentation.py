"""Two segmentations of one structure: overlap, surface agreement, distances and volumes on physical spacing.

=============== ============================================================================================
dice            2 |A and B| / (|A| + |B|) (Sahlsten 2023, O'Sullivan-Steben 2025). Both empty: NaN. One empty: 0.
surface_dice    Share of both surfaces, by area, that lies within the tolerance of the other one (Nikolov 2018;
                Ammar 2025 at 2 mm). A distance of exactly the tolerance is within. Both empty: NaN. One empty: 0.
hd95_mm         The larger of the two directed 95th percentiles over surface voxels: 95HD of Sahlsten 2023's appendix,
                and HD95 of Ammar 2025 and MONAI. Percentiles interpolate linearly.
mean_hd95_mm    The mean of the two: MHD95 of Sahlsten 2023's appendix.
hd_mm           The larger of the two maxima over surface voxels (Hausdorff).
msd_mm          Mean of the two mean directed distances over surface voxels (Sahlsten 2023).
=============== ============================================================================================

The four distances are NaN where one of the two is empty: there is no distance to nothing. Sahlsten 2023 leaves such
cases out of its means; so does a mean here, and their number stands beside it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Real
from reid_audit.utility.structures import Structure, join_boxes, place_mask
from reid_audit.utility.surfaces import (
    Spacing,
    directed_distances_mm,
    find_surface_voxels,
    find_surfels,
    surfel_areas_mm2,
)

TOLERANCE_MM = 2.0
"""Of the surface Dice, as in Ammar 2025."""

_SLACK_MM = 1e-9
"""A distance that equals the tolerance may come out a rounding error larger."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two masks agree; see the module for each number and for empty masks."""

    dice: Real
    surface_dice: Real
    hd95_mm: Real
    mean_hd95_mm: Real
    hd_mm: Real
    msd_mm: Real
    volume_before_cm3: float
    volume_after_cm3: float


def _surface_dice(a: NDArray[np.bool_], b: NDArray[np.bool_], spacing_mm: Spacing, tolerance_mm: float) -> float:
    codes = find_surfels(a), find_surfels(b)
    there = [(code != 0) & (code != 255) for code in codes]
    areas = surfel_areas_mm2(spacing_mm)
    total = within = 0.0
    for code, start, end in zip(codes, there, reversed(there), strict=True):
        distances, points = directed_distances_mm(start, end, spacing_mm, at_most_mm=tolerance_mm + 2 * _SLACK_MM)
        area = areas[code[points]]
        total += float(area.sum())
        within += float(area[distances <= tolerance_mm + _SLACK_MM].sum())
    return within / total


def compare_masks(
    before: NDArray[np.bool_], after: NDArray[np.bool_], *, spacing_mm: Spacing, tolerance_mm: float = TOLERANCE_MM
) -> Agreement:
    """Compare two masks on one grid.

    Parameters
    ----------
    before, after : (i, j, k) bool
    spacing_mm : tuple of three float
        Edges of a voxel.
    tolerance_mm : float
        Of the surface Dice; not negative.

    Raises
    ------
    InputError
        The shapes differ, or a spacing or the tolerance is out of range.
    """
    if before.shape != after.shape or before.ndim != 3:
        raise InputError(f"masks must have one shape of three axes; got {before.shape} and {after.shape}")
    if not (len(spacing_mm) == 3 and all(0 < s < math.inf for s in spacing_mm)):
        raise InputError(f"spacing_mm must be three positive numbers; got {spacing_mm}")
    if not 0 <= tolerance_mm < math.inf:
        raise InputError(f"tolerance_mm must not be negative; got {tolerance_mm}")
    voxel_cm3 = float(np.prod(spacing_mm)) / 1000
    n_before, n_after = int(np.count_nonzero(before)), int(np.count_nonzero(after))
    volumes = n_before * voxel_cm3, n_after * voxel_cm3
    nan = math.nan
    if not n_before or not n_after:
        overlap = nan if n_before == n_after else 0.0
        return Agreement(overlap, overlap, nan, nan, nan, nan, *volumes)
    common = int(np.count_nonzero(before & after))
    if common == n_before == n_after:
        return Agreement(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, *volumes)
    a, b = find_surface_voxels(before), find_surface_voxels(after)
    there, _ = directed_distances_mm(a, b, spacing_mm)
    back, _ = directed_distances_mm(b, a, spacing_mm)
    percentiles = [float(np.percentile(d, 95)) for d in (there, back)]
    return Agreement(
        dice=2 * common / (n_before + n_after),
        surface_dice=_surface_dice(before, after, spacing_mm, tolerance_mm),
        hd95_mm=max(percentiles),
        mean_hd95_mm=sum(percentiles) / 2,
        hd_mm=float(max(there.max(), back.max())),
        msd_mm=float(there.mean() + back.mean()) / 2,
        volume_before_cm3=volumes[0],
        volume_after_cm3=volumes[1],
    )


def compare_structures(
    before: Structure | None, after: Structure | None, *, spacing_mm: Spacing, tolerance_mm: float = TOLERANCE_MM
) -> Agreement:
    """Compare two structures of one scan within the box that holds both.

    Parameters
    ----------
    before, after : Structure or None
        None = empty.
    spacing_mm, tolerance_mm
        As in `compare_masks`.
    """
    there = [each for each in (before, after) if each is not None]
    if not there:
        return Agreement(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 0.0, 0.0)
    box = join_boxes(*(each.box for each in there))
    return compare_masks(
        place_mask(before, box), place_mask(after, box), spacing_mm=spacing_mm, tolerance_mm=tolerance_mm
    )
