"""The main job in five steps: check, acquire, compare, assess, describe."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

from reid_audit.accuracy import check_within, measure_crossings
from reid_audit.attack import (
    SAMPLE,
    Attack,
    Gallery,
    choose_attacks,
    list_attacks,
    map_leaks,
    map_occlusion,
    pick_mapped,
)
from reid_audit.audit.acquire import acquire_faces, acquire_photographs, add_canaries
from reid_audit.audit.assess import assess_scores
from reid_audit.audit.calibrate import check_calibrations, require_control
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.findings import check_copies, check_photographs, check_scans, describe_scans
from reid_audit.audit.portraits import PORTRAITS_KEPT, prepare_portraits, write_portraits
from reid_audit.audit.settings import (
    Engines,
    Settings,
    describe_settings,
    encoders_of,
    fingerprints_of,
    renderer_of,
    start_engines,
)
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import Cohort, read_manifest, take_subjects
from reid_audit.match import check_room, compare_attacks
from reid_audit.records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    Check,
    Decision,
    FaceRecord,
    InputError,
    LeakMap,
    Policy,
    ScanRef,
    group_by,
)
from reid_audit.work import Progress, SerialExecutor, Store, take_result


@contain_side_effects()
def audit(
    cohort: Cohort | Path | str,
    *,
    calibrations: Calibration | Iterable[Calibration] = (),
    allow_mismatch: bool = False,
    policy: Policy = Policy(),
    non_mated_within: str = "auto",
    settings: Settings = Settings(),
    attacks: Iterable[str] | None = None,
    gallery: Sequence[ScanRef] = (),
    seed: int = 0,
    draws: int = 2000,
    portraits: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
    limit: int | None = None,
    canaries: int = SAMPLE,
) -> AuditResult:
    """Answer whether a face-recognition attacker can still link the defaced scans of a cohort to their subjects.

    Parameters
    ----------
    cohort : Cohort, Path or str
        Originals and one or more defacers, or the manifest that lists them; see `reid_audit.read_cohort`.
    calibrations : Calibration or iterable of Calibration, optional
        Thresholds from another cohort, made under the same settings; one per encoder. Without any they come from the
        originals of this one, and the result says so.
    allow_mismatch : bool
        Use calibrations made under other settings, and write each difference into the result.
    policy : Policy
        What the steward accepts.
    non_mated_within : str
        Whom the rules compare people with; see `assess_scores`.
    settings : Settings
        Each scan is drawn once for all encoders; each is judged by its own thresholds, and the worst verdict counts.
    attacks : iterable of str, optional
        Names of the attackers; the naive one always runs. See `reid_audit.attack`; by default the quick ones.
    gallery : sequence of ScanRef
        Photographs, from `reid_audit.dataset.read_gallery`: a further attacker looks every scan up in them.
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
        Only so many subjects, the first in natural order. The result then says so and is INCOMPLETE at best.
    canaries : int
        Subjects whose originals are weakly defaced in memory, to show that the attackers see; see
        `reid_audit.attack.canaries`. 0 = none, and then nothing passes. Not made where the manifest has conditions of
        its own whose names begin with ``canary``.

    Returns
    -------
    AuditResult
        With every comparison in ``scores``.

    Raises
    ------
    CalibrationError
        Where a calibration was made under other settings and ``allow_mismatch`` is False, or an encoder lacks one.
    InputError
        Where the cohort has no defaced scan, no comparison to calibrate with, or more than fit into memory, or
        ``portraits`` is not empty.
    WeightsError, EngineError
        Where a model file or a package is missing.
    """
    # 1. What would end the run is found before the first scan is opened.
    whole = cohort if isinstance(cohort, Cohort) else read_manifest(Path(cohort))
    cohort = take_subjects(whole, limit)
    check_within(cohort.strata, non_mated_within)
    calibrations = (calibrations,) if isinstance(calibrations, Calibration) else tuple(calibrations)
    if cohort.conditions == (ORIGINAL,):
        raise InputError(f"{cohort.source}: every scan is {ORIGINAL!r}; add the defaced ones, a condition per defacer")
    if not calibrations:
        require_control(cohort, mend="give a calibration that another cohort made: --calibration FILE")
    if portraits is not None:
        prepare_portraits(portraits)
    chosen, engines = choose_attacks(attacks), start_engines(settings)
    check_calibrations(calibrations, engines, allow_mismatch=allow_mismatch)
    everything = add_canaries(cohort, canaries)
    check_room(everything.scans, chosen, encoders=len(engines.encoders))

    # 2. Files become faces.
    cache = None if store is None else FaceCache(store, engines)
    records = acquire_faces(everything, engines, attacks=chosen, executor=executor, progress=progress, cache=cache)
    # What originals handed on, half a MB each, has done its work.
    records = [replace(record, relief=None, summary=None) for record in records]
    photographs = acquire_photographs(gallery, engines, executor=executor, progress=progress)
    notices = list(engines.notices)
    if portraits is not None:
        released = [record for record in records if not record.scan.is_canary]
        drawn = write_portraits(released, portraits, settings=engines.settings, executor=executor, progress=progress)
        notices.insert(0, PORTRAITS_KEPT.format(drawn=drawn))

    # 3. Faces become distances; a worker meanwhile maps where something is left.
    if progress is not None:
        progress("evidence", 0, 1)
    released = [record for record in records if not record.scan.is_canary]
    mapped = pick_mapped(released)
    leaks = (executor or SerialExecutor()).submit(_map_leaks, mapped, engines)
    scores = compare_attacks(records, chosen, photographs, executor=executor, progress=progress)

    # 4. Distances, and what does not show in them, become evidence and a verdict.
    findings = check_scans(cohort, released) + check_photographs(cohort, photographs)
    findings += _check_limit(cohort, whole) + check_copies(cohort)
    result = assess_scores(
        scores,
        source=cohort.source,
        fingerprints=fingerprints_of(engines, records),
        calibrations=calibrations,
        allow_mismatch=allow_mismatch,
        policy=policy,
        findings=findings,
        crossed=measure_crossings(released, confidence=policy.confidence),
        strata=cohort.strata,
        non_mated_within=non_mated_within,
        seed=seed,
        draws=draws,
        executor=executor,
    )

    # 5. The result says how it came to be.
    maps = take_result(leaks, partial(_map_leaks, mapped, engines))
    if progress is not None:
        progress("evidence", 1, 1)
    return replace(
        result,
        notices=(*notices, *_say_not_run(chosen, result), *_say_unasked(chosen, result), *result.notices),
        settings=describe_settings(engines, seed=seed),
        weights={recogniser.name: recogniser.identity for recogniser in engines.recognisers},
        scans=describe_scans([*released, *photographs]),
        pairs=cohort.pair_accounting(),
        leaks=maps,
    )


def _map_leaks(records: Sequence[FaceRecord], engines: Engines) -> tuple[LeakMap, ...]:
    return map_leaks(records, lambda: map_occlusion(encoders_of(engines)[0], renderer_of(engines.settings.renderer)))


def _check_limit(cohort: Cohort, whole: Cohort) -> list[Check]:
    audited, everybody = len(cohort.subjects), len(whole.subjects)
    text = f"{audited} of {everybody} people were audited: --limit."
    return [Check("limited", Decision.INCOMPLETE, text)] if audited < everybody else []


def _say_not_run(attacks: Sequence[Attack], result: AuditResult) -> tuple[str, ...]:
    """Say which attackers were asked for and had too little to compare."""
    compared = {evidence.attack for evidence in result.evidence.attacks}
    lacking = group_by((attack for attack in attacks if attack.name not in compared and _needs(attack)), _needs)
    return tuple(
        f"Not run: {', '.join(attack.name for attack in left_out)}. That takes {needs}."
        for needs, left_out in lacking.items()
    )


def _say_unasked(chosen: Sequence[Attack], result: AuditResult) -> tuple[str, ...]:
    """Say of a PASS which judged attackers without a recogniser nobody asked: they find what recognisers miss."""
    if result.verdict.decision is not Decision.PASS:
        return ()
    every = ",".join(attack.name for attack in chosen)
    return tuple(
        f"Nobody asked the attacker {attack.name}: --attack {every},{attack.name}. It needs no recogniser, and finds "
        "people behind replaced faces whom recognisers miss."
        for attack in list_attacks()
        if attack.encoder and attack.judged and attack not in chosen
    )


def _needs(attack: Attack) -> str:
    """Say what an attacker needs of a cohort; empty = nothing that most have not."""
    if attack.gallery is Gallery.DEFACED:
        return "people with two visits that one defacer has defaced"
    if attack.fewest_people:
        return f"{attack.fewest_people} people or more to learn from"
    return ""
