"""Means with their standard deviations as bars, beside each other by series, with marks of significance."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from reid_audit.plots.canvas import INK, colour, say_nothing, shorten, show_legend

_STARS = ((1e-5, "****"), (1e-4, "***"), (0.01, "**"), (0.05, "*"))


class Bar(NamedTuple):
    """One bar: its group and series, the mean and standard deviation, of how many, and what stands above it."""

    group: str
    series: str
    mean: float
    sd: float
    scores: int
    mark: str = ""


def stars(p: float) -> str:
    """Write a p-value as Sahlsten 2023 does: ns above 0.05, then one to four stars at 0.05, 0.01, 1e-4 and 1e-5.

    Empty for NaN.
    """
    if math.isnan(p):
        return ""
    return next((text for limit, text in _STARS if p <= limit), "ns")


def draw_bars(axes: Any, bars: Sequence[Bar], *, label: str) -> None:
    """Draw bars in groups, a colour per series, with standard deviations as whiskers and the counts within.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    bars : sequence of Bar
        A group without a bar of a series has a gap; NaN is no bar.
    label : str
        Of the y axis.
    """
    known = [bar for bar in bars if bar.mean == bar.mean]
    if not known:
        say_nothing(axes, "nothing was measured")
        return
    groups, series = (list(dict.fromkeys(names)) for names in zip(*((b.group, b.series) for b in bars), strict=True))
    width = 0.8 / len(series)
    seen: set[str] = set()
    for bar in known:
        index = series.index(bar.series)
        x = groups.index(bar.group) + width * (index - (len(series) - 1) / 2)
        name = None if bar.series in seen else shorten(bar.series)
        axes.bar(x, bar.mean, width=0.92 * width, color=colour(index), alpha=0.75, label=name)
        sd = 0.0 if bar.sd != bar.sd else bar.sd
        axes.plot([x, x], [bar.mean - sd, bar.mean + sd], color=INK, linewidth=1)
        top = max(bar.mean + sd, 0.0)
        axes.annotate(f"{bar.mark}\n{bar.scores}", (x, top), ha="center", va="bottom", fontsize="xx-small")
        seen.add(bar.series)
    axes.set_xticks(range(len(groups)), [shorten(name) for name in groups], rotation=35, ha="right")
    axes.set_ylabel(label)
    axes.margins(y=0.15)
    show_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
