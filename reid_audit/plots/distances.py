"""Distances: how they lie per group, and how each subject's distance changed (O'Sullivan-Steben 2025, Figure 4)."""

from collections.abc import Sequence
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, say_nothing, show_legend
from reid_audit.records import Distribution, Group, SubjectEvidence

_GROUPS = {
    Group.SAME: ("mated, originals", "#0072B2"),
    Group.DIFFERENT: ("non-mated, originals", "#7F7F7F"),
    Group.DEFACED_SAME: ("mated, defaced", "#D55E00"),
    Group.DEFACED_DIFFERENT: ("non-mated, defaced", "#E69F00"),
    Group.DEFACED_SAME_SCAN: ("mated, defaced, same scan", "#CC79A7"),
    Group.DEFACED_DEFACED_SAME: ("mated, both defaced", "#009E73"),
    Group.DEFACED_DEFACED_DIFFERENT: ("non-mated, both defaced", "#56B4E9"),
}
_FILLED = (Group.SAME, Group.DEFACED_SAME, Group.DEFACED_SAME_SCAN)
_MOST_LINES = 200


def draw_distributions(
    axes: Any,
    distributions: Sequence[Distribution],
    *,
    threshold: float = float("nan"),
    measure: str = "cosine distance",
) -> None:
    """Draw the share of comparisons per distance, one outline per group (O'Sullivan-Steben 2025, Figure 4A).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    distributions : sequence of Distribution
        All with the same edges. A group without a comparison is named in the legend as such.
    threshold : float
        Marked by a line: to its left is a match. NaN = none.
    measure : str
        Name of the axis.
    """
    if not any(sum(each.counts) for each in distributions):
        say_nothing(axes, "no distance was measured")
        return
    for each in distributions:
        name, tint = _GROUPS[each.group]
        total = sum(each.counts)
        missing = f", {each.missing} without a vector" if each.missing else ""
        outline = axes.stairs(
            [count / max(total, 1) for count in each.counts],
            each.edges,
            color=tint,
            linewidth=1.5,
            linestyle=(0, (4, 1.5)) if each.group is Group.DEFACED_DIFFERENT else "-",
            label=f"{name} (n = {total}{missing})",
        )
        if each.group in _FILLED:
            outline.set_fill(True)
            outline.set_facecolor((tint, 0.45))
    if threshold == threshold:
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1, label=f"threshold {threshold:.4f}")
    axes.set_xlabel(measure)
    axes.set_ylabel("share of comparisons")
    axes.set_ylim(bottom=0)
    show_legend(axes, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, fontsize=7.5)


def draw_pairs(
    axes: Any,
    subjects: Sequence[SubjectEvidence],
    *,
    threshold: float = float("nan"),
    measure: str = "cosine distance",
) -> None:
    """Draw each subject's distance before and after defacing over whisker boxes (O'Sullivan-Steben 2025, Figure 4B).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    subjects : sequence of SubjectEvidence
        Of one condition and attack. Subjects without one of the two distances are not drawn and are counted in the
        title; of more than 200 every n-th line is drawn, and the boxes are still those of all.
    threshold : float
        Below it is a match. NaN = none.
    measure : str
        Name of the axis.
    """
    whole = [s for s in subjects if s.distance_before == s.distance_before and s.distance_after == s.distance_after]
    if not whole:
        say_nothing(axes, f"none of {len(subjects)} subjects has\na distance before and after")
        return
    step = -(-len(whole) // _MOST_LINES)
    before, after = [s.distance_before for s in whole], [s.distance_after for s in whole]
    axes.plot(
        [0, 1],
        [before[::step], after[::step]],
        color="#0072B2",
        alpha=0.4,
        linewidth=0.8,
        marker="o",
        markersize=2.5,
    )
    axes.boxplot(
        [before, after],
        positions=[0, 1],
        widths=0.25,
        showfliers=False,
        whis=(0, 100),
        boxprops={"color": INK},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
        medianprops={"color": "#D55E00", "linewidth": 1.8},
    )
    if threshold == threshold:
        axes.axhline(threshold, color=INK, linestyle="--", linewidth=1)
        axes.annotate("match below", (0.02, threshold), xycoords=("axes fraction", "data"), va="top", fontsize="small")
    axes.set_xticks([0, 1], ["before", "after"])
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{measure} to the other session")
    missing = len(subjects) - len(whole)
    people = "1 subject" if len(whole) == 1 else f"{len(whole)} subjects"
    title = people + (f" ({missing} more without a vector)" if missing else "")
    axes.set_title(title + (f"; a line for each {step}th" if step > 1 else ""))
