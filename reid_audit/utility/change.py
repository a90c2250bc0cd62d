"""Where a defacer changed a scan, how deep, in what way, and what that did to the intensities.

Words
-----
changed, removed
    See `reid_audit.volume.change`.
component
    Changed voxels that touch by a face. ``constant``: almost all have one value now. ``blurred``: the coarse picture
    is the same and its gradients are weaker. ``replaced``: anything else, e.g. another face.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Real, Volume
from reid_audit.surface import find_level
from reid_audit.utility.structures import Box, Structure, crop_mask
from reid_audit.volume.change import AIR_BELOW_HU, find_changed, find_removed, tolerance_of

BONE_ABOVE_HU = 300.0
UNMEASURED_BELOW_HU = -1500.0
"""Padding whose header does not say so: nothing that a scanner measures lies so far below air."""

_SMALLEST_CM3 = 0.05
_MOST_COMPONENTS = 20
_CONSTANT_SHARE = 0.95


class ChangeKind(StrEnum):
    """What became of a changed region."""

    CONSTANT = "constant"
    BLURRED = "blurred"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class ChangeComponent:
    """One connected region of change; ``centre_ras_mm`` is its centre of mass."""

    volume_cm3: float
    kind: ChangeKind
    centre_ras_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ChangeMap:
    """Where a defaced scan differs from its original.

    Attributes
    ----------
    changed, removed : (i, j, k) bool
        On the scan's grid.
    cut : (i, j, k) bool
        Removed voxels that belonged to the head, by its level.
    box : Box or None
        That holds every change; None where nothing changed.
    tolerance : float
        Larger differences are changes.
    components : tuple of ChangeComponent
        The largest first, those of 0.05 cm3 or more, at most 20.
    small : int
        How many further components there are.
    """

    changed: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    box: Box | None
    tolerance: float
    components: tuple[ChangeComponent, ...]
    small: int

    @property
    def slices(self) -> NDArray[np.bool_]:
        """Which slices along k hold a change."""
        return np.asarray(self.changed.any(axis=(0, 1)))


@dataclass(frozen=True, slots=True)
class TissueChange:
    """What a defacer did to the intensities of one tissue, by the original's values, over the whole scan.

    Attributes
    ----------
    tissue : str
        ``"air"`` (below -500 HU), ``"soft_tissue"``, ``"bone"`` (above 300 HU), or ``"all"``.
    voxels : int
    mean_before, mean_after : float
    mean, median, mean_absolute : float
        Of the differences, after minus before. NaN without voxels.
    changed : float
        Share of its voxels that changed.
    """

    tissue: str
    voxels: int
    mean_before: Real
    mean_after: Real
    mean: Real
    median: Real
    mean_absolute: Real
    changed: Real


def _kind_of(
    before: NDArray[np.float32], after: NDArray[np.float32], mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> ChangeKind:
    from scipy import ndimage

    _, counts = np.unique(after[mask], return_counts=True)
    if counts.max() >= _CONSTANT_SHARE * counts.sum():
        return ChangeKind.CONSTANT
    coarse = [ndimage.gaussian_filter(each, [4.0 / s for s in spacing_mm])[mask] for each in (before, after)]
    if min(float(np.std(each)) for each in coarse) == 0 or np.count_nonzero(mask) < 2:
        return ChangeKind.REPLACED
    alike = float(np.corrcoef(coarse[0], coarse[1])[0, 1])
    edges = [
        sum(float(np.square(np.diff(each, axis=a)).sum()) for a in range(3) if each.shape[a] > 1)
        for each in (before, after)
    ]
    return ChangeKind.BLURRED if alike > 0.9 and edges[1] < 0.8 * edges[0] else ChangeKind.REPLACED


def _components_of(
    original: Volume, defaced: Volume, changed: NDArray[np.bool_], box: Box
) -> tuple[tuple[ChangeComponent, ...], int]:
    from scipy import ndimage

    crop = changed[box]
    regions, count = ndimage.label(crop)
    sizes = np.bincount(regions.ravel())[1:]
    voxel_cm3 = math.prod(original.spacing_mm) / 1000
    order = np.argsort(-sizes, kind="stable")[:_MOST_COMPONENTS]
    boxes = ndimage.find_objects(regions)
    components = []
    for index in order:
        if sizes[index] * voxel_cm3 < _SMALLEST_CM3:
            break
        inner = boxes[index]
        mask = regions[inner] == index + 1
        at = tuple(slice(b.start + s.start, b.start + s.stop) for b, s in zip(box, inner, strict=True))
        kind = _kind_of(original.intensity[at], defaced.intensity[at], mask, original.spacing_mm)
        centre = [float(c) + s.start for c, s in zip(ndimage.center_of_mass(mask), at, strict=True)]
        x, y, z = (original.voxel_to_ras_mm[:3, :3] @ centre + original.voxel_to_ras_mm[:3, 3]).tolist()
        components.append(ChangeComponent(float(sizes[index] * voxel_cm3), kind, (x, y, z)))
    return tuple(components), count - len(components)


def find_change(original: Volume, defaced: Volume, *, tolerance: float | None = None) -> ChangeMap:
    """Find which voxels a defacer changed.

    Parameters
    ----------
    original, defaced : Volume
        On one grid; see `reid_audit.volume.check_same_grid`.
    tolerance : float, optional
        In the scan's own units; `reid_audit.volume.change.tolerance_of` the original by default.
    """
    limit = tolerance_of(original) if tolerance is None else tolerance
    changed = find_changed(original, defaced, tolerance=limit)
    whole = crop_mask("change", changed)
    if whole is None:
        nothing = np.zeros_like(changed)
        return ChangeMap(changed, nothing, nothing, None, limit, (), 0)
    box = whole.box
    removed = np.zeros_like(changed)
    removed[box] = find_removed(original.intensity[box], defaced.intensity[box], changed[box], is_hu=original.is_hu)
    components, small = _components_of(original, defaced, changed, box)
    cut = removed & (original.intensity > find_level(original))
    return ChangeMap(changed, removed, cut, box, limit, components, small)


def map_difference(original: Volume, defaced: Volume) -> Volume:
    """Give the map of differences, defaced minus original, in the units of the scan (HU in CT).

    It shows the shape of the face wherever that was removed: keep it as safe as the original.
    """
    return replace(original, intensity=defaced.intensity - original.intensity, source="difference", notes=())


def summarize_tissues(original: Volume, defaced: Volume, change: ChangeMap) -> tuple[TissueChange, ...]:
    """Summarise the differences by tissue: air, soft tissue, bone and all in CT, all alone in MR.

    The median of the differences of air is the headline of Ammar 2025: 0 HU for DeIdentifier, -90 HU for mri_reface.

    Parameters
    ----------
    original, defaced : Volume
        Read with ``clip_hu=False``: air that was set to -1090 HU is -1090 HU.
    change : ChangeMap
        Of the same scans. Padding, in the original or left as it was, is no tissue: see `UNMEASURED_BELOW_HU`.
    """
    before, after = original.intensity, defaced.intensity
    tissues = {"all": np.ones(before.shape, dtype=bool)}
    if original.is_hu:
        measured = (before >= UNMEASURED_BELOW_HU) & ((after >= UNMEASURED_BELOW_HU) | change.changed)
        air, bone = measured & (before < AIR_BELOW_HU), before > BONE_ABOVE_HU
        tissues = {"air": air, "soft_tissue": measured & ~(air | bone), "bone": bone, "all": measured}
    return tuple(
        _summarize_tissue(name, before[mask], after[mask], change.changed[mask]) for name, mask in tissues.items()
    )


def _summarize_tissue(
    tissue: str, before: NDArray[np.float32], after: NDArray[np.float32], changed: NDArray[np.bool_]
) -> TissueChange:
    if not before.size:
        return TissueChange(tissue, 0, *[math.nan] * 6)
    difference = after - before
    mean, shift = (float(values.mean(dtype=np.float64)) for values in (before, difference))
    # Where fewer than half differ by anything, the median is 0 without sorting a whole head.
    moved = np.count_nonzero(difference)
    return TissueChange(
        tissue=tissue,
        voxels=int(before.size),
        mean_before=mean,
        mean_after=mean + shift,
        mean=shift,
        median=0.0 if 2 * moved < before.size else float(np.median(difference)),
        mean_absolute=float(np.abs(difference).mean(dtype=np.float64)),
        changed=float(changed.mean()),
    )


# --- structures against the change ---


class Place(StrEnum):
    """Where a structure lies against the change (O'Sullivan-Steben 2025, for PTVs).

    ``kept``: none of its voxels changed, but the head was cut in front of and behind it in some row along j: the
    defacer spared it. O'Sullivan-Steben 2025, whose defacer spares target volumes, counts these as overlapping the
    removed region.
    ``elsewhere``: on slices without a change, between slices with one.
    """

    OVERLAPPING = "overlapping"
    KEPT = "kept"
    SAME_SLICES = "same_slices"
    BELOW = "below"
    ABOVE = "above"
    ELSEWHERE = "elsewhere"
    NO_CHANGE = "no_change"


def _is_spared(structure: Structure, cut: NDArray[np.bool_]) -> bool:
    """Whether voxels of a structure have cut ones both in front of and behind them, in one row along j."""
    i, j, k = structure.box
    rows = cut[i, :, k]
    behind = np.logical_or.accumulate(rows, axis=1)[:, j]
    in_front = np.logical_or.accumulate(rows[:, ::-1], axis=1)[:, ::-1][:, j]
    return bool((structure.mask & behind & in_front).any())


def place_structure(structure: Structure, change: ChangeMap) -> Place:
    """Say where a structure lies against the changed voxels, slice by slice along k."""
    slices = np.flatnonzero(change.slices)
    if not slices.size:
        return Place.NO_CHANGE
    if (change.changed[structure.box] & structure.mask).any():
        return Place.OVERLAPPING
    if _is_spared(structure, change.cut):
        return Place.KEPT
    own = np.flatnonzero(structure.mask.any(axis=(0, 1))) + structure.box[2].start
    if np.isin(own, slices).any():
        return Place.SAME_SLICES
    if own.max() < slices.min():
        return Place.BELOW
    return Place.ABOVE if own.min() > slices.max() else Place.ELSEWHERE


def share_within(structure: Structure, mask: NDArray[np.bool_]) -> float:
    """Share of a structure's voxels that a mask of the scan holds."""
    return float(np.count_nonzero(mask[structure.box] & structure.mask)) / structure.voxels
