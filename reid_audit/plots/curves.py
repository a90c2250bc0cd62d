"""Curves: ROC, DET, CMC, and how a threshold settles as a cohort grows."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from reid_audit.plots.canvas import INK, QUIET, colour, line, marker, say_nothing, shorten, show_legend
from reid_audit.records import ORIGINAL, Calibration, Distribution, SearchRates, ThresholdStability

_DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
_DET_ENDS = 0.0005

Leftover = tuple[str, Distribution, Distribution]
"""A name, and the mated and the non-mated comparisons of one attacker on one defacer."""


def _error_rates(mated: Distribution, non_mated: Distribution) -> tuple[list[float], list[float]]:
    """Cumulative shares (FMR, TMR) at the histogram's edges. A comparison without a distance never matches."""
    totals = [sum(each.counts) + each.missing for each in (non_mated, mated)]
    if not all(totals):
        return [], []
    fmr, tmr = (
        [0.0, *(count / total for count in accumulate(each.counts))]
        for each, total in zip((non_mated, mated), totals, strict=True)
    )
    return fmr, tmr


def _draw_errors(
    axes: Any,
    calibrations: Sequence[Calibration],
    after: Sequence[Leftover],
    place: Callable[[Sequence[float], Sequence[float]], tuple[Any, Any]],
) -> bool:
    """Draw each encoder's curve of the originals, and what each defacer leaves, where ``place`` puts (FMR, TMR)."""
    drawn = [each for each in calibrations if each.roc.fmr]
    if not drawn:
        say_nothing(axes, "the originals allow no curve: a group has no distance")
        return False
    for index, each in enumerate(drawn):
        name = f", {each.fingerprint.encoder}" if len(drawn) > 1 else ""
        label = f"originals{name} (AUC {each.auc.value:.3f})"
        style = {"color": INK, "linestyle": line(index), "linewidth": 1.6, "label": shorten(label, most=44)}
        axes.plot(*place(each.roc.fmr, each.roc.tmr), **style)
    for index, (name, mated, non_mated) in enumerate(after):
        fmr, tmr = _error_rates(mated, non_mated)
        if fmr:
            style = {"color": colour(index), "linestyle": line(index), "linewidth": 1.4}
            axes.plot(*place(fmr, tmr), **style, label=shorten(name, most=44))
    points = [point for point in drawn[0].thresholds if point.distance == point.distance] if len(drawn) == 1 else []
    for index, point in enumerate(points):
        axes.plot(
            *place([point.fmr.value], [point.tmr.value]),
            marker=marker(index),
            color=INK,
            markersize=5,
            markerfacecolor="none",
            linestyle="none",
            label=f"{point.name} {point.distance:.4f}",
        )
    axes.set_xlabel("false match rate (FMR)")
    return True


def draw_roc(axes: Any, calibrations: Sequence[Calibration], *, after: Sequence[Leftover] = ()) -> None:
    """Draw TMR against FMR of originals with the operating points, and what each defacer leaves.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    calibrations : sequence of Calibration
        One per encoder; the operating points are drawn where there is one.
    after : sequence of (name, mated, non-mated)
        Histograms of defaced scans against originals; drawn at the edges of their bins.
    """
    if _draw_errors(axes, calibrations, after, lambda fmr, tmr: (fmr, tmr)):
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":", label="chance")
        axes.set_ylabel("true match rate (TMR)")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)


def draw_det(axes: Any, calibrations: Sequence[Calibration], *, after: Sequence[Leftover] = ()) -> None:
    """Draw FNMR against FMR on normal-deviate axes, as `draw_roc` with the same parameters."""
    from scipy.special import ndtri

    def deviate(rates: Sequence[float]) -> Any:
        return ndtri(np.clip(np.asarray(rates, dtype=float), _DET_ENDS, 1 - _DET_ENDS))

    if _draw_errors(axes, calibrations, after, lambda fmr, tmr: (deviate(fmr), deviate([1 - t for t in tmr]))):
        ticks = [f"{100 * tick:g}" for tick in _DET_TICKS]
        axes.set_xticks(deviate(_DET_TICKS), ticks)
        axes.set_yticks(deviate(_DET_TICKS), ticks)
        axes.set_xlabel("false match rate (FMR), %")
        axes.set_ylabel("false non-match rate (FNMR), %")
        axes.grid(color=QUIET, alpha=0.25, linewidth=0.6)


def draw_cmc(axes: Any, searches: Sequence[tuple[str, SearchRates]]) -> None:
    """Draw the share of searches with the mate among the first r, and what guessing reaches: r / N.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    searches : sequence of (name, SearchRates)
        Names that begin with ``"original"`` are drawn in ink; those without a search are named as such.
    """
    size = max((search.gallery for _, search in searches if search.cmc), default=0)
    if not size:
        say_nothing(axes, "no subject could be searched for")
        return
    ranks = np.geomspace(1, size, 100)  # on the log axis r / N is no straight line between its two ends
    axes.plot(ranks, ranks / size, color=QUIET, linestyle=":", linewidth=1.2, label=f"chance among {size}")
    controls = defacers = 0
    for name, search in searches:
        control = name.startswith(ORIGINAL)
        style = {"color": INK, "linestyle": line(controls)}
        if not control:  # a defacer keeps the colour that it has in `draw_roc`
            style = {"color": colour(defacers), "linestyle": line(defacers)}
        controls, defacers = controls + control, defacers + (not control)
        label = shorten(name, most=44) + ("" if search.cmc else ": no search")
        axes.plot(search.cmc_ranks, search.cmc, **style, marker=".", markersize=2.5, linewidth=1.4, label=label)
    axes.set_xscale("log")
    axes.set_xlabel(f"rank among {size} originals")
    axes.set_ylabel("searches that found the mate")
    axes.set_ylim(0, 1.03)
    steps = [r for r in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if r <= size]
    axes.set_xticks(steps, [str(r) for r in steps])
    axes.set_xticks([], minor=True)


def draw_threshold_by_size(axes: Any, points: Sequence[ThresholdStability], *, name: str = "youden") -> None:
    """Draw the threshold that random smaller cohorts of the same subjects would have set, and that of all.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    points : sequence of ThresholdStability
    name : str
        Which threshold; others are left out.
    """
    named = [point for point in points if point.name == name and point.median == point.median]
    if not named:
        say_nothing(axes, f"too few subjects to see how\nthe {name} threshold settles")
        return
    drawn = [point for point in named if point.low == point.low]
    sizes, low, high = ([getattr(point, part) for point in drawn] for part in ("subjects", "low", "high"))
    axes.fill_between(sizes, low, high, color=colour(0), alpha=0.2, linewidth=0, label="95 % of draws")
    axes.vlines(sizes, low, high, color=colour(0), alpha=0.5, linewidth=1.5)
    axes.plot(sizes, [p.median for p in drawn], color=colour(0), marker="o", markersize=4, label="median of draws")
    for point in named:
        if point not in drawn:
            where = point.subjects, point.median
            axes.plot(*where, color=INK, marker="D", linestyle="none", label=f"all {point.subjects} subjects")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("subjects who set the threshold")
    axes.set_ylabel(f"{name} threshold, cosine distance")
    show_legend(axes, loc="lower right")
