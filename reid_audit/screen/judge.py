"""One scan: is there a face, was it altered, where and how."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.lay import Laid, lay_average_head
from reid_audit.face import Encoder
from reid_audit.portrait import ScanContext
from reid_audit.records import FRAMES, EngineError, InputError, RenderError, Skin, Status, View, Volume
from reid_audit.screen.area import find_altered, find_missing
from reid_audit.screen.extent import Extent, find_extent
from reid_audit.screen.head import PartPlace, in_face, place_parts, to_index
from reid_audit.screen.records import IDENTIFYING, NAN, ImageScreening, Part, PartState, ScreenState
from reid_audit.screen.texture import Mask, Texture, measure_texture
from reid_audit.volume import digest_image, digest_voxels

STAGE_VERSION = 4
"""Raise when the same scan may be judged otherwise; kept judgements are then made anew."""

_LEAST_FITTING = 0.35  # share of the skin near the average head; whole heads reach 0.55, of real people 0.57 to 0.82
_LEAST_INSIDE = 0.3  # share of a part inside the field of view
_GONE_MM: Mapping[str, float] = {"eyes": -8.0, "nose": -9.0, "mouth": -14.0, "chin": -20.0, "ears": -16.0}
"""A skin that lies further behind the average head's was cut away where flat values stand before it, or..."""
_WRITTEN_MM = 0.0
"""... already here where air has noise elsewhere, so that somebody wrote the flat values, or..."""
_FAR_GONE_MM = -20.0
"""... whatever stands before it from here on, unless a detector is sure of the face."""
_COVERED_MM: Mapping[str, float] = {"eyes": 9.0}
"""A skin that lies further before it was covered, unless a detector is sure; noses, mouths and chins of whole heads
differ by more."""
_FLAT_BEFORE = 0.5  # share of a part with flat values before it
_SOME_FLAT_BEFORE = 0.25  # where air has noise elsewhere; of whole heads no part had any
_ROUGH_SHARE = 0.35
_QUIET_SHARE = 0.5
_DEPTHS_MM = (3.0, 5.0, 7.0)  # below the skin, where noise is looked at
_BEFORE_MM = 4.0
_SOFT = 0.85  # of the steepness of the skin beside the face: blurred below it
_PROFILE_MM = np.arange(-8.0, 9.0)
_LEAST_ALTERED = 0.06
"""Share of the face's tissue that the networks must take for altered: of 25 whole synthetic heads less than 0.001, of
75 replaced or covered ones 0.20 or more, but for one of 0."""
_SOFTLY = (PartState.BLURRED, PartState.REPLACED, PartState.VEILED)
"""What fades out beside the face: networks tell how far it reaches. What was removed ends where its values do."""
_DETECTED = "a detector is sure of a face in its portrait"
_OF_MANY = tuple(f"{frames} of " for frames in FRAMES)  # volumes: how the reader's note begins
_NOT_HEAD = ("not_a_head", "small_surface", "bone_only", "not_hu")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A screening and the mask of the altered area, (i, j, k) bool; None where no head was found."""

    screening: ImageScreening
    mask: Mask | None


def screen_context(
    context: ScanContext, encoder: Encoder, *, name: str, claims: tuple[str, ...] = (), is_drawn: bool = False
) -> Judged:
    """Judge one scan. What goes wrong with it is its state.

    Parameters
    ----------
    context : ScanContext
    encoder : Encoder
        Whose detector looks at the portrait.
    name : str
    claims : tuple of str
    is_drawn : bool
        Whether it is a contour or an isodose, which have no noise: only where its skin lies is judged.
    """
    began = time.monotonic()
    try:
        volume = context.read()
    except InputError as error:
        unread = ImageScreening(name, ScreenState.UNKNOWN, _tell(error, context), claims=claims)
        return Judged(replace(unread, seconds=time.monotonic() - began), None)
    digest = digest_image(digest_voxels(volume), volume.grid)
    told = ImageScreening(
        name, ScreenState.UNKNOWN, "", str(volume.modality), claims=claims, notes=volume.notes, image_sha256=digest
    )
    try:
        judged = _judge(context, encoder, volume, told, is_drawn=is_drawn)
    except (EngineError, InputError, RenderError) as error:
        judged = Judged(replace(told, reason=_tell(error, context)), None)
    reason = "; ".join((judged.screening.reason, *(note for note in volume.notes if note.startswith(_OF_MANY))))
    return Judged(replace(judged.screening, reason=reason, seconds=time.monotonic() - began), judged.mask)


def _tell(error: Exception, context: ScanContext) -> str:
    return str(error).removeprefix(f"{context.scan.label}: ")  # the line begins with the name


def _judge(context: ScanContext, encoder: Encoder, volume: Volume, told: ImageScreening, *, is_drawn: bool) -> Judged:
    skin = context.extract()
    view = context.find_view(skin)
    notes = (*told.notes, *(finding.text for finding in skin.checks if finding.severity != "info"))
    confidence, is_sure = _detect(context, encoder, skin, view)
    told = replace(told, notes=notes, confidence=confidence, detector=encoder.detector)
    unfit = {finding.code: finding.text for finding in skin.checks if finding.severity == "unfit"}
    laid = lay_average_head(context, skin)
    told = replace(told, fitting=laid.fitting)
    if "skull_stripped" in unfit and not is_sure:
        return Judged(replace(told, state=ScreenState.NO_FACE, reason=unfit["skull_stripped"]), None)
    not_head = next((unfit[code] for code in _NOT_HEAD if code in unfit), "")
    if not not_head and laid.fitting < _LEAST_FITTING:
        not_head = f"no head fits its skin: {laid.fitting:.0%} of it lies near the average head's"
    if not_head:
        if is_sure:
            return Judged(replace(told, state=ScreenState.FACE, reason=_DETECTED), None)
        return Judged(replace(told, reason=not_head), None)
    places = place_parts(volume, skin.level, laid)
    if is_drawn:
        parts = tuple(_judge_drawn(part, place) for part, place in places.items())
        return Judged(_settle(replace(told, parts=parts), is_sure=is_sure), None)
    face = in_face(volume, laid)
    texture = measure_texture(volume, skin.level, ~face)
    altered, extent = find_altered(volume, texture, face), _find_extent(volume, texture, laid)
    soft = _is_soft(volume, skin, texture.quiet, face)
    parts = tuple(
        _judge_part(part, place, volume, texture, altered, is_soft=soft, is_sure=is_sure)
        for part, place in places.items()
    )
    drawn = None if extent is None else extent.draw(volume)
    if drawn is not None:
        parts = tuple(_judge_extent(part, places[part.name], volume, drawn) for part in parts)
    told = _settle(replace(told, parts=parts), is_sure=is_sure)
    if told.state is not ScreenState.ALTERED:
        altered = np.zeros_like(altered)
    elif drawn is not None and any(part.state in _SOFTLY and part.name in IDENTIFYING for part in parts):
        altered = drawn
    elif not texture.air_speaks:
        altered |= find_missing(volume, texture, laid)
    return Judged(replace(told, altered_cm3=float(altered.sum() * np.prod(volume.spacing_mm)) / 1000), altered)


def _find_extent(volume: Volume, texture: Texture, laid: Laid) -> Extent | None:
    """Return what the networks make of a face; None where it has no noise to tell by, or too little seems altered."""
    extent = find_extent(volume, texture, laid) if texture.tissue_speaks else None
    return extent if extent is not None and extent.share > _LEAST_ALTERED else None


def _judge_extent(part: Part, place: PartPlace, volume: Volume, drawn: Mask) -> Part:
    """Call a part blurred that only the networks find altered: that a human must look is the safe side."""
    below = [_share(drawn, volume, points) for points in _points_below(place)]
    is_altered = part.state is PartState.SEEN and max(below) > _QUIET_SHARE
    return replace(part, state=PartState.BLURRED) if is_altered else part


def _points_below(place: PartPlace) -> list[NDArray[np.float64]]:
    return [place.skin_ras_mm - depth * place.outward_ras for depth in _DEPTHS_MM]


def _detect(context: ScanContext, encoder: Encoder, skin: Skin, view: View) -> tuple[float, bool]:
    """Return the detector's confidence in the portrait, NaN where it sees no face, and whether it is sure."""
    face = encoder.encode(context.draw(skin, view))
    if face.status is Status.BACKEND_ERROR:
        raise EngineError(face.reason)
    return face.confidence if face.acquired else NAN, face.status in (Status.OK, Status.MANY_FACES)


def _share(mask: Mask, volume: Volume, points_ras_mm: NDArray[np.float64]) -> float:
    """Share of points that lie in a mask; 0 where there are none."""
    if not len(points_ras_mm):
        return 0.0
    index = np.rint(to_index(volume, points_ras_mm)).astype(int)
    inside = np.clip(index, 0, np.asarray(mask.shape)[:, None] - 1)
    return float(mask[tuple(inside)].mean())


def _judge_part(
    name: str, place: PartPlace, volume: Volume, texture: Texture, altered: Mask, *, is_soft: bool, is_sure: bool
) -> Part:
    before = np.concatenate([place.skin_ras_mm + _BEFORE_MM * place.outward_ras, place.missed_ras_mm])
    gone_mm, flat = _FAR_GONE_MM, _share(texture.flat, volume, before)
    if texture.air_speaks and flat > _SOME_FLAT_BEFORE:
        gone_mm = _WRITTEN_MM
    elif flat > _FLAT_BEFORE:
        gone_mm = _GONE_MM[name]
    judged = _judge_place(name, place, gone_mm, is_sure=is_sure)
    if judged.state is not PartState.SEEN:
        return judged
    offset = judged.offset_mm
    below = _points_below(place)
    if texture.tissue_speaks and max(_share(texture.rough, volume, points) for points in below) > _ROUGH_SHARE:
        return Part(name, PartState.VEILED, offset)
    if max(_share(altered, volume, points) for points in below) > _QUIET_SHARE:
        return Part(name, PartState.BLURRED if is_soft else PartState.REPLACED, offset)
    return Part(name, PartState.SEEN, offset)


def _judge_drawn(name: str, place: PartPlace) -> Part:
    """Judge a part of a contour or an isodose: these may be drawn with a margin, which covers nothing."""
    part = _judge_place(name, place, _GONE_MM[name], is_sure=False)
    return replace(part, state=PartState.SEEN) if part.state is PartState.VEILED else part


def _judge_place(name: str, place: PartPlace, gone_mm: float, *, is_sure: bool) -> Part:
    """Judge a part by where its skin lies alone: gone, or covered, or there."""
    if place.inside < _LEAST_INSIDE:
        return Part(name, PartState.OUTSIDE)
    offset = place.offset_mm
    behind = -np.inf if offset != offset else offset
    if behind < gone_mm and not (is_sure and gone_mm <= _FAR_GONE_MM):
        return Part(name, PartState.REMOVED, offset)
    is_covered = behind > _COVERED_MM.get(name, np.inf) and not is_sure
    return Part(name, PartState.VEILED if is_covered else PartState.SEEN, offset)


def _is_soft(volume: Volume, skin: Skin, quiet: Mask, face: Mask) -> bool:
    """Whether the skin rises less steeply where noise is missing than it does beside the face."""
    from scipy.ndimage import map_coordinates

    few = slice(None, None, 1 + len(skin.vertices_ras_mm) // 20_000)
    points, normals = skin.vertices_ras_mm[few].astype(float), skin.normals[few].astype(float)
    along = points[:, None] + _PROFILE_MM[:, None] * normals[:, None]
    index = to_index(volume, along.reshape(-1, 3))
    profile = map_coordinates(volume.intensity, index, order=1, mode="nearest").reshape(len(points), -1)
    height = profile[:, _PROFILE_MM < -2].max(axis=1) - np.median(profile[:, -3:])
    usual = height > 0.3 * np.median(height)
    steepness = (profile[:, :-2] - profile[:, 2:])[usual].max(axis=1) / height[usual]
    below = to_index(volume, (points - 4 * normals)[usual])
    at = tuple(np.clip(np.rint(below).astype(int), 0, np.array(face.shape)[:, None] - 1))
    there, beside = quiet[at] & face[at], ~face[at]
    if not there.any() or not beside.any():
        return False
    return bool(np.median(steepness[there]) < _SOFT * np.median(steepness[beside]))


def _settle(told: ImageScreening, *, is_sure: bool) -> ImageScreening:
    """Conclude from the parts. Chin and ears are told and not judged: they lie at the edge of many fields of view."""
    by_state = {state: [part.name for part in told.parts if part.state is state] for state in PartState}
    seen, outside = by_state.pop(PartState.SEEN), by_state.pop(PartState.OUTSIDE)
    changed = {state: names for state, names in by_state.items() if not set(names).isdisjoint(IDENTIFYING)}
    if changed:
        what = "; ".join(f"{', '.join(names)} {state.value}" for state, names in changed.items())
        left = f"; {', '.join(seen)} left" if seen else ""
        return replace(told, state=ScreenState.ALTERED, reason=what + left)
    front = [name for name in seen if name != "ears"]
    if "nose" in front and len(front) > 1:
        return replace(told, state=ScreenState.FACE, reason=f"{', '.join(seen)} seen")
    if is_sure:
        return replace(told, state=ScreenState.FACE, reason=_DETECTED)
    if not front:
        return replace(told, state=ScreenState.NO_FACE, reason="the face lies outside the field of view")
    return replace(
        told, reason=f"of the face only {', '.join(front)} inside the field of view, not {', '.join(outside)}"
    )
