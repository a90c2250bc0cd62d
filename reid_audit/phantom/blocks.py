"""A grid in cubes of a few millimetres, so that what is fine is computed where it is and nowhere else.

Words
-----
block
    A cube of voxels of a grid, of about 5 mm. An array "by block" is (blocks, voxels of one): `Blocks.to_volume` lays
    it out as a volume.
near
    A distance at the middle of a block tells how little it can be at the block's voxels: who needs the surface alone
    asks for the blocks that may hold it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.field import Array, Grid, Points, Spline

Index = NDArray[np.intp]

_BLOCK_MM = 5.0
_STEEPEST = 1.35  # of what is called a distance here: unions and creases make it steeper than 1 in places
_AT_ONCE = 1 << 15  # voxels: a dozen arrays of so many stay in the cache


class Blocks:
    """The voxels of a grid, block by block.

    Parameters
    ----------
    grid : Grid
    block_mm : float
        Edge of a block, roughly: whole voxels, at least one.

    Attributes
    ----------
    grid : Grid
    centres : three (blocks,) float32
        Head coordinates of the middles of the blocks in mm, warp included.
    margin_mm : float
        By how much a distance can be less at a voxel than in the middle of its block.
    """

    def __init__(self, grid: Grid, *, block_mm: float = _BLOCK_MM) -> None:
        self.grid = grid
        step = grid.voxel_to_head_mm[:3, :3]
        spacing = np.linalg.norm(step, axis=0)
        self._edge = np.maximum(np.rint(block_mm / spacing), 1).astype(int)
        self._counts = -(-np.asarray(grid.shape) // self._edge)
        self._middles = [np.arange(n) * e + (e - 1) / 2 for n, e in zip(self._counts, self._edge, strict=True)]
        corner = (self._edge - 1) / 2
        self.margin_mm = float(np.linalg.norm(corner * spacing)) * _STEEPEST
        i, j, k = np.indices(self._edge).reshape(3, -1) - corner[:, None]  # of each voxel from the middle of its block
        ones = np.ones_like(i)
        self._monomials = np.array([ones, i, j, k, i * i / 2, j * j / 2, k * k / 2, i * j, i * k, j * k], np.float32)
        self._coefficients = self._expand()
        first, second, third = (c[:, 0] for c in self._coefficients)
        self.centres: Points = (first, second, third)

    def __len__(self) -> int:
        return int(np.prod(self._counts))

    def _expand(self) -> list[Array]:
        """Head coordinates about the middle of each block, (blocks, 10) for x, y and z.

        Over a block the warp is a polynomial of second degree: of its Gaussians, five times as wide, the third is less
        than a thousandth.
        """
        i, j, k = (2 * int(edge) for edge in self._edge)
        grown = self.grid.grow((i, j, k))
        around = [(np.arange(n + 2) + 1.5) * e - 0.5 for n, e in zip(self._counts, self._edge, strict=True)]
        coefficients = []
        for centre in grown.points(*around):
            first = [self._slope(centre, axis) for axis in range(3)]
            second = [self._slope(first[a], b) for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
            terms = [each[1:-1, 1:-1, 1:-1].reshape(-1) for each in (centre, *first, *second)]
            coefficients.append(np.stack(terms, axis=1))
        return coefficients

    def _slope(self, values: Array, axis: int) -> Array:
        """Change per voxel along an axis of what is known in the middles of the blocks and of those around them."""
        slope: Array = np.gradient(values, np.float32(self._edge[axis]), axis=axis)
        return slope

    def points(self, blocks: Index) -> Points:
        """Head coordinates of the voxels of some blocks, each (blocks, voxels), warp included."""
        x, y, z = (c[blocks] @ self._monomials for c in self._coefficients)
        return x, y, z

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid, rounded up to whole blocks."""
        i, j, k = self._counts * self._edge
        return int(i), int(j), int(k)

    def indices(self, blocks: Index) -> tuple[Index, Index, Index]:
        """Tell where the voxels of some blocks are in the grid, each (blocks, voxels)."""
        at = np.unravel_index(blocks, tuple(self._counts))
        within = np.indices(self._edge).reshape(3, -1)
        i, j, k = ((a * e)[:, None] + w for a, e, w in zip(at, self._edge, within, strict=True))
        return i, j, k

    def carry_to_centres(self, coarse: Array) -> Array:
        """Carry a field of the grid's coarse places to the middle of each block, (blocks,)."""
        return Spline(coarse, self.grid.shape, self._middles).planes().reshape(-1)

    def carry(self, coarse: Array, blocks: Index) -> Array:
        """Carry a field of the grid's coarse places to each voxel of some blocks, (blocks, voxels)."""
        every = [np.arange(n) for n in self.shape]
        field = Spline(coarse, self.grid.shape, every)
        (_, rows, columns), (layer, high, wide) = self._counts, self._edge
        carried = np.empty((len(blocks), layer * high * wide), np.float32)
        starts = np.searchsorted(blocks, np.arange(self._counts[0] + 1) * rows * columns)
        for n, (start, stop) in enumerate(pairwise(starts)):
            if start < stop:
                planes = field.planes(slice(n * layer, (n + 1) * layer))
                by_block = planes.reshape(layer, rows, high, columns, wide).transpose(1, 3, 0, 2, 4)
                j, k = np.divmod(blocks[start:stop] - n * rows * columns, columns)
                carried[start:stop] = by_block[j, k].reshape(stop - start, -1)
        return carried

    def box(self, low_mm: Any, high_mm: Any) -> Index:
        """Return the blocks that share a voxel with a box of the head frame, in rising order."""
        spans = self.grid.box(low_mm, high_mm)
        if any(span.start >= span.stop for span in spans):
            return np.empty(0, np.intp)
        ranges = [np.arange(s.start // e, (s.stop - 1) // e + 1) for s, e in zip(spans, self._edge, strict=True)]
        return np.ravel_multi_index(np.meshgrid(*ranges, indexing="ij"), tuple(self._counts)).reshape(-1)

    def parts(self, blocks: Index) -> Iterator[Index]:
        """Yield some blocks in turns of few enough to be computed at once."""
        count = max(1, _AT_ONCE // self._monomials.shape[1])
        for start in range(0, len(blocks), count):
            yield blocks[start : start + count]

    def to_volume(self, by_block: NDArray[Any]) -> NDArray[Any]:
        """Lay an array by block out as a volume, (i, j, k)."""
        (_, rows, columns), (layer, high, wide) = self._counts, self._edge
        i, j, k = self.grid.shape
        volume = np.empty((i, j, k), by_block.dtype)
        for start, blocks in zip(range(0, i, layer), np.split(by_block, self._counts[0]), strict=True):
            planes = blocks.reshape(rows, columns, layer, high, wide).transpose(2, 0, 3, 1, 4)
            inside = planes.reshape(layer, rows * high, columns * wide)[: i - start, :j, :k]
            volume[start : start + layer] = inside
        return volume
