"""The working lattice: the head alone, smoothed, at one spacing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Modality, Volume
from reid_audit.surface.level import CT_WINDOW_HU, air_of, binned, no_surface, without_nan
from reid_audit.surface.settings import SurfaceSettings

_MARGIN_MM = 12.0  # around the head: more than the Gaussian and the closing reach


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A smoothed image of the head.

    Attributes
    ----------
    field : (i, j, k) float32
    voxel_to_ras_mm : (4, 4) float64
    voxel_mm : float
        Edge of a cube as large as a voxel.
    ends_view : ((bool, bool), (bool, bool), (bool, bool))
        Per axis and end: whether the field of view of the scan ends there, and not only the crop.
    """

    field: NDArray[np.float32]
    voxel_to_ras_mm: NDArray[np.float64]
    voxel_mm: float
    ends_view: tuple[tuple[bool, bool], ...]


def _head_box(volume: Volume, level: float, settings: SurfaceSettings) -> list[tuple[int, int]]:
    """First and last voxel along each axis: largest piece above the level, a margin, no deeper than the head."""
    import SimpleITK as sitk

    def largest(mask: sitk.Image) -> NDArray[np.intp]:
        labels = sitk.RelabelComponent(sitk.ConnectedComponent(mask), sortByObjectSize=True)
        return np.argwhere(sitk.GetArrayViewFromImage(labels) == 1)

    values, factors = binned(volume, 4.0)
    tissue = sitk.GetImageFromArray((values > level).astype(np.uint8))
    found = largest(tissue)
    if not len(found):
        raise no_surface(volume, level)
    top = int(found[:, 2].max())
    if volume.modality is Modality.CT:
        # A couch may touch the head and go on far above it: the top is that of the solid part.
        thick = largest(sitk.BinaryMorphologicalOpening(tissue, [1, 1, 1], sitk.sitkBall))
        top = min(top, int(thick[:, 2].max()) + 1) if len(thick) > len(found) / 2 else top
    box = []
    for axis, (spacing, n, factor) in enumerate(zip(volume.spacing_mm, volume.intensity.shape, factors, strict=True)):
        margin = ceil(_MARGIN_MM / spacing) + factor
        low, high = int(found[:, axis].min()) * factor, (int(found[:, axis].max()) + 1) * factor
        if axis == 2:  # grows to the top
            high = (top + 1) * factor
            low = max(low, high - ceil(settings.head_height_mm / spacing))
        box.append((max(0, low - margin), min(n - 1, high + margin)))
    return box


def _sampling(n: int, at: NDArray[np.float64], *, sigma: float, order: int) -> NDArray[np.float32]:
    """Matrix that smooths ``n`` voxels by a Gaussian of ``sigma`` voxels and interpolates them ``at`` these places.

    The Gaussian is of finite support, so that what a defacer changed elsewhere does not move the skin.
    """
    from scipy.ndimage import gaussian_filter1d, map_coordinates

    smooth = np.eye(n) if sigma == 0 else gaussian_filter1d(np.eye(n), sigma, axis=0, mode="nearest", truncate=3.0)
    if order == 1:
        low = np.clip(np.floor(at).astype(int), 0, n - 2)
        part = (at - low)[:, None]
        linear: NDArray[np.float64] = (1 - part) * smooth[low] + part * smooth[low + 1]
        return linear.astype(np.float32)
    columns = [map_coordinates(column, [at], order=order, mode="mirror") for column in smooth.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _sample_first_axis(values: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply a matrix along the first axis and put that axis last: after three times the axes stand as they stood.

    Some rows at a time, and of the voxels only those that they see: a fifth of the time of a filter and a resampling.
    """
    sampled = np.empty((*values.shape[1:], len(matrix)), dtype=np.float32)
    source, target = values.reshape(len(values), -1), sampled.reshape(-1, len(matrix))
    for start in range(0, len(matrix), 32):
        rows = matrix[start : start + 32]
        seen = np.nonzero(rows.any(axis=0))[0]
        span = slice(seen[0], seen[-1] + 1)
        target[:, start : start + 32] = source[span].T @ rows[:, span].T
    return sampled


def sample_head(volume: Volume, level: float, settings: SurfaceSettings) -> Lattice:
    """Crop to the head, smooth, sample at the working spacing.

    Lattice points lie at the same places of a volume whatever the crop, so that a defaced scan and its original, which
    share a grid, have equal meshes wherever their voxels are equal.

    Raises
    ------
    InputError
        Where no 4 mm block lies above the level.
    """
    box = _head_box(volume, level, settings)
    spacing, air = volume.spacing_mm, air_of(volume)
    part = volume.intensity[tuple(slice(low, high + 1) for low, high in box)]
    part = np.ascontiguousarray(without_nan(part, air), dtype=np.float32)
    if volume.modality is Modality.CT:
        low_hu, high_hu = CT_WINDOW_HU
        part = np.clip(part, low_hu, max(high_hu, level + 500.0))

    order = 3 if max(spacing) > 1.5 * settings.voxel_mm else 1  # cubic between slices: linear leaves flats and steps
    first, steps, ends = [], [], []
    for (low, high), n, s in zip(box, volume.intensity.shape, spacing, strict=True):
        total = max(2, round((n - 1) * s / settings.voxel_mm) + 1)
        step = (n - 1) / (total - 1)  # in voxels; the first and last slice are lattice points
        start = floor(ceil(low / step - 1e-9) / 2) * 2 if low else 0  # even: blocks of two points keep their place too
        stop = floor(high / step + 1e-9)
        # Thick slices are smooth by their own thickness.
        matrix = _sampling(
            high - low + 1,
            np.arange(start, stop + 1) * step - low,
            sigma=settings.smoothing_mm / s if s < 2 * settings.smoothing_mm else 0.0,
            order=order,
        )
        part = _sample_first_axis(part, matrix)
        first.append(start * step)
        steps.append(step)
        ends.append((start == 0, stop == total - 1))
    voxel_to_ras_mm = volume.voxel_to_ras_mm.astype(np.float64).copy()
    voxel_to_ras_mm[:3, 3] = (voxel_to_ras_mm @ [*first, 1.0])[:3]
    voxel_to_ras_mm[:3, :3] *= steps
    voxel_mm = float(abs(np.linalg.det(voxel_to_ras_mm[:3, :3])) ** (1 / 3))
    return Lattice(part, voxel_to_ras_mm, voxel_mm, tuple(ends))
