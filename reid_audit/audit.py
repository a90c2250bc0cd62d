"""Runs the rooms in order over a cohort: scans, portraits, faces, distances, evidence, verdict.

One task is one scan. Originals go first: each hands its skin level, its camera and its voxel grid on to its defaced
partners, so that nothing about the picture of a defaced scan is chosen by what the defacer left. An error inside one
scan becomes that scan's status; the run goes on, and the scan is counted.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .accuracy import assess, calibrate, check_fingerprint, list_people
from .attack import ATTACKS, average_places, check_attacks, faces_of_attack
from .dataset import Cohort
from .face import Encoder, make_encoder
from .match import compare, merge_scores
from .records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    Check,
    Decision,
    Distribution,
    EngineError,
    Face,
    FaceRecord,
    Finding,
    Fingerprint,
    Grid,
    Group,
    InputError,
    Policy,
    Portrait,
    RenderError,
    ScanRef,
    ScanRow,
    ScoreTable,
    Skin,
    Status,
    View,
    Volume,
)
from .render import Lighting, Renderer, check_one_sided, find_frontal_view, make_renderer, turn_view
from .surface import SurfaceSettings, extract_skin, refine_level
from .verdict import decide
from .volume import check_same_grid, read_volume
from .work import SerialExecutor, run_all

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and how many there are."""

HISTOGRAM_BINS = 60
SOFTWARE = (
    "reid-audit",
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "vtk",
    "pyrender",
    "embreex",
    "dlib-bin",
    "deepface",
    "retina-face",
    "onnxruntime",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about a run that changes a distance.

    Attributes
    ----------
    encoder, detector, renderer : str
        ``"auto"`` or a name; see `reid_audit.make_encoder` and `reid_audit.make_renderer`.
    level : float or None
        Skin level for every scan, in its own units; None = found on each original.
    surface : SurfaceSettings
    lighting : Lighting
    """

    encoder: str = "auto"
    detector: str = "auto"
    renderer: str = "auto"
    level: float | None = None
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    lighting: Lighting = field(default_factory=Lighting)


@dataclass(frozen=True, slots=True)
class Engines:
    """What `Settings` came to on this machine: ``auto`` is resolved, the model files were found and checked.

    ``identity`` is everything that changes a vector, ``drawing`` everything of the renderer that changes a pixel.
    """

    settings: Settings
    notices: tuple[str, ...]
    identity: Mapping[str, str]
    drawing: Mapping[str, str]


def start_engines(settings: Settings) -> Engines:
    """Load the recogniser and the renderer once, so that what is missing ends the run before it begins.

    Raises
    ------
    WeightsError, EngineError, InputError
        Where a model file or package is missing, or a name is not known.
    """
    encoder = make_encoder(settings.encoder, detector=settings.detector)
    with make_renderer(settings.renderer) as renderer:
        resolved = replace(settings, encoder=encoder.name, detector=encoder.detector, renderer=renderer.name)
        notices = tuple(notice for notice in (encoder.notice, renderer.notice) if notice)
        return Engines(resolved, notices, dict(encoder.identity), dict(renderer.identity))


# --- one scan ---


@lru_cache(maxsize=1)
def _encoder(name: str, detector: str) -> Encoder:
    return make_encoder(name, detector=detector)


@lru_cache(maxsize=1)
def _renderer(name: str) -> Renderer:
    return make_renderer(name)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - began


@dataclass(frozen=True, slots=True, eq=False)
class Partner:
    """What an original hands on to its defaced partners: level, camera, grid, and where its face is."""

    level: float
    view: View
    grid: Grid
    face: Face


class _Sought(NamedTuple):
    """What a search for a face ended with."""

    skin: Skin
    view: View
    portrait: Portrait
    face: Face


_SEARCH_VOXEL_MM = 2.0  # a level is judged on a coarse mesh


def _search(volume: Volume, skin: Skin, settings: Settings, encoder: Encoder, renderer: Renderer) -> _Sought:
    """Look at an original whose face was not found at once: at other skin levels (MR), then from other heights."""

    def face_at(skin: Skin, view: View) -> tuple[Portrait, Face]:
        portrait = renderer.render(skin, view, lighting=settings.lighting)
        return portrait, encoder.encode(portrait)

    def confidence_at(level: float) -> float:
        coarse = replace(settings.surface, voxel_mm=max(_SEARCH_VOXEL_MM, settings.surface.voxel_mm))
        try:
            rough = extract_skin(volume, level=level, settings=coarse)
            return face_at(rough, find_frontal_view(rough))[1].confidence
        except (InputError, RenderError):  # no surface at this level: no face there
            return float("nan")

    if settings.level is None:
        level = refine_level(volume, confidence_at)
        if level != skin.level:
            skin = extract_skin(volume, level=level, settings=settings.surface)
    view = find_frontal_view(skin, lambda view: face_at(skin, view)[1].confidence)
    return _Sought(skin, view, *face_at(skin, view))


def examine_scan(
    scan: ScanRef,
    settings: Settings,
    partner: Partner | None = None,
    *,
    attacks: Sequence[str] = ("naive",),
    average: Face | None = None,
) -> FaceRecord:
    """Take one scan from its file to its face.

    Parameters
    ----------
    scan : ScanRef
    settings : Settings
        With ``auto`` resolved by `start_engines`.
    partner : Partner, optional
        The original of a defaced scan. Without it the scan chooses its own level and camera.
    attacks : sequence of str
        What attackers do beside the naive one; see `reid_audit.attack`. Only for defaced scans.
    average : Face, optional
        Where a face is on average, for the registered attacker.

    Returns
    -------
    FaceRecord
        Always: what went wrong is its face's status and reason.

    Raises
    ------
    EngineError, WeightsError
        Where no scan could be done, because a package or a model file is gone.
    """
    seconds: dict[str, float] = {}
    encoder = _encoder(settings.encoder, settings.detector)
    renderer = _renderer(settings.renderer)
    done = FaceRecord(scan, Face(Status.UNREADABLE, encoder.name), seconds=seconds)

    def stopped(status: Status, error: Exception) -> FaceRecord:
        return replace(done, face=Face(status, encoder.name, reason=str(error)))

    try:
        with _timed(seconds, "read"):
            volume = read_volume(scan.path, modality=scan.modality)
    except InputError as error:
        return stopped(Status.UNREADABLE, error)
    notes = tuple(Finding("reader", "info", note) for note in volume.notes)
    digest = hashlib.sha256(volume.intensity.tobytes()).hexdigest()
    done = replace(done, grid=volume.grid, digest=digest, findings=notes)
    try:
        if partner is not None:
            check_same_grid(partner.grid, volume.grid)
    except InputError as error:
        return stopped(Status.OTHER_GRID, error)
    try:
        with _timed(seconds, "skin"):
            skin = extract_skin(
                volume,
                level=settings.level if partner is None else partner.level,
                settings=settings.surface,
                altered=scan.condition != ORIGINAL,
            )
    except InputError as error:
        return stopped(Status.NO_SKIN, error)
    done = replace(done, level=skin.level, findings=notes + skin.checks)
    try:
        with _timed(seconds, "portrait"):
            view = find_frontal_view(skin) if partner is None else partner.view
            portrait = renderer.render(skin, view, lighting=settings.lighting)
        with _timed(seconds, "face"):
            face = encoder.encode(portrait)
        fit = all(finding.severity != "unfit" for finding in skin.checks)  # else something would be seen in a brain
        if scan.condition == ORIGINAL and fit and face.status in (Status.NO_FACE, Status.LOW_CONFIDENCE):
            with _timed(seconds, "search"):
                sought = _search(volume, skin, settings, encoder, renderer)
            found_surer = not sought.face.confidence <= face.confidence and sought.face.acquired
            skin, view, portrait, face = sought if found_surer else (skin, view, portrait, face)
    except (RenderError, EngineError) as error:
        return stopped(Status.RENDER_FAILED, error)
    del volume
    done = replace(done, level=skin.level, face=face, view=view)
    if scan.condition == ORIGINAL:
        return replace(done, findings=notes + skin.checks + check_one_sided(skin))
    with _timed(seconds, "attacks"):
        found = {}
        if "aligned" in attacks and partner is not None:
            found["aligned"] = encoder.encode_at(portrait, partner.face)
        if "registered" in attacks and average is not None:
            own = renderer.render(skin, find_frontal_view(skin), lighting=settings.lighting)
            found["registered"] = encoder.encode_at(own, average)
    return replace(done, attacks=found)


def render_scan(
    path: Path,
    *,
    azimuth_deg: float = 0.0,
    elevation_deg: float = 0.0,
    settings: Settings = Settings(),
) -> tuple[Portrait, Face, tuple[Finding, ...]]:
    """Draw one scan and look for a face in it.

    Parameters
    ----------
    path : Path
        A file, or a folder that holds one DICOM series.
    azimuth_deg, elevation_deg : float
        Where the camera stands; 0, 0 faces the head, however it lies.
    settings : Settings

    Returns
    -------
    portrait : Portrait
    face : Face
        Of that portrait, by ``settings.encoder``.
    findings : tuple of Finding

    Raises
    ------
    InputError
        Where the file or its surface cannot be used.
    RenderError, EngineError, WeightsError
        Where nothing can be drawn or recognised.
    """
    volume = read_volume(path)
    skin = extract_skin(volume, level=settings.level, settings=settings.surface)
    with make_renderer(settings.renderer) as renderer:
        view = turn_view(find_frontal_view(skin), azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
        portrait = renderer.render(skin, view, lighting=settings.lighting)
    face = make_encoder(settings.encoder, detector=settings.detector).encode(portrait)
    findings = tuple(Finding("reader", "info", note) for note in volume.notes) + skin.checks
    return portrait, face, findings


# --- a cohort ---


def acquire_faces(
    cohort: Cohort,
    *,
    settings: Settings,
    attacks: Sequence[str] = ("naive",),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[FaceRecord]:
    """Take every scan of a cohort from its file to its face, originals first.

    Parameters
    ----------
    cohort : Cohort
    settings : Settings
        With ``auto`` resolved by `start_engines`.
    attacks : sequence of str
        See `reid_audit.attack.ATTACKS`.
    executor : concurrent.futures.Executor, optional
        Where the tasks run; in this process by default.
    progress : callable, optional

    Returns
    -------
    list of FaceRecord
        One per scan, in the order of the cohort.
    """
    executor = executor or SerialExecutor()
    found: dict[str, FaceRecord] = {}
    total = len(cohort.scans)

    def note(record: FaceRecord) -> None:
        found[record.scan.key] = record
        if progress is not None:
            progress("scans", len(found), total)

    defaced = [scan for scan in cohort.scans if scan.condition != ORIGINAL]
    run_all(executor, examine_scan, [(scan, settings) for scan in cohort.originals], done=note)
    average = average_places([found[scan.key] for scan in cohort.originals])
    run_all(
        executor,
        partial(_examine_defaced, settings=settings, attacks=tuple(attacks)),
        [(scan, _partner(cohort, scan, found), average.get(scan.subject)) for scan in defaced],
        done=note,
    )
    return [_explain(cohort, found[scan.key], found) for scan in cohort.scans]


def _examine_defaced(
    scan: ScanRef, partner: Partner | None, average: Face | None, *, settings: Settings, attacks: Sequence[str]
) -> FaceRecord:
    return examine_scan(scan, settings, partner, attacks=attacks, average=average)


def _partner(cohort: Cohort, scan: ScanRef, found: Mapping[str, FaceRecord]) -> Partner | None:
    original = cohort.partner_of(scan)
    record = None if original is None else found[original.key]
    if record is None or record.view is None or record.grid is None:
        return None
    return Partner(record.level, record.view, record.grid, record.face)


def _explain(cohort: Cohort, record: FaceRecord, found: Mapping[str, FaceRecord]) -> FaceRecord:
    """Say of a defaced scan whose original gave no level and camera that it had to choose its own."""
    if record.scan.condition == ORIGINAL or _partner(cohort, record.scan, found) is not None:
        return record
    finding = Finding(
        "no_partner",
        "warning",
        "no original of this subject and session was portrayed: level and camera come from the defaced scan itself",
    )
    return replace(record, findings=(*record.findings, finding))


# --- what a distance depends on ---


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprint_of(engines: Engines, records: Iterable[FaceRecord]) -> Fingerprint:
    """Return what a threshold of this run is bound to.

    The modality is that of the scans that could be read, ``"CT+MR"`` for a mixed cohort and ``""`` where none could.
    """
    settings = engines.settings
    view = asdict(View())
    del view["target_ras_mm"]  # found anew on each original
    modalities = sorted({record.grid.modality for record in records if record.grid is not None})
    return Fingerprint(
        encoder=settings.encoder,
        weights=_digest(dict(engines.identity)),
        detector=settings.detector,
        renderer=f"{settings.renderer} {_digest([asdict(settings.lighting), dict(engines.drawing)])}",
        views=f"faced {_digest(view)}",
        surface=_digest([asdict(settings.surface), settings.level]),
        modality="+".join(modalities),
    )


def software_versions() -> dict[str, str]:
    """Return the versions of the packages that a number may depend on."""
    return {name: metadata.version(name) for name in SOFTWARE}


def _settings_table(settings: Settings, *, seed: int) -> dict[str, str]:
    table = {"encoder": settings.encoder, "detector": settings.detector, "renderer": settings.renderer}
    table["skin level"] = "found on each original" if settings.level is None else f"{settings.level:g}"
    for part in (settings.surface, settings.lighting, View()):
        table |= {
            f"{type(part).__name__} {name}".replace("_", " "): str(value)
            for name, value in asdict(part).items()
            if name != "target_ras_mm"
        }
    return table | {"seed": str(seed)}


def _rows(records: Iterable[FaceRecord]) -> tuple[ScanRow, ...]:
    return tuple(
        ScanRow(
            subject=record.scan.subject,
            session=record.scan.session,
            condition=record.scan.condition,
            file=record.scan.path.name,
            status=record.face.status,
            reason=record.face.reason,
            confidence=record.face.confidence,
            level=record.level,
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


def find_shared_checks(cohort: Cohort, records: Sequence[FaceRecord], mismatches: Sequence[str]) -> list[Check]:
    """Return what concerns the whole audit and does not show in distances.

    A scan that could not be taken as far as the detector is not a scan without a face: INCOMPLETE. An original among
    the defaced scans is a FAIL. A scan with a finding that makes it unfit, and a calibration of other settings, are
    for a human: REVIEW.
    """
    total = len(records)
    digests = {record.scan.key: record.digest for record in records}
    checks = []
    unseen = [record.scan.key for record in records if record.face.status in _NOT_SEEN]
    if unseen:
        checks.append(Check("unseen_scans", Decision.INCOMPLETE, _count(unseen, total, "were not seen")))
    untouched = []
    for record in records:
        original = cohort.partner_of(record.scan)
        defaced = record.scan.condition != ORIGINAL and record.digest
        if defaced and original is not None and record.digest == digests[original.key]:
            untouched.append(record.scan.key)
    if untouched:
        text = _count(untouched, total, "under a defacer's name equal their original, voxel by voxel")
        checks.append(Check("original_in_release", Decision.FAIL, text))
    unfit = [r.scan.key for r in records if any(finding.severity == "unfit" for finding in r.findings)]
    if unfit:
        checks.append(Check("unfit_scans", Decision.REVIEW, _count(unfit, total, "have findings that make them unfit")))
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


def compare_attacks(records: Sequence[FaceRecord], attacks: Sequence[str]) -> ScoreTable:
    """Compare under each attacker. Originals are the same under all, so their comparisons stand once, under naive."""
    naive = compare(records)
    tables = [naive]
    for attack in attacks:
        if attack != "naive":
            table = compare(faces_of_attack(records, attack), attack=attack)
            of_originals = table.frame["group"].isin([Group.SAME.value, Group.DIFFERENT.value])
            tables.append(ScoreTable(table.frame[~of_originals]))
    return merge_scores(tables)


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


_ELSEWHERE = Fingerprint("elsewhere", "", "", "", "", "", "")


def judge_scores(
    scores: ScoreTable,
    *,
    source: str,
    fingerprint: Fingerprint = _ELSEWHERE,
    calibration: Calibration | None = None,
    policy: Policy = Policy(),
    findings: Iterable[Check] = (),
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
        What concerns every condition and does not show in distances; see `find_shared_checks`.
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
        calibration = calibrate(scores, fingerprint=fingerprint, seed=seed, draws=draws, level=policy.level)
        notices.append(
            "Thresholds were chosen on the originals of this cohort, and judged on the same people; "
            "the rates on held-out people stand beside them."
        )
    evidence = assess(scores, calibration, seed=seed, strata=strata, level=policy.level, margin=policy.max_linkability)
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
        people=list_people(scores, calibration),
        distributions=_distributions(scores),
    )


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
    if calibration is None:
        _require_control(cohort, mend="give a calibration that another cohort made: --calibration FILE")
    engines = start_engines(settings)
    if calibration is not None:  # refuse before the work is done; only the modality is not known yet
        expected = replace(fingerprint_of(engines, []), modality=calibration.fingerprint.modality)
        check_fingerprint(calibration, expected, allow=allow_mismatch)
    attacks = check_attacks(attacks)
    records = acquire_faces(cohort, settings=engines.settings, attacks=attacks, executor=executor, progress=progress)
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
        notices=(*engines.notices, *result.notices),
        settings=_settings_table(engines.settings, seed=seed),
        weights=engines.identity,
        scans=_rows(records),
        pairs=cohort.pair_accounting(),
    )
    if progress is not None:
        progress("evidence", 1, 1)
    return result, scores
