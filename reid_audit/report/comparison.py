"""A comparison of defacers: its tables as CSV, and its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from reid_audit import plots
from reid_audit.records import Comparison, DefacerRow, Estimate, TestResult
from reid_audit.report.figures import Figure
from reid_audit.report.page import render_page
from reid_audit.report.tables import Table, to_csv

_TEST = ("name", "compared", "attack", "encoder", "condition", "n", "subjects", "statistic", "p", "p_adjusted")
_TEST_COLUMNS = (*_TEST, "method", "alternative", "effect", "effect_name", "reason")
_DEFACER_COLUMNS = (
    *("defacer", "cohort", "verdict", "subjects", "worst_attack", "worst_encoder"),
    *("linkability", "linkability_low", "linkability_high", "linkability_at_most"),
    *("matched", "matched_subjects", "matched_low", "matched_high"),
    *("rank1", "rank1_low", "rank1_high", "chance1", "fta", "runs", "failures", "median_seconds"),
    *("cost_metric", "cost", "best_choice"),
)


def tests_csv(tests: Iterable[TestResult]) -> str:
    """List significance tests with n, statistic, p and effect."""
    rows = [
        [" and ".join(map(str, test.n)) if name == "n" else getattr(test, name) for name in _TEST_COLUMNS]
        for test in tests
    ]
    return to_csv(Table(dict.fromkeys(_TEST_COLUMNS, ""), rows))


def _defacer_cells(row: DefacerRow, cost_metric: str) -> Sequence[object]:
    linkability, matched, rank1 = row.linkability, row.matched, row.rank1
    return (
        *(row.condition, row.cohort, row.decision.value, row.subjects, row.worst_attack, row.worst_encoder),
        *(linkability.value, linkability.low, linkability.high, linkability.at_most),
        *(matched.value, f"{matched.successes} of {matched.trials}" if matched.trials else ""),
        *(matched.low, matched.high, rank1.value, rank1.low, rank1.high, row.chance1, row.unacquired.value),
        *((row.runs, row.failures) if row.runs else (None, None)),
        *(row.seconds, cost_metric, row.cost, row.best_choice),
    )


def comparison_csv(comparison: Comparison) -> str:
    """List the defacers of a comparison, best first."""
    rows = [_defacer_cells(row, comparison.cost_metric) for row in comparison.rows]
    return to_csv(Table(dict.fromkeys(_DEFACER_COLUMNS, ""), rows))


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
