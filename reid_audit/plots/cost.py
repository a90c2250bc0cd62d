"""Risk against cost, and a measure before against after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, colour, marker, say_nothing, shorten, show_legend
from reid_audit.records import AttackEvidence, Estimate, UtilityValue


def _worst(attacks: Sequence[AttackEvidence], condition: str) -> Estimate | None:
    """Return the linkability of the attacker that links most."""
    found = [one.linkability for one in attacks if one.condition == condition]
    found = [one for one in found if one.value == one.value]
    return max(found, key=lambda one: one.value, default=None)


def draw_tradeoff(
    axes: Any,
    attacks: Sequence[AttackEvidence],
    utility: Sequence[UtilityValue],
    *,
    metric: str | None = None,
    structure: str = "all",
    position: str = "all",
) -> None:
    """Draw what each defacer leaves linkable against what it cost, with both intervals (Molchanova 2023, Figure 5).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    attacks : sequence of AttackEvidence
        The risk of a defacer is the linkability of the attacker that links most.
    utility : sequence of UtilityValue
    metric : str, optional
        The first one there is by default.
    structure, position : str
        Which of the metric's values; where there is none of that name, the first of the metric.
    """
    metric = metric or next((value.metric for value in utility), None)
    mine = [value for value in utility if value.metric == metric and value.mean == value.mean]
    if not mine:
        say_nothing(axes, "what the protection cost was not measured")
        return
    exact = [value for value in mine if (value.structure, value.position) == (structure, position)]
    where = (exact or mine)[0].structure, (exact or mine)[0].position
    drawn = False
    for index, value in enumerate(value for value in mine if (value.structure, value.position) == where):
        risk = _worst(attacks, value.condition)
        if risk is None:
            continue
        if value.low == value.low:
            axes.plot([value.low, value.high], [risk.value] * 2, color=colour(index), alpha=0.5, linewidth=1.5)
        if risk.low == risk.low:
            axes.plot([value.mean] * 2, [risk.low, risk.high], color=colour(index), alpha=0.5, linewidth=1.5)
        axes.plot(
            value.mean,
            risk.value,
            marker=marker(index),
            color=colour(index),
            markersize=7,
            linestyle="none",
            label=shorten(value.condition),
        )
        drawn = True
    if not drawn:
        say_nothing(axes, "no defacer has both a risk and a cost")
        return
    axes.axhline(0.5, color=QUIET, linestyle=":", linewidth=1)
    axes.annotate("chance", (0.99, 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize="small")
    better = {True: "more is better", False: "less is better", None: "0 is best"}[mine[0].larger_is_better]
    unit = f", {mine[0].unit}" if mine[0].unit else ""
    place = ", ".join(part for part in where if part != "all")
    axes.set_xlabel(
        f"{shorten(str(metric), most=40)}{unit}{f' ({shorten(place, most=30)})' if place else ''}: {better}"
    )
    axes.set_ylabel("linkability by the worst attacker (AUC)")
    axes.set_ylim(0.35, 1.02)
    show_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_bland_altman(axes: Any, before: Sequence[float], after: Sequence[float], *, unit: str = "") -> None:
    """Draw the difference of a measure against its mean, with the bias and the 95 % limits of agreement.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    before, after : (n,) sequences of float
        Of the same cases, in one order. Cases with a NaN are left out and counted in the title.
    unit : str

    Notes
    -----
    Limits are bias +- 1.96 standard deviations of the differences (Bland and Altman 1986).

    Raises
    ------
    ValueError
        Where the lengths differ.
    """
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a == a and b == b]
    if len(pairs) < 2:
        say_nothing(axes, f"{len(pairs)} of {len(before)} cases have a value before and after:\ntoo few")
        return
    means = [(a + b) / 2 for a, b in pairs]
    differences = [b - a for a, b in pairs]
    bias = sum(differences) / len(pairs)
    spread = (sum((d - bias) ** 2 for d in differences) / (len(pairs) - 1)) ** 0.5
    axes.plot(means, differences, marker="o", linestyle="none", color=colour(0), alpha=0.7, markersize=4)
    suffix = f" {unit}" if unit else ""
    for value, words, style in ((bias, "bias", "-"), (bias + 1.96 * spread, "+1.96 SD", "--")):
        axes.axhline(value, color=INK, linestyle=style, linewidth=1)
        axes.annotate(
            f"{words} {value:.3g}{suffix}",
            (0.99, value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize="small",
        )
    low = bias - 1.96 * spread
    axes.axhline(low, color=INK, linestyle="--", linewidth=1)
    axes.annotate(
        f"-1.96 SD {low:.3g}{suffix}",
        (0.99, low),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="top",
        fontsize="small",
    )
    axes.set_xlabel(f"mean of before and after{f', {unit}' if unit else ''}")
    axes.set_ylabel(f"after - before{f', {unit}' if unit else ''}")
    missing = len(before) - len(pairs)
    axes.set_title(f"{len(pairs)} cases" + (f" ({missing} more without a value)" if missing else ""))
