"""Where a face was blurred, replaced or covered, told by a small network where noise fades out too softly for a bound.

The network sees each cell of a grid of about 3 mm: where it lies on the average head, how deep it lies below either
skin, and how the noise is around it. A second one sees the same and what the first made of the cells around.
`examples/train_extent.py` trained both on synthetic heads, altered and as they were.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.lay import Laid, average_shape
from reid_audit.phantom import measure_brain_distance
from reid_audit.records import Volume
from reid_audit.screen.head import head_coordinates, in_face
from reid_audit.screen.texture import Mask, Texture

Array = NDArray[np.float32]
Layers = tuple[tuple[Array, Array], ...]
"""Weights and bias of each layer of a network."""
_Number = TypeVar("_Number", bound=np.generic)

WEIGHTS_FILE = "extent.npz"
_GRID_MM = 3.0
_FAR_MM = 30.0  # depths are told up to here
_WIDE_CELLS = 7
_AROUND_CELLS = (3, 5, 9)
_TISSUE_COLUMN = 6
LAYERS = 3
"""Of each network, the last included."""
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
    for share in (texture.quiet_share, texture.rough_share, texture.noise, texture.fineness, flat):
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


def apply_layers(layers: Layers, values: Array) -> Array:
    """Return log odds (n,) of features (n, m), by hidden layers of rectified units."""
    *hidden, last = layers
    for weight, bias in hidden:
        values = np.maximum(values @ weight + bias, 0)
    return np.asarray(np.clip((values @ last[0] + last[1])[:, 0], -_MOST_SURE, _MOST_SURE))


def describe_around(cells: Mask, features: Array, log_odds: Array) -> Array:
    """Add to the features of cells what the first network made of them and of the cells around, and of the whole face.

    Parameters
    ----------
    cells : (i, j, k) bool
    features : (n, m) float32
        From `describe_cells`.
    log_odds : (n,) float32
        From `apply_layers`.

    Returns
    -------
    (n, m + 5) float32
    """
    from scipy.ndimage import uniform_filter

    values, there = np.zeros(cells.shape, np.float32), cells.astype(np.float32)
    values[cells] = log_odds
    columns = [log_odds]
    for size in _AROUND_CELLS:
        counted = np.maximum(uniform_filter(there, size)[cells], np.float32(1e-3))
        columns.append(uniform_filter(values, size)[cells] / counted)
    columns.append(np.full(len(log_odds), share_of_flesh(features, log_odds)))
    return np.column_stack([features, *columns]).astype(np.float32)


def share_of_flesh(features: Array, log_odds: Array) -> float:
    """Return the share of a face's tissue cells that were likely altered; 0 without tissue."""
    flesh = features[:, _TISSUE_COLUMN] > 0
    return float((log_odds[flesh] > 0).mean()) if flesh.any() else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """What the networks make of the cells of a face.

    Attributes
    ----------
    log_odds : (i, j, k) float32
        That a cell was altered, on the grid of `coarsen`.
    share : float
        Of the face's tissue cells that were likely altered.
    """

    log_odds: Array
    share: float

    def draw(self, volume: Volume) -> Mask:
        """Mark the voxels of the volume, (i, j, k), that were likely altered."""
        from scipy.ndimage import map_coordinates

        fine = np.ogrid[tuple(slice(0, n) for n in volume.intensity.shape)]
        index = np.broadcast_arrays(*(axis / step for axis, step in zip(fine, _steps(volume), strict=True)))
        between = map_coordinates(self.log_odds, np.stack(index), order=1, mode="nearest", output=np.float32)
        return np.asarray(between > 0)


@lru_cache(maxsize=1)
def _read_layers() -> tuple[Layers, Layers]:
    with files(__package__).joinpath(WEIGHTS_FILE).open("rb") as stream, np.load(stream) as arrays:
        first, second = (
            tuple((arrays[f"{name}_weight_{n}"], arrays[f"{name}_bias_{n}"]) for n in range(LAYERS))
            for name in ("first", "second")
        )
    return first, second


def find_extent(volume: Volume, texture: Texture, laid: Laid) -> Extent:
    """Tell which cells of a face were likely blurred, replaced or covered."""
    cells, features = describe_cells(volume, texture, laid)
    first, second = _read_layers()
    log_odds = apply_layers(second, describe_around(cells, features, apply_layers(first, features)))
    on_grid = np.full(cells.shape, -_MOST_SURE, np.float32)
    on_grid[cells] = log_odds
    return Extent(on_grid, share_of_flesh(features, log_odds))
