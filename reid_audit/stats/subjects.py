"""Redrawing subjects: the subject bootstrap for curves, and the thresholds that are read off them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Curves(NamedTuple):
    """TMR and FMR at ``grid`` of one draw of subjects."""

    tmr: NDArray[np.float64]
    fmr: NDArray[np.float64]


def draw_subjects(subjects: int, draws: int, *, rng: np.random.Generator) -> NDArray[np.uint16]:
    """How often each subject occurs in each bootstrap draw: (draws, subjects), every row sums to ``subjects``."""
    picked = rng.integers(0, subjects, size=(draws, subjects))
    picked += np.arange(draws)[:, None] * subjects
    return np.bincount(picked.ravel(), minlength=draws * subjects).reshape(draws, subjects).astype(np.uint16)


def redraw_curves(
    mated: NDArray[np.float64],
    mated_subject: NDArray[np.intp],
    non_mated: NDArray[np.float64],
    probe: NDArray[np.intp],
    reference: NDArray[np.intp],
    grid: NDArray[np.float64],
    weights: NDArray[np.uint16],
) -> Iterator[Curves]:
    """Yield TMR and FMR on a grid of thresholds for each draw of subjects.

    Parameters
    ----------
    mated, mated_subject : (n1,)
        Finite distances of pairs of one subject, and his code. Weight w_i.
    non_mated, probe, reference : (n2,)
        Finite distances of pairs of two subjects, and their codes. Weight w_i w_j.
    grid : (g,) float64
        Growing thresholds; a distance counts where it is strictly smaller.
    weights : (draws, subjects) uint16
        From `draw_subjects`.

    Yields
    ------
    Curves
        NaN where a draw holds no pair of that kind.
    """
    mated_bin = np.searchsorted(grid, mated, "right")
    non_mated_bin = np.searchsorted(grid, non_mated, "right")
    # Pairs ordered by bin once: every draw is then two gathers from a small table and a sum over runs.
    order = np.argsort(non_mated_bin, kind="stable")
    p, r = probe[order], reference[order]
    filled, starts = np.unique(non_mated_bin[order], return_index=True)
    # Nobody is drawn 16 times in practice; then products fit one byte, and the gathers stay in cache.
    small = np.uint8 if not weights.size or int(weights.max()) < 16 else np.uint32
    first, second = np.empty(len(p), dtype=small), np.empty(len(p), dtype=small)

    def below(mass: NDArray[Any]) -> NDArray[np.float64]:
        total = mass.sum()
        return np.asarray(np.cumsum(mass)[:-1] / total) if total > 0 else np.full(len(grid), np.nan)

    for row in weights:
        w = row.astype(small)
        mass = np.zeros(len(grid) + 1)
        if len(p):
            np.take(w, p, out=first, mode="clip")
            np.take(w, r, out=second, mode="clip")
            np.multiply(first, second, out=first)
            mass[filled] = np.add.reduceat(first, starts, dtype=np.int64)
        yield Curves(below(np.bincount(mated_bin, row[mated_subject], len(grid) + 1)), below(mass))
