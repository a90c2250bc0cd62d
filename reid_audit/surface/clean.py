"""One piece of tissue, without what hangs on it and without cavities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reid_audit.surface.settings import SurfaceSettings

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """What is left: the field to mesh, the head without cavities, and the volume that was cut off."""

    field: NDArray[np.float32]
    solid: NDArray[np.bool_]
    cut_cm3: float


def _itk(mask: NDArray[np.bool_]) -> sitk.Image:
    import SimpleITK as sitk

    return sitk.GetImageFromArray(mask.astype(np.uint8))


def _dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    import SimpleITK as sitk

    grown = sitk.BinaryDilate(_itk(mask), [radius] * 3, sitk.sitkBall)
    array: NDArray[np.bool_] = sitk.GetArrayFromImage(grown).astype(bool)
    return array


def _pieces(mask: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Label the face-connected pieces 1, 2, ... from the largest down; 0 elsewhere."""
    import SimpleITK as sitk

    labels: NDArray[np.integer] = sitk.GetArrayFromImage(
        sitk.RelabelComponent(sitk.ConnectedComponent(_itk(mask)), sortByObjectSize=True)
    )
    return labels


def _world_piece(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Air that is connected with the world outside the box."""
    labels = _pieces(np.pad(air, 1, constant_values=True))
    world: NDArray[np.bool_] = (labels == labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return world


def _cut_sheets(
    tissue: NDArray[np.bool_], voxel_mm: float, settings: SurfaceSettings
) -> tuple[NDArray[np.bool_], float]:
    """Largest piece of the tissue, without what hangs on it by a sheet. Also the volume cut off, in cm3."""
    import SimpleITK as sitk
    from scipy.ndimage import distance_transform_edt, maximum

    radius = max(1, round(settings.opening_mm / voxel_mm))
    opened = sitk.BinaryMorphologicalOpening(_itk(tissue), [radius] * 3, sitk.sitkBall)
    core = _pieces(sitk.GetArrayFromImage(opened).astype(bool)) == 1
    whole: NDArray[np.bool_] = _pieces(tissue) == 1
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
    import SimpleITK as sitk
    from scipy.ndimage import binary_fill_holes

    pad = radius + 1
    padded = _itk(np.pad(head, pad, mode="edge"))
    closed = sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(padded, [radius] * 3, sitk.sitkBall)).astype(bool)
    closed = closed[pad:-pad, pad:-pad, pad:-pad]
    for axis in range(3):
        for end in (0, -1):
            face = np.moveaxis(closed, axis, 0)[end]
            face[...] = binary_fill_holes(face)
    return _dilate(_world_piece(~closed), radius + 1)


def _enlarge(coarse: NDArray[np.bool_], factor: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Repeat each voxel ``factor`` times along each axis; the last one fills up to ``shape``."""
    for axis, n in enumerate(shape):
        index = np.minimum(np.arange(n) // factor, coarse.shape[axis] - 1)
        coarse = np.take(coarse, index, axis=axis)
    return coarse


def clean(
    field: NDArray[np.float32], level: float, *, air: float, voxel_mm: float, settings: SurfaceSettings, cut: bool
) -> Cleaned:
    """Leave one piece of tissue without cavities; ``cut`` takes couch and headrest off it.

    Morphology runs at half resolution, an eighth of the work; the full-resolution tissue then decides where exactly the
    skin is, so that no surface of the head is moved. An empty ``solid`` means that nothing was above the level.
    """
    from skimage.transform import downscale_local_mean

    factor = 2
    tissue = field > level
    coarse = downscale_local_mean(tissue.astype(np.float32), factor) > 0.5
    head, cut_cm3 = _cut_sheets(coarse, factor * voxel_mm, settings) if cut else (_pieces(coarse) == 1, 0.0)
    zone = _outer_zone(head, max(1, round(settings.closing_mm / (factor * voxel_mm))))
    head_tissue = tissue & _enlarge(_dilate(head, 1), factor, field.shape)
    outside = _world_piece(~head_tissue & _enlarge(zone, factor, field.shape))
    solid: NDArray[np.bool_] = _pieces(~outside) == 1

    cleaned = field.copy()
    cleaned[tissue & ~solid] = air
    # Mirrored at the level: air becomes tissue as far above as it was below, without a step at the cavity's wall.
    cavity = solid & ~tissue
    cleaned[cavity] = np.maximum(2 * level - field[cavity], level + 0.02 * (level - air))
    return Cleaned(cleaned, solid, cut_cm3)
