"""Where a head may lie: as the arrays say, and wherever two coarse lattices agree."""

from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Grid, Lattice
from reid_audit.volume.sample import Array

_CANDIDATES = 6
_PLANES = 12


def _orientations() -> tuple[Array, ...]:
    """Return the 48 (3, 3) matrices that permute and turn round axes; the identity first."""
    turns = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            turns.append(matrix)
    return tuple(turns)


ORIENTATIONS = _orientations()


def exchange_axes(original: Grid, defaced: Grid) -> list[Array]:
    """Give placements that only exchange or turn round the axes of the array, up to some planes less or more.

    Where planes are missing, the last ones are: what else was cut is left as a shift by some voxels.
    """
    shape, other = np.array(original.shape), np.array(defaced.shape)
    back = np.linalg.inv(original.voxel_to_ras_mm)
    placements = []
    for turn in ORIENTATIONS:
        if np.abs(np.abs(turn) @ shape - other).max() > _PLANES:
            continue
        index = np.eye(4)
        index[:3, :3] = turn
        index[:3, 3] = np.where(turn.sum(axis=1) < 0, np.abs(turn) @ shape - 1, 0)
        placements.append(defaced.voxel_to_ras_mm @ index @ back)
    return placements


def _halve(field: NDArray[np.float16]) -> NDArray[np.float32]:
    even = field[tuple(slice(0, n // 2 * 2) for n in field.shape)]
    i, j, k = (n // 2 for n in even.shape)
    halved: NDArray[np.float32] = even.reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    return halved


def search_lattice(original: Lattice, defaced: Lattice) -> list[Array]:
    """Find the turns and shifts under which two lattices agree best, by correlation over all 48 orientations."""
    from scipy.fft import irfftn, next_fast_len, rfftn

    a, b = _halve(original.field), _halve(defaced.field)
    size = [next_fast_len(max(a.shape) + n, real=True) for n in b.shape]
    spectrum = np.conj(rfftn(b, size))
    starts: list[tuple[float, Array]] = []
    for turn in ORIENTATIONS:
        order = np.abs(turn).argmax(axis=1)
        signs = turn[range(3), order]
        turned = a.transpose(order)[tuple(slice(None, None, int(sign)) for sign in signs)]
        product_ = irfftn(np.conj(rfftn(turned, size)) * np.conj(spectrum), size)
        best = np.unravel_index(int(np.abs(product_).argmax()), product_.shape)
        shift = np.array([s if s < n - m else s - n for s, n, m in zip(best, size, turned.shape, strict=True)])
        index = np.eye(4)
        index[:3, :3] = turn
        # From the index of the fine lattice: blocks of two, whose middle lies half a step further.
        last = np.array(turned.shape) - 1
        index[:3, 3] = 2 * (np.where(signs < 0, last, 0) + shift) + 0.5 - turn @ np.full(3, 0.5)
        score = float(np.abs(product_[best]))
        starts.append((score, defaced.lattice_to_ras_mm @ index @ np.linalg.inv(original.lattice_to_ras_mm)))
    starts.sort(key=lambda pair: -pair[0])
    return [placement for _, placement in starts[:_CANDIDATES]]
