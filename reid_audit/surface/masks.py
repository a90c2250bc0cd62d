"""Dilate, erode and label sets of voxels."""

from functools import cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@cache
def _rays(radius: int) -> tuple[tuple[int, int, int], ...]:
    """Part a ball of voxels into rays along the last axis: offsets of a ray, and how far it reaches to each side.

    The ball's surface lies half a voxel outside the radius, as ITK draws it.
    """
    span = range(-radius, radius + 1)
    most = radius * (radius + 1)  # the largest whole number below (radius + 1/2) squared
    return tuple((i, j, isqrt(most - i * i - j * j)) for i in span for j in span if i * i + j * j <= most)


def dilate(mask: Mask, radius: int) -> Mask:
    """Grow by a ball: shifted copies, joined. Each ray is grown once along the last axis, however often it occurs."""
    padded = np.pad(mask, radius)
    inner = slice(radius, -radius) if radius else slice(None)
    grown = [padded[:, :, inner]]
    for reach in range(1, radius + 1):
        ends = [padded[:, :, start : start + mask.shape[2]] for start in (radius - reach, radius + reach)]
        grown.append(grown[-1] | ends[0] | ends[1])
    out = np.zeros_like(mask)
    for i, j, reach in _rays(radius):
        out |= grown[reach][radius + i : radius + i + mask.shape[0], radius + j : radius + j + mask.shape[1]]
    return out


def erode(mask: Mask, radius: int) -> Mask:
    """Shrink by a ball; what lies outside the box counts as full."""
    return ~dilate(~mask, radius)


def pieces(mask: Mask) -> tuple[NDArray[np.integer], int]:
    """Label the face-connected pieces 1, 2, ..., 0 elsewhere; also how many there are."""
    from cc3d import connected_components

    labels, count = connected_components(mask, connectivity=6, binary_image=True, return_N=True)
    return labels, int(count)


def largest(mask: Mask, *, every: int = 1) -> Mask:
    """Keep the face-connected piece that fills most of each so many planes, if there is any."""
    labels, count = pieces(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels[::every].ravel(), minlength=count + 1)
    sizes[0] = 0
    if not sizes.any():  # all of them lie between those planes
        return largest(mask)
    piece: Mask = labels == sizes.argmax()
    return piece


def extent(mask: Mask) -> list[tuple[int, int]]:
    """Along each axis, the first voxel that is set and the one after the last; the mask holds at least one."""
    filled = [np.nonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))[0] for axis in range(3)]
    return [(int(along[0]), int(along[-1]) + 1) for along in filled]


def world_piece(air: Mask) -> Mask:
    """Air that is connected with the world outside the box."""
    labels, _ = pieces(np.pad(air, 1, constant_values=True))
    world: Mask = (labels == labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return world


def halve(fine: Mask) -> Mask:
    """Blocks of 2 x 2 x 2 that are more than half full; a block at the end counts what is beyond as empty."""
    filled = np.pad(fine, [(0, n % 2) for n in fine.shape]).view(np.uint8)
    for axis in range(3):
        even, odd = (np.moveaxis(filled, axis, 0)[start::2] for start in (0, 1))
        filled = np.moveaxis(even + odd, 0, axis)
    return filled > 4


def double(coarse: Mask, shape: tuple[int, ...]) -> Mask:
    """Undo `halve`: each voxel becomes a block, cut to ``shape``."""
    for axis in range(2, -1, -1):  # what is contiguous first, while there is little of it
        coarse = np.repeat(coarse, 2, axis=axis)
    return coarse[tuple(slice(n) for n in shape)]
