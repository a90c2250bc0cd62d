"""The working lattice: the head alone, smoothed, at one spacing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Modality, Volume
from reid_audit.surface.level import CT_WINDOW_HU, binned, no_surface
from reid_audit.surface.masks import dilate, erode, extent, largest
from reid_audit.surface.settings import SurfaceSettings

Matrix = NDArray[np.float32]

_NOTHING = 1e-6  # of a voxel's value
_MARGIN_MM = 12.0  # around the head: more than the Gaussian and the closing reach


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A smoothed image of the head.

    Attributes
    ----------
    field : (i, j, k) float32
        The first axis contiguous.
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

    def crop(self, box: Sequence[slice]) -> Lattice:
        """Leave what lies between a first and a last voxel along each axis."""
        matrix = self.voxel_to_ras_mm.copy()
        matrix[:3, 3] = (matrix @ [*(span.start for span in box), 1.0])[:3]
        ends = tuple(
            (first and span.start == 0, last and span.stop == n)
            for (first, last), span, n in zip(self.ends_view, box, self.field.shape, strict=True)
        )
        return Lattice(self.field[tuple(box)], matrix, self.voxel_mm, ends)


def _head_box(volume: Volume, level: float, settings: SurfaceSettings) -> list[tuple[int, int]]:
    """First and last voxel along each axis: largest piece above the level, a margin, no deeper than the head."""
    values, factors = binned(volume, 4.0)
    tissue = values > level
    head = largest(tissue)
    if not head.any():
        raise no_surface(volume, level)
    filled = extent(head)
    top = filled[2][1]
    if volume.modality is Modality.CT:
        # A couch may touch the head and go on far above it: the top is that of the solid part.
        thick = largest(dilate(erode(tissue, 1), 1))
        top = min(top, extent(thick)[2][1] + 1) if 2 * thick.sum() > head.sum() else top
    box = []
    for axis, (spacing, n, factor) in enumerate(zip(volume.spacing_mm, volume.intensity.shape, factors, strict=True)):
        margin = ceil(_MARGIN_MM / spacing) + factor
        low, high = filled[axis][0] * factor, filled[axis][1] * factor
        if axis == 2:  # grows to the top
            high = top * factor
            low = max(low, high - ceil(settings.head_height_mm / spacing))
        box.append((max(0, low - margin), min(n - 1, high + margin)))
    return box


def _sampling(n: int, at: NDArray[np.float64], *, sigma: float, order: int) -> Matrix:
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
    cubic = np.stack(columns, axis=1).astype(np.float32)
    cubic[np.abs(cubic) < _NOTHING] = 0  # a spline sees every voxel, far ones by next to nothing
    return cubic


def _bands(matrix: Matrix, rows: int) -> Iterator[tuple[slice, slice, Matrix]]:
    """So many rows of a matrix at a time: which, the columns that they see, and what stands there."""
    for start in range(0, len(matrix), rows):
        band = matrix[start : start + rows]
        seen = np.nonzero(band.any(axis=0))[0]
        columns = slice(int(seen[0]), int(seen[-1]) + 1)
        yield slice(start, start + len(band)), columns, np.ascontiguousarray(band[:, columns])


def _sample(values: NDArray[np.float32], window: tuple[float, float], matrices: list[Matrix]) -> NDArray[np.float32]:
    """Clip to the window and apply one matrix along each axis; the last axis is contiguous.

    Slab by slab, so that what lies between two matrices stays in the cache, and of the voxels only those that a row
    sees: a third of the time of filters and a resampling of the whole.
    """
    sampled = np.empty([len(matrix) for matrix in matrices], dtype=np.float32)
    across, along = (list(_bands(matrix, 16)) for matrix in matrices[1:])
    for to, seen, band in _bands(matrices[0], 8):
        slab = np.clip(values[seen], *window, order="C")
        first = (band @ slab.reshape(len(slab), -1)).reshape(len(band), *slab.shape[1:])
        second = np.empty((len(band), sampled.shape[1], slab.shape[2]), dtype=np.float32)
        for rows, columns, weights in across:
            np.matmul(weights, first[:, columns], out=second[:, rows])
        for rows, columns, weights in along:
            np.matmul(second[:, :, columns], weights.T, out=sampled[to, :, rows])
    return sampled


def sample_head(volume: Volume, level: float, settings: SurfaceSettings) -> Lattice:
    """Crop to the head, smooth, sample at the working spacing.

    Lattice points lie at the same places of a volume whatever the crop, so that a defaced scan and its original, which
    share a grid, have equal meshes wherever their voxels are equal. What is not finite makes its surroundings so.

    Raises
    ------
    InputError
        Where no 4 mm block lies above the level.
    """
    box = _head_box(volume, level, settings)
    spacing = volume.spacing_mm
    order = 3 if max(spacing) > 1.5 * settings.voxel_mm else 1  # cubic between slices: linear leaves flats and steps
    first, steps, ends, matrices = [], [], [], []
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
        matrices.append(matrix)
        first.append(start * step)
        steps.append(step)
        ends.append((start == 0, stop == total - 1))
    is_ct = volume.modality is Modality.CT
    window = (CT_WINDOW_HU[0], max(CT_WINDOW_HU[1], level + 500.0)) if is_ct else (-np.inf, np.inf)
    crop = volume.intensity[tuple(slice(low, high + 1) for low, high in box)]
    field = _sample(crop.T, window, matrices[::-1]).T  # the first axis of a volume is contiguous
    voxel_to_ras_mm = volume.voxel_to_ras_mm.astype(np.float64).copy()
    voxel_to_ras_mm[:3, 3] = (voxel_to_ras_mm @ [*first, 1.0])[:3]
    voxel_to_ras_mm[:3, :3] *= steps
    voxel_mm = float(abs(np.linalg.det(voxel_to_ras_mm[:3, :3])) ** (1 / 3))
    return Lattice(field, voxel_to_ras_mm, voxel_mm, tuple(ends))
