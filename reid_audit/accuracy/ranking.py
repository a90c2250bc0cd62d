"""The defacers of several results in one table, best first."""

import math
from collections.abc import Iterable, Mapping, Sequence

from reid_audit.accuracy.alike import merge_subjects, require_alike
from reid_audit.accuracy.between import compare_pairwise
from reid_audit.accuracy.cost import choose_cost, mark_best
from reid_audit.accuracy.rivals import list_recognisers
from reid_audit.attack import find_attack
from reid_audit.records import (
    AttackEvidence,
    AuditResult,
    Comparison,
    Decision,
    DefacerRow,
    DefaceRun,
    DefacingSummary,
    Estimate,
    InputError,
    Rate,
    UtilityValue,
    summarise_defacing,
)

_NO_RATE = Rate(math.nan, math.nan, math.nan, 0, 0, 0, method="not measured")


def _largest(rates: Iterable[Rate]) -> Rate:
    return max((rate for rate in rates if rate.value == rate.value), key=lambda rate: rate.value, default=_NO_RATE)


def _describe(
    result: AuditResult,
    condition: str,
    decision: Decision,
    attacks: Sequence[AttackEvidence],
    runs: DefacingSummary | None,
    costs: Mapping[str, float],
) -> DefacerRow:
    seen = [attack for attack in attacks if attack.shown_linkability.value == attack.shown_linkability.value]
    worst = max(seen, key=lambda attack: attack.shown_linkability.value, default=None)
    threshold = result.verdict.policy.threshold
    finder = max(
        attacks, key=lambda attack: (attack.search.rank1.value == attack.search.rank1.value, attack.search.rank1.value)
    )
    return DefacerRow(
        condition=condition,
        cohort=result.cohort,
        decision=decision,
        subjects=min(attack.subjects for attack in attacks),
        worst_attack=worst.attack if worst else "",
        worst_encoder=worst.encoder if worst else "",
        linkability=worst.shown_linkability if worst else Estimate(math.nan, reason="no attacker gave a distance"),
        matched=_largest(m.subjects for attack in attacks for m in attack.matches if m.threshold == threshold),
        rank1=finder.search.rank1,
        chance1=finder.search.chance1,
        unacquired=min(
            (attack.fta for attack in attacks if attack.fta.value == attack.fta.value),
            key=lambda r: r.value,
            default=_NO_RATE,
        ),
        runs=runs.runs if runs else 0,
        failures=runs.failed if runs else 0,
        failed=tuple((status.value, count) for status, count in runs.failures) if runs else (),
        seconds=runs.median_seconds if runs else math.nan,
        cost=costs.get(condition, math.nan),
    )


def _note(results: Sequence[AuditResult], others: int, threshold: str) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(
            f"{others} subject labels stand for people whose originals gave other distances, or none, in another "
            "result: these people were not paired across results"
        )
    if len({result.verdict.policy for result in results}) > 1:
        notes.append("the results were decided by different policies: compare their numbers, not their verdicts")
    galleries = {attack.search.gallery for result in results for attack in result.evidence.attacks if attack.search.cmc}
    if len(galleries) > 1:
        sizes = ", ".join(str(size) for size in sorted(galleries))
        notes.append(f"searches went through galleries of {sizes} people: compare ranks with their chance")
    recognisers = list_recognisers(results[0].evidence)
    if len(recognisers) > 1:
        points = {c.fingerprint.encoder: c.distance_at(threshold) for c in results[0].calibrations}
        each = ", ".join(f"{encoder} {points[encoder]:.4f}" for encoder in recognisers)
        notes.append(
            "several encoders: every number is that of the encoder that does best against the defacer, at its own "
            f"{threshold} threshold: {each}"
        )
    if any(result.mismatches for result in results):
        notes.append("a result used a calibration of other settings, which its user allowed")
    return tuple(notes)


def rank_defacers(
    results: Sequence[AuditResult],
    *,
    names: Sequence[str] | None = None,
    defacing: Iterable[DefaceRun] = (),
    utility: Iterable[UtilityValue] = (),
    cost_metric: str | None = None,
) -> Comparison:
    """Put the defacers of one or several results into one table, best first.

    Parameters
    ----------
    results : sequence of AuditResult
        Made under one fingerprint and with the same thresholds; every defacer in one of them only.
    names : sequence of str, optional
        What to call the results in messages; their cohorts by default.
    defacing, utility : iterables of DefaceRun, UtilityValue
        Beside those that the results hold.
    cost_metric : str, optional
        Metric of ``utility`` for the trade-off; by default the one that most defacers have.

    Returns
    -------
    Comparison
        Defacers by decision, then by the upper bound of linkability under the attacker that links most; tests paired
        by subject, over those whose originals gave the same distance in both results.

    Raises
    ------
    CalibrationError
        The results were measured with other settings or thresholds; names each difference.
    InputError
        No result, none with a defacer, a defacer in two of them, or an unknown ``cost_metric``.
    """
    if not results:
        raise InputError("there is no result to compare; name one folder or more")
    names = list(names) if names is not None else [result.cohort for result in results]
    require_alike(results, names)
    ran = summarise_defacing([*(run for result in results for run in result.defacing), *defacing])
    runs = {summary.condition: summary for summary in ran}
    spent = [*(value for result in results for value in result.utility), *utility]
    cost, costs = choose_cost(spent, cost_metric)
    rows = []
    for result in results:
        for verdict in result.verdict.conditions:
            attacks = [
                attack
                for attack in result.evidence.attacks
                if attack.condition == verdict.condition and find_attack(attack.attack).judged
            ]
            own = runs.get(verdict.condition)
            rows.append(_describe(result, verdict.condition, verdict.decision, attacks, own, costs))
    if not rows:
        raise InputError(f"{', '.join(names)}: no result holds a defacer")
    order = list(Decision)

    def bound(row: DefacerRow) -> float:
        return math.inf if math.isnan(row.linkability.at_most) else row.linkability.at_most

    rows.sort(key=lambda row: (order.index(row.decision), bound(row), row.condition))
    leaks = {leak.condition: leak for result in results for leak in result.leaks}
    subjects, others = merge_subjects(results)
    threshold = results[0].verdict.policy.threshold
    return Comparison(
        tool_version=results[0].tool_version,
        fingerprints=results[0].fingerprints,
        rows=mark_best(rows),
        tests=compare_pairwise(subjects),
        threshold=threshold,
        distance=results[0].calibrations[0].distance_at(threshold),
        cost_metric=cost,
        notes=_note(results, others, threshold),
        leaks=tuple(leaks[row.condition] for row in rows if row.condition in leaks),
    )
