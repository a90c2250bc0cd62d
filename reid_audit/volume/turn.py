"""Whether a head lies in its grid as it did: programs that turn or mirror it are found out."""

from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Volume

_SIZE = 24
_MARGIN = 0.01
_AXES = "xyz"


def _shrink(intensity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Average a volume over a coarse cube, whatever its shape: a head that was turned within it looks turned there."""
    coarse: NDArray[Any] = intensity
    for axis in range(3):
        starts = np.linspace(0, coarse.shape[axis], _SIZE + 1)[:-1].astype(int)
        counts = np.diff(np.append(starts, coarse.shape[axis]))
        shape = [-1 if a == axis else 1 for a in range(3)]
        coarse = np.add.reduceat(coarse, starts, axis=axis, dtype=np.float64) / counts.reshape(shape)
    return np.asarray(coarse, dtype=np.float64)


def _correlate(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def find_turn(original: Volume, defaced: Volume) -> str:
    """Say how a head was turned by right angles or mirrored within its grid; "" where it lies as it did.

    Of the 48 ways in which the axes of a scan can be exchanged and reversed, that counts in which the original
    resembles the defaced scan clearly more than it does as it lies. Grids below 24 voxels along an axis are not judged.

    Parameters
    ----------
    original, defaced : Volume
        On one grid.

    Examples
    --------
    ``"x and y reversed"`` is a turn by 180 degrees about the body's axis, ``"x reversed"`` exchanges left and right.
    """
    if min(original.intensity.shape) < _SIZE:
        return ""
    limits = np.percentile(original.intensity[::2, ::2, ::2], [1, 99])  # metal and padding must not decide
    before, after = (_shrink(np.clip(each.intensity, *limits)) for each in (original, defaced))
    best, how = _correlate(before, after) + _MARGIN, ""
    for order in permutations(range(3)):
        turned = before.transpose(order)
        for signs in product((1, -1), repeat=3):
            alike = _correlate(turned[tuple(slice(None, None, sign) for sign in signs)], after)
            if alike > best:
                best, how = alike, _say(order, signs)
    return how


def _say(order: tuple[int, ...], signs: tuple[int, ...]) -> str:
    reversed_axes = [_AXES[axis] for axis in range(3) if signs[axis] < 0]
    parts = []
    if order != (0, 1, 2):
        parts.append(f"axes {', '.join(_AXES)} became {', '.join(_AXES[axis] for axis in order)}")
    if reversed_axes:
        parts.append(f"{' and '.join(reversed_axes)} reversed")
    return "; ".join(parts)
