"""Rates with their intervals: per defacer, and per attacker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reid_audit.plots.canvas import INK, QUIET, colour, marker, say_nothing, shorten, show_legend
from reid_audit.records import AttackEvidence, ControlEvidence, Estimate, Rate


def _bar(axes: Any, y: float, found: Rate | Estimate, index: int, label: str | None) -> None:
    """Draw one number with its interval; an open mark where it has none."""
    if found.value != found.value:
        axes.text(0.01, y, "not measured", va="center", fontsize="x-small", color=QUIET)
        return
    if found.low == found.low:
        axes.plot([found.low, found.high], [y, y], color=colour(index), linewidth=2.2, alpha=0.6, solid_capstyle="butt")
    axes.plot(
        found.value,
        y,
        marker=marker(index),
        color=colour(index),
        markerfacecolor=colour(index) if found.low == found.low else "none",
        markersize=5.5,
        linestyle="none",
        label=label,
    )


def _lay_out(axes: Any, conditions: Sequence[str]) -> None:
    axes.set_yticks(range(len(conditions)), [shorten(name, most=18) for name in conditions])
    axes.set_ylim(len(conditions) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.6)


def draw_match_rates(
    axes: Any,
    attacks: Sequence[AttackEvidence],
    *,
    threshold: str,
    limit: float | None = None,
    controls: Sequence[ControlEvidence] = (),
) -> None:
    """Draw for each defacer the share of people matched after defacing, a mark per attacker, with intervals.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    attacks : sequence of AttackEvidence
    threshold : str
        Which operating point.
    limit : float, optional
        The policy's limit for the upper bound.
    controls : sequence of ControlEvidence
        Drawn first, as "original".
    """
    if not attacks:
        say_nothing(axes, "there are no defaced scans")
        return
    conditions = list(dict.fromkeys(one.condition for one in attacks))
    names = list(dict.fromkeys(one.attack for one in attacks))
    first = ["original"] if controls else []
    _lay_out(axes, [*first, *conditions])
    for control in controls:
        tmr = next((rate for name, rate, _ in control.rates if name == threshold), None)
        if tmr is not None and control.attack in names:
            _bar(axes, _offset(names, control.attack), tmr, names.index(control.attack), None)
    shown: set[str] = set()
    for one in attacks:
        found = next((match.subjects for match in one.matches if match.threshold == threshold), None)
        y = len(first) + conditions.index(one.condition) + _offset(names, one.attack)
        if found is None:
            axes.text(0.01, y, "not measured", va="center", fontsize="x-small", color=QUIET)
            continue
        _bar(axes, y, found, names.index(one.attack), None if one.attack in shown else shorten(one.attack))
        shown.add(one.attack)
    if limit is not None:
        axes.axvline(limit, color=INK, linestyle="--", linewidth=1, label=f"limit {limit:g}")
    axes.set_xlabel(f"people matched at the {threshold} threshold")
    show_legend(axes, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2)


def _offset(names: Sequence[str], name: str) -> float:
    """Place the attackers of one defacer one under the other."""
    return 0.6 * ((names.index(name) + 0.5) / len(names) - 0.5)


def draw_attacks(
    axes: Any, attacks: Sequence[AttackEvidence], *, measure: str = "rank1", limit: float | None = None
) -> None:
    """Draw what each attacker reaches on each defacer, with intervals and chance.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    attacks : sequence of AttackEvidence
    measure : str
        ``"rank1"``: searches that found their own person first. ``"linkability"``: AUC of own against strangers'
        originals, whose chance is one half.
    limit : float, optional
        Of the policy.
    """
    if not attacks:
        say_nothing(axes, "there are no defaced scans")
        return
    conditions = list(dict.fromkeys(one.condition for one in attacks))
    names = list(dict.fromkeys(one.attack for one in attacks))
    _lay_out(axes, conditions)
    shown: set[str] = set()
    for one in attacks:
        found = one.search.rank1 if measure == "rank1" else one.linkability
        y = conditions.index(one.condition) + _offset(names, one.attack)
        _bar(axes, y, found, names.index(one.attack), None if one.attack in shown else shorten(one.attack))
        if found.value == found.value:
            shown.add(one.attack)
    chances = [one.search.chance1 for one in attacks if one.search.chance1 == one.search.chance1]
    chance = 0.5 if measure == "linkability" else max(chances, default=0.0)
    axes.axvline(chance, color=QUIET, linestyle=":", linewidth=1.2, label="chance")
    if limit is not None:
        axes.axvline(limit, color=INK, linestyle="--", linewidth=1, label=f"limit {limit:g}")
    axes.set_xlabel("own person found first" if measure == "rank1" else "linkability (AUC)")
    show_legend(axes, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, borderaxespad=0.2)
