"""Curves: ROC, DET, CMC, and how a threshold settles as a cohort grows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, colour, line, marker, say_nothing, shorten, show_legend
from reid_audit.records import AttackEvidence, Calibration, ControlEvidence, Distribution, ThresholdStability

_DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
_DET_ENDS = 0.0005


def _left_over(own: Distribution, non_mated: Distribution) -> tuple[list[float], list[float]]:
    """Cumulative shares (FMR, TMR) at the histogram's edges. A comparison without a distance never matches."""
    shares = []
    for each in (non_mated, own):
        total = sum(each.counts) + each.missing
        shares.append([0.0, *(count / total for count in accumulate(each.counts))] if total else [])
    return shares[0], shares[1]


Leftover = tuple[str, Distribution, Distribution]
"""A name, and the own and the strangers' comparisons of one attacker on one defacer."""


def draw_roc(axes: Any, calibration: Calibration, *, after: Sequence[Leftover] = ()) -> None:
    """Draw TMR against FMR of originals with the operating points, and what each defacer leaves.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    calibration : Calibration
    after : sequence of (name, own, strangers)
        Histograms of defaced scans against their own and other people's originals; drawn at the edges of their bins.
    """
    if not calibration.roc.fmr:
        say_nothing(axes, "originals allow no ROC: a group has no distance")
        return
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":", label="chance")
    axes.plot(
        calibration.roc.fmr,
        calibration.roc.tmr,
        color=INK,
        linewidth=1.6,
        drawstyle="steps-post",
        label=f"originals (AUC {calibration.auc.value:.3f})",
    )
    for index, (name, own, non_mated) in enumerate(after):
        fmr, tmr = _left_over(own, non_mated)
        if fmr and tmr:
            axes.plot(fmr, tmr, color=colour(index), linestyle=line(index), linewidth=1.4, label=shorten(name))
    for index, point in enumerate(p for p in calibration.thresholds if p.distance == p.distance):
        axes.plot(
            point.fmr.value,
            point.tmr.value,
            marker=marker(index),
            color=INK,
            markersize=5,
            markerfacecolor="none",
            linestyle="none",
            label=f"{point.name} {point.distance:.4f}",
        )
    axes.set_xlabel("false match rate")
    axes.set_ylabel("true match rate")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    show_legend(axes, loc="lower right", fontsize=7)


def draw_det(axes: Any, calibration: Calibration, *, after: Sequence[Leftover] = ()) -> None:
    """Draw FNMR against FMR on normal-deviate axes, as `draw_roc` with the same parameters."""
    import numpy as np
    from scipy.special import ndtri

    def deviate(rate: Sequence[float]) -> Any:
        return ndtri(np.clip(np.asarray(rate, dtype=float), _DET_ENDS, 1 - _DET_ENDS))

    if not calibration.roc.fmr:
        say_nothing(axes, "originals allow no DET: a group has no distance")
        return
    missed = [1 - tmr for tmr in calibration.roc.tmr]
    axes.plot(deviate(calibration.roc.fmr), deviate(missed), color=INK, linewidth=1.6, label="originals")
    for index, (name, own, non_mated) in enumerate(after):
        fmr, tmr = _left_over(own, non_mated)
        if fmr and tmr:
            axes.plot(
                deviate(fmr),
                deviate([1 - t for t in tmr]),
                color=colour(index),
                linestyle=line(index),
                linewidth=1.4,
                label=shorten(name),
            )
    for index, point in enumerate(p for p in calibration.thresholds if p.distance == p.distance):
        axes.plot(
            deviate([point.fmr.value]),
            deviate([1 - point.tmr.value]),
            marker=marker(index),
            color=INK,
            markersize=5,
            markerfacecolor="none",
            linestyle="none",
            label=point.name,
        )
    ticks = [f"{100 * tick:g}" for tick in _DET_TICKS]
    axes.set_xticks(deviate(_DET_TICKS), ticks)
    axes.set_yticks(deviate(_DET_TICKS), ticks)
    axes.set_xlabel("false match rate, %")
    axes.set_ylabel("false non-match rate, %")
    axes.grid(color=QUIET, alpha=0.25, linewidth=0.6)


def draw_cmc(axes: Any, searches: Sequence[tuple[str, ControlEvidence | AttackEvidence]]) -> None:
    """Draw the share of searches with the mate among the first r, and what guessing reaches.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    searches : sequence of (name, evidence)
        Those without a search are named in the legend as such.
    """
    galleries = [evidence.search.gallery for _, evidence in searches if evidence.search.cmc]
    if not galleries:
        say_nothing(axes, "nobody could be searched for")
        return
    size = max(galleries)
    axes.plot([1, size], [1 / size, 1.0], color=QUIET, linestyle=":", linewidth=1, label=f"chance among {size}")
    index = -1
    for name, evidence in searches:
        search, control = evidence.search, isinstance(evidence, ControlEvidence)
        index += not control  # a defacer keeps the colour that it has in `draw_roc`
        if not search.cmc:
            axes.plot([], [], color=INK if control else colour(index), label=f"{shorten(name)}: no search")
            continue
        axes.plot(
            search.cmc_ranks,
            search.cmc,
            color=INK if control else colour(index),
            linestyle="-" if control else line(index),
            marker="." if control else marker(index),
            markersize=2.5,
            linewidth=1.4,
            label=shorten(name, most=34),
        )
    axes.set_xscale("log")
    axes.set_xlabel(f"rank among {size} originals")
    axes.set_ylabel("searches with the own person")
    axes.set_ylim(0, 1.03)
    steps = [r for r in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if r <= size]
    axes.set_xticks(steps, [str(r) for r in steps])
    axes.set_xticks([], minor=True)
    show_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7)


def draw_threshold_by_size(axes: Any, points: Sequence[ThresholdStability], *, name: str = "youden") -> None:
    """Draw the threshold that random smaller cohorts of the same people would have set, and that of everybody.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    points : sequence of ThresholdStability
    name : str
        Which threshold; others are left out.
    """
    mine = [point for point in points if point.name == name and point.median == point.median]
    if not mine:
        say_nothing(axes, f"too few people to see how\nthe {name} threshold settles")
        return
    drawn = [point for point in mine if point.low == point.low]
    sizes = [point.subjects for point in drawn]
    low, high = [point.low for point in drawn], [point.high for point in drawn]
    axes.fill_between(sizes, low, high, color=colour(0), alpha=0.2, linewidth=0, label="95 % of draws")
    axes.vlines(sizes, low, high, color=colour(0), alpha=0.5, linewidth=1.5)
    axes.plot(sizes, [p.median for p in drawn], color=colour(0), marker="o", markersize=4, label="median of draws")
    for point in (point for point in mine if point.low != point.low):
        axes.plot(
            point.subjects, point.median, color=INK, marker="D", linestyle="none", label=f"{point.subjects} people"
        )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("people who set the threshold")
    axes.set_ylabel(f"{name} threshold, cosine distance")
    show_legend(axes, loc="lower right")
