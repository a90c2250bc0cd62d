"""A result in a notebook: its tables as DataFrames, its figures, and the first screen of the page.

`reid_audit.records.AuditResult` imports this file by its name when a table or figure is asked for, so that records
know no room above them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from reid_audit.accuracy import rank_defacers
from reid_audit.plots import to_png
from reid_audit.records import AuditResult, Comparison, InputError, TestResult
from reid_audit.report.comparison import tabulate_defacers, tabulate_tests
from reid_audit.report.figures import list_figures
from reid_audit.report.page import result_to_summary_html
from reid_audit.report.rows import explain_verdict, find_strongest, list_checks, list_exposed, list_rows
from reid_audit.report.tables import Table, tabulate_measures, tabulate_rates, tabulate_scans, tabulate_subjects

if TYPE_CHECKING:
    import pandas as pd

to_html, explain = result_to_summary_html, explain_verdict


def _tabulate_exposed(result: AuditResult) -> Table:
    rows = [
        (condition, subject, "; ".join(dict.fromkeys(why)))
        for condition, subjects in list_exposed(result).items()
        for subject, why in subjects.items()
    ]
    return Table(dict.fromkeys(["condition", "subject", "why"], ""), rows)


def _tabulate_tests(result: AuditResult) -> Table:
    """List every significance test: of the controls, of each attack, and between defacers."""
    evidence = result.evidence
    tests = [test for control in evidence.controls for test in control.tests]
    tests += [test for attack in evidence.attacks for test in attack.tests]
    rows = [tuple(asdict(test).values()) for test in (*tests, *evidence.family)]
    return Table(dict.fromkeys((field.name for field in fields(TestResult)), ""), rows)


def _tabulate_checks(result: AuditResult) -> Table:
    rows = [(who, check.decision.value, check.name, check.attack, check.text) for who, check in list_checks(result)]
    return Table(dict.fromkeys(["condition", "decision", "check", "attack", "text"], ""), rows)


_TABLES: dict[str, Callable[[Any], Table]] = {
    "rates": tabulate_rates,
    "measures": tabulate_measures,
    "subjects": tabulate_subjects,
    "scans": tabulate_scans,
    "exposed": _tabulate_exposed,
    "tests": _tabulate_tests,
    "checks": _tabulate_checks,
    "defacers": tabulate_defacers,
    "paired tests": lambda comparison: tabulate_tests(comparison.tests),
}


def make_frame(record: AuditResult | Comparison, name: str) -> pd.DataFrame:
    """Return one of the tables of a result or of a comparison."""
    import pandas as pd

    table = _TABLES[name](record)
    return pd.DataFrame(table.rows, columns=list(table.columns))


def compare_results(*results: AuditResult) -> Comparison:
    """Return the defacers of results side by side, best first."""
    return rank_defacers(results)


def show_comparison(comparison: Comparison) -> str:
    """Return what a notebook shows of a comparison: verdict, what is left, seconds and cost of each defacer."""
    table = make_frame(comparison, "defacers")
    shown = ["condition", "decision", "linkability", "linkability_high", "rank1", "chance1", "seconds", "cost"]
    names = {"chance1": "chance", "cost": f"lost: {comparison.cost_metric}" if comparison.cost_metric else "cost"}
    return str(table[shown].rename(columns=names).to_html(index=False, escape=True, float_format="%.3g", na_rep="-"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Picture:
    """A matplotlib figure that shows itself in a notebook, whatever backend is set."""

    figure: Any

    def _repr_png_(self) -> bytes:
        return to_png(self.figure)


class Plots:
    """The figures of a report, each drawn when asked for; `reid_audit.plots` draws the same on Axes of one's own."""

    def __init__(self, result: AuditResult) -> None:
        self._result = result

    def __call__(self, name: str) -> Picture:
        """Return the figure that has this name in the report.

        Raises
        ------
        InputError
            There is none: it lacks its data. The message lists those that there are.
        """
        figures = {figure.name: figure for figure in list_figures(self._result)}
        if name not in figures:
            raise InputError(f"there is no figure {name!r}; there are: {', '.join(figures)}")
        return Picture(figures[name].make())

    def linkability(self) -> Picture:
        """Linkability by attacker, a panel per defacer."""
        return self("linkability by attacker")

    def rank1(self) -> Picture:
        """Rank-1 identification rate by attacker, a panel per defacer."""
        return self("rank 1 by attacker")

    def tmr(self) -> Picture:
        """Share of mated comparisons that match, by attacker, a panel per defacer."""
        return self("true match rate by attacker")

    def roc(self) -> Picture:
        """ROC and DET of the originals, and of the strongest attacker on each defacer."""
        return self("ROC and DET")

    def cmc(self) -> Picture:
        """CMC of the same, and the threshold by number of subjects."""
        return self("CMC and threshold")

    def cost(self) -> Picture:
        """Linkability against what the protection cost, where that was measured."""
        return self("risk against cost")

    def channels(self) -> Picture:
        """Linkability by part of the head, a panel per defacer; needs the attackers shape and regions."""
        return self("linkability by part of the head")

    def leaks(self) -> Picture:
        """Where each defacer changed the face, and where identity is left; needs the attacker shape."""
        return self("where identity is left on the face")

    def distances(self, condition: str, attack: str = "", encoder: str = "") -> Picture:
        """Distances of all comparisons, and of each subject before and after.

        Parameters
        ----------
        condition : str
        attack, encoder : str
            The attacker that links best by default.
        """
        rows = [row for row in list_rows(self._result) if row.condition == condition]
        rows = [row for row in rows if attack in ("", row.attack) and encoder in ("", row.encoder)]
        strongest = find_strongest(rows).get(condition)
        who = strongest.who if strongest is not None else ", ".join(filter(None, (attack, encoder)))
        return self(f"distances, {condition}, {who}")
