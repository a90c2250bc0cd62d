"""The two jobs: calibrate on originals, and audit defaced scans."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from reid_audit.accuracy import calibrate, check_fingerprint
from reid_audit.attack import ATTACKS, check_attacks
from reid_audit.audit.acquire import Progress, acquire_faces, compare_attacks
from reid_audit.audit.judge import describe_scans, find_shared_checks, judge_scores
from reid_audit.audit.portraits import prepare_portraits, write_portraits
from reid_audit.audit.settings import Settings, describe_settings, fingerprint_of, start_engines
from reid_audit.dataset import Cohort
from reid_audit.match import compare
from reid_audit.records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    FaceRecord,
    Group,
    InputError,
    Policy,
    ScoreTable,
)

PORTRAITS_KEPT = (
    "Portraits of {drawn} scans were kept in a separate folder. They show faces, before and after defacing: biometric "
    "data of the people in this cohort. Keep that folder as safe as the scans, and never hand it on with this report."
)


def _require_control(cohort: Cohort, *, mend: str) -> None:
    """Raise where the manifest alone shows that no threshold can come of these originals."""
    for pair in cohort.pair_accounting():
        if pair.group in (Group.SAME, Group.DIFFERENT) and pair.possible == 0:
            reasons = "; ".join(pair.reasons)
            raise InputError(f"{cohort.source}: no comparison of the group {pair.group.value!r}: {reasons}; {mend}")


def calibrate_cohort(
    cohort: Cohort,
    *,
    settings: Settings = Settings(),
    seed: int = 0,
    draws: int = 2000,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Calibration, list[FaceRecord], tuple[str, ...]]:
    """Find the thresholds at which this recogniser tells the originals of a cohort apart.

    Parameters
    ----------
    cohort : Cohort
        Only its originals are read.
    settings : Settings
    seed, draws : int
        Of the subject bootstrap.
    executor : concurrent.futures.Executor, optional
        Where the scans are done; in this process by default.
    progress : callable, optional

    Returns
    -------
    calibration : Calibration
    records : list of FaceRecord
        What became of each original, in the order of the cohort.
    notices : tuple of str
        Fallbacks that the engines took.

    Raises
    ------
    InputError
        Where the cohort has no comparison of one person, or of two, to calibrate with.
    """
    originals = replace(cohort, scans=cohort.originals)
    _require_control(originals, mend="calibrate on a cohort with two or more people in two visits")
    engines = start_engines(settings)
    records = acquire_faces(originals, settings=engines.settings, executor=executor, progress=progress)
    scores = compare(records)
    calibration = calibrate(scores, fingerprint=fingerprint_of(engines, records), seed=seed, draws=draws)
    return calibration, records, engines.notices


def audit_cohort(
    cohort: Cohort,
    *,
    calibration: Calibration | None = None,
    allow_mismatch: bool = False,
    policy: Policy = Policy(),
    settings: Settings = Settings(),
    attacks: Sequence[str] = ATTACKS,
    seed: int = 0,
    draws: int = 2000,
    portraits: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[AuditResult, ScoreTable]:
    """Answer whether a face-recognition attacker can still link the defaced scans of a cohort to their people.

    Parameters
    ----------
    cohort : Cohort
        Originals and one or more defacers.
    calibration : Calibration, optional
        Thresholds from another cohort, made under the same settings. Without it they come from the originals of this
        one, and the result says so.
    allow_mismatch : bool
        Use a calibration made under other settings, and write each difference into the result.
    policy : Policy
        What the steward accepts.
    settings : Settings
    attacks : sequence of str
        Which attackers to run; the naive one always is. See `reid_audit.attack`.
    seed, draws : int
        Of the resampling.
    portraits : Path, optional
        Folder for the portrait of every scan, which is made private and must be empty. None are kept by default.
    executor : concurrent.futures.Executor, optional
        Where the scans are done; in this process by default.
    progress : callable, optional

    Returns
    -------
    result : AuditResult
    scores : ScoreTable
        Every comparison.

    Raises
    ------
    CalibrationError
        Where the calibration was made under other settings and ``allow_mismatch`` is False.
    InputError
        Where the cohort has no defaced scan, or no comparison to calibrate with, or ``portraits`` is not empty.
    WeightsError, EngineError
        Where a model file or a package is missing.
    """
    if cohort.conditions == (ORIGINAL,):
        raise InputError(f"{cohort.source}: every scan is {ORIGINAL!r}; add the defaced ones, a condition per defacer")
    if calibration is None:
        _require_control(cohort, mend="give a calibration that another cohort made: --calibration FILE")
    if portraits is not None:
        prepare_portraits(portraits)
    engines = start_engines(settings)
    if calibration is not None:  # refuse before the work is done; only the modality is not known yet
        expected = replace(fingerprint_of(engines, []), modality=calibration.fingerprint.modality)
        check_fingerprint(calibration, expected, allow=allow_mismatch)
    attacks = check_attacks(attacks)
    records = acquire_faces(cohort, settings=engines.settings, attacks=attacks, executor=executor, progress=progress)
    notices = engines.notices
    if portraits is not None:
        drawn = write_portraits(records, portraits, settings=engines.settings, executor=executor, progress=progress)
        notices = (*notices, PORTRAITS_KEPT.format(drawn=drawn))
    scores = compare_attacks(records, attacks)
    if progress is not None:
        progress("evidence", 0, 1)
    fingerprint = fingerprint_of(engines, records)
    mismatches = () if calibration is None else check_fingerprint(calibration, fingerprint, allow=allow_mismatch)
    result = judge_scores(
        scores,
        source=cohort.source,
        fingerprint=fingerprint,
        calibration=calibration,
        policy=policy,
        findings=find_shared_checks(cohort, records, mismatches),
        strata=cohort.strata,
        seed=seed,
        draws=draws,
    )
    result = replace(
        result,
        mismatches=mismatches,
        notices=(*notices, *result.notices),
        settings=describe_settings(engines.settings, seed=seed),
        weights=engines.identity,
        scans=describe_scans(records),
        pairs=cohort.pair_accounting(),
    )
    if progress is not None:
        progress("evidence", 1, 1)
    return result, scores
