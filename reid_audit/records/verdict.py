"""The policy and the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from reid_audit.records.scores import Real


class Decision(StrEnum):
    """The verdict's word. A later member outweighs an earlier one."""

    PASS = "PASS"
    REVIEW = "REVIEW"
    INCOMPLETE = "INCOMPLETE"
    FAIL = "FAIL"

    @property
    def exit_code(self) -> int:
        """0 PASS, 1 FAIL, 3 REVIEW, 4 INCOMPLETE; 2 is left to usage and input errors."""
        return {Decision.PASS: 0, Decision.FAIL: 1, Decision.REVIEW: 3, Decision.INCOMPLETE: 4}[self]


_SEVERITY = {decision: place for place, decision in enumerate(Decision)}


def worst(decisions: Iterable[Decision]) -> Decision:
    """Return the gravest of the decisions; PASS of none."""
    return max(decisions, key=_SEVERITY.__getitem__, default=Decision.PASS)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the policy, applied once. ``text`` is the sentence for the report.

    ``encoder`` is the encoder whose evidence it was applied to, where there are several; empty where it concerns all.
    ``condition`` is the defacer whose scans a finding is about; empty where it concerns all of them. ``subjects`` are
    the single people that it names; empty where it is about all.
    """

    name: str
    decision: Decision
    text: str
    value: Real = float("nan")
    bound: Real = float("nan")
    limit: Real = float("nan")
    attack: str = ""
    encoder: str = ""
    condition: str = ""
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionVerdict:
    """The decision on one defacer and every check behind it.

    ``encoders`` names the encoders whose decision this is, where there are several; empty otherwise.
    """

    condition: str
    decision: Decision
    checks: tuple[Check, ...]
    encoders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What a steward accepts. The defaults are the tool's; `reid_audit.verdict.read_policy` reads a TOML file.

    Attributes
    ----------
    max_match_rate : float
        Mated comparisons that match at ``threshold``, beyond what non-mated ones of the same scans explain, by the
        one-sided upper bound. Where other people match in more than 5 %, the threshold is tightened until 5 % do.
    max_linkability : float
        Probability that a mated comparison is nearer than a non-mated one of the same search (AUC), by the one-sided
        upper bound.
    max_rank1_over_chance : float
        Searches whose mate would be first among 100 people, above chance, by the one-sided upper bound.
    min_control_tmr : float
        Originals that must match at ``threshold`` or at FMR 10 %, whichever is looser, by the one-sided upper bound.
    min_control_auc : float
        Linkability that an attacker must reach on a canary, and on originals, by its one-sided lower bound.
    min_subjects : int
        Subjects with a defaced scan that an attacker saw who links canaries.
    max_original_fta : float
        Original scans without a vector.
    max_defaced_fta : float
        Defaced scans that a required attacker, the baseline aside, may get no vector from.
    required_attacks : tuple of str
        The attackers that bind: without each of these nothing passes. What others show beyond a limit turns a PASS into
        a REVIEW; what `reid_audit.attack.Shape` shows, into a FAIL.
    threshold : str
        Operating point of the match rates.
    confidence : float
        Confidence of each one-sided bound.
    """

    max_match_rate: float = 0.10
    max_linkability: float = 0.60
    max_rank1_over_chance: float = 0.10
    min_control_tmr: float = 0.80
    min_control_auc: float = 0.80
    min_subjects: int = 30
    max_original_fta: float = 0.10
    max_defaced_fta: float = 0.10
    required_attacks: tuple[str, ...] = ("naive", "registered")
    threshold: str = "youden"
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: the worst of the conditions and of what concerns all of them.

    ``encoders`` names the encoders whose decision this is, where there are several; empty otherwise.
    """

    decision: Decision
    conditions: tuple[ConditionVerdict, ...]
    checks: tuple[Check, ...]  # those that concern every condition: the control, the cohort, the originals
    policy: Policy
    encoders: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of the decision."""
        return self.decision.exit_code

    def of_encoder(self, encoder: str) -> Verdict:
        """Return what is decided by the checks of one encoder and those that concern all."""

        def keep(checks: tuple[Check, ...]) -> tuple[Check, ...]:
            return tuple(check for check in checks if check.encoder in ("", encoder))

        shared = keep(self.checks)
        conditions = []
        for verdict in self.conditions:
            own = keep(verdict.checks)
            checks = [check for check in (*shared, *own) if check.condition in ("", verdict.condition)]
            decision = worst(check.decision for check in checks)
            conditions.append(replace(verdict, decision=decision, checks=own, encoders=()))
        decision = worst([*(check.decision for check in shared), *(verdict.decision for verdict in conditions)])
        return replace(self, decision=decision, conditions=tuple(conditions), checks=shared, encoders=())
