"""Which voxels of two scans on one grid differ, and which of them were emptied: one rule for everybody who asks."""

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Volume

AIR_BELOW_HU = -500.0
"""Half-way between air and water."""

_TOLERANCE_HU = 1.0
_TOLERANCE_MR = 5e-3
_FILL_SHARE = 0.2


def tolerance_of(original: Volume) -> float:
    """Return the largest difference that storing a scan anew may make, in the scan's own units.

    1 HU in CT, which rounding leaves; in MR half a percent of the range up to the 99.5th percentile, of which one step
    of 8 bits is 0.4 %.
    """
    if original.is_hu:
        return _TOLERANCE_HU
    sample = original.intensity[::2, ::2, ::2]
    return _TOLERANCE_MR * float(np.percentile(sample, 99.5) - sample.min())


def find_changed(original: Volume, defaced: Volume, *, tolerance: float | None = None) -> NDArray[np.bool_]:
    """Find the voxels that differ by more than a tolerance, `tolerance_of` the original by default."""
    limit = tolerance_of(original) if tolerance is None else tolerance
    return np.asarray(np.abs(defaced.intensity - original.intensity) > limit)


def find_removed(
    original: NDArray[np.float32], defaced: NDArray[np.float32], changed: NDArray[np.bool_], *, is_hu: bool
) -> NDArray[np.bool_]:
    """Find the changed voxels that are fill or air now.

    Fill is the one value that at least a fifth of the changed voxels were set to (0 of a multiplied mask, -1000, ...);
    air lies below -500 HU where it was not before.
    """
    values, counts = np.unique(defaced[changed], return_counts=True)
    removed = np.zeros(changed.shape, dtype=bool)
    if counts.size and counts.max() >= _FILL_SHARE * counts.sum():
        removed = changed & (defaced == values[int(counts.argmax())])
    if is_hu:
        removed |= changed & (defaced < AIR_BELOW_HU) & (original >= AIR_BELOW_HU)
    return removed
