"""Numbers with their intervals, one line each: attackers, defacers, or whatever stands beside each other."""

from collections.abc import Sequence
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, colour, marker, say_nothing, shorten
from reid_audit.records import Estimate, Rate

Number = tuple[str, str, Rate | Estimate]
"""The line it stands on, the series it belongs to, and the number."""


def draw_intervals(
    axes: Any,
    numbers: Sequence[Number],
    *,
    label: str,
    lines: Sequence[str] = (),
    series: Sequence[str] = (),
    chance: float = float("nan"),
    limit: float = float("nan"),
) -> None:
    """Draw each number in [0, 1] as a mark with its interval, with chance and the policy's limit.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    numbers : sequence of (line, series, Rate or Estimate)
        What was not measured is written so; a number without an interval has an open mark.
    label : str
        Of the x axis.
    lines, series : sequence of str
        Order from top to bottom, and of markers and colours; as they come where left out. Give the same to several
        Axes, so that one line and one colour mean the same in each.
    chance, limit : float
        Marked by a dotted and a dashed line; NaN = none.
    """
    if not numbers:
        say_nothing(axes, "there are no defaced scans")
        return
    lines = lines or list(dict.fromkeys(line for line, _, _ in numbers))
    series = series or list(dict.fromkeys(name for _, name, _ in numbers))
    labelled: set[str] = set()
    for line, name, number in numbers:
        index = series.index(name)
        y = lines.index(line) + 0.6 * ((index + 0.5) / len(series) - 0.5)
        if number.value != number.value:
            axes.text(0.0, y, "not measured", va="center", fontsize="x-small", color=QUIET)
            continue
        known = number.low == number.low
        if known:
            span = [number.low, number.high]
            axes.plot(span, [y, y], color=colour(index), linewidth=2.2, alpha=0.6, solid_capstyle="butt")
        axes.plot(
            number.value,
            y,
            marker=marker(index),
            color=colour(index),
            markerfacecolor=colour(index) if known else "none",
            markersize=5.5,
            linestyle="none",
            label=None if name in labelled or not name else shorten(name),
        )
        labelled.add(name)
    if chance == chance:
        axes.axvline(chance, color=QUIET, linestyle=":", linewidth=1.2, label="chance")
    if limit == limit:
        axes.axvline(limit, color=INK, linestyle="--", linewidth=1, label="limit")
    axes.set_yticks(range(len(lines)), [shorten(line, most=26) for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.6)
    axes.set_xlabel(label)
