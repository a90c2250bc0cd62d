"""The gaps between the slices of a stack: lost slices are refused, uneven ones interpolated to even ones.

A stack is even where each slice lies within a tenth of a gap of where equal steps from the first to the last would put
it. Positions are (slice, 3), sorted along the stack, in mm.
"""

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError

_UNEVEN = 0.1  # of a gap


def _off(positions_mm: NDArray[np.float64]) -> float:
    """How far off an even stack the slices lie, in gaps."""
    even = np.linspace(positions_mm[0], positions_mm[-1], len(positions_mm))
    gap_mm = float(np.median(np.linalg.norm(np.diff(positions_mm, axis=0), axis=1)))
    return float(np.linalg.norm(positions_mm - even, axis=1).max()) / gap_mm


def _count_missing(gaps_mm: NDArray[np.float64]) -> int:
    """Count the slices that a stack has lost: one wide gap or two. Three alike, side by side, were measured so."""
    lost = np.round(gaps_mm / np.median(gaps_mm) - 1).clip(min=0).astype(int)
    starts = np.flatnonzero(np.diff(lost, prepend=-1))
    return sum(int(run.sum()) for run in np.split(lost, starts[1:]) if len(run) < 3)


def check_gaps(positions_mm: NDArray[np.float64], normal: NDArray[np.float64], folder: str, *, even: bool) -> list[str]:
    """Refuse a stack with missing or repeated slices, or off a straight line; also an uneven one where `even` is asked.

    Parameters
    ----------
    positions_mm : (n, 3) float64
        Of the slices, in their order along ``normal``.
    normal : (3,) float64
        Unit vector across the slices.
    folder : str
        What messages call the stack.
    even : bool
        Refuse uneven gaps, which `even_out` could mend.

    Returns
    -------
    list of str
        Notes on small unevenness.
    """
    gaps_mm = np.diff(positions_mm @ normal)
    gap_range = f"from {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm"
    if gaps_mm.min() < 0.01 * max(float(np.median(gaps_mm)), 1e-3):
        raise InputError(f"{folder}: several slices lie at one position (echoes, time points?); leave one stack")
    missing = _count_missing(gaps_mm)
    if missing:
        slices = len(positions_mm) + missing
        raise InputError(f"{folder}: about {missing} of {slices} slices are missing (gaps {gap_range}); complete it")
    off = _off(positions_mm)
    if off <= _UNEVEN:
        return [f"uneven slice gaps: up to {off:.0%} of a gap off an even stack"] if off > 0.01 else []
    line = positions_mm[-1] - positions_mm[0]
    beside_mm = np.linalg.norm(np.cross(positions_mm - positions_mm[0], line / np.linalg.norm(line)), axis=1).max()
    if even or beside_mm > _UNEVEN * float(np.median(gaps_mm)):
        raise InputError(f"{folder}: the gaps between its slices are uneven, {gap_range}; resample it to even slices")
    return []


def even_out(values: NDArray[np.float32], positions_mm: NDArray[np.float64]) -> tuple[NDArray[np.float32], list[str]]:
    """Interpolate an uneven stack, `values` (slice, row, column), to even steps from its first slice to its last.

    Linear, as narrow as the narrow gaps of the stack. A stack that is even is given back as it is; else a note says so.
    """
    if _off(positions_mm) <= _UNEVEN:
        return values, []
    at_mm = np.linalg.norm(positions_mm - positions_mm[0], axis=1)
    gaps_mm = np.diff(at_mm)
    step_mm = max(np.percentile(gaps_mm, 10), np.median(gaps_mm) / 2)  # a few slices close together ask for no more
    wanted_mm = np.linspace(0, at_mm[-1], round(float(at_mm[-1] / step_mm)) + 1)
    weights = np.stack([np.interp(wanted_mm, at_mm, row) for row in np.eye(len(at_mm))], axis=1)
    evened: NDArray[np.float32] = np.tensordot(weights.astype(np.float32), values, axes=1)
    gap_range = f"from {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm"
    return evened, [f"uneven slice gaps, {gap_range}: resampled to even ones of {wanted_mm[1]:.2f} mm"]
