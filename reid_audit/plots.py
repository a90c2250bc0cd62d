"""Figures: views of what a result holds. They compute nothing, so that picture and table cannot disagree.

Each function draws on the Axes that it is given, for notebooks; `to_svg` turns a figure into text for a page. Colours
are Okabe and Ito's, which colour-blind readers can tell apart; each group has a hatch or marker of its own as well.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from .records import Distribution, Group, PersonEvidence

COLOURS = {
    Group.SAME: "#0072B2",
    Group.DIFFERENT: "#7F7F7F",
    Group.DEFACED_SAME: "#D55E00",
    Group.DEFACED_DIFFERENT: "#E69F00",
    Group.DEFACED_SAME_SCAN: "#CC79A7",
    Group.DEFACED_DEFACED_SAME: "#009E73",
    Group.DEFACED_DEFACED_DIFFERENT: "#56B4E9",
}
NAMES = {
    Group.SAME: "same person, before",
    Group.DIFFERENT: "different people, before",
    Group.DEFACED_SAME: "same person, after defacing",
    Group.DEFACED_DIFFERENT: "different people, after defacing",
    Group.DEFACED_SAME_SCAN: "same scan, before and after defacing",
    Group.DEFACED_DEFACED_SAME: "same person, both defaced",
    Group.DEFACED_DEFACED_DIFFERENT: "different people, both defaced",
}


def draw_distributions(axes: Any, distributions: Sequence[Distribution], *, threshold: float | None = None) -> None:
    """Draw the share of comparisons per distance, one outline per group (paper 1, Figure 4A).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    distributions : sequence of Distribution
        All with the same edges. Groups without a comparison are named in the legend as such.
    threshold : float, optional
        Marked by a line: to its left is a match.
    """
    drawn = False
    for each in distributions:
        total = sum(each.counts)
        label = f"{NAMES[each.group]} (n = {total}{f', {each.missing} not acquired' if each.missing else ''})"
        shares = [count / total for count in each.counts] if total else [0.0] * len(each.counts)
        outline = axes.stairs(shares, each.edges, color=COLOURS[each.group], linewidth=1.6, label=label)
        if each.group in (Group.SAME, Group.DEFACED_SAME):
            outline.set_fill(True)
            outline.set_alpha(0.55)
        drawn = drawn or total > 0
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold {threshold:.4f}")
    axes.set_xlabel("cosine distance")
    axes.set_ylabel("share of comparisons")
    axes.set_ylim(bottom=0)
    if drawn:
        axes.legend(frameon=False, fontsize="small")
    else:
        axes.text(0.5, 0.5, "no distance was measured", ha="center", va="center", transform=axes.transAxes)


def draw_pairs(axes: Any, pairs: Sequence[PersonEvidence], *, threshold: float | None = None) -> None:
    """Draw each person's distance before and after defacing, joined by a line, over box plots (paper 1, Figure 4B).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    pairs : sequence of PersonEvidence
        Of one condition. Pairs with a missing side are not drawn and are counted in the title.
    threshold : float, optional
        Below it is a match.
    """
    whole = [
        pair
        for pair in pairs
        if pair.distance_before == pair.distance_before and pair.distance_after == pair.distance_after
    ]
    if not whole:
        axes.text(
            0.5,
            0.5,
            f"none of {len(pairs)} people has\na distance before and after",
            ha="center",
            va="center",
            transform=axes.transAxes,
        )
        axes.set_axis_off()
        return
    for pair in whole:
        axes.plot(
            [0, 1],
            [pair.distance_before, pair.distance_after],
            color="#0072B2",
            alpha=0.35,
            linewidth=0.8,
            marker="o",
            markersize=2.5,
        )
    axes.boxplot(
        [[pair.distance_before for pair in whole], [pair.distance_after for pair in whole]],
        positions=[0, 1],
        widths=0.25,
        showfliers=False,
        whis=(0, 100),
        medianprops={"color": "#D55E00", "linewidth": 1.5},
    )
    if threshold is not None:
        axes.axhline(threshold, color="black", linestyle="--", linewidth=1)
        axes.annotate("match below", (0.02, threshold), xycoords=("axes fraction", "data"), va="top", fontsize="small")
    axes.set_xticks([0, 1], ["before", "after"])
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("cosine distance to the person's other visit")
    missing = len(pairs) - len(whole)
    axes.set_title(f"{len(whole)} people" + (f" ({missing} more not acquired)" if missing else ""), fontsize="medium")


def new_figure(columns: int, *, width_inches: float = 5.0, height_inches: float = 3.6) -> tuple[Any, list[Any]]:
    """Return a figure with a row of Axes, outside matplotlib's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches * columns, height_inches), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def to_svg(figure: Any) -> str:
    """Return the figure as an ``<svg>`` element: the same figure gives the same text."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "reid-audit", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
