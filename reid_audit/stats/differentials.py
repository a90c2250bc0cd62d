"""Differences of error rates between strata of subjects (ISO/IEC 19795-10)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Differential, InputError
from reid_audit.stats.jackknife import Blocks, check_blocks, jackknife


def suppress(sizes: Mapping[str, int], minimum: int) -> frozenset[str]:
    """Name the cells to hide: those under the minimum, and a second one where one could be had by subtraction."""
    hidden = {value for value, size in sizes.items() if size < minimum}
    rest = sorted((size, value) for value, size in sizes.items() if value not in hidden)
    if len(hidden) == 1 and rest:
        hidden.add(rest[0][1])
    return frozenset(hidden)


def measure_differentials(
    blocks: Blocks, labels: Sequence[str], threshold: float, *, minimum: int = 10, confidence: float = 0.95
) -> tuple[Differential, ...]:
    """Measure TMR and FMR per stratum, and their differences from the other subjects.

    Parameters
    ----------
    blocks : sequence of (n, n) float64
        See `reid_audit.stats.jackknife.Blocks`. Blocks of original probes give the differentials of the control, those
        of defaced probes the differentials of what is left.
    labels : sequence of str
        Stratum of each subject; ``""`` = unknown, in no stratum and among the others of all.
    threshold : float
        A distance below it matches.
    minimum : int
        Smallest cell that is shown.
    confidence : float

    Returns
    -------
    tuple of Differential
        Sorted by stratum. Where one cell alone is under the minimum, the next smallest is suppressed with it, lest it
        be had by subtraction.

    Raises
    ------
    InputError
        Not one label per subject.
    """
    subjects = check_blocks(blocks)
    if len(labels) != subjects:
        raise InputError(f"labels must name a stratum for each of the {subjects} subjects; got {len(labels)}")
    label = np.asarray(labels, dtype=object)
    sizes = {str(name): int((label == name).sum()) for name in sorted(set(labels) - {""})}
    hidden = suppress(sizes, minimum)
    joint = 1 - (1 - confidence) / max(len(sizes) - len(hidden), 1)
    return tuple(
        Differential(name, 0)
        if name in hidden
        else _measure(blocks, label == name, name, threshold, confidence=confidence, joint=joint)
        for name in sizes
    )


def _measure(
    blocks: Blocks, inside: NDArray[np.bool_], name: str, threshold: float, *, confidence: float, joint: float
) -> Differential:
    within, size = np.flatnonzero(inside), int(inside.sum())

    def rates(members: NDArray[np.bool_]) -> NDArray[np.float64]:
        return _rates([block[np.ix_(members, members)] for block in blocks], threshold)

    def rates_within(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        members = np.zeros(len(inside), dtype=bool)
        members[within[kept]] = True
        return rates(members)

    def gaps(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        return rates(kept & inside) - rates(kept & ~inside)

    tmr, fmr = jackknife(rates_within, size, limits=(0, 1), logit=True, confidence=confidence)
    tmr_gap, fmr_gap = jackknife(gaps, len(inside), limits=(-1, 1), confidence=joint)
    return Differential(name, size, tmr, fmr, tmr_gap, fmr_gap)


def _rates(blocks: Blocks, threshold: float) -> NDArray[np.float64]:
    """TMR over all mated and FMR over acquired non-mated comparisons; NaN without any."""
    hits, trials, false, others = 0, 0, 0, 0
    for block in blocks:
        off = ~np.eye(len(block), dtype=bool)
        hits, trials = hits + int((np.diag(block) < threshold).sum()), trials + len(block)
        false, others = false + int((block[off] < threshold).sum()), others + int((~np.isnan(block[off])).sum())
    return np.array([hits / trials if trials else math.nan, false / others if others else math.nan])
