"""The two jobs: calibrate on originals, and audit defaced scans."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from reid_audit.accuracy import assign_calibrations, calibrate, check_fingerprint
from reid_audit.attack import DEFACED_GALLERY, DEFAULT_ATTACKS, check_attacks
from reid_audit.audit.acquire import Progress, acquire_faces_with_each
from reid_audit.audit.assess import assess_scores, check_scans, describe_scans
from reid_audit.audit.compare import compare_attacks, measure_crossings
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.photos import check_photos, compare_photos, examine_photo
from reid_audit.audit.portraits import prepare_portraits, write_portraits
from reid_audit.audit.settings import Engines, Settings, describe_settings, fingerprint_of, start_engines_of_each
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import Cohort, take_subjects
from reid_audit.match import compare, merge_scores
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
    ScanRef,
    ScoreTable,
)
from reid_audit.work import SerialExecutor, Store, run_all

PORTRAITS_KEPT = (
    "Portraits of {drawn} scans were kept in a separate folder. They show faces, before and after defacing: biometric "
    "data of the people in this cohort. Keep that folder as safe as the scans, and never hand it on with this report."
)


def require_control(cohort: Cohort, *, mend: str) -> None:
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
    calibrations, records, notices = calibrate_encoders(
        cohort,
        (settings.encoder,),
        settings=settings,
        seed=seed,
        draws=draws,
        executor=executor,
        progress=progress,
        store=store,
        limit=limit,
    )
    return calibrations[0], records[0], notices


@contain_side_effects()
def calibrate_encoders(
    cohort: Cohort,
    encoders: Sequence[str],
    *,
    settings: Settings = Settings(),
    seed: int = 0,
    draws: int = 2000,
    executor: Executor | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
    limit: int | None = None,
) -> tuple[tuple[Calibration, ...], list[list[FaceRecord]], tuple[str, ...]]:
    """Find the thresholds of several recognisers on the originals of one cohort; each scan is drawn once for all.

    Parameters
    ----------
    cohort : Cohort
    encoders : sequence of str
        As for `reid_audit.make_encoders`.
    settings : Settings
        Its encoder is not used.
    seed, draws, executor, progress, store, limit
        As for `calibrate_cohort`.

    Returns
    -------
    calibrations : tuple of Calibration
        In the order of ``encoders``: what `calibrate_cohort` gives with each alone.
    records : list of list of FaceRecord
        Per recogniser, what became of each original.
    notices : tuple of str

    Raises
    ------
    InputError
        As `calibrate_cohort`, or where two recognisers have one name.
    """
    originals = take_subjects(replace(cohort, scans=cohort.originals), limit)
    require_control(originals, mend="calibrate on a cohort with two or more people in two visits")
    started = start_engines_of_each(settings, encoders)
    faces = acquire_faces_with_each(
        originals,
        settings=[engines.settings for engines in started],
        executor=executor,
        progress=progress,
        kept=None if store is None else FaceCache(store, started),
    )
    calibrations = []
    for engines, records in zip(started, faces, strict=True):
        fingerprint = fingerprint_of(engines, records)
        calibration = calibrate(compare(records), fingerprint=fingerprint, seed=seed, draws=draws)
        # A file of thresholds goes further than the screen: what must be known of its recogniser goes with it.
        calibrations.append(replace(calibration, notes=(*engines.notices, *calibration.notes)))
    notices = tuple(dict.fromkeys(notice for engines in started for notice in engines.notices))
    return tuple(calibrations), faces, notices


@contain_side_effects()
def audit_cohort(
    cohort: Cohort,
    *,
    calibration: Calibration | Sequence[Calibration] | None = None,
    allow_mismatch: bool = False,
    policy: Policy = Policy(),
    settings: Settings = Settings(),
    encoders: Sequence[str] = (),
    attacks: Sequence[str] = DEFAULT_ATTACKS,
    gallery: Sequence[ScanRef] = (),
    seed: int = 0,
    draws: int = 2000,
    portraits: Path | None = None,
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
    calibration : Calibration or sequence of Calibration, optional
        Thresholds from another cohort, made under the same settings; one per recogniser. Without it they come from the
        originals of this one, and the result says so.
    allow_mismatch : bool
        Use a calibration made under other settings, and write each difference into the result.
    policy : Policy
        What the steward accepts.
    settings : Settings
    encoders : sequence of str
        Recognisers to run instead of ``settings.encoder``, as for `reid_audit.make_encoders`. Each scan is drawn once
        and its face looked for once; each recogniser is judged by its own thresholds, and the worst verdict counts.
    attacks : sequence of str
        Which attackers to run; the naive one always is. See `reid_audit.attack`.
    gallery : sequence of ScanRef
        Photographs, from `reid_audit.read_gallery`: a further attacker, ``photos``, looks every scan up in them.
    seed, draws : int
        Of the resampling.
    portraits : Path, optional
        Folder for the portrait of every scan, which is made private and must be empty. None are kept by default.
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
        Of several recognisers: see `AuditResult.recognisers`.
    scores : ScoreTable
        Every comparison; of several recognisers with the column ``encoder``.

    Raises
    ------
    CalibrationError
        Where the calibration was made under other settings and ``allow_mismatch`` is False, or lacks a recogniser.
    InputError
        Where the cohort has no defaced scan, or no comparison to calibrate with, or ``portraits`` is not empty.
    WeightsError, EngineError
        Where a model file or a package is missing.
    """
    if cohort.conditions == (ORIGINAL,):
        raise InputError(f"{cohort.source}: every scan is {ORIGINAL!r}; add the defaced ones, a condition per defacer")
    everybody = len(cohort.subjects)
    cohort = take_subjects(cohort, limit)
    if calibration is None:
        require_control(cohort, mend="give a calibration that another cohort made: --calibration FILE")
    if portraits is not None:
        prepare_portraits(portraits)
    attacks = check_attacks(attacks)
    started = start_engines_of_each(settings, encoders or (settings.encoder,))
    thresholds = _assign(calibration, started, allow_mismatch=allow_mismatch)
    faces = acquire_faces_with_each(
        cohort,
        settings=[engines.settings for engines in started],
        attacks=attacks,
        executor=executor,
        progress=progress,
        kept=None if store is None else FaceCache(store, started),
    )
    pictures = _examine_gallery(gallery, started, executor, progress)
    kept: tuple[str, ...] = ()
    if portraits is not None:  # of several recognisers, as the first one was shown them
        drawn = write_portraits(faces[0], portraits, settings=started[0].settings, executor=executor, progress=progress)
        kept = (PORTRAITS_KEPT.format(drawn=drawn),)
    if progress is not None:
        progress("evidence", 0, 1)
    tables = [compare_attacks(records, attacks) for records in faces]
    photos = [photo for of_encoder in pictures for photo in of_encoder]
    if gallery:
        tables += [compare_photos(records, seen) for records, seen in zip(faces, pictures, strict=True)]
    flat = [record for records in faces for record in records]
    findings = check_scans(cohort, flat)
    for seen in pictures if gallery else ():
        findings += check_photos(cohort, seen)
    if len(cohort.subjects) < everybody:
        text = f"{len(cohort.subjects)} of {everybody} people were audited: --limit."
        findings.append(Check("limited", Decision.INCOMPLETE, text))
    scores = merge_scores(tables)
    result = assess_scores(
        scores,
        source=cohort.source,
        fingerprints=[fingerprint_of(engines, records) for engines, records in zip(started, faces, strict=True)],
        calibrations=thresholds,
        allow_mismatch=allow_mismatch,
        policy=policy,
        findings=findings,
        crossed=[crossed for records in faces for crossed in measure_crossings(records, confidence=policy.confidence)],
        strata=cohort.strata,
        seed=seed,
        draws=draws,
    )
    notices = dict.fromkeys(notice for engines in started for notice in engines.notices)
    described = describe_settings(started[0].settings, seed=seed)
    for name in ("encoder", "detector"):
        values = (describe_settings(engines.settings, seed=seed).get(name, "") for engines in started)
        described[name] = ", ".join(dict.fromkeys(values))
    result = replace(
        result,
        notices=(*kept, *notices, *_say_not_run(attacks, result), *result.notices),
        settings=described,
        weights={encoder: engines.identity for encoder, engines in zip(result.encoders, started, strict=True)},
        scans=describe_scans([*flat, *photos]),
        pairs=cohort.pair_accounting(),
    )
    if progress is not None:
        progress("evidence", 1, 1)
    return result, scores


def _say_not_run(attacks: Sequence[str], result: AuditResult) -> tuple[str, ...]:
    """Say so where the defaced gallery was asked for and had nothing to compare."""
    if DEFACED_GALLERY not in attacks or any(one.attack == DEFACED_GALLERY for one in result.evidence.attacks):
        return ()
    return ("The defaced gallery attacker was not run: it needs people with two visits that one defacer has defaced.",)


def _examine_gallery(
    gallery: Sequence[ScanRef], started: Sequence[Engines], executor: Executor | None, progress: Progress | None
) -> list[list[FaceRecord]]:
    """Find the faces in all photographs, a list per recogniser."""
    found: list[tuple[FaceRecord, ...]] = []

    def note(records: tuple[FaceRecord, ...]) -> None:
        found.append(records)
        if progress is not None:
            progress("photographs", len(found), len(gallery))

    settings = tuple(engines.settings for engines in started)
    done = run_all(executor or SerialExecutor(), examine_photo, [(photo, settings) for photo in gallery], done=note)
    return [[records[k] for records in done] for k in range(len(started))]


def _assign(
    calibration: Calibration | Sequence[Calibration] | None, started: Sequence[Engines], *, allow_mismatch: bool
) -> list[Calibration]:
    """Give each encoder its own thresholds, and refuse others before the work is done. Only the modality is not known.

    A lone calibration for a lone encoder may be used for another one where that is allowed, as any other mismatch;
    among several the name alone tells whose is whose.
    """
    if calibration is None:
        return []
    expected = {fingerprint.encoder: fingerprint for fingerprint in (fingerprint_of(each, []) for each in started)}
    assigned = assign_calibrations(calibration, expected)
    thresholds = []
    for encoder, fingerprint in expected.items():
        (own,) = assigned[encoder].values()
        check_fingerprint(own, replace(fingerprint, modality=own.fingerprint.modality), allow=allow_mismatch)
        thresholds.append(own)
    return thresholds
