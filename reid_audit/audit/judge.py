"""Distances become a result: evidence, verdict, and what concerns the audit as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.accuracy import assess, calibrate, compare_pairwise, find_worst, list_subjects
from reid_audit.audit.settings import software_versions
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import Cohort
from reid_audit.records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    Check,
    CrossedEvidence,
    Decision,
    Distribution,
    FaceRecord,
    Fingerprint,
    Group,
    Policy,
    ScanRow,
    ScoreTable,
    Status,
)
from reid_audit.verdict import decide

if TYPE_CHECKING:
    import pandas as pd

HISTOGRAM_BINS = 60


def describe_scans(records: Iterable[FaceRecord]) -> tuple[ScanRow, ...]:
    """Return a row per scan for the report: names without folders."""
    return tuple(
        ScanRow(
            subject=record.scan.subject,
            session=record.scan.session,
            condition=record.scan.condition,
            file=record.scan.label,
            status=record.face.status,
            reason=record.face.reason,
            confidence=record.face.confidence,
            skin_level=record.skin_level,
            findings=record.findings,
            seconds=sum(record.seconds.values()),
        )
        for record in records
    )


def _count(keys: Sequence[str], total: int, what: str) -> str:
    """Name the first few scans: ``"2 of 60 scans could not be read: p01/1/original, p07/2/original"``."""
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return f"{len(keys)} of {total} scans {what}: {', '.join(keys[:5])}{more}."


_NOT_SEEN = (
    Status.UNREADABLE,
    Status.OTHER_GRID,
    Status.NO_SKIN,
    Status.RENDER_FAILED,
    Status.BACKEND_ERROR,
)


def _find_broken_attacks(records: Sequence[FaceRecord], condition: str) -> list[Check]:
    """List what broke under an attacker other than the naive one: the recogniser, or a picture that was not drawn.

    Such a scan counts in that attacker's FTA; it is not a scan in which nothing was found, so nothing may pass by it.
    """
    broken: dict[tuple[str, Status], list[str]] = {}
    total: dict[str, int] = {}
    for record in records:
        faces = [*record.attacks.items(), *(("multiview", face) for face in record.views)]
        for attack in dict(faces):
            total[attack] = total.get(attack, 0) + 1
        for attack, status in dict.fromkeys((attack, face.status) for attack, face in faces):
            if status in _NOT_SEEN:
                broken.setdefault((attack, status), []).append(record.scan.key)
    checks = []
    for (attack, status), keys in broken.items():
        recogniser = status is Status.BACKEND_ERROR
        what = "made the recogniser fail" if recogniser else "could not be drawn as that attacker draws them"
        decision = Decision.INCOMPLETE if recogniser else Decision.REVIEW
        text = f"{attack}: {_count(keys, total[attack], what)}"
        checks.append(Check("broken_attack", decision, text, attack=attack, condition=condition))
    return checks


def _check_condition(
    condition: str, records: Sequence[FaceRecord], cohort: Cohort, digests: Mapping[str, str]
) -> list[Check]:
    """Return what is found on the originals, or on one defacer's scans."""
    concerns = "" if condition == ORIGINAL else condition
    total = len(records)
    checks = []
    untouched = []
    for record in records if concerns else ():
        original = cohort.partner_of(record.scan)
        if record.digest and original is not None and record.digest == digests[original.key]:
            untouched.append(record.scan.key)
    if untouched:
        text = _count(untouched, total, "under a defacer's name equal their original, voxel by voxel")
        checks.append(Check("original_in_release", Decision.FAIL, text, condition=concerns))
    unseen = [record.scan.key for record in records if record.face.status in _NOT_SEEN]
    if unseen:
        text = _count(unseen, total, "were not seen")
        checks.append(Check("unseen_scans", Decision.INCOMPLETE, text, condition=concerns))
    checks += _find_broken_attacks(records, concerns)
    unfit = [record.scan.key for record in records if any(f.severity == "unfit" for f in record.findings)]
    if unfit:
        text = _count(unfit, total, "have findings that make them unfit")
        checks.append(Check("unfit_scans", Decision.REVIEW, text, condition=concerns))
    return checks


def check_scans(cohort: Cohort, records: Sequence[FaceRecord], mismatches: Sequence[str]) -> list[Check]:
    """Return what is found on scans and settings and does not show in distances.

    A scan that could not be taken as far as the detector is not a scan without a face: INCOMPLETE. An original among
    the defaced scans is a FAIL. A scan with a finding that makes it unfit, and a calibration of other settings, are
    for a human: REVIEW.

    What is found on a defacer's scans concerns that defacer (`Check.condition`); originals stand behind every number,
    so that what is found on them concerns all.
    """
    digests = {record.scan.key: record.digest for record in records}
    checks = []
    for condition in dict.fromkeys(record.scan.condition for record in records):
        checks += _check_condition(condition, [r for r in records if r.scan.condition == condition], cohort, digests)
    checks += [
        Check("calibration_mismatch", Decision.REVIEW, f"Calibration of other settings: {m}") for m in mismatches
    ]
    return checks


def _distributions(scores: ScoreTable) -> tuple[Distribution, ...]:
    """Bin the distances of every group, condition and attack; one set of edges for all."""
    frame = scores.frame
    highest = float(np.nanmax(frame["distance"].to_numpy())) if frame["distance"].notna().any() else 1.0
    edges = np.linspace(0.0, highest or 1.0, HISTOGRAM_BINS + 1)
    found = []
    for (group, condition, attack), part in frame.groupby(["group", "condition", "attack"], observed=True):
        distances = part["distance"].to_numpy()
        counts, _ = np.histogram(distances[~np.isnan(distances)], edges)
        found.append(
            Distribution(
                Group(group),
                str(condition),
                str(attack),
                tuple(float(edge) for edge in edges),
                tuple(int(count) for count in counts),
                int(np.isnan(distances).sum()),
            )
        )
    return tuple(found)


def _calibrate_rivals(
    scores: ScoreTable, calibration: Calibration, *, fingerprint: Fingerprint, seed: int, draws: int, confidence: float
) -> dict[str, Calibration]:
    """Find thresholds for each attacker that compares originals in a way of its own (multi-view, photographs)."""
    frame = scores.frame
    originals = frame["group"].isin([Group.SAME.value, Group.DIFFERENT.value])
    rivals = [
        str(name) for name in dict.fromkeys(frame["attack"][originals]) if name not in ("naive", calibration.attack)
    ]
    return {
        name: calibrate(scores, fingerprint=fingerprint, seed=seed, draws=draws, confidence=confidence, attack=name)
        for name in rivals
    }


_ELSEWHERE = Fingerprint("elsewhere", "", "", "", "", "", "")


@contain_side_effects()
def judge_scores(
    scores: ScoreTable,
    *,
    source: str,
    fingerprint: Fingerprint = _ELSEWHERE,
    calibration: Calibration | None = None,
    policy: Policy = Policy(),
    findings: Iterable[Check] = (),
    crossed: Sequence[CrossedEvidence] = (),
    strata: pd.DataFrame | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> AuditResult:
    """Weigh a table of distances, wherever they were measured, and decide.

    Parameters
    ----------
    scores : ScoreTable
    source : str
        Name of the table or manifest, for the report.
    fingerprint : Fingerprint
        What the distances were measured with, as far as it is known.
    calibration : Calibration, optional
        Thresholds from another cohort; by default they come from these same and different comparisons.
    policy : Policy
    findings : iterable of Check
        What does not show in distances; see `check_scans`.
    crossed : sequence of CrossedEvidence
        The aligned attacker's control; see `measure_crossings`.
    strata : pandas.DataFrame, optional
        Index = subjects, one column per stratum.
    seed, draws : int
        Of the resampling.

    Returns
    -------
    AuditResult
        Without scans: distances do not tell how they came to be.
    """
    notices = []
    external = calibration
    if calibration is None:
        calibration = calibrate(scores, fingerprint=fingerprint, seed=seed, draws=draws, confidence=policy.confidence)
        notices.append(
            "Thresholds were chosen on the originals of this cohort, and judged on the same people; "
            "the rates on held-out people stand beside them."
        )
    own = _calibrate_rivals(
        scores, calibration, fingerprint=fingerprint, seed=seed, draws=draws, confidence=policy.confidence
    )
    if own:
        notices.append(
            f"Thresholds of {', '.join(own)} come from this cohort's originals, compared in the same way as its "
            "defaced scans: those of the naive attacker would not fit their distances."
        )
    thresholds = {"naive": calibration, **own}
    evidence = assess(
        scores, thresholds, seed=seed, strata=strata, confidence=policy.confidence, margin=policy.max_linkability
    )
    people = list_subjects(scores, thresholds)
    evidence = replace(
        evidence,
        family=(*evidence.family, *compare_pairwise(people)),
        crossed=tuple(crossed),
        worst=tuple(
            find_worst(condition, [one for one in evidence.attacks if one.condition == condition], policy.threshold)
            for condition in dict.fromkeys(one.condition for one in evidence.attacks)
        ),
    )
    return AuditResult(
        cohort=source,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=metadata.version("reid-audit"),
        verdict=decide(evidence, policy, findings=findings, external=external),
        evidence=evidence,
        calibration=calibration,
        fingerprint=fingerprint,
        mismatches=(),
        notices=tuple(notices),
        settings={"seed": str(seed)},
        software=software_versions(),
        weights={},
        scans=(),
        pairs=(),
        subjects=people,
        distributions=_distributions(scores),
    )
