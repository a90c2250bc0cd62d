"""Risk against cost, and a measure before against after."""

from collections.abc import Mapping, Sequence
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, colour, marker, say_nothing, shorten, show_legend
from reid_audit.records import Estimate, TradeOff


def draw_tradeoff(axes: Any, points: Mapping[str, tuple[Estimate, Estimate]], *, cost: str) -> None:
    """Draw what each defacer leaves linkable against what it cost, with both intervals (Molchanova 2023, Figure 5).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    points : mapping of defacer to (linkability, cost)
        Linkability by the strongest attacker; those without one of the two are left out.
    cost : str
        What the x axis shows.
    """
    known = {name: pair for name, pair in points.items() if all(value.value == value.value for value in pair)}
    if not known:
        say_nothing(axes, "no defacer has both a risk and a cost")
        return
    for index, (name, (risk, lost)) in enumerate(known.items()):
        span = {"color": colour(index), "alpha": 0.5, "linewidth": 1.5}
        axes.plot([lost.low, lost.high], [risk.value] * 2, **span)
        axes.plot([lost.value] * 2, [risk.low, risk.high], **span)
        style = {"color": colour(index), "marker": marker(index), "markersize": 7, "linestyle": "none"}
        axes.plot(lost.value, risk.value, **style, label=shorten(name))
    axes.axhline(0.5, color=QUIET, linestyle=":", linewidth=1.2, label="chance")
    axes.set_xlabel(shorten(cost, most=70))
    axes.set_ylabel("linkability")
    axes.set_ylim(0.35, 1.02)
    show_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_risk(axes: Any, points: Sequence[TradeOff], *, best: Sequence[str] = ()) -> None:
    """Draw the mean inverse distance of each defacer against its nCR (Molchanova 2023, Figure 5).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    points : sequence of TradeOff
        Whiskers are their standard deviations: of the inverse distances, and over structures. Those without a risk or
        a cost are left out.
    best : sequence of str
        Defacers that no other one beats in both: filled; the others are open.
    """
    known = [point for point in points if point.risk == point.risk and point.cost == point.cost]
    if not known:
        say_nothing(axes, "no defacer has both a risk and a cost")
        return
    for index, point in enumerate(known):
        span = {"color": colour(index), "alpha": 0.5, "linewidth": 1.5}
        if point.cost_sd == point.cost_sd:
            axes.plot([point.cost - point.cost_sd, point.cost + point.cost_sd], [point.risk] * 2, **span)
        if point.risk_sd == point.risk_sd:
            axes.plot([point.cost] * 2, [point.risk - point.risk_sd, point.risk + point.risk_sd], **span)
        style = {"color": colour(index), "marker": marker(index), "markersize": 7, "linestyle": "none"}
        if point.condition not in best:
            style["markerfacecolor"] = "none"
        axes.plot(point.cost, point.risk, **style, label=shorten(point.condition))
    axes.set_xlabel("cost: nCR of the volumes")
    axes.set_ylabel("risk: mean of 1 / cosine distance")
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
    lines = (("bias", bias), ("+1.96 SD", bias + 1.96 * spread), ("-1.96 SD", bias - 1.96 * spread))
    for name, value in lines if spread > 1e-9 * (abs(bias) + abs(max(means))) else lines[:1]:
        axes.axhline(value, color=INK, linestyle="-" if name == "bias" else "--", linewidth=1)
        place = {"ha": "right", "va": "top" if name.startswith("-") else "bottom", "fontsize": "small"}
        axes.annotate(f"{name} {value:.3g}{suffix}", (0.99, value), xycoords=("axes fraction", "data"), **place)
    axes.margins(y=0.15)  # room for the words at the limits
    axes.set_xlabel(f"mean of before and after{f', {unit}' if unit else ''}")
    axes.set_ylabel(f"after - before{f', {unit}' if unit else ''}")
    missing = len(before) - len(pairs)
    axes.set_title(f"{len(pairs)} cases" + (f" ({missing} more without a value)" if missing else ""))
