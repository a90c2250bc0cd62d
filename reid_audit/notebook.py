"""For notebooks: a result whose tables are pandas DataFrames, and which shows itself.

::

    from reid_audit.notebook import audit

    found = audit("manifest.csv")
    found                       # verdict, reason and the numbers that carry it
    found.rates, found.subjects   # DataFrames
    found.show("ROC and DET")   # a figure of the report; `reid_audit.plots` draws the same on Axes of your own
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .audit import assess_scores
from .audit import audit as run_audit
from .dataset import Cohort, read_manifest
from .match import read_score_strata, read_scores
from .plots import to_png
from .records import AuditResult, Decision, InputError, ScoreTable
from .report import (
    Table,
    explain_verdict,
    list_checks,
    list_figures,
    read_result,
    read_result_scores,
    result_to_summary_html,
    tabulate_rates,
    tabulate_scans,
    tabulate_subjects,
    write_result,
)
from .work import local_executor

if TYPE_CHECKING:
    import pandas as pd


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(table.rows, columns=list(table.columns))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Picture:
    """A matplotlib figure that shows itself in a notebook, whatever backend is set."""

    figure: Any

    def _repr_png_(self) -> bytes:
        return to_png(self.figure)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audit:
    """A result and its comparisons, for looking at.

    Attributes
    ----------
    result : AuditResult
        The whole record.
    scores : ScoreTable
        Every comparison; its ``frame`` is a DataFrame.
    """

    result: AuditResult
    scores: ScoreTable | None

    @property
    def verdict(self) -> Decision:
        """The verdict's word."""
        return self.result.verdict.decision

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        return explain_verdict(self.result)

    @property
    def rates(self) -> pd.DataFrame:
        """The numbers that carry the verdict: a row for the control, and for each defacer and attacker.

        Proportions in [0, 1]; ``_low`` and ``_high`` are the ends of the two-sided interval; NaN = not measured.
        """
        return _frame(tabulate_rates(self.result))

    @property
    def subjects(self) -> pd.DataFrame:
        """Each subject per defacer and attacker: distances and ranks before and after. Personal."""
        return _frame(tabulate_subjects(self.result))

    @property
    def scans(self) -> pd.DataFrame:
        """Each scan with what became of it, the most exposed first. Personal."""
        return _frame(tabulate_scans(self.result))

    @property
    def tests(self) -> pd.DataFrame:
        """Every significance test: of the control, of each attack, and between defacers."""
        from dataclasses import asdict

        import pandas as pd

        evidence = self.result.evidence
        tests = [test for control in evidence.controls for test in control.tests]
        tests += [test for attack in evidence.attacks for test in attack.tests]
        return pd.DataFrame([asdict(test) for test in (*tests, *evidence.family)])

    @property
    def checks(self) -> pd.DataFrame:
        """Every rule of the policy and how it was met."""
        import pandas as pd

        rows = list_checks(self.result)
        return pd.DataFrame(
            [(name, check.decision.value, check.name, check.attack, check.text) for name, check in rows],
            columns=["condition", "decision", "check", "attack", "text"],
        )

    def show(self, name: str) -> Picture:
        """Return a figure of the report, which a notebook shows.

        Names are ``"linkability by attacker"``, ``"rank 1 by attacker"``, ``"true match rate by attacker"``,
        ``"ROC and DET"``, ``"CMC and threshold"`` and ``"distances, CONDITION, ATTACK"``.

        Raises
        ------
        InputError
            No figure has that name; the message lists them.
        """
        figures = {figure.name: figure for figure in list_figures(self.result)}
        if name not in figures:
            raise InputError(f"there is no figure {name!r}; there are: {', '.join(figures)}")
        return Picture(figures[name].make())

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write the page, the JSON and the tables into a folder, and return the page."""
        return write_result(self.result, self.scores, Path(folder), overwrite=overwrite)

    def __repr__(self) -> str:
        return f"Audit of {self.result.cohort}: {self.verdict.value}. {self.reason}"

    def _repr_html_(self) -> str:
        return result_to_summary_html(self.result)


def audit(
    cohort: Cohort | Path | str, *, workers: int | None = None, allow_outside: bool = False, **options: Any
) -> Audit:
    """Answer whether the defaced scans of a cohort can still be linked to their people.

    Parameters
    ----------
    cohort : Cohort, Path or str
        A cohort, or its manifest.
    workers : int, optional
        Processes; one per core by default.
    allow_outside : bool
        Accept paths outside the manifest's folder.
    **options
        As for `reid_audit.audit`: ``calibrations``, ``policy``, ``settings``, ``attacks``, ``seed`` ...

    Returns
    -------
    Audit

    Raises
    ------
    ReidAuditError
        As `reid_audit.read_manifest` and `reid_audit.audit`.
    """
    if not isinstance(cohort, Cohort):
        cohort = read_manifest(Path(cohort), allow_outside=allow_outside)
    with local_executor(workers) as executor:
        result = run_audit(cohort, executor=executor, **options)
    return Audit(result, result.scores)


def weigh(distances: Path | str, **options: Any) -> Audit:
    """Weigh distances that were measured elsewhere; see `reid_audit.read_scores` for the table.

    Parameters
    ----------
    distances : Path or str
    **options
        As for `reid_audit.assess_scores`: ``calibrations``, ``policy``, ``seed``, ``draws``.
    """
    path = Path(distances)
    scores = read_scores(path)
    return Audit(assess_scores(scores, source=path.name, strata=read_score_strata(path), **options), scores)


def read_audit(folder: Path | str) -> Audit:
    """Read a result that ``score`` or ``stats`` wrote into a folder."""
    return Audit(read_result(Path(folder)), read_result_scores(Path(folder)))
