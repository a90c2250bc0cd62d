"""Tables of a comparison of defacers, as CSV."""

from __future__ import annotations

from collections.abc import Iterable

from reid_audit.records import Comparison, TestResult
from reid_audit.report.tables import to_csv


def tests_csv(tests: Iterable[TestResult]) -> str:
    """List significance tests with n, statistic, p and effect."""
    names = ("name", "compared", "attack", "encoder", "condition")
    more = ("subjects", "statistic", "p", "p_adjusted", "method", "alternative", "effect", "effect_name", "reason")
    rows = (
        [
            *(getattr(test, name) for name in names),
            " and ".join(str(n) for n in test.n),
            *(getattr(test, name) for name in more),
        ]
        for test in tests
    )
    return to_csv((*names, "n", *more), rows)


def comparison_csv(comparison: Comparison) -> str:
    """List the defacers of a comparison, best first."""
    header = (
        *("defacer", "cohort", "verdict", "people", "worst_attack", "worst_encoder"),
        *("linkability", "linkability_low", "linkability_high", "linkability_at_most"),
        *("matched", "matched_people", "matched_low", "matched_high"),
        *("rank1", "rank1_low", "rank1_high", "chance1", "unacquired", "runs", "failures", "median_seconds"),
        *("cost_metric", "cost", "best_choice"),
    )
    return to_csv(
        header,
        (
            (
                row.condition,
                row.cohort,
                row.decision.value,
                row.subjects,
                row.worst_attack,
                row.worst_encoder,
                row.linkability.value,
                row.linkability.low,
                row.linkability.high,
                row.linkability.at_most,
                row.matched.value,
                f"{row.matched.successes} of {row.matched.trials}" if row.matched.trials else "",
                row.matched.low,
                row.matched.high,
                row.rank1.value,
                row.rank1.low,
                row.rank1.high,
                row.chance1,
                row.unacquired.value,
                row.runs or None,
                row.failures if row.runs else None,
                row.seconds,
                comparison.cost_metric,
                row.cost,
                None if row.best_choice is None else str(row.best_choice).lower(),
            )
            for row in comparison.rows
        ),
    )
