"""The evidence: what each attacker can still do after each defacer, beside what it can do with originals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.accuracy.attempts import assess_attempt, assess_control
from reid_audit.accuracy.calibration import choose_calibration
from reid_audit.accuracy.compared import Attempt, find_attempt, find_originals
from reid_audit.accuracy.pairs import Scores
from reid_audit.accuracy.rivals import find_leak
from reid_audit.accuracy.strata import assess_strata
from reid_audit.records import (
    AttackEvidence,
    Calibration,
    ControlEvidence,
    Evidence,
    Group,
    ScoreTable,
    StratumEvidence,
    TestResult,
)
from reid_audit.stats import adjust, kruskal

if TYPE_CHECKING:
    import pandas as pd


def _adjust_across(attacks: list[AttackEvidence]) -> tuple[AttackEvidence, ...]:
    """Benjamini-Hochberg over defacers and attackers, one family per test and pair of groups."""
    flat = [(i, test) for i, one in enumerate(attacks) for test in one.tests]
    families = {(test.name, test.compared) for _, test in flat}
    adjusted: dict[int, TestResult] = {}
    for family in sorted(families):
        at = [k for k, (_, test) in enumerate(flat) if (test.name, test.compared) == family]
        adjusted |= dict(zip(at, adjust(flat[k][1] for k in at), strict=True))
    done: list[list[TestResult]] = [[] for _ in attacks]
    for k, (i, _) in enumerate(flat):
        done[i].append(adjusted[k])
    return tuple(replace(one, tests=tuple(tests)) for one, tests in zip(attacks, done, strict=True))


def assess(
    scores: ScoreTable,
    calibration: Calibration | Mapping[str, Calibration],
    *,
    seed: int,
    strata: pd.DataFrame | None = None,
    permutations: int = 9999,
    confidence: float = 0.95,
    margin: float = 0.60,
    min_cell: int = 10,
) -> Evidence:
    """Measure every condition under every attacker that the table holds.

    Parameters
    ----------
    scores : ScoreTable
    calibration : Calibration or mapping of attack to Calibration
        Thresholds. From a mapping each attacker takes its own, else that of ``"naive"``.
    seed : int
        Of the permutation test.
    strata : pandas.DataFrame, optional
        Index = subject labels; each column (sex, age band, site, scanner ...) divides the people. Empty cells are in
        no stratum.
    permutations : int
    confidence : float
        Of every interval, and of every one-sided bound.
    margin : float
        Of the equivalence test of linkability.
    min_cell : int
        Strata with fewer people are suppressed, and a second one where a single one could be had by subtraction.

    Returns
    -------
    Evidence
        Where the cohort lacks a group the numbers are NaN and a reason or note says so.

    Raises
    ------
    InputError
        The table is not a score table, or a mapping lacks the attack.
    """
    table = Scores(scores)
    evaluated = table.evaluated()
    attacks: list[AttackEvidence] = []
    cells: list[StratumEvidence] = []
    controls: list[ControlEvidence] = []
    family: list[TestResult] = []
    attempts: dict[str, list[Attempt]] = {}
    names = list(dict.fromkeys(attack for _, attack in evaluated)) or ["naive"]
    for attack in names:
        chosen = choose_calibration(calibration, attack)
        originals = find_originals(table, attack)
        if attack == "naive" or "naive" not in names or table.has_originals(attack):
            controls.append(assess_control(originals, chosen, attack, confidence=confidence))
        own = {}
        for condition in (c for c, by in evaluated if by == attack):
            attempt = find_attempt(table, originals, condition, attack)
            own[condition] = attempt.own.distance
            attempts.setdefault(condition, []).append(attempt)
            attacks.append(
                assess_attempt(
                    table,
                    originals,
                    attempt,
                    chosen,
                    rng=np.random.default_rng(seed),
                    permutations=permutations,
                    confidence=confidence,
                    margin=margin,
                )
            )
            if strata is not None and attempt.group is not Group.DEFACED_DEFACED_SAME:
                cells += assess_strata(attempt, chosen, strata, table.subjects, minimum=min_cell, confidence=confidence)
        if len(own) > 1:
            people = max(one.subjects for one in attacks if one.attack == attack)
            test = kruskal(list(own.values()), compared=" vs ".join(own), subjects=people)
            family.append(replace(test, attack=attack))
    notes = ("there are no defaced scans: only the control was measured",) if not evaluated else ()
    return Evidence(
        controls=tuple(controls),
        attacks=_adjust_across(attacks),
        strata=tuple(cells),
        family=adjust(family),
        seed=seed,
        draws=permutations,
        confidence=confidence,
        notes=notes,
        leaks=tuple(gap for tried in attempts.values() if (gap := find_leak(tried, confidence=confidence)) is not None),
    )
