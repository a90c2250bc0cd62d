"""Distances become a result: evidence, verdict, and what concerns the audit as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.accuracy import (
    assess,
    assign_calibrations,
    calibrate_scores,
    check_fingerprint,
    compare_pairwise,
    list_subjects,
    measure_canaries,
    split_encoders,
    to_panels,
)
from reid_audit.attack import BASELINE, PHOTOS
from reid_audit.audit.settings import software_versions
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import Cohort
from reid_audit.records import (
    CANARY,
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
    """Return a row per scan and encoder for the report: names without folders."""
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
            encoder=record.face.encoder,
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
        faces = [(attack, face) for attack, looks in record.looks.items() for face in looks]
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


_HARMLESS = {
    "rescaled": "other intensities",
    "turned": "turned",
    "mirrored": "mirrored",
    "moved": "moved",
    "resized": "other voxel sizes in the header",
    "cropped": "cropped",
    "other_grid": "resampled",
    "veiled": "veiled",
}
"""Findings of `reid_audit.alteration` that protect nobody, and how they are said."""


def _check_alterations(records: Sequence[FaceRecord], condition: str) -> list[Check]:
    """Name scans whose face is unaltered, who does not fit the original, and unseen scans whose face is there."""
    unaltered: dict[str, list[FaceRecord]] = {}
    exchanged, there = [], []
    for record in records:
        codes = {finding.code for finding in record.findings}
        acquired = record.face.acquired or any(face.acquired for looks in record.looks.values() for face in looks)
        if "unaltered" in codes:
            how = ", ".join(text for code, text in _HARMLESS.items() if code in codes) or "only saved anew"
            unaltered.setdefault(how, []).append(record)
        elif "exchanged" in codes:
            exchanged.append(record)
        elif "face_region_there" in codes and not acquired:
            there.append(record)
    rows = [
        ("unaltered", Decision.FAIL, f"show an unaltered face ({how})", chosen) for how, chosen in unaltered.items()
    ]
    rows.append(("exchanged", Decision.REVIEW, "do not fit the original of their own subject and session", exchanged))
    rows.append(
        ("unseen_face", Decision.REVIEW, "gave no attacker a vector, and the shape of the face is there", there)
    )
    checks = []
    for name, decision, what, chosen in rows:
        if chosen:
            subjects = tuple(dict.fromkeys(record.scan.subject for record in chosen))
            text = _count([record.scan.key for record in chosen], len(records), what)
            checks.append(Check(name, decision, text, len(chosen), condition=condition, subjects=subjects))
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
    checks += _check_alterations(records, concerns)
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


def _check_encoder(cohort: Cohort, records: Sequence[FaceRecord]) -> list[Check]:
    digests = {record.scan.key: record.digest for record in records}
    checks = []
    for condition in dict.fromkeys(record.scan.condition for record in records):
        checks += _check_condition(condition, [r for r in records if r.scan.condition == condition], cohort, digests)
    return checks


def check_scans(cohort: Cohort, records: Sequence[FaceRecord]) -> list[Check]:
    """Return what is found on scans and does not show in distances.

    A scan that could not be taken as far as the detector is not a scan without a face: INCOMPLETE. An original among
    the defaced scans is a FAIL. A scan with a finding that makes it unfit is for a human: REVIEW.

    What is found on a defacer's scans concerns that defacer (`Check.condition`); originals stand behind every number,
    so that what is found on them concerns all. What holds for every encoder is said once.
    """
    by_encoder: dict[str, list[FaceRecord]] = {}
    for record in records:
        by_encoder.setdefault(record.face.encoder, []).append(record)
    checks = {encoder: _check_encoder(cohort, part) for encoder, part in by_encoder.items()}
    alike = [check for check in next(iter(checks.values()), []) if all(check in part for part in checks.values())]
    if len(checks) < 2:
        return alike
    alike = [check for check in alike if not check.attack]
    return alike + [
        replace(check, encoder=encoder) for encoder, part in checks.items() for check in part if check not in alike
    ]


def check_photographs(cohort: Cohort, photographs: Sequence[FaceRecord]) -> list[Check]:
    """Return what a gallery of photographs lacks: subjects whose face it does not show, and pictures that broke."""
    name, total, checks = PHOTOS.name, len(cohort.subjects), []
    encoders = dict.fromkeys(photo.face.encoder for photo in photographs)
    for encoder in encoders:
        photos = [photo for photo in photographs if photo.face.encoder == encoder]
        shown = {photo.scan.subject for photo in photos if photo.face.acquired}
        whose = encoder if len(encoders) > 1 else ""
        if lacking := sum(subject not in shown for subject in cohort.subjects):
            text = (
                f"{name}: {lacking} of {total} people have no photograph with a face and were not looked for in the "
                "gallery."
            )
            checks.append(Check("photos_coverage", Decision.REVIEW, text, lacking, lacking, 0, name, encoder=whose))
        if broken := sum(photo.face.status is Status.BACKEND_ERROR for photo in photos):
            text = f"{name}: {broken} of {len(photos)} photographs made the recogniser fail."
            checks.append(Check("broken_attack", Decision.INCOMPLETE, text, attack=name, encoder=whose))
    return checks


def _distributions(scores: ScoreTable) -> tuple[Distribution, ...]:
    """Bin the distances of every encoder, group, condition and attack; one set of edges for an encoder."""
    rows = []
    for encoder, table in split_encoders(scores).items():
        frame = table.frame
        highest = float(np.nanmax(frame["distance"].to_numpy())) if frame["distance"].notna().any() else 1.0
        edges = np.linspace(0.0, highest or 1.0, HISTOGRAM_BINS + 1)
        for (group, condition, attack), part in frame.groupby(["group", "condition", "attack"], observed=True):
            distances = part["distance"].to_numpy()
            counts, _ = np.histogram(distances[~np.isnan(distances)], edges)
            rows.append(
                Distribution(
                    Group(group),
                    str(condition),
                    str(attack),
                    tuple(float(edge) for edge in edges),
                    tuple(int(count) for count in counts),
                    int(np.isnan(distances).sum()),
                    encoder,
                )
            )
    return tuple(rows)


def _attacks_with_own_originals(scores: ScoreTable) -> list[str]:
    """List the attackers that compare originals in a way of their own, and so need thresholds of their own."""
    frame = scores.frame
    originals = frame["group"].isin([Group.SAME.value, Group.DIFFERENT.value])
    return [str(name) for name in dict.fromkeys(frame["attack"][originals])]


def _without_canaries(scores: ScoreTable) -> ScoreTable:
    """Return the comparisons of the release and of the originals: a canary is no defacer."""
    condition = scores.frame["condition"]
    rows = scores.frame[~condition.astype(str).str.startswith(CANARY)]
    if len(rows) == len(scores.frame):
        return scores
    return ScoreTable(rows.assign(condition=rows["condition"].astype("category").cat.remove_unused_categories()))


@contain_side_effects()
def assess_scores(
    scores: ScoreTable,
    *,
    source: str,
    fingerprints: Iterable[Fingerprint] = (),
    calibrations: Iterable[Calibration] = (),
    allow_mismatch: bool = False,
    policy: Policy = Policy(),
    findings: Iterable[Check] = (),
    crossed: Sequence[CrossedEvidence] = (),
    strata: pd.DataFrame | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> AuditResult:
    """Assess a table of distances, wherever they were measured, and decide.

    Parameters
    ----------
    scores : ScoreTable
        Of one encoder or several; each is judged by thresholds of its own.
    source : str
        Name of the table or manifest, for the report.
    fingerprints : iterable of Fingerprint, optional
        What the distances were measured with, one per encoder; nothing but the encoder's name by default.
    calibrations : iterable of Calibration, optional
        Thresholds from another cohort, one per encoder; by default they come from these same and different
        comparisons.
    allow_mismatch : bool
        Use calibrations made under other settings than ``fingerprints``, and write each difference into the result.
    policy : Policy
    findings : iterable of Check
        What does not show in distances; see `check_scans`.
    crossed : sequence of CrossedEvidence
        The aligned attacker's control.
    strata : pandas.DataFrame, optional
        Index = subjects, one column per stratum.
    seed, draws : int
        Of the resampling.

    Returns
    -------
    AuditResult
        Without scans: distances do not tell how they came to be.

    Raises
    ------
    InputError
        The table is not a score table.
    CalibrationError
        An encoder has no calibration among those that are given, or one that was made under other settings.
    """
    tables = split_encoders(scores)
    known = {fingerprint.encoder: fingerprint for fingerprint in fingerprints}
    if len(known) == len(tables) == 1:
        known = dict(zip(tables, known.values(), strict=True))
    measured = {name: known.get(name, Fingerprint(name, "", "", "", "", "", "")) for name in tables}
    given = tuple(calibrations)
    external = {name: next(iter(c.values())) for name, c in assign_calibrations(given, tables).items()} if given else {}
    mismatches = tuple(
        f"{name}: {difference}" if len(tables) > 1 else difference
        for name, calibration in external.items()
        if name in known
        for difference in check_fingerprint(calibration, measured[name], allow=allow_mismatch)
    )
    thresholds: list[Calibration] = []
    of_encoder: dict[str, Calibration] = {}
    with_own: dict[str, None] = {}
    for name, table in tables.items():

        def calibrate_by(attack: str, table: ScoreTable = table, name: str = name) -> Calibration:
            return calibrate_scores(
                table,
                fingerprint=measured[name],
                seed=seed,
                draws=draws,
                confidence=policy.confidence,
                attack=attack,
            )

        of_encoder[name] = external[name] if name in external else calibrate_by(BASELINE.name)
        own = [
            attack
            for attack in _attacks_with_own_originals(table)
            if attack not in (BASELINE.name, of_encoder[name].attack)
        ]
        with_own |= dict.fromkeys(own)
        for calibration in (of_encoder[name], *(calibrate_by(attack) for attack in own)):
            thresholds.append(replace(calibration, fingerprint=replace(calibration.fingerprint, encoder=name)))
    notices = []
    if not given:
        notices.append(
            "Thresholds were chosen on the originals of this cohort, and judged on the same people; "
            "the rates on held-out people stand beside them."
        )
    if with_own:
        notices.append(
            f"Thresholds of {', '.join(with_own)} come from this cohort's originals, compared in the same way as its "
            "defaced scans: those of the naive attacker would not fit their distances."
        )
    panels = to_panels(scores.frame, strata)
    released = _without_canaries(scores)
    evidence = assess(
        released,
        thresholds,
        seed=seed,
        strata=strata,
        confidence=policy.confidence,
        margin=policy.max_linkability,
        threshold=policy.threshold,
    )
    subjects = list_subjects(released, thresholds)
    tests = [test for name in tables for test in compare_pairwise([each for each in subjects if each.encoder == name])]
    evidence = replace(
        evidence,
        family=(*evidence.family, *tests),
        crossed=tuple(crossed),
        canaries=measure_canaries(panels, confidence=policy.confidence),
    )
    mismatched = [
        Check("calibration_mismatch", Decision.REVIEW, f"Calibration of other settings: {m}") for m in mismatches
    ]
    return AuditResult(
        cohort=source,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=metadata.version("reid-audit"),
        verdict=decide(panels, policy, evidence=evidence, findings=[*findings, *mismatched], seed=seed),
        evidence=evidence,
        calibrations=tuple(of_encoder.values()),
        fingerprints=tuple(measured.values()),
        mismatches=mismatches,
        notices=tuple(notices),
        settings={"seed": str(seed)},
        software=software_versions(),
        weights={},
        scans=(),
        pairs=(),
        subjects=subjects,
        distributions=_distributions(released),
        scores=scores,
    )
