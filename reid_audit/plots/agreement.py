"""Measures by structure, and dose before and after: what a defacer cost, case by case."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reid_audit.plots.canvas import QUIET, colour, line, say_nothing, shorten, show_legend

_FEWEST = 5
"""A box of fewer cases is no summary: they are drawn themselves."""


class DvhCurve(NamedTuple):
    """A dose-volume histogram: the doses in Gy, and the share in percent that gets at least each."""

    dose_gy: Sequence[float]
    percent: Sequence[float]


def draw_boxes(axes: Any, cases: Mapping[str, Sequence[float]], *, label: str, share: bool = False) -> None:
    """Draw the cases of each structure as a box of quartiles with its median, one line each, from top to bottom.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    cases : mapping of structure to (n,) float
        NaN is left out; a structure without a number is written so. Whiskers reach to the farthest case within 1.5
        interquartile ranges (Tukey 1977); each case beyond is drawn. Fewer than five cases are drawn themselves.
    label : str
        Of the x axis.
    share : bool
        The numbers lie in [0, 1].
    """
    if not cases:
        say_nothing(axes, "no structure was measured")
        return
    from matplotlib.cbook import boxplot_stats

    for row, values in enumerate(cases.values()):
        seen = [value for value in values if value == value]
        if not seen:
            axes.text(0.0, row, "no number", va="center", fontsize="x-small", color=QUIET)
            continue
        points = seen
        if len(seen) >= _FEWEST:
            (box,) = boxplot_stats(seen)
            points = box["fliers"]
            axes.plot([box["whislo"], box["whishi"]], [row, row], color=colour(0), linewidth=1)
            axes.barh(row, box["q3"] - box["q1"], left=box["q1"], height=0.6, color=colour(0), alpha=0.4)
            axes.plot([box["med"]] * 2, [row - 0.3, row + 0.3], color=colour(1), linewidth=2)
        axes.plot(points, [row] * len(points), marker="o", markersize=2.5, color=colour(0), linestyle="none", alpha=0.6)
    axes.set_yticks(range(len(cases)), [shorten(name, most=26) for name in cases])
    axes.set_ylim(len(cases) - 0.4, -0.6)
    if share:
        axes.set_xlim(-0.03, 1.03)
    axes.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.6)
    axes.set_xlabel(label)


def draw_dvh(axes: Any, curves: Mapping[str, tuple[DvhCurve, DvhCurve]]) -> None:
    """Draw the dose-volume histogram of each structure before defacing (solid) and after (dashed).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    curves : mapping of structure to (before, after)
        Those without a dose before or after are left out.
    """
    known = {name: pair for name, pair in curves.items() if all(len(curve.dose_gy) for curve in pair)}
    if not known:
        say_nothing(axes, "no structure has a dose before and after")
        return
    for index, (name, pair) in enumerate(known.items()):
        for curve, dashes, text in zip(pair, ("-", line(1)), (shorten(name), None), strict=True):
            axes.plot(curve.dose_gy, curve.percent, color=colour(index), linestyle=dashes, linewidth=1.4, label=text)
    axes.set_ylim(0, 102)
    axes.set_xlim(left=0)
    axes.set_xlabel("dose, Gy")
    axes.set_ylabel("volume with at least the dose, %")
    show_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
