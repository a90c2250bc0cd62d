"""Signed distances, and the grid they are evaluated on.

Words
-----
distance
    Signed distance to a surface in mm: negative inside, zero on the surface. Unions of shapes keep it only roughly a
    distance; near zero, where it matters, its gradient stays close to 1.
smooth union
    A union that rounds the seam between two shapes over a width `k` in mm (Quilez, "smooth minimum",
    https://iquilezles.org/articles/smin).
coarse
    A grid of about 3 mm on which the broad forms are evaluated; a cubic spline carries them to the scan's own grid.
    Only what is finer than that (eyes, nose, lips, ears) is evaluated there, each inside its own box. A grid that is
    itself as coarse is its own coarse grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as record_field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32; the type stubs of numpy widen it in every other operation
Points = tuple[Array, Array, Array]
Box = tuple[slice, slice, slice]

_COARSE_MM = 3.2
WARP_SIGMA_MM = 24.0
_WARP_KNOTS_MM = 8.0  # a third of the sigma: the spline between them is off by some micrometres
_WARP_REACH_MM = 5.0  # boxes are given before the warp, shapes after it


def smooth_union(a: Array, b: Array, k: float) -> Array:
    """Return min(a, b), rounded over `k` mm."""
    h = np.maximum(k - np.abs(a - b), 0)
    h *= h
    h *= 0.25 / k
    union: Array = np.minimum(a, b)
    union -= h
    return union


def smooth_cut(a: Array, b: Array, k: float) -> Array:
    """Return `a` without `b`: max(a, -b), rounded over `k` mm."""
    cut: Array = -smooth_union(-a, b, k)
    return cut


def ellipsoid(p: Points, centre: Any, radii: Any) -> Array:
    """Distance to an ellipsoid, exact to first order at its surface."""
    k0: Array = np.zeros((), np.float32)
    k1: Array = np.zeros((), np.float32)
    for axis in range(3):
        square = p[axis] - np.float32(centre[axis])
        square *= square
        square *= np.float32(radii[axis] ** -2.0)
        k0 = k0 + square
        square *= np.float32(radii[axis] ** -2.0)
        k1 = k1 + square
    k0 = np.sqrt(k0)
    k1 = np.sqrt(k1)
    k1 += np.float32(1e-6)
    distance: Array = k0 - 1
    distance *= k0
    distance /= k1
    return distance


def _along(p: Points, a: Any, b: Any) -> tuple[Array, Array]:
    """Return the place 0..1 along the segment a-b that is nearest to each point, and the squared distance to it."""
    a, d = np.asarray(a, np.float32), np.asarray(b, np.float32) - np.asarray(a, np.float32)
    q = [p[axis] - a[axis] for axis in range(3)]
    d_unit = d / (d @ d)
    t: Array = q[0] * d_unit[0]
    t += q[1] * d_unit[1]
    t += q[2] * d_unit[2]
    t = np.clip(t, 0, 1)
    square: Array = np.zeros((), np.float32)
    for axis in range(3):
        q[axis] -= t * d[axis]
        q[axis] *= q[axis]
        square = square + q[axis]
    return t, square


def capsule(p: Points, a: Any, b: Any, radius_a: float, radius_b: float | None = None) -> Array:
    """Distance to a rod with round ends from `a` to `b` whose radius changes from `radius_a` to `radius_b`.

    Parameters
    ----------
    p : three float32 arrays
        Points in mm.
    a, b : (3,) float
    radius_a, radius_b : float
        In mm; ``radius_b`` is ``radius_a`` by default.
    """
    t, square = _along(p, a, b)
    end = radius_a if radius_b is None else radius_b
    rod: Array = np.sqrt(square)
    rod -= np.float32(radius_a)
    if end != radius_a:
        rod -= np.float32(end - radius_a) * t
    return rod


def bump(p: Points, centre: Any, sigma: Any) -> Array:
    """Gaussian of height 1 about a point, `sigma` in mm per axis."""
    exponent: Array = np.zeros((), np.float32)
    for axis in range(3):
        square = p[axis] - np.float32(centre[axis])
        square *= square
        square *= np.float32(-0.5 / sigma[axis] ** 2)
        exponent = exponent + square
    hill: Array = np.exp(exponent)
    return hill


def ridge(p: Points, a: Any, b: Any, sigma: float) -> Array:
    """Gaussian of height 1 about the segment from `a` to `b`, `sigma` in mm; see `capsule`."""
    hill: Array = np.exp(_along(p, a, b)[1] * np.float32(-0.5 / sigma**2))
    return hill


@lru_cache(maxsize=32)
def _filter(n: int) -> Any:
    """Sparse matrix from values at 0..n-1 to the coefficients of the cubic spline through them."""
    from scipy.interpolate import make_interp_spline
    from scipy.sparse import csr_array

    matrix = make_interp_spline(np.arange(n), np.eye(n), k=3).c
    return csr_array(np.where(np.abs(matrix) > 1e-7, matrix, 0).astype(np.float32))  # it fades by 0.27 per place


class Spline:
    """Values on few even places of a grid, carried by a cubic spline to other places of it.

    Parameters
    ----------
    values : (j, k, l) float32
        At even places whose first and last are those of the grid.
    shape : (3,) tuple of int
        Of the grid.
    places : three index vectors
    """

    def __init__(self, values: Array, shape: tuple[int, int, int], places: Sequence[NDArray[Any]]) -> None:
        from scipy.interpolate import BSpline

        # Each place takes four coefficients: a sparse product per axis, the last axis first so that the largest
        # product runs along memory, and the first axis on demand. Dense products are no slower in sums, but wait for
        # threads where the cores are shared.
        field = values
        for axis in (2, 1, 0):
            n = values.shape[axis]
            knots = np.concatenate(([0.0] * 4, np.arange(2, n - 2), [n - 1.0] * 4))
            at = np.clip(np.asarray(places[axis], float) * ((n - 1) / (shape[axis] - 1)), 0, n - 1)
            basis = BSpline.design_matrix(at, knots, 3).astype(np.float32)
            front = np.moveaxis(field, axis, 0)
            rest = front.shape[1:]
            front = _filter(n) @ front.reshape(n, -1)
            if axis:
                field = np.ascontiguousarray(np.moveaxis((basis @ front).reshape(-1, *rest), 0, axis))
            else:
                self._basis, self._coefficients, self._rest = basis, front, rest

    def planes(self, span: slice = slice(None)) -> Array:
        """Return the values at some of the places along the first axis and all along the others."""
        values: Array = (self._basis[span] @ self._coefficients).reshape(-1, *self._rest)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The voxels of a scan, seen from the head frame.

    Attributes
    ----------
    shape : (3,) tuple of int
    voxel_to_head_mm : (4, 4) float64
        Maps a voxel index to the head frame, in mm, before the warp.
    warp_centres_mm, warp_shifts_mm : (w, 3) float32
        Gaussians of `WARP_SIGMA_MM` that displace the head frame.
    """

    shape: tuple[int, int, int]
    voxel_to_head_mm: NDArray[np.float64]
    warp_centres_mm: Array
    warp_shifts_mm: Array
    _warp_knots_mm: tuple[Array, ...] = record_field(init=False, repr=False)  # displacement along x, y, z on few places

    def __post_init__(self) -> None:
        x, y, z = self._unwarped(*self._places(_WARP_KNOTS_MM))
        knots: list[Array] = [np.zeros_like(x)] * 3
        for centre, shift in zip(self.warp_centres_mm, self.warp_shifts_mm, strict=True):
            weight = bump((x, y, z), centre, (WARP_SIGMA_MM,) * 3)
            knots = [knot + weight * s for knot, s in zip(knots, shift, strict=True)]
        object.__setattr__(self, "_warp_knots_mm", tuple(knots))

    def grow(self, voxels: tuple[int, int, int]) -> Grid:
        """Return the grid with so many more voxels before and behind its own along each axis."""
        shift = np.eye(4)
        shift[:3, 3] = -np.asarray(voxels)
        i, j, k = (n + 2 * more for n, more in zip(self.shape, voxels, strict=True))
        return Grid((i, j, k), self.voxel_to_head_mm @ shift, self.warp_centres_mm, self.warp_shifts_mm)

    def _places(self, step_mm: float) -> tuple[NDArray[np.float64], ...]:
        """Index vectors of an even grid of at most `step_mm` whose corners are those of the grid."""
        spacing = np.linalg.norm(self.voxel_to_head_mm[:3, :3], axis=0)
        steps = (np.asarray(self.shape) - 1) * spacing / step_mm
        counts = [max(4, min(n, 1 + int(np.ceil(s)))) for n, s in zip(self.shape, steps, strict=True)]
        return tuple(np.linspace(0, n - 1, c) for n, c in zip(self.shape, counts, strict=True))

    def _unwarped(self, *indices: NDArray[Any]) -> Points:
        i, j, k = np.meshgrid(*(np.asarray(v, np.float32) for v in indices), indexing="ij", sparse=True)
        m = self.voxel_to_head_mm.astype(np.float32)
        x, y, z = (m[a, 0] * i + (m[a, 1] * j + (m[a, 2] * k + m[a, 3])) for a in range(3))
        return x, y, z

    def points(self, *indices: NDArray[Any]) -> Points:
        """Head coordinates of every (i, j, k) from three index vectors, each (i, j, k) float32, warp included."""
        x, y, z = self._unwarped(*indices)
        if len(self.warp_centres_mm):
            shifts = (Spline(knots, self.shape, indices).planes() for knots in self._warp_knots_mm)
            x, y, z = (p + shift for p, shift in zip((x, y, z), shifts, strict=True))
        return x, y, z

    def coarse_indices(self) -> tuple[NDArray[np.float64], ...]:
        """Index vectors of the coarse grid; its corners are those of the grid."""
        return self._places(_COARSE_MM)

    def box(self, low_mm: Any, high_mm: Any) -> Box:
        """Smallest box of voxels that holds a box of the head frame; may be empty outside the field of view."""
        low_mm, high_mm = np.asarray(low_mm) - _WARP_REACH_MM, np.asarray(high_mm) + _WARP_REACH_MM
        corners = np.array([[x, y, z, 1.0] for x, y, z in _corners(low_mm, high_mm)])
        index = (corners @ np.linalg.inv(self.voxel_to_head_mm).T)[:, :3]
        low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, self.shape)
        high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, 0, self.shape)
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _corners(low: Any, high: Any) -> list[tuple[float, float, float]]:
    return [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
