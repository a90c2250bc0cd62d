"""One scan, from its file to a face per encoder, and what the attackers make of it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from reid_audit.alteration import Alteration, find_alteration, restore, summarise_original
from reid_audit.attack import CANARIES, Attack, Hints, Side, Target, find_attack
from reid_audit.audit.settings import Engines, Settings, context_of, encoders_of
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.face import Encoder, make_encoder
from reid_audit.portrait import Partner, ScanContext, is_fit
from reid_audit.records import (
    ORIGINAL,
    EngineError,
    Face,
    FaceRecord,
    Finding,
    InputError,
    OriginalSummary,
    Portrait,
    RenderError,
    ScanRef,
    Skin,
    Status,
    View,
    Volume,
)
from reid_audit.render import check_one_sided, turn_view
from reid_audit.surface import check_added_surface, measure_relief
from reid_audit.volume import check_same_grid


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What one encoder's attackers know of a scan before it is opened.

    Attributes
    ----------
    original : Partner or None
        The original of a defaced scan. Without it the scan chooses its own level and camera.
    hints : mapping of str to Hints
        By attacker, from other people's originals.
    """

    original: Partner | None = None
    hints: Mapping[str, Hints] = field(default_factory=dict)


def attacks_on(scan: ScanRef, attacks: Sequence[Attack]) -> tuple[Attack, ...]:
    """Return the attackers that look at a scan in a way of their own, each followed by its control."""
    looking = [attack for attack in attacks if not attack.joins]
    active = [attack for attack in looking if scan.condition != ORIGINAL or attack.sees is Side.BOTH]
    return tuple(each for a in active for each in ((a, find_attack(a.control)) if a.control else (a,)))


def examine_scan(
    scan: ScanRef, engines: Engines, *, attacks: Sequence[Attack] = (), knowledge: Mapping[str, Knowledge] | None = None
) -> list[FaceRecord]:
    """Take one scan from its file to a face per encoder: read, meshed and drawn once for all of them.

    Parameters
    ----------
    scan : ScanRef
    engines : Engines
        From `start_engines`.
    attacks : sequence of Attack
        Who looks at it beside the naive attacker; see `reid_audit.attack.choose_attacks`.
    knowledge : mapping of str to Knowledge, optional
        By encoder; only these look at the scan. By default all do, and know nothing.

    Returns
    -------
    list of FaceRecord
        In the order of the encoders. What went wrong is a face's status and reason.

    Raises
    ------
    EngineError, WeightsError
        Where no scan could be done, because a package or a model file is gone.
    """
    if knowledge is None:
        knowledge = dict.fromkeys(engines.encoders, Knowledge())
    context = context_of(scan, engines.settings, change=_weaken(scan, knowledge))
    active = attacks_on(scan, attacks)
    return [
        _examine(context, encoder, knowledge[name], active)
        for name, encoder in zip(engines.encoders, encoders_of(engines), strict=True)
        if name in knowledge
    ]


def _weaken(scan: ScanRef, knowledge: Mapping[str, Knowledge]) -> Callable[[Volume], Volume] | None:
    """Return what makes a canary of its original's volume; None for every other scan."""
    canary = CANARIES.get(scan.condition)
    if canary is None:
        return None
    original = next((known.original for known in knowledge.values() if known.original is not None), None)
    if original is None:
        return _refuse_canary
    weaken = canary.weaken
    return lambda volume: weaken(volume, original)


def _refuse_canary(volume: Volume) -> Volume:
    raise InputError("a canary: its original gave no portrait to find the face by")


def undo_alteration(context: ScanContext, original: OriginalSummary) -> Alteration:
    """Tell what was done to a defaced scan, and undo what protects nobody: a turn, a motion, other intensities."""
    alteration = context.once("alteration", lambda: find_alteration(original, context.read()))
    context.undo(lambda volume: restore(volume, alteration, original))
    return alteration


def _summarise(context: ScanContext, skin: Skin, view: View) -> OriginalSummary | None:
    """Return what an original hands on of its voxels; None where it shows no head to compare with."""
    try:
        return context.once(("summary", skin, view), lambda: summarise_original(context.read(), skin, view))
    except InputError:
        return None


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = time.perf_counter() - began


def _examine(context: ScanContext, encoder: Encoder, knowledge: Knowledge, attacks: Sequence[Attack]) -> FaceRecord:
    original, is_original = knowledge.original, context.scan.condition == ORIGINAL
    seconds: dict[str, float] = {}
    record = FaceRecord(context.scan, Face(Status.UNREADABLE, encoder.name), seconds=seconds)

    def stopped(status: Status, error: Exception) -> FaceRecord:
        return replace(record, face=Face(status, encoder.name, reason=str(error)))

    try:
        with _timed(seconds, "read"):
            volume = context.read()
    except InputError as error:
        return stopped(Status.UNREADABLE, error)
    notes = tuple(Finding("reader", "info", note) for note in volume.notes)
    record = replace(record, grid=volume.grid, digest=context.digest, findings=notes)
    if original is not None and not context.scan.is_canary:
        if original.summary is None:
            try:
                check_same_grid(original.grid, volume.grid)
            except InputError as error:
                return stopped(Status.OTHER_GRID, error)
        else:
            with _timed(seconds, "alteration"):
                alteration = undo_alteration(context, original.summary)
            notes += alteration.findings
            record = replace(record, findings=notes)
            if alteration.face is None:  # another head: its original's camera and level mean nothing
                original = None
    try:
        with _timed(seconds, "skin"):
            skin = context.extract(None if original is None else original.skin_level)
    except InputError as error:
        return stopped(Status.NO_SKIN, error)
    findings = notes + skin.checks
    if original is not None and original.relief is not None:
        findings += check_added_surface(original.relief, skin)
    record = replace(record, skin_level=skin.level, findings=findings)
    try:
        with _timed(seconds, "portrait"):
            view = context.find_view(skin) if original is None else original.view
            portrait = context.draw(skin, view)
        with _timed(seconds, "face"):
            face = encoder.encode(portrait)
        unsure = face.status in (Status.NO_FACE, Status.LOW_CONFIDENCE)
        if is_original and unsure and context.is_hopeful(skin):
            with _timed(seconds, "search"):
                sought = context.search_face(skin, encoder)
                seen = encoder.encode(context.draw(*sought))
            if seen.acquired and is_fit(sought[0]) and not seen.confidence <= face.confidence:
                (skin, view), face = sought, seen
    except (RenderError, EngineError) as error:
        return stopped(Status.RENDER_FAILED, error)
    record = replace(record, skin_level=skin.level, face=face, view=view)
    if is_original:
        findings = notes + skin.checks + check_one_sided(skin)
        record = replace(
            record, findings=findings, relief=measure_relief(skin), summary=_summarise(context, skin, view)
        )
    if not attacks:
        return record
    target = Target(context, skin, view, encoder, face, original)
    with _timed(seconds, "attacks"):
        looks = {each.name: each.look(target, knowledge.hints.get(each.name, Hints())) for each in attacks}
    return replace(record, looks={name: faces for name, faces in looks.items() if faces})


@contain_side_effects()
def render_scan(
    path: Path, *, azimuth_deg: float = 0.0, elevation_deg: float = 0.0, settings: Settings = Settings()
) -> tuple[Portrait, Face, tuple[Finding, ...]]:
    """Draw one scan and look for a face in it.

    Parameters
    ----------
    path : Path
        A file, or a folder that holds one DICOM series.
    azimuth_deg, elevation_deg : float
        Where the camera stands; 0, 0 faces the head, however it lies.
    settings : Settings
        The first of its encoders looks.

    Returns
    -------
    portrait : Portrait
    face : Face
        Of that portrait.
    findings : tuple of Finding

    Raises
    ------
    InputError
        Where the file or its surface cannot be used.
    RenderError, EngineError, WeightsError
        Where nothing can be drawn or recognised.
    """
    encoder = make_encoder(settings.encoders[0], detector=settings.detector, device=settings.device)
    context = context_of(ScanRef("", "", ORIGINAL, path), settings)
    skin = context.extract()
    view = turn_view(context.find_view(skin), azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
    portrait = context.draw(skin, view)
    findings = [Finding("reader", "info", note) for note in context.read().notes] + list(skin.checks)
    if encoder.notice:  # a stand-in or a fallback: a face must not be shown without it
        findings.append(Finding("recogniser", "warning", encoder.notice))
    return portrait, encoder.encode(portrait), tuple(findings)
