"""Distances: how they lie per group, and how each person's distance changed (O'Sullivan-Steben 2025, Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, say_nothing, show_legend
from reid_audit.records import Distribution, Group, SubjectEvidence

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
_SHORT = {Group.SAME: "-", Group.DIFFERENT: "-", Group.DEFACED_DIFFERENT: (0, (4, 1.5))}
_MOST_LINES = 200


def draw_distributions(axes: Any, distributions: Sequence[Distribution], *, threshold: float | None = None) -> None:
    """Draw the share of comparisons per distance, one outline per group (O'Sullivan-Steben 2025, Figure 4A).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    distributions : sequence of Distribution
        All with the same edges. Groups without a comparison are named in the legend as such.
    threshold : float, optional
        Marked by a line: to its left is a match.
    """
    if not any(sum(each.counts) for each in distributions):
        say_nothing(axes, "no distance was measured")
        return
    for each in distributions:
        total = sum(each.counts)
        missing = f", {each.missing} not acquired" if each.missing else ""
        shares = [count / total for count in each.counts] if total else [0.0] * len(each.counts)
        outline = axes.stairs(
            shares,
            each.edges,
            color=COLOURS[each.group],
            linewidth=1.5,
            linestyle=_SHORT.get(each.group, "-"),
            label=f"{NAMES[each.group]} (n = {total}{missing})",
        )
        if each.group in (Group.SAME, Group.DEFACED_SAME, Group.DEFACED_SAME_SCAN):
            outline.set_fill(True)
            outline.set_facecolor((COLOURS[each.group], 0.45))
    if threshold is not None:
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1, label=f"threshold {threshold:.4f}")
    axes.set_xlabel("cosine distance")
    axes.set_ylabel("share of comparisons")
    axes.set_ylim(bottom=0)
    show_legend(axes, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, fontsize=7.5)


def draw_pairs(axes: Any, pairs: Sequence[SubjectEvidence], *, threshold: float | None = None) -> None:
    """Draw each subject's distance before and after defacing over whisker boxes (O'Sullivan-Steben 2025, Figure 4B).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    pairs : sequence of SubjectEvidence
        Of one condition and attack. People with a missing side are not drawn and are counted in the title; of more
        than 200 every n-th line is drawn, and the boxes are still those of all.
    threshold : float, optional
        Below it is a match.
    """
    whole = [p for p in pairs if p.distance_before == p.distance_before and p.distance_after == p.distance_after]
    if not whole:
        say_nothing(axes, f"none of {len(pairs)} people has\na distance before and after")
        return
    step = -(-len(whole) // _MOST_LINES)
    x: list[float] = []
    y: list[float] = []
    for pair in whole[::step]:
        x += [0, 1, float("nan")]
        y += [pair.distance_before, pair.distance_after, float("nan")]
    axes.plot(x, y, color="#0072B2", alpha=0.4, linewidth=0.8, marker="o", markersize=2.5)
    axes.boxplot(
        [[pair.distance_before for pair in whole], [pair.distance_after for pair in whole]],
        positions=[0, 1],
        widths=0.25,
        showfliers=False,
        whis=(0, 100),
        boxprops={"color": INK},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
        medianprops={"color": "#D55E00", "linewidth": 1.8},
    )
    if threshold is not None:
        axes.axhline(threshold, color=INK, linestyle="--", linewidth=1)
        axes.annotate("match below", (0.02, threshold), xycoords=("axes fraction", "data"), va="top", fontsize="small")
    axes.set_xticks([0, 1], ["before", "after"])
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("cosine distance to the other visit")
    missing = len(pairs) - len(whole)
    title = f"{len(whole)} people" + (f" ({missing} more not acquired)" if missing else "")
    axes.set_title(title + (f"; a line for each {step}th" if step > 1 else ""))
