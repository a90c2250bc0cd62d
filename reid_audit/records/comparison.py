"""Defacers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reid_audit.records.calibration import Estimate, Fingerprint
from reid_audit.records.leaks import LeakMap
from reid_audit.records.scores import Rate, Real
from reid_audit.records.significance import TestResult
from reid_audit.records.verdict import Decision
from reid_audit.records.views import view

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class DefacerRow:
    """One defacer in a comparison, by the attacker that links it most.

    Attributes
    ----------
    condition, cohort : str
        The defacer, and the manifest of the result that it comes from.
    decision : Decision
    subjects : int
        Subjects compared before and after defacing.
    worst_attack, worst_encoder : str
        The attacker with the highest linkability; ``""`` where none was measured.
    linkability : Estimate
        Of that attacker; AUC of mated against non-mated originals, 0.5 = no link left.
    matched : Rate
        Subjects matched at the policy's threshold, by the attacker that matches most.
    rank1 : Rate
        Own subject found first, by the attacker that finds most.
    chance1 : float
    unacquired : Rate
        Defaced scans without a vector, by the attacker that got most.
    runs, failures : int
        Runs of the tool, and those that left nothing to score. 0 and 0 = not known.
    failed : tuple of (status, count)
    seconds : float
        Median wall time of the runs that left a scan to score; NaN = not known. See `DefacingSummary`.
    cost : float
        ``Comparison.cost_metric`` as a loss, 0 = nothing lost; NaN = not measured.
    best_choice : bool or None
        No other defacer is at least as good in linkability and cost and better in one (Pareto); None = no cost.
    """

    condition: str
    cohort: str
    decision: Decision
    subjects: int
    worst_attack: str
    worst_encoder: str
    linkability: Estimate
    matched: Rate
    rank1: Rate
    chance1: Real
    unacquired: Rate
    runs: int = 0
    failures: int = 0
    failed: tuple[tuple[str, int], ...] = ()
    seconds: Real = float("nan")
    cost: Real = float("nan")
    best_choice: bool | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several defacers judged under one fingerprint, best first.

    Attributes
    ----------
    rows : tuple of DefacerRow
        By decision, then by the upper bound of linkability.
    tests : tuple of TestResult
        Paired by subject, each two defacers; ``p_adjusted`` over all of them.
    fingerprints : tuple of Fingerprint
        One per encoder.
    threshold, distance : str, float
        Operating point of the match rates; its distance for the first encoder.
    cost_metric : str
        What ``cost`` is made of; ``""`` = nothing was measured.
    notes : tuple of str
        What a reader must know.
    leaks : tuple of LeakMap
        Where identity is left, in the order of the rows, where that was measured.
    """

    tool_version: str
    fingerprints: tuple[Fingerprint, ...]
    rows: tuple[DefacerRow, ...]
    tests: tuple[TestResult, ...]
    threshold: str
    distance: Real
    cost_metric: str = ""
    notes: tuple[str, ...] = ()
    leaks: tuple[LeakMap, ...] = ()
    schema_version: int = 2

    @property
    def table(self) -> pd.DataFrame:
        """The defacers, best first: a number with its interval in three columns, seconds, failures and cost."""
        return view("make_frame", self, "defacers")

    @property
    def tests_table(self) -> pd.DataFrame:
        """The tests of each two defacers, paired by subject."""
        return view("make_frame", self, "paired tests")

    def _repr_html_(self) -> str:
        return str(view("show_comparison", self))
