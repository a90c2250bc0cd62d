"""A result in a notebook: its tables as DataFrames, its figures, and the first screen of the page.

`reid_audit.records.AuditResult` imports this file by its name when a table or figure is asked for, so that records
know no room above them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from reid_audit.accuracy import rank_defacers
from reid_audit.plots import to_png
from reid_audit.records import AuditResult, Comparison, InputError
from reid_audit.report.comparison import tabulate_defacers, tabulate_tests
from reid_audit.report.figures import list_figures
from reid_audit.report.page import result_to_summary_html
from reid_audit.report.rows import explain_verdict, find_strongest, list_checks, list_exposed, list_rows
from reid_audit.report.tables import Table, tabulate_measures, tabulate_rates, tabulate_scans, tabulate_subjects

if TYPE_CHECKING:
    import pandas as pd

to_html, explain = result_to_summary_html, explain_verdict


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(table.rows, columns=list(table.columns))


def make_rates(result: AuditResult) -> pd.DataFrame:
    """Return a row for the control, and for each defacer and attacker."""
    return _frame(tabulate_rates(result))


def make_measures(result: AuditResult) -> pd.DataFrame:
    """Return bits, larger galleries and the other measures for deciders, per defacer and attacker."""
    return _frame(tabulate_measures(result))


def make_subjects(result: AuditResult) -> pd.DataFrame:
    """Return each subject's distances and ranks per defacer and attacker."""
    return _frame(tabulate_subjects(result))


def make_scans(result: AuditResult) -> pd.DataFrame:
    """Return what became of each scan."""
    return _frame(tabulate_scans(result))


def make_exposed(result: AuditResult) -> pd.DataFrame:
    """Return a row per defacer and subject whom a rule names or an attacker both finds first and matches."""
    import pandas as pd

    rows = [
        (condition, subject, "; ".join(dict.fromkeys(why)))
        for condition, subjects in list_exposed(result).items()
        for subject, why in subjects.items()
    ]
    return pd.DataFrame(rows, columns=["condition", "subject", "why"])


def compare_results(*results: AuditResult) -> Comparison:
    """Return the defacers of results side by side, best first."""
    return rank_defacers(results)


def make_defacers(comparison: Comparison) -> pd.DataFrame:
    """Return a row per defacer of a comparison."""
    return _frame(tabulate_defacers(comparison))


def make_paired_tests(comparison: Comparison) -> pd.DataFrame:
    """Return the tests between the defacers of a comparison."""
    return _frame(tabulate_tests(comparison.tests))


def show_comparison(comparison: Comparison) -> str:
    """Return what a notebook shows of a comparison: verdict, what is left, seconds and cost of each defacer."""
    table = make_defacers(comparison)
    shown = ["condition", "decision", "linkability", "linkability_high", "rank1", "chance1", "seconds", "cost"]
    names = {"chance1": "chance", "cost": f"lost: {comparison.cost_metric}" if comparison.cost_metric else "cost"}
    return str(table[shown].rename(columns=names).to_html(index=False, escape=True, float_format="%.3g", na_rep="-"))


def make_tests(result: AuditResult) -> pd.DataFrame:
    """Return every significance test: of the controls, of each attack, and between defacers."""
    import pandas as pd

    evidence = result.evidence
    tests = [test for control in evidence.controls for test in control.tests]
    tests += [test for attack in evidence.attacks for test in attack.tests]
    return pd.DataFrame([asdict(test) for test in (*tests, *evidence.family)])


def make_checks(result: AuditResult) -> pd.DataFrame:
    """Return every rule of the policy and how it was met."""
    import pandas as pd

    return pd.DataFrame(
        [(who, check.decision.value, check.name, check.attack, check.text) for who, check in list_checks(result)],
        columns=["condition", "decision", "check", "attack", "text"],
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Picture:
    """A matplotlib figure that shows itself in a notebook, whatever backend is set."""

    figure: Any

    def _repr_png_(self) -> bytes:
        return to_png(self.figure)


class Plots:
    """The figures of a report, each drawn when it is asked for; `reid_audit.plots` draws the same on Axes of one's own.

    Parameters
    ----------
    result : AuditResult
    """

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
