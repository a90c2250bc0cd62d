"""Where the upper part of a head is: a defacer moves it least, and neither neck nor shoulders belong to it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HEIGHT_MM = 150.0


@dataclass(frozen=True, slots=True)
class HeadBox:
    """The box of the upper 150 mm of a head, in the frame of its points.

    Attributes
    ----------
    top_mm : float
        99.9th percentile of the heights: a few loose points do not move it.
    low_mm, high_mm : (float, float)
        2nd and 98th percentile across and from back to front: without ears and nose.
    """

    top_mm: float
    low_mm: tuple[float, float]
    high_mm: tuple[float, float]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and length."""
        (left, back), (right, front) = self.low_mm, self.high_mm
        return right - left, front - back

    @property
    def middle_mm(self) -> tuple[float, float]:
        """Middle across and from back to front."""
        (left, back), (right, front) = self.low_mm, self.high_mm
        return (left + right) / 2, (back + front) / 2


def _percentiles(values: NDArray[np.float32], shares: tuple[float, ...]) -> list[float]:
    """Interpolate linearly, as `numpy.percentile` does, in a tenth of its time."""
    places = np.array(shares) / 100 * (len(values) - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.concatenate([below, above]))
    return [float(value) for value in ordered[below] + (places - below) * (ordered[above] - ordered[below])]


def measure_head_box(points_mm: NDArray[np.float32]) -> HeadBox:
    """Measure the upper part of a head.

    Parameters
    ----------
    points_mm : (n, 3) float32
        Of its skin, n >= 1, in a frame whose third axis points to the top of the head.
    """
    (top,) = _percentiles(points_mm[:, 2], (99.9,))
    upper = points_mm[:, 2] > top - _HEIGHT_MM
    across, along = (_percentiles(points_mm[upper, axis], (2.0, 98.0)) for axis in (0, 1))
    return HeadBox(top, (across[0], along[0]), (across[1], along[1]))
