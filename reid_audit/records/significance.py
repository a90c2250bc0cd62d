"""What a significance test came to."""

from dataclasses import dataclass

from reid_audit.records.scores import Real


@dataclass(frozen=True, slots=True)
class TestResult:
    """One significance test, with all that is needed to read or repeat it.

    Attributes
    ----------
    name : str
        Stable, e.g. ``"mann_whitney"``, ``"wilcoxon_signed_rank"``, ``"identity_permutation"``.
    compared : str
        The groups, e.g. ``"same vs defaced_same"``.
    n : tuple of int
        Observations on each side (a paired test has one number).
    subjects : int
        Subjects behind them; 0 = the table names no subjects.
    statistic, p : float
        NaN where the test could not be run; ``reason`` then says why.
    method : str
        ``"exact"``, ``"asymptotic"``, or how many permutations.
    effect, effect_name : float, str
        AUC for Mann-Whitney, matched-pairs rank-biserial for Wilcoxon, eta squared for Kruskal-Wallis.
    p_adjusted : float
        Benjamini-Hochberg over the family it was adjusted in; NaN = not adjusted.
    condition, attack : str
        What it belongs to; empty for the control.
    """

    __test__ = False  # a record, not a test case, whatever its name suggests to a test collector

    name: str
    compared: str
    n: tuple[int, ...]
    subjects: int
    statistic: Real = float("nan")
    p: Real = float("nan")
    method: str = ""
    alternative: str = "two-sided"
    effect: Real = float("nan")
    effect_name: str = ""
    p_adjusted: Real = float("nan")
    condition: str = ""
    attack: str = ""
    reason: str = ""
    encoder: str = ""
