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


def sample_head(volume: Volume, level: float, settings: SurfaceSettings) -> Lattice:
    """Crop to the head, smooth, sample at the working spacing.

    Lattice points lie at the same places of a volume whatever the crop, so that a defaced scan and its original, which
    share a grid, have equal meshes wherever their voxels are equal.

    Raises
    ------
    InputError
        Where no 4 mm block lies above the level.
    """
    import SimpleITK as sitk
    from scipy.ndimage import gaussian_filter

    box = _head_box(volume, level, settings)
    spacing, air = volume.spacing_mm, air_of(volume)
    part = volume.intensity[tuple(slice(low, high + 1) for low, high in box)]
    part = np.ascontiguousarray(without_nan(part, air), dtype=np.float32)
    if volume.modality is Modality.CT:
        low_hu, high_hu = CT_WINDOW_HU
        part = np.clip(part, low_hu, max(high_hu, level + 500.0))
    if settings.smoothing_mm > 0:
        # In mm, and not across thick slices: their own thickness has smoothed them already. Of finite support, so that
        # what a defacer changed elsewhere does not move the skin; half the time of ITK's where each core has a scan.
        sigma = [settings.smoothing_mm / s if s < 2 * settings.smoothing_mm else 0.0 for s in spacing]
        part = gaussian_filter(part, sigma, mode="nearest", truncate=3.0)
    image = sitk.GetImageFromArray(part)  # ITK calls the axes k, j, i
    image.SetSpacing(spacing[::-1])

    first, sizes, steps, ends = [], [], [], []
    for (low, high), n, s in zip(box, volume.intensity.shape, spacing, strict=True):
        total = max(2, round((n - 1) * s / settings.voxel_mm) + 1)
        step = (n - 1) / (total - 1)  # in voxels; the first and last slice are lattice points
        start = floor(ceil(low / step - 1e-9) / 2) * 2 if low else 0  # even: blocks of two points keep their place too
        stop = floor(high / step + 1e-9)
        first.append(start * step)
        sizes.append(stop - start + 1)
        steps.append(step)
        ends.append((start == 0, stop == total - 1))
    if any(step != 1 for step in steps) or sizes != list(part.shape):
        image = sitk.Resample(
            image,
            sizes[::-1],
            sitk.Transform(),
            # Cubic between thick slices, where linear would leave flats and steps.
            sitk.sitkBSpline if max(spacing) > 1.5 * settings.voxel_mm else sitk.sitkLinear,
            [(f - low) * s for f, (low, _), s in zip(first[::-1], box[::-1], spacing[::-1], strict=True)],
            [step * s for step, s in zip(steps[::-1], spacing[::-1], strict=True)],
            image.GetDirection(),
            air,
        )
    matrix = volume.voxel_to_ras_mm.astype(np.float64).copy()
    matrix[:3, 3] = (matrix @ [*first, 1.0])[:3]
    matrix[:3, :3] *= steps
    voxel_mm = float(abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3))
    return Lattice(sitk.GetArrayFromImage(image), matrix, voxel_mm, tuple(ends))
