"""The two jobs: calibrate on originals, and audit defaced scans."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from reid_audit.accuracy import calibrate, check_fingerprint
from reid_audit.attack import ATTACKS, check_attacks
from reid_audit.audit.acquire import Progress, RunPlan, acquire_faces, compare_attacks, plan_faces
from reid_audit.audit.judge import describe_scans, find_shared_checks, judge_scores
from reid_audit.audit.kept import KeptFaces
from reid_audit.audit.settings import Settings, describe_settings, fingerprint_of, start_engines
from reid_audit.dataset import Cohort, take_people
from reid_audit.match import compare
from reid_audit.records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    Check,
    Decision,
    FaceRecord,
    Group,
    InputError,
    Policy,
    ScoreTable,
)
from reid_audit.work import Store


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
    store: Store | None = None,
    limit: int | None = None,
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
    store : Store, optional
        Where faces that are finished are kept, so that a run that was stopped continues; by default nowhere.
    limit : int, optional
        Only so many people, the first in natural order.

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
    originals = take_people(replace(cohort, scans=cohort.originals), limit)
    _require_control(originals, mend="calibrate on a cohort with two or more people in two visits")
    engines = start_engines(settings)
    kept = None if store is None else KeptFaces(store, engines)
    records = acquire_faces(originals, settings=engines.settings, executor=executor, progress=progress, kept=kept)
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
    executor: Executor | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
    limit: int | None = None,
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
    executor : concurrent.futures.Executor, optional
        Where the scans are done; in this process by default.
    progress : callable, optional
    store : Store, optional
        Where faces that are finished are kept, so that a run that was stopped continues; by default nowhere.
    limit : int, optional
        Only so many people, the first in natural order. The result then says so and is INCOMPLETE at best.

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
        Where the cohort has no defaced scan, or no comparison to calibrate with.
    WeightsError, EngineError
        Where a model file or a package is missing.
    """
    if cohort.conditions == (ORIGINAL,):
        raise InputError(f"{cohort.source}: every scan is {ORIGINAL!r}; add the defaced ones, a condition per defacer")
    everybody = len(cohort.subjects)
    cohort = take_people(cohort, limit)
    if calibration is None:
        _require_control(cohort, mend="give a calibration that another cohort made: --calibration FILE")
    engines = start_engines(settings)
    if calibration is not None:  # refuse before the work is done; only the modality is not known yet
        expected = replace(fingerprint_of(engines, []), modality=calibration.fingerprint.modality)
        check_fingerprint(calibration, expected, allow=allow_mismatch)
    attacks = check_attacks(attacks)
    kept = None if store is None else KeptFaces(store, engines)
    records = acquire_faces(
        cohort, settings=engines.settings, attacks=attacks, executor=executor, progress=progress, kept=kept
    )
    scores = compare_attacks(records, attacks)
    if progress is not None:
        progress("evidence", 0, 1)
    fingerprint = fingerprint_of(engines, records)
    mismatches = () if calibration is None else check_fingerprint(calibration, fingerprint, allow=allow_mismatch)
    findings = find_shared_checks(cohort, records, mismatches)
    if len(cohort.subjects) < everybody:
        text = f"{len(cohort.subjects)} of {everybody} people were audited: --limit."
        findings.append(Check("limited", Decision.INCOMPLETE, text))
    result = judge_scores(
        scores,
        source=cohort.source,
        fingerprint=fingerprint,
        calibration=calibration,
        policy=policy,
        findings=findings,
        strata=cohort.strata,
        seed=seed,
        draws=draws,
    )
    result = replace(
        result,
        mismatches=mismatches,
        notices=(*engines.notices, *result.notices),
        settings=describe_settings(engines.settings, seed=seed),
        weights=engines.identity,
        scans=describe_scans(records),
        pairs=cohort.pair_accounting(),
    )
    if progress is not None:
        progress("evidence", 1, 1)
    return result, scores


def plan_run(
    cohort: Cohort,
    *,
    settings: Settings = Settings(),
    attacks: Sequence[str] = ATTACKS,
    store: Store | None = None,
    limit: int | None = None,
) -> RunPlan:
    """Tell what a run would do: how many scans, and how many of them are in the store. Opens no scan.

    Parameters
    ----------
    cohort, settings, attacks, store, limit
        As for `audit_cohort`.

    Raises
    ------
    WeightsError, EngineError, InputError
        What would end the run before it began.
    """
    kept = None if store is None else KeptFaces(store, start_engines(settings))
    return plan_faces(take_people(cohort, limit), attacks=check_attacks(attacks), kept=kept)
