"""Defacers side by side, best first, across results that were measured alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from statistics import median

from .accuracy import compare_pairwise
from .records import (
    AttackEvidence,
    AuditResult,
    CalibrationError,
    Comparison,
    Decision,
    DefacerRow,
    DefaceRun,
    DefaceStatus,
    Estimate,
    Fingerprint,
    InputError,
    PersonEvidence,
    Rate,
    UtilityValue,
)

_NO_RATE = Rate(math.nan, math.nan, math.nan, 0, 0, 0, method="not measured")
_SAME = 1e-9
"""Two distances that differ less are one: JSON keeps every digit."""


# --- what may be compared ---


def _threshold(result: AuditResult, name: str) -> float:
    return next((t.distance for t in result.calibration.thresholds if t.name == name), math.nan)


def _equal(a: float, b: float) -> bool:
    return (a != a and b != b) or abs(a - b) <= _SAME


def _require_alike(results: Sequence[AuditResult], names: Sequence[str]) -> None:
    """Refuse results whose numbers do not mean the same thing, naming each difference."""
    first = results[0]
    for result, name in zip(results[1:], names[1:], strict=True):
        differences = [
            f"{field.name} is {a!r} and {b!r}"
            for field in fields(Fingerprint)
            for a, b in [(getattr(first.fingerprint, field.name), getattr(result.fingerprint, field.name))]
            if a != b
        ]
        if not differences and not first.fingerprint.weights:
            differences = ["nothing says what the distances were measured with; put them into one table for `stats`"]
        wanted = first.verdict.policy.threshold
        if result.verdict.policy.threshold != wanted:
            differences.append(f"the policy's threshold is {wanted!r} and {result.verdict.policy.threshold!r}")
        for point in dict.fromkeys((wanted, "youden")):
            a, b = _threshold(first, point), _threshold(result, point)
            if not _equal(a, b):
                differences.append(f"the {point} threshold is {a:.6g} and {b:.6g}: score with one --calibration")
        if differences:
            raise CalibrationError(f"{names[0]} and {name} cannot be compared: {'; '.join(differences)}")
    seen: dict[str, str] = {}
    for result, name in zip(results, names, strict=True):
        for verdict in result.verdict.conditions:
            if verdict.condition in seen:
                raise InputError(
                    f"the defacer {verdict.condition!r} stands in {seen[verdict.condition]} and in {name}; "
                    "give each run of it a name of its own in the manifest"
                )
            seen[verdict.condition] = name


def _merge_people(results: Sequence[AuditResult]) -> tuple[list[PersonEvidence], int]:
    """Join the people of all results; a label means one person only where his originals gave the same distance.

    Returns the people, and how many labels stand for another person than in an earlier result: they are kept apart.
    """
    before: dict[tuple[str, str], float] = {}
    merged: list[PersonEvidence] = []
    others: set[tuple[int, str]] = set()
    for place, result in enumerate(results):
        shared = [p for p in result.people if (p.attack, p.subject) in before]
        agreed = any(
            p.distance_before == p.distance_before and _equal(p.distance_before, before[p.attack, p.subject])
            for p in shared
        )
        strangers = {
            p.subject for p in shared if not agreed or not _equal(p.distance_before, before[p.attack, p.subject])
        }
        others |= {(place, subject) for subject in strangers}
        for person in result.people:
            if person.subject in strangers:
                person = replace(person, subject=f"{person.subject} ({place + 1})")
            before.setdefault((person.attack, person.subject), person.distance_before)
            merged.append(person)
    return merged, len(others)


# --- cost ---


def _loss(value: UtilityValue) -> float:
    """Turn a mean into a loss: 0 = nothing lost."""
    if value.larger_is_better is None:
        return abs(value.mean)
    return 1 - value.mean if value.larger_is_better else value.mean


def _choose_cost(utility: Sequence[UtilityValue], metric: str | None) -> tuple[str, dict[str, float]]:
    """Choose the measure that most defacers have, and return its name and the loss of each defacer."""
    tables: dict[tuple[str, str, str], dict[str, float]] = {}
    for value in utility:
        if (metric is None or value.metric == metric) and value.mean == value.mean:
            key = value.metric, value.structure, value.position
            tables.setdefault(key, {})[value.condition] = _loss(value)
    if not tables:
        if metric is not None:
            known = ", ".join(dict.fromkeys(value.metric for value in utility)) or "none"
            raise InputError(f"no defacer has the cost {metric!r}; there are: {known}")
        return "", {}
    key = max(tables, key=lambda k: (len(tables[k]), k[1:] == ("all", "all"), -list(tables).index(k)))
    return ", ".join([key[0], *(part for part in key[1:] if part != "all")]), tables[key]


def _mark_best(rows: Sequence[DefacerRow]) -> tuple[DefacerRow, ...]:
    """Mark each row that no other one beats in both linkability and cost."""
    known = [(row.linkability.value, row.cost) for row in rows if row.linkability.value == row.linkability.value]
    known = [point for point in known if point[1] == point[1]]

    def beaten(risk: float, cost: float) -> bool:
        return any(r <= risk and c <= cost and (r < risk or c < cost) for r, c in known)

    return tuple(
        row
        if math.isnan(row.linkability.value) or math.isnan(row.cost)
        else replace(row, best_choice=not beaten(row.linkability.value, row.cost))
        for row in rows
    )


# --- rows ---


def _largest(rates: Iterable[Rate]) -> Rate:
    return max((rate for rate in rates if rate.value == rate.value), key=lambda rate: rate.value, default=_NO_RATE)


def _describe(
    result: AuditResult,
    condition: str,
    decision: Decision,
    attacks: Sequence[AttackEvidence],
    runs: Sequence[DefaceRun],
    costs: Mapping[str, float],
) -> DefacerRow:
    seen = [one for one in attacks if one.linkability.value == one.linkability.value]
    worst = max(seen, key=lambda one: one.linkability.value, default=None)
    threshold = result.verdict.policy.threshold
    finder = max(attacks, key=lambda one: (one.search.rank1.value == one.search.rank1.value, one.search.rank1.value))
    failed = Counter(run.status.value for run in runs if run.status is not DefaceStatus.OK)
    seconds = [run.seconds for run in runs if run.seconds == run.seconds]
    return DefacerRow(
        condition=condition,
        cohort=result.cohort,
        decision=decision,
        subjects=min(one.subjects for one in attacks),
        worst_attack=worst.attack if worst else "",
        linkability=worst.linkability if worst else Estimate(math.nan, reason="no attacker gave a distance"),
        matched=_largest(m.people for one in attacks for m in one.matches if m.threshold == threshold),
        rank1=finder.search.rank1,
        chance1=finder.search.chance1,
        unacquired=min(
            (one.fta for one in attacks if one.fta.value == one.fta.value), key=lambda r: r.value, default=_NO_RATE
        ),
        runs=len(runs),
        failures=sum(failed.values()),
        failed=tuple(sorted(failed.items())),
        seconds=median(seconds) if seconds else math.nan,
        cost=costs.get(condition, math.nan),
    )


def _note(results: Sequence[AuditResult], others: int) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(
            f"{others} subject labels stand for people whose originals gave other distances, or none, in another "
            "result: these people were not paired across results"
        )
    if len({result.verdict.policy for result in results}) > 1:
        notes.append("the results were decided by different policies: compare their numbers, not their verdicts")
    galleries = {one.search.gallery for result in results for one in result.evidence.attacks if one.search.cmc}
    if len(galleries) > 1:
        sizes = ", ".join(str(size) for size in sorted(galleries))
        notes.append(f"searches went through galleries of {sizes} people: compare ranks with their chance")
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
        by person, over those whose originals gave the same distance in both results.

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
    _require_alike(results, names)
    runs = [*(run for result in results for run in result.defacing), *defacing]
    spent = [*(value for result in results for value in result.utility), *utility]
    cost, costs = _choose_cost(spent, cost_metric)
    rows = []
    for result in results:
        for verdict in result.verdict.conditions:
            attacks = [one for one in result.evidence.attacks if one.condition == verdict.condition]
            own = [run for run in runs if run.condition == verdict.condition]
            rows.append(_describe(result, verdict.condition, verdict.decision, attacks, own, costs))
    if not rows:
        raise InputError(f"{', '.join(names)}: no result holds a defacer")
    order = list(Decision)

    def bound(row: DefacerRow) -> float:
        return math.inf if math.isnan(row.linkability.at_most) else row.linkability.at_most

    rows.sort(key=lambda row: (order.index(row.decision), bound(row), row.condition))
    people, others = _merge_people(results)
    threshold = results[0].verdict.policy.threshold
    return Comparison(
        tool_version=results[0].tool_version,
        fingerprint=results[0].fingerprint,
        rows=_mark_best(rows),
        tests=compare_pairwise(people),
        threshold=threshold,
        distance=_threshold(results[0], threshold),
        cost_metric=cost,
        notes=_note(results, others),
    )
