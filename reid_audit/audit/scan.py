"""One scan, from its file to its face, or to one face per recogniser."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from reid_audit.audit.moves import Hints, look_around, make_moves
from reid_audit.audit.settings import Settings
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.audit.sitting import Sitting
from reid_audit.face import Encoder, make_encoder, make_encoders
from reid_audit.records import (
    ORIGINAL,
    EngineError,
    Face,
    FaceRecord,
    Finding,
    Grid,
    InputError,
    Modality,
    Portrait,
    Relief,
    RenderError,
    ScanRef,
    Skin,
    Status,
    View,
    Volume,
)
from reid_audit.render import Renderer, check_one_sided, find_frontal_view, make_renderer, turn_view
from reid_audit.surface import check_added_surface, extract_skin, measure_relief, refine_level
from reid_audit.volume import check_same_grid, read_volume


@lru_cache(maxsize=1)
def _encoders(names: tuple[str, ...], detectors: tuple[str, ...]) -> tuple[Encoder, ...]:
    return make_encoders(names, detector=detectors)


def encoders_of(settings: Sequence[Settings]) -> tuple[Encoder, ...]:
    """Return the recognisers of these settings, loaded once per process."""
    return _encoders(tuple(one.encoder for one in settings), tuple(one.detector for one in settings))


@lru_cache(maxsize=1)
def renderer_of(name: str) -> Renderer:
    """Return this process's renderer of that name."""
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
    """What an original hands on to its defaced partners: level, camera, grid, where its face is, and its relief."""

    level: float
    view: View
    grid: Grid
    face: Face
    relief: Relief | None = None


_SEARCH_VOXEL_MM = 2.0  # a level is judged on a coarse mesh


def _is_fit(skin: Skin) -> bool:
    """Whether it may have a face: a search would see something in a brain as well."""
    return all(finding.severity != "unfit" for finding in skin.checks)


def _search(volume: Volume, skin: Skin, settings: Settings, encoder: Encoder, renderer: Renderer) -> tuple[Skin, View]:
    """Look at an original whose face was not found at once: at other skin levels (MR), then from other heights."""

    def face_at(skin: Skin, view: View) -> Face:
        return encoder.encode(renderer.render(skin, view, lighting=settings.lighting))

    def confidence_at(level: float) -> float:
        coarse = replace(settings.surface, voxel_mm=max(_SEARCH_VOXEL_MM, settings.surface.voxel_mm))
        try:
            rough = extract_skin(volume, level=level, settings=coarse)
            if not _is_fit(rough):
                return float("nan")
            return face_at(rough, find_frontal_view(rough)).confidence
        except (InputError, RenderError):  # no surface at this level: no face there
            return float("nan")

    if settings.level is None:
        level = refine_level(volume, confidence_at)
        if level != skin.level:
            skin = extract_skin(volume, level=level, settings=settings.surface)
    if not _is_fit(skin):  # at no level
        return skin, find_frontal_view(skin)
    return skin, find_frontal_view(skin, lambda view: face_at(skin, view).confidence)


def examine_scan(
    scan: ScanRef,
    settings: Settings,
    partner: Partner | None = None,
    *,
    attacks: Sequence[str] = ("naive",),
    hints: Hints = Hints(),
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
    hints : Hints
        What attackers know from other scans.

    Returns
    -------
    FaceRecord
        Always: what went wrong is its face's status and reason.

    Raises
    ------
    EngineError, WeightsError
        Where no scan could be done, because a package or a model file is gone.
    """
    return examine_scan_with_each(scan, (settings,), (partner,), attacks=attacks, hints=(hints,))[0]


def examine_scan_with_each(
    scan: ScanRef,
    settings: Sequence[Settings],
    partners: Sequence[Partner | None] | None = None,
    *,
    attacks: Sequence[str] = ("naive",),
    hints: Sequence[Hints] | None = None,
) -> tuple[FaceRecord, ...]:
    """Take one scan from its file to a face per recogniser: read, meshed, drawn and looked at once for all of them.

    Parameters
    ----------
    scan : ScanRef
    settings : sequence of Settings
        One per recogniser: they differ in encoder and detector, and in nothing else.
    partners, hints : sequence of Partner or None, of Hints, optional
        As for `examine_scan`, one per recogniser: each knows the original as it saw it.
    attacks : sequence of str

    Returns
    -------
    tuple of FaceRecord
        In the order of ``settings``; each is what `examine_scan` gives under those settings alone.

    Raises
    ------
    EngineError, WeightsError
        As `examine_scan`.
    """
    encoders = encoders_of(settings)
    sitting = Sitting(scan, settings[0], renderer_of(settings[0].renderer))
    return tuple(
        _examine(sitting, encoder, partner, attacks, known)
        for encoder, partner, known in zip(
            encoders,
            [None] * len(encoders) if partners is None else partners,
            [Hints()] * len(encoders) if hints is None else hints,
            strict=True,
        )
    )


def _examine(
    sitting: Sitting, encoder: Encoder, partner: Partner | None, attacks: Sequence[str], hints: Hints
) -> FaceRecord:
    scan, settings, renderer = sitting.scan, sitting.settings, sitting.renderer
    seconds: dict[str, float] = {}
    done = FaceRecord(scan, Face(Status.UNREADABLE, encoder.name), seconds=seconds)

    def stopped(status: Status, error: Exception) -> FaceRecord:
        return replace(done, face=Face(status, encoder.name, reason=str(error)))

    try:
        with _timed(seconds, "read"):
            volume = sitting.read()
    except InputError as error:
        return stopped(Status.UNREADABLE, error)
    notes = tuple(Finding("reader", "info", note) for note in volume.notes)
    done = replace(done, grid=volume.grid, digest=sitting.digest, findings=notes)
    try:
        if partner is not None:
            check_same_grid(partner.grid, volume.grid)
    except InputError as error:
        return stopped(Status.OTHER_GRID, error)
    try:
        with _timed(seconds, "skin"):
            skin = sitting.extract(settings.level if partner is None else partner.level)
    except InputError as error:
        return stopped(Status.NO_SKIN, error)
    findings = notes + skin.checks
    if partner is not None and partner.relief is not None:
        findings += check_added_surface(partner.relief, skin)
    done = replace(done, skin_level=skin.level, findings=findings)
    try:
        with _timed(seconds, "portrait"):
            view = find_frontal_view(skin) if partner is None else partner.view
            portrait = sitting.draw(skin, view)
        with _timed(seconds, "face"):
            face = encoder.encode(portrait)
        # Noise taken for skin, or skin for air, is no head: MR may be fit at another level.
        hopeful = _is_fit(skin) or (volume.modality is Modality.MR and settings.level is None)
        if scan.condition == ORIGINAL and hopeful and face.status in (Status.NO_FACE, Status.LOW_CONFIDENCE):
            with _timed(seconds, "search"):
                if encoder.detector not in sitting.sought:
                    sitting.sought[encoder.detector] = _search(volume, skin, settings, encoder, renderer)
                sought = sitting.sought[encoder.detector]
                other = sitting.draw(*sought)
                seen = encoder.encode(other)
            if seen.acquired and _is_fit(sought[0]) and not seen.confidence <= face.confidence:
                (skin, view), portrait, face = sought, other, seen
    except (RenderError, EngineError) as error:
        return stopped(Status.RENDER_FAILED, error)
    done = replace(done, skin_level=skin.level, face=face, view=view)
    if scan.condition == ORIGINAL:
        findings = notes + skin.checks + check_one_sided(skin)
        done = replace(done, findings=findings, relief=measure_relief(skin))
    if "multiview" in attacks:
        with _timed(seconds, "views"):
            done = replace(done, views=look_around(sitting, skin, view, encoder))
    if scan.condition == ORIGINAL:
        return done
    place = None if partner is None else partner.face
    with _timed(seconds, "attacks"):
        moves = make_moves(sitting, skin, portrait, place=place, hints=hints, attacks=attacks, encoder=encoder)
    return replace(done, attacks=moves)


@contain_side_effects()
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
    encoder = make_encoder(settings.encoder, detector=settings.detector)
    volume = read_volume(path)
    skin = extract_skin(volume, level=settings.level, settings=settings.surface)
    with make_renderer(settings.renderer) as renderer:
        view = turn_view(find_frontal_view(skin), azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
        portrait = renderer.render(skin, view, lighting=settings.lighting)
    findings = [Finding("reader", "info", note) for note in volume.notes] + list(skin.checks)
    if encoder.notice:  # a stand-in or a fallback: a face must not be shown without it
        findings.append(Finding("recogniser", "warning", encoder.notice))
    return portrait, encoder.encode(portrait), tuple(findings)
