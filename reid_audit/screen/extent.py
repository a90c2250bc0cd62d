"""How far an alteration reaches, told by a small network where noise fades out too softly for a bound.

The network sees each voxel of a grid of about 3 mm by itself: where it lies on the average head, how deep it lies below
either skin, and how the noise is around it. `examples/train_extent.py` trained it on synthetic heads.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.fill import Laid
from reid_audit.phantom import measure_brain_distance
from reid_audit.records import Volume
from reid_audit.screen.head import average_shape, head_coordinates, in_face
from reid_audit.screen.texture import Mask, Texture

Array = NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)

WEIGHTS_FILE = "extent.npz"
_GRID_MM = 3.0
_FAR_MM = 30.0  # depths are told up to here
_WIDE_CELLS = 7
_MOST_SURE = 6.0  # log odds: a single cell that is surer does not outweigh its neighbours between cells


def _steps(volume: Volume) -> list[int]:
    return [max(1, round(_GRID_MM / spacing)) for spacing in volume.spacing_mm]


def describe_cells(volume: Volume, texture: Texture, laid: Laid) -> tuple[Mask, Array]:
    """Describe what lies around the cells of the face.

    Parameters
    ----------
    volume : Volume
    texture : Texture
    laid : Laid
        The average head on the scan.

    Returns
    -------
    cells : (i, j, k) bool
        The cells of the grid that lie in the face; see `coarsen`.
    features : (n, m) float32
        One row for each of them.
    """
    from scipy.ndimage import distance_transform_edt, map_coordinates, uniform_filter

    def distance(mask: Mask) -> Array:
        away = distance_transform_edt(mask, sampling=sampling) if not mask.all() else np.full(mask.shape, _FAR_MM)
        return np.asarray(np.minimum(away, _FAR_MM), np.float32)

    sampling = [step * spacing for step, spacing in zip(_steps(volume), volume.spacing_mm, strict=True)]
    cells = coarsen(in_face(volume, laid), volume)
    at = [coarsen(axis, volume)[cells] for axis in head_coordinates(volume, laid)]
    shape = average_shape()
    m = np.linalg.inv(shape.voxel_to_head_mm)
    index = [m[axis, axis] * at[axis] + m[axis, 3] for axis in range(3)]
    average_mm = map_coordinates(shape.distance_mm, index, order=1, mode="constant", cval=_FAR_MM) * laid.scale
    tissue = coarsen(texture.tissue, volume)
    # Refacers keep clear of the brain.
    brain_mm = map_coordinates(measure_brain_distance(), index, order=1, mode="nearest") * laid.scale
    columns = [
        np.abs(at[0]) / 100,
        at[1] / 100,
        at[2] / 100,
        np.clip(average_mm, -_FAR_MM, _FAR_MM) / 10,
        np.minimum(brain_mm, _FAR_MM) / 10,
        (distance(~tissue) - distance(tissue))[cells] / 10,
        tissue[cells],
    ]
    flat = uniform_filter(texture.flat.astype(np.float32), 3)
    for share in (texture.quiet_share, texture.rough_share, texture.noise, flat):
        near = coarsen(share, volume)
        columns += [near[cells], uniform_filter(near, _WIDE_CELLS)[cells]]
    flesh = tissue & cells
    common = [
        coarsen(texture.quiet, volume)[flesh].mean() if flesh.any() else 0.0,
        coarsen(texture.rough, volume)[flesh].mean() if flesh.any() else 0.0,
        texture.air_speaks,
        volume.is_hu,
    ]
    columns += [np.full(len(at[0]), value) for value in common]
    return cells, np.stack(columns, axis=1).astype(np.float32)


def coarsen(values: NDArray[_Number], volume: Volume) -> NDArray[_Number]:
    """Take every n-th voxel of a volume's grid, so that they lie about 3 mm apart."""
    return values[tuple(slice(None, None, step) for step in _steps(volume))]


@lru_cache(maxsize=1)
def _read_layers() -> tuple[tuple[Array, Array], ...]:
    with files(__package__).joinpath(WEIGHTS_FILE).open("rb") as stream, np.load(stream) as arrays:
        return tuple((arrays[f"weight_{n}"], arrays[f"bias_{n}"]) for n in range(len(arrays.files) // 2))


def find_extent(volume: Volume, texture: Texture, laid: Laid) -> Mask:
    """Mark the voxels that were likely altered, where somebody blurred, replaced or covered a face.

    Returns
    -------
    (i, j, k) bool
    """
    from scipy.ndimage import map_coordinates

    cells, values = describe_cells(volume, texture, laid)
    *hidden, last = _read_layers()
    for weight, bias in hidden:
        values = np.maximum(values @ weight + bias, 0)
    likely = np.full(cells.shape, -_MOST_SURE, np.float32)
    likely[cells] = np.clip((values @ last[0] + last[1])[:, 0], -_MOST_SURE, _MOST_SURE)
    fine = np.ogrid[tuple(slice(0, n) for n in volume.intensity.shape)]
    index = np.broadcast_arrays(*(axis / step for axis, step in zip(fine, _steps(volume), strict=True)))
    return np.asarray(map_coordinates(likely, np.stack(index), order=1, mode="nearest", output=np.float32) > 0)
