"""The evidence: what each attacker can still do after each defacer, beside what it can do with originals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from reid_audit.accuracy.attempts import assess_attempt, assess_control
from reid_audit.accuracy.calibration_file import assign_calibrations, choose_calibration
from reid_audit.accuracy.compared import Attempt, Originals, find_attempt, find_originals
from reid_audit.accuracy.pairs import Scores, split_encoders
from reid_audit.accuracy.panels import Panel, Panels, to_estimate
from reid_audit.accuracy.rivals import find_leak, find_worst
from reid_audit.accuracy.strata import assess_original_strata, assess_strata
from reid_audit.attack import BASELINE, Attack, find_attack
from reid_audit.records import (
    AttackEvidence,
    Calibration,
    ControlEvidence,
    Estimate,
    Evidence,
    Group,
    ScoreTable,
    StratumEvidence,
    TestResult,
    group_by,
)
from reid_audit.stats import adjust, kruskal
from reid_audit.work import SerialExecutor, run_all

if TYPE_CHECKING:
    import pandas as pd

_WINDOW = 8
"""Attempts that an executor holds at once."""

_MOST_SENT = 500_000
"""Comparisons of an attempt that is sent to a worker, 35 MB: of 400 people. Larger ones are measured where they are."""


def _adjust_across(attacks: list[AttackEvidence]) -> tuple[AttackEvidence, ...]:
    """Benjamini-Hochberg over defacers and attackers, one family per test and pair of groups."""
    flat = [(i, test) for i, attack in enumerate(attacks) for test in attack.tests]
    families = {(test.name, test.compared) for _, test in flat}
    adjusted: dict[int, TestResult] = {}
    for family in sorted(families):
        at = [k for k, (_, test) in enumerate(flat) if (test.name, test.compared) == family]
        adjusted |= dict(zip(at, adjust(flat[k][1] for k in at), strict=True))
    done: list[list[TestResult]] = [[] for _ in attacks]
    for k, (i, _) in enumerate(flat):
        done[i].append(adjusted[k])
    return tuple(replace(attack, tests=tuple(tests)) for attack, tests in zip(attacks, done, strict=True))


def assess(
    scores: ScoreTable,
    calibrations: Calibration | Iterable[Calibration],
    *,
    seed: int,
    strata: pd.DataFrame | None = None,
    permutations: int = 9999,
    confidence: float = 0.95,
    margin: float = 0.60,
    min_cell: int = 10,
    threshold: str = "youden",
    panels: Panels | None = None,
    executor: Executor | None = None,
) -> Evidence:
    """Measure every condition under every attacker by every encoder that the table holds.

    Parameters
    ----------
    scores : ScoreTable
    calibrations : Calibration or iterable of Calibration
        Thresholds; see `reid_audit.accuracy.calibration_file.assign_calibrations`.
    seed : int
        Of the permutation test.
    strata : pandas.DataFrame, optional
        Index = subject labels; each column (sex, age band, site, scanner ...) divides the subjects. Empty cells are in
        no stratum.
    permutations : int
    confidence : float
        Of every interval, and of every one-sided bound.
    margin : float
        Of the equivalence test of linkability.
    min_cell : int
        Strata with fewer subjects are suppressed, and a second one where a single one could be had by subtraction.
    threshold : str
        Operating point by which the strongest attacker is told.
    panels : Panels, optional
        The comparisons as the rules see them: by default linkability is that over all pairs alone.
    executor : concurrent.futures.Executor, optional
        Where attempts are measured; in this process by default.

    Returns
    -------
    Evidence
        Encoder by encoder. Where the cohort lacks a group the numbers are NaN and a reason or note says so. Families of
        tests (`TestResult.p_adjusted`) are those of one encoder.

    Raises
    ------
    InputError
        The table is not a score table.
    CalibrationError
        An encoder or attacker has no calibration.
    """
    tables = split_encoders(scores)
    thresholds = assign_calibrations(calibrations, tables)
    judged = {(p.encoder, p.condition, p.attack): p for p in panels.panels} if panels else {}
    options = _Options(
        seed, permutations, confidence, margin, min_cell, threshold, judged, executor or SerialExecutor()
    )
    parts = [_assess_encoder(Scores(table), thresholds[name], strata, options) for name, table in tables.items()]
    first, *others = parts
    for part in others:
        first = replace(
            first,
            **{name: getattr(first, name) + getattr(part, name) for name in _JOINED},
            notes=tuple(dict.fromkeys((*first.notes, *part.notes))),
        )
    return first


_JOINED = ("controls", "attacks", "strata", "family", "leaks", "worst")


class _Options(NamedTuple):
    """The arguments of `assess` that every encoder shares."""

    seed: int
    permutations: int
    confidence: float
    margin: float
    min_cell: int
    threshold: str
    panels: Mapping[tuple[str, str, str], Panel]
    executor: Executor


def _judge_linkability(panel: Panel | None, confidence: float) -> Estimate | None:
    if panel is None or math.isnan((judged := panel.linkability(confidence=confidence)).value):
        return None
    both_sides = panel.linkability(confidence=(1 + confidence) / 2)
    return replace(
        to_estimate(judged, confidence=confidence),
        low=both_sides.at_least,
        high=both_sides.at_most,
        method="normal scores of ranks in searches, row and column means taken out, bounds between subjects",
    )


def _assess_encoder(
    table: Scores, thresholds: Mapping[str, Calibration], strata: pd.DataFrame | None, options: _Options
) -> Evidence:
    evaluated = table.evaluated()
    cells: list[StratumEvidence] = []
    controls: list[ControlEvidence] = []
    family: list[TestResult] = []
    names = list(dict.fromkeys(attack for _, attack in evaluated)) or [BASELINE.name]
    with_hints = {name for name in names if find_attack(name).without_hint}
    of_leak = with_hints | {find_attack(name).without_hint for name in with_hints}
    kept: list[Attempt] = []
    confidence = options.confidence
    in_cells: dict[str, Any] = {"threshold": options.threshold, "minimum": options.min_cell, "confidence": confidence}

    def attempts() -> Iterator[tuple[Attack, Originals, Attempt, Calibration]]:
        """Make attempts as they are asked for: all of them at once would take most of the memory of a run."""
        for name in names:
            attack, calibration = find_attack(name), choose_calibration(thresholds, name)
            originals = find_originals(table, name)
            if attack.baseline or BASELINE.name not in names or table.has_originals(name):
                controls.append(assess_control(originals, calibration, name, confidence=confidence))
                if strata is not None:
                    cells.extend(
                        assess_original_strata(originals, calibration, strata, table.subjects, name, **in_cells)
                    )
            mated, subjects = {}, 0
            for condition in (c for c, by in evaluated if by == name):
                attempt = find_attempt(table, originals, condition, name)
                mated[condition], subjects = attempt.mated.distance, max(subjects, attempt.subjects)
                if name in of_leak:
                    kept.append(attempt)
                yield attack, originals, attempt, calibration
                if strata is not None and attempt.group is not Group.DEFACED_DEFACED_SAME:
                    cells.extend(assess_strata(attempt, calibration, strata, table.subjects, **in_cells))
            if len(mated) > 1 and attack.judged:
                test = kruskal(list(mated.values()), compared=" vs ".join(mated), subjects=subjects)
                family.append(replace(test, attack=name, encoder=table.encoder))

    executor = options.executor if table.count_largest() <= _MOST_SENT else SerialExecutor()
    measure = partial(
        assess_attempt,
        seed=options.seed,
        permutations=options.permutations,
        confidence=confidence,
        margin=options.margin,
    )
    attacks = [
        replace(measured, judged_linkability=_judge_linkability(options.panels.get(key), confidence))
        for measured in run_all(executor, measure, attempts(), lost=measure, window=_WINDOW)
        for key in [(table.encoder, measured.condition, measured.attack)]
    ]
    judged = [evidence for evidence in attacks if find_attack(evidence.attack).judged]
    beside = [evidence for evidence in attacks if not find_attack(evidence.attack).judged]
    by_condition = group_by(kept, lambda attempt: attempt.condition).values()
    notes = ("there are no defaced scans: only the control was measured",) if not evaluated else ()
    return Evidence(
        controls=tuple(controls),
        attacks=(*_adjust_across(judged), *_adjust_across(beside)),
        strata=tuple(cells),
        family=adjust(family),
        seed=options.seed,
        draws=options.permutations,
        confidence=confidence,
        notes=notes,
        leaks=tuple(gap for tried in by_condition if (gap := find_leak(tried, confidence=confidence)) is not None),
        worst=tuple(
            find_worst(by, options.threshold) for by in group_by(judged, lambda evidence: evidence.condition).values()
        ),
    )
