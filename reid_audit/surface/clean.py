"""One piece of tissue, without what hangs on it and without cavities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reid_audit.surface.settings import SurfaceSettings


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """What is left: the field to mesh, the head without cavities, and the volume that was cut off."""

    field: NDArray[np.float32]
    solid: NDArray[np.bool_]
    cut_cm3: float


@cache
def _ball(radius: int) -> tuple[tuple[int, int, int], ...]:
    """Offsets of a ball of voxels. Its surface lies half a voxel outside the radius, as ITK draws it."""
    span = range(-radius, radius + 1)
    return tuple((i, j, k) for i in span for j in span for k in span if i * i + j * j + k * k <= (radius + 0.5) ** 2)


def _dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Grow by a ball. Shifted copies, joined: several times faster than ITK's filter for balls as small as these."""
    padded = np.pad(mask, radius)
    grown = np.zeros_like(mask)
    for offset in _ball(radius):
        grown |= padded[tuple(slice(radius + o, radius + o + n) for o, n in zip(offset, mask.shape, strict=True))]
    return grown


def _erode(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Shrink by a ball; what lies outside the box counts as full."""
    return ~_dilate(~mask, radius)


def _pieces(mask: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Label the face-connected pieces 1, 2, ...; 0 elsewhere."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.view(np.uint8))
    labels: NDArray[np.integer] = sitk.GetArrayFromImage(sitk.ConnectedComponent(image))
    return labels


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest face-connected piece, if there is any."""
    labels = _pieces(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: NDArray[np.bool_] = (labels == sizes.argmax()) & mask
    return largest


def _world_piece(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Air that is connected with the world outside the box."""
    labels = _pieces(np.pad(air, 1, constant_values=True))
    world: NDArray[np.bool_] = (labels == labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return world


def _cut_sheets(
    tissue: NDArray[np.bool_], voxel_mm: float, settings: SurfaceSettings
) -> tuple[NDArray[np.bool_], float]:
    """Largest piece of the tissue, without what hangs on it by a sheet. Also the volume cut off, in cm3."""
    from scipy.ndimage import distance_transform_edt, maximum

    radius = max(1, round(settings.opening_mm / voxel_mm))
    core = _largest(_dilate(_erode(tissue, radius), radius))
    whole = _largest(tissue)
    if core.sum() < 0.5 * whole.sum():  # no solid head inside: a shell, which opening would destroy
        return whole, 0.0
    near = _dilate(core, 1) & tissue
    pieces = _pieces(tissue & ~near)
    cm3 = np.bincount(pieces.ravel()) * voxel_mm**3 / 1000.0
    touching = np.zeros(len(cm3), dtype=bool)
    touching[np.unique(pieces[_dilate(near, 1)])] = True
    touching[0] = False
    foreign = touching & (cm3 > settings.piece_cm3)
    if foreign.any():
        index = np.arange(len(cm3))
        reach_mm = np.asarray(maximum(distance_transform_edt(~near, sampling=voxel_mm), pieces, index))
        middle = np.argwhere(core)[:, 1].mean()
        places = np.nonzero(pieces)[1]  # along the axis that grows to the front
        centre = np.bincount(pieces[pieces > 0], places, len(cm3)) / np.maximum(np.bincount(pieces.ravel()), 1)
        behind = (middle - centre) * voxel_mm > 30.0
        foreign &= reach_mm > np.where(behind, settings.piece_reach_behind_mm, settings.piece_reach_mm)
    return near | (touching & ~foreign)[pieces], float(cm3[foreign].sum())


def _outer_zone(head: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Where outer air may be: all that a ball reaches from outside, grown by the ball to take in pits.

    Where the field of view cuts the head, the airways end on a face of the box: each face is filled in its own plane
    first, so that the ball does not enter there.
    """
    from scipy.ndimage import binary_fill_holes

    pad = radius + 1
    closed = _erode(_dilate(np.pad(head, pad, mode="edge"), radius), radius)[pad:-pad, pad:-pad, pad:-pad]
    for axis in range(3):
        for end in (0, -1):
            face = np.moveaxis(closed, axis, 0)[end]
            face[...] = binary_fill_holes(face)
    return _dilate(_world_piece(~closed), radius + 1)


def _halve(fine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Blocks of 2 x 2 x 2 that are more than half full; a block at the end counts what is beyond as empty."""
    filled = np.pad(fine, [(0, n % 2) for n in fine.shape]).view(np.uint8)
    for axis in range(3):
        even, odd = (np.moveaxis(filled, axis, 0)[start::2] for start in (0, 1))
        filled = np.moveaxis(even + odd, 0, axis)
    return filled > 4


def _double(coarse: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Undo `_halve`: each voxel becomes a block, cut to ``shape``."""
    for axis in range(3):
        coarse = np.repeat(coarse, 2, axis=axis)
    return coarse[tuple(slice(n) for n in shape)]


def clean(
    field: NDArray[np.float32], level: float, *, air: float, voxel_mm: float, settings: SurfaceSettings, cut: bool
) -> Cleaned:
    """Leave one piece of tissue without cavities; ``cut`` takes couch and headrest off it.

    Morphology runs at half resolution, an eighth of the work; the full-resolution tissue then decides where exactly the
    skin is, so that no surface of the head is moved. An empty ``solid`` means that nothing was above the level.
    """
    tissue = field > level
    coarse = _halve(tissue)
    head, cut_cm3 = _cut_sheets(coarse, 2 * voxel_mm, settings) if cut else (_largest(coarse), 0.0)
    zone = _outer_zone(head, max(1, round(settings.closing_mm / (2 * voxel_mm))))
    head_tissue = tissue & _double(_dilate(head, 1), field.shape)
    outside = _world_piece(~head_tissue & _double(zone, field.shape))
    solid = _largest(~outside)

    cleaned = field.copy()
    cleaned[tissue & ~solid] = air
    # Mirrored at the level: air becomes tissue as far above as it was below, without a step at the cavity's wall.
    cavity = solid & ~tissue
    cleaned[cavity] = np.maximum(2 * level - field[cavity], level + 0.02 * (level - air))
    return Cleaned(cleaned, solid, cut_cm3)
