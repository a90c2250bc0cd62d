"""The page of a comparison of defacers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from reid_audit import plots
from reid_audit.plots.canvas import INK, QUIET, colour, marker, say_nothing, shorten, style
from reid_audit.records import Comparison, Fingerprint
from reid_audit.report.page import part, templates


def _draw_rows(axes: list[Any], comparison: Comparison) -> None:
    """Draw linkability and rank-1 of each defacer with their intervals, best first."""
    for place, (title, chance) in enumerate((("linkability (AUC)", 0.5), ("own person found first", None))):
        panel = axes[place]
        panel.set_yticks(range(len(comparison.rows)), [shorten(row.condition, most=18) for row in comparison.rows])
        panel.set_ylim(len(comparison.rows) - 0.4, -0.6)
        panel.set_xlim(-0.02, 1.02)
        panel.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.6)
        panel.set_xlabel(title)
        for y, row in enumerate(comparison.rows):
            found = row.linkability if place == 0 else row.rank1
            if found.value != found.value:
                panel.text(0.01, y, "not measured", va="center", fontsize="x-small", color=QUIET)
                continue
            if found.low == found.low:
                panel.plot([found.low, found.high], [y, y], color=colour(0), linewidth=2.2, alpha=0.6)
            panel.plot(found.value, y, marker=marker(0), color=colour(0), linestyle="none", markersize=6)
            if chance is None and row.chance1 == row.chance1:
                panel.plot(row.chance1, y, marker="|", color=INK, linestyle="none", markersize=11)
        if chance is not None:
            panel.axvline(chance, color=QUIET, linestyle=":", linewidth=1.2)


def _draw_costs(axes: Any, comparison: Comparison) -> None:
    known = [row for row in comparison.rows if row.best_choice is not None]
    if not known:
        say_nothing(axes, "what the protection cost was not measured")
        return
    for index, row in enumerate(known):
        axes.plot(
            row.cost,
            row.linkability.value,
            marker=marker(index),
            color=colour(index),
            markerfacecolor=colour(index) if row.best_choice else "none",
            markersize=8,
            linestyle="none",
            label=shorten(row.condition) + (" (nothing beats it)" if row.best_choice else ""),
        )
    axes.axhline(0.5, color=QUIET, linestyle=":", linewidth=1)
    axes.set_xlabel(f"lost: {shorten(comparison.cost_metric, most=40)}")
    axes.set_ylabel("linkability (AUC)")
    axes.set_ylim(0.35, 1.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def comparison_to_html(comparison: Comparison) -> str:
    """Write the page of a comparison: one file, no network, no script. The same comparison gives the same text."""
    from markupsafe import Markup

    with style():
        figure, axes = plots.new_figure(2, height_inches=1.4 + 0.5 * len(comparison.rows))
        _draw_rows(axes, comparison)
        rows = plots.to_svg(figure, name="defacers", themed=True)
        costs = ""
        if comparison.cost_metric:
            figure, axes = plots.new_figure(1, width_inches=10.0, height_inches=3.4)
            _draw_costs(axes[0], comparison)
            costs = plots.to_svg(figure, name="costs", themed=True)
    return (
        templates()
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            css=Markup(part("style.css")),
            rows_svg=Markup(rows),
            costs_svg=Markup(costs),
            fingerprint=[
                (field.name, getattr(fingerprint, field.name))
                for fingerprint in comparison.fingerprints
                for field in fields(Fingerprint)
            ],
            timed=any(row.runs for row in comparison.rows),
        )
    )
