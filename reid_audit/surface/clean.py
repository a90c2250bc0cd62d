"""Reduce the tissue of a scan to one piece without attached objects and without cavities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.surface.lattice import Lattice
from reid_audit.surface.masks import Mask, dilate, double, erode, extent, halve, largest, pieces, world_piece
from reid_audit.surface.settings import SurfaceSettings


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """What is left.

    Attributes
    ----------
    lattice : Lattice
        What was given, cropped to the head.
    field : (i + 2, j + 2, k + 2) float32
        The field to mesh: nothing but the head above the level, and a rim of air around it.
    tissue : (i, j, k) bool
        What was above the level before.
    solid : (i, j, k) bool
        The head without cavities.
    cut_cm3 : float
        What was cut off.
    """

    lattice: Lattice
    field: NDArray[np.float32]
    tissue: Mask
    solid: Mask
    cut_cm3: float


def _cut_sheets(tissue: Mask, voxel_mm: float, settings: SurfaceSettings) -> tuple[Mask, float]:
    """Largest piece of the tissue, without what hangs on it by a sheet. Also the volume cut off, in cm3."""
    from scipy.ndimage import distance_transform_edt, maximum

    radius = max(1, round(settings.opening_mm / voxel_mm))
    core = largest(dilate(erode(tissue, radius), radius), every=4)
    whole = largest(tissue, every=4)
    if core.sum() < 0.5 * whole.sum():  # no solid head inside: a shell, which opening would destroy
        return whole, 0.0
    near = dilate(core, 1) & tissue
    hanging, count = pieces(tissue & ~near)
    voxels = np.bincount(hanging.ravel(), minlength=count + 1)
    cm3 = voxels * voxel_mm**3 / 1000.0
    touching = np.zeros(len(cm3), dtype=bool)
    touching[hanging[dilate(near, 2)]] = True  # a thin contact may be lost at this resolution
    touching[0] = False
    foreign = touching & (cm3 > settings.piece_cm3)
    if foreign.any():
        index = np.arange(len(cm3))
        reach_mm = np.asarray(maximum(distance_transform_edt(~near, sampling=voxel_mm), hanging, index))
        middle = np.argwhere(core)[:, 1].mean()
        places = np.nonzero(hanging)[1]  # along the axis that grows to the front
        centre = np.bincount(hanging[hanging > 0], places, len(cm3)) / np.maximum(voxels, 1)
        behind = (middle - centre) * voxel_mm > 30.0
        foreign &= reach_mm > np.where(behind, settings.piece_reach_behind_mm, settings.piece_reach_mm)
    return near | (touching & ~foreign)[hanging], float(cm3[foreign].sum())


def _outer_zone(head: Mask, radius: int) -> Mask:
    """Where outer air may be: all that a ball reaches from outside, grown by the ball to take in pits.

    Where the field of view cuts the head, the airways end on a face of the box: each face is filled in its own plane
    first, so that the ball does not enter there.
    """
    from scipy.ndimage import binary_fill_holes

    pad = radius + 1
    closed = erode(dilate(np.pad(head, pad, mode="edge"), radius), radius)[pad:-pad, pad:-pad, pad:-pad]
    for axis in range(3):
        for end in (0, -1):
            face = np.moveaxis(closed, axis, 0)[end]
            face[...] = binary_fill_holes(face)
    return dilate(world_piece(~closed), radius + 1)


def clean(lattice: Lattice, level: float, *, air: float, settings: SurfaceSettings, cut: bool) -> Cleaned:
    """Leave one piece of tissue without cavities.

    Morphology runs at half resolution, an eighth of the work; the full-resolution tissue then decides where exactly the
    skin is, so that no surface of the head is moved. An empty ``solid`` means that nothing was above the level.

    Parameters
    ----------
    lattice : Lattice
    level, air : float
        Intensities of skin and of air.
    settings : SurfaceSettings
    cut : bool
        Take couch and headrest off.
    """
    # The first axis of a field is contiguous; masks have it last, where it is fast.
    tissue = (lattice.field > level).T
    coarse = halve(tissue)
    coarse_mm = 2 * lattice.voxel_mm
    head, cut_cm3 = _cut_sheets(coarse, coarse_mm, settings) if cut else (largest(coarse), 0.0)
    radius = max(1, round(settings.closing_mm / coarse_mm))
    if head.any():
        reach = radius + 2  # as far as outer air is looked for
        box = [slice(max(0, low - reach), high + reach) for low, high in extent(head)]
        fine = [slice(2 * span.start, min(2 * span.stop, n)) for span, n in zip(box, tissue.shape, strict=True)]
        head, tissue, lattice = head[tuple(box)], tissue[tuple(fine)], lattice.crop(fine[::-1])
    zone = _outer_zone(head, radius)

    head_tissue = tissue & double(dilate(head, 1), tissue.shape)
    outside = world_piece(~head_tissue & double(zone, tissue.shape))
    solid = largest(~outside, every=4)  # a head is far larger than what comes next

    rimmed = np.pad(lattice.field.T, 1, constant_values=air)
    values = rimmed[1:-1, 1:-1, 1:-1]
    values[tissue & ~solid] = air
    # Mirrored at the level: air becomes tissue as far above as it was below, without a step at the cavity's wall.
    cavity = solid & ~tissue
    values[cavity] = np.maximum(2 * level - values[cavity], level + 0.02 * (level - air))
    return Cleaned(lattice, rimmed.T, tissue.T, solid.T, cut_cm3)
