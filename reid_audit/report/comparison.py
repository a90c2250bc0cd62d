"""A comparison of defacers: its tables as CSV, and its page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from reid_audit import plots
from reid_audit.records import Comparison, Estimate, Rate, TestResult
from reid_audit.report.figure import Figure
from reid_audit.report.leak_figures import draw_leak_maps
from reid_audit.report.page import render_page
from reid_audit.report.tables import Table, to_csv

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _flatten(record: DataclassInstance) -> dict[str, object]:
    """Return a record as one row: a number with its interval as three cells, counts joined."""
    row: dict[str, object] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Rate | Estimate):
            row |= {field.name: value.value, f"{field.name}_low": value.low, f"{field.name}_high": value.high}
        else:
            row[field.name] = " and ".join(map(str, value)) if isinstance(value, tuple) else value
    return row


def _tabulate(records: Iterable[DataclassInstance], **more: object) -> Table:
    rows = [_flatten(record) | more for record in records]
    return Table(dict.fromkeys(rows[0] if rows else (), ""), [tuple(row.values()) for row in rows])


def tabulate_tests(tests: Iterable[TestResult]) -> Table:
    """List significance tests with n, statistic, p and effect."""
    return _tabulate(tests)


def tabulate_defacers(comparison: Comparison) -> Table:
    """List the defacers of a comparison, best first."""
    return _tabulate(comparison.rows, cost_metric=comparison.cost_metric)


def tests_csv(tests: Iterable[TestResult]) -> str:
    """List significance tests as CSV."""
    return to_csv(tabulate_tests(tests))


def comparison_csv(comparison: Comparison) -> str:
    """List the defacers of a comparison as CSV."""
    return to_csv(tabulate_defacers(comparison))


def list_comparison_figures(comparison: Comparison) -> list[Figure]:
    """Return linkability beside rank 1, best first, and risk against cost where that was measured."""
    rows = comparison.rows
    chance = max((row.chance1 for row in rows if row.chance1 == row.chance1), default=float("nan"))
    linkability = [(row.condition, "", row.linkability) for row in rows]
    rank1 = [(row.condition, "", row.rank1) for row in rows]
    figures = [
        Figure(
            "defacers",
            "Linkability and rank 1 of the strongest attacker on each defacer, best first, with intervals and chance.",
            "; ".join(f"{row.condition}: linkability {row.linkability.value:.3f}" for row in rows),
            (
                lambda axes: plots.draw_intervals(axes, linkability, label="linkability", chance=0.5),
                lambda axes: plots.draw_intervals(axes, rank1, label="rank 1", chance=chance),
            ),
            height_inches=1.4 + 0.4 * len(rows),
            share=True,
        )
    ]
    figures += draw_leak_maps(comparison.leaks)
    points = {row.condition: (row.linkability, Estimate(row.cost)) for row in rows if row.cost == row.cost}
    if points:
        cost = f"lost: {comparison.cost_metric}"
        figures.append(
            Figure(
                "cost",
                "What each defacer leaves linkable against what it cost: low and left is best.",
                "; ".join(f"{name}: lost {lost.value:.4g}" for name, (_, lost) in points.items()),
                (lambda axes: plots.draw_tradeoff(axes, points, cost=cost),),
            )
        )
    return figures


def comparison_to_html(comparison: Comparison) -> str:
    """Write the page of a comparison: one file, no network, no script. The same comparison gives the same text."""
    return render_page(
        "comparison.html",
        comparison=comparison,
        figures=list_comparison_figures(comparison),
        fingerprints=[asdict(fingerprint) for fingerprint in comparison.fingerprints],
        timed=any(row.runs for row in comparison.rows),
    )
