"""Which results may be compared, and who is the same subject in two of them."""

from collections.abc import Sequence
from dataclasses import fields, replace

from reid_audit.records import AuditResult, CalibrationError, Fingerprint, InputError, SubjectEvidence

_SAME = 1e-9
"""Two distances that differ less are one: JSON keeps every digit."""


def _equal(a: float, b: float) -> bool:
    return (a != a and b != b) or abs(a - b) <= _SAME


def _differ(first: AuditResult, other: AuditResult, place: int) -> list[str]:
    """Name each difference that keeps the numbers of one encoder in two results apart."""
    a, b = first.fingerprints[place], other.fingerprints[place]
    differences = [
        f"{field.name} is {getattr(a, field.name)!r} and {getattr(b, field.name)!r}"
        for field in fields(Fingerprint)
        if getattr(a, field.name) != getattr(b, field.name)
    ]
    if not differences and not a.weights:
        differences = ["nothing says what the distances were measured with; put them into one table for `stats`"]
    wanted = first.verdict.policy.threshold
    if other.verdict.policy.threshold != wanted:
        differences.append(f"the policy's threshold is {wanted!r} and {other.verdict.policy.threshold!r}")
    for point in dict.fromkeys((wanted, "youden")):
        ours, theirs = (each.calibrations[place].distance_at(point) for each in (first, other))
        if not _equal(ours, theirs):
            differences.append(f"the {point} threshold is {ours:.6g} and {theirs:.6g}: score with one --calibration")
    return differences


def require_alike(results: Sequence[AuditResult], names: Sequence[str]) -> None:
    """Refuse results whose numbers do not mean the same thing, naming each difference."""
    first = results[0]
    for result, name in zip(results[1:], names[1:], strict=True):
        if len(result.encoders) != len(first.encoders):
            differences = [f"they were measured by {len(first.encoders)} and {len(result.encoders)} encoders"]
        else:
            differences = [text for place in range(len(first.encoders)) for text in _differ(first, result, place)]
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


def merge_subjects(results: Sequence[AuditResult]) -> tuple[list[SubjectEvidence], int]:
    """Join the subjects of all results; a label means one subject only where the originals gave the same distance.

    Returns the subjects, and how many labels stand for another subject than in an earlier result: they are kept apart.
    """
    before: dict[tuple[str, str, str], float] = {}
    merged: list[SubjectEvidence] = []
    others: set[tuple[int, str]] = set()
    for place, result in enumerate(results):
        rows = {(row.encoder, row.attack, row.subject): row.distance_before for row in result.subjects}
        shared = {key: distance for key, distance in rows.items() if key in before}
        agreed = any(distance == distance and _equal(distance, before[key]) for key, distance in shared.items())
        renamed = {key[2] for key, distance in shared.items() if not agreed or not _equal(distance, before[key])}
        others |= {(place, subject) for subject in renamed}
        for row in result.subjects:
            if row.subject in renamed:
                row = replace(row, subject=f"{row.subject} ({place + 1})")
            before.setdefault((row.encoder, row.attack, row.subject), row.distance_before)
            merged.append(row)
    return merged, len(others)
