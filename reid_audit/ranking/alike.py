"""Which results may be compared, and who is the same person in two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

from reid_audit.records import AuditResult, CalibrationError, Fingerprint, InputError, SubjectEvidence

_SAME = 1e-9
"""Two distances that differ less are one: JSON keeps every digit."""


def threshold_of(result: AuditResult, name: str) -> float:
    """Return the distance of a threshold; NaN where the cohort offers none."""
    return next((t.distance for t in result.calibration.thresholds if t.name == name), math.nan)


def _equal(a: float, b: float) -> bool:
    return (a != a and b != b) or abs(a - b) <= _SAME


def whole(result: AuditResult) -> tuple[AuditResult, ...]:
    """Return the result of each recogniser: several, or the one."""
    return result.recognisers or (result,)


def _differ(first: AuditResult, other: AuditResult) -> list[str]:
    """Name each difference that keeps the numbers of two recognisers' results apart."""
    differences = [
        f"{field.name} is {a!r} and {b!r}"
        for field in fields(Fingerprint)
        for a, b in [(getattr(first.fingerprint, field.name), getattr(other.fingerprint, field.name))]
        if a != b
    ]
    if not differences and not first.fingerprint.weights:
        differences = ["nothing says what the distances were measured with; put them into one table for `stats`"]
    wanted = first.verdict.policy.threshold
    if other.verdict.policy.threshold != wanted:
        differences.append(f"the policy's threshold is {wanted!r} and {other.verdict.policy.threshold!r}")
    for point in dict.fromkeys((wanted, "youden")):
        a, b = threshold_of(first, point), threshold_of(other, point)
        if not _equal(a, b):
            differences.append(f"the {point} threshold is {a:.6g} and {b:.6g}: score with one --calibration")
    return differences


def require_alike(results: Sequence[AuditResult], names: Sequence[str]) -> None:
    """Refuse results whose numbers do not mean the same thing, naming each difference."""
    first = whole(results[0])
    for result, name in zip(results[1:], names[1:], strict=True):
        other = whole(result)
        if len(first) != len(other):
            differences = [f"they were measured by {len(first)} and {len(other)} recognisers"]
        else:
            differences = [text for a, b in zip(first, other, strict=True) for text in _differ(a, b)]
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


def name_attack(result: AuditResult, one: AuditResult, attack: str) -> str:
    """Name an attacker; of several recognisers, after its recogniser."""
    return f"{one.fingerprint.encoder}, {attack}" if result.recognisers else attack


def merge_people(results: Sequence[AuditResult]) -> tuple[list[SubjectEvidence], int]:
    """Join the people of all results; a label means one person only where his originals gave the same distance.

    Returns the people, and how many labels stand for another person than in an earlier result: they are kept apart.
    """
    before: dict[tuple[str, str], float] = {}
    merged: list[SubjectEvidence] = []
    others: set[tuple[int, str]] = set()
    for place, result in enumerate(results):
        people = [
            replace(person, attack=name_attack(result, one, person.attack))
            for one in whole(result)
            for person in one.subjects
        ]
        shared = [p for p in people if (p.attack, p.subject) in before]
        agreed = any(
            p.distance_before == p.distance_before and _equal(p.distance_before, before[p.attack, p.subject])
            for p in shared
        )
        non_mated = {
            p.subject for p in shared if not agreed or not _equal(p.distance_before, before[p.attack, p.subject])
        }
        others |= {(place, subject) for subject in non_mated}
        for person in people:
            if person.subject in non_mated:
                person = replace(person, subject=f"{person.subject} ({place + 1})")
            before.setdefault((person.attack, person.subject), person.distance_before)
            merged.append(person)
    return merged, len(others)
