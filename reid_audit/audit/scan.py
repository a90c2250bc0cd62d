"""One scan, from its file to its face."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reid_audit.audit.settings import Settings
from reid_audit.face import Encoder, make_encoder
from reid_audit.records import (
    ORIGINAL,
    EngineError,
    Face,
    FaceRecord,
    Finding,
    Grid,
    InputError,
    Portrait,
    RenderError,
    ScanRef,
    Skin,
    Status,
    View,
    Volume,
)
from reid_audit.render import Renderer, check_one_sided, find_frontal_view, make_renderer, turn_view
from reid_audit.surface import extract_skin, refine_level
from reid_audit.volume import check_same_grid, read_volume


@lru_cache(maxsize=1)
def _encoder(name: str, detector: str) -> Encoder:
    return make_encoder(name, detector=detector)


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
    renderer = renderer_of(settings.renderer)
    done = FaceRecord(scan, Face(Status.UNREADABLE, encoder.name), seconds=seconds)

    def stopped(status: Status, error: Exception) -> FaceRecord:
        return replace(done, face=Face(status, encoder.name, reason=str(error)))

    try:
        with _timed(seconds, "read"):
            volume = read_volume(scan.path, modality=scan.modality)
    except InputError as error:
        return stopped(Status.UNREADABLE, error)
    notes = tuple(Finding("reader", "info", note) for note in volume.notes)
    digest = hashlib.sha256(np.ascontiguousarray(volume.intensity).data).hexdigest()
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
            try:
                own = renderer.render(skin, find_frontal_view(skin), lighting=settings.lighting)
                found["registered"] = encoder.encode_at(own, average)
            except (RenderError, EngineError) as error:
                found["registered"] = Face(Status.RENDER_FAILED, encoder.name, reason=str(error))
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
