"""What the attackers do with one defaced scan: draw it their way, and let a recogniser look where they say.

Drawing knows no recogniser and recognising draws nothing, so that several recognisers share one set of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from reid_audit.attack import CROSSED, HeadShape, fill_head, lay_head
from reid_audit.face import Encoder
from reid_audit.phantom import average_head
from reid_audit.records import EngineError, Face, InputError, Portrait, RenderError, Skin, Status, View, Volume
from reid_audit.render import Lighting, Renderer, find_frontal_view, find_head_pose, views_around
from reid_audit.surface import SurfaceSettings, air_of, extract_skin


@dataclass(frozen=True, slots=True)
class Undrawn:
    """Why there is no picture."""

    status: Status
    reason: str


Picture = Portrait | Undrawn


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where to look without asking a detector.

    Attributes
    ----------
    own : Face or None
        Of the original; None = there is none.
    average : Face or None
        The mean of other people's; see `reid_audit.attack.average_places`.
    other : Face or None
        Of another person's original, for the crossed control.
    """

    own: Face | None = None
    average: Face | None = None
    other: Face | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """A defaced scan as its attackers see it; None = no attacker asked for it.

    Attributes
    ----------
    frontal : Portrait
        Through the original's camera, where there is one.
    own : Picture or None
        Through a camera that was placed by what is left of the head.
    around : tuple of Picture
        From `reid_audit.render.views_around` the frontal camera.
    filled : Picture or None
        With an average head in place of what was cut away, through a camera that was placed by the filled head.
    """

    frontal: Portrait
    own: Picture | None = None
    around: tuple[Picture, ...] = ()
    filled: Picture | None = None


def _draw(renderer: Renderer, skin: Skin, view: View | None, lighting: Lighting) -> Picture:
    try:
        return renderer.render(skin, find_frontal_view(skin) if view is None else view, lighting=lighting)
    except (RenderError, EngineError) as error:
        return Undrawn(Status.RENDER_FAILED, str(error))


def draw_around(skin: Skin, view: View, *, renderer: Renderer, lighting: Lighting) -> tuple[Picture, ...]:
    """Draw a head from every side that a multi-view attacker uses."""
    return tuple(_draw(renderer, skin, each, lighting) for each in views_around(view))


@lru_cache(maxsize=1)
def _average_shape() -> HeadShape:
    return HeadShape(*average_head())


def _draw_filled(
    volume: Volume, skin: Skin, *, renderer: Renderer, lighting: Lighting, surface: SurfaceSettings
) -> Picture:
    """Fill what is missing; the skin level is all that may come from the original."""
    try:
        shape = _average_shape()
        view = find_frontal_view(skin)
        laid = lay_head(skin, shape, axes=find_head_pose(skin).axes, middle_ras_mm=view.target_ras_mm)
        air = min(air_of(volume), skin.level - 1.0)
        filled = fill_head(volume, shape, laid, level=skin.level, air=air)
        if filled is not volume:
            skin = extract_skin(filled, level=skin.level, settings=surface, altered=True)
        return _draw(renderer, skin, None, lighting)
    except RenderError as error:
        return Undrawn(Status.RENDER_FAILED, str(error))
    except InputError as error:
        return Undrawn(Status.NO_SKIN, str(error))


def draw_moves(
    volume: Volume,
    skin: Skin,
    frontal: Portrait,
    *,
    attacks: Sequence[str],
    renderer: Renderer,
    lighting: Lighting,
    surface: SurfaceSettings,
) -> Pictures:
    """Draw a defaced scan the way that each attacker looks at it.

    Parameters
    ----------
    volume, skin : Volume, Skin
        Of the defaced scan, at its original's level.
    frontal : Portrait
    attacks : sequence of str
        See `reid_audit.attack.ATTACKS`.
    renderer, lighting, surface
        As for `frontal`.

    Returns
    -------
    Pictures
        What cannot be drawn says why, and costs its attacker alone.
    """
    return Pictures(
        frontal,
        own=_draw(renderer, skin, None, lighting) if "registered" in attacks else None,
        around=draw_around(skin, frontal.view, renderer=renderer, lighting=lighting) if "multiview" in attacks else (),
        filled=_draw_filled(volume, skin, renderer=renderer, lighting=lighting, surface=surface)
        if "fillin" in attacks
        else None,
    )


def encode_picture(picture: Picture, encoder: Encoder, place: Face | None = None) -> Face:
    """Recognise a picture, at a place or where the detector finds a face; without a picture say why."""
    if isinstance(picture, Undrawn):
        return Face(picture.status, encoder.name, reason=picture.reason)
    return encoder.encode(picture) if place is None else encoder.encode_at(picture, place)


def make_moves(
    pictures: Pictures, places: Places, *, attacks: Sequence[str], encoder: Encoder
) -> tuple[dict[str, Face], tuple[Face, ...]]:
    """Let one recogniser look at the pictures of one defaced scan.

    Returns
    -------
    faces : dict of str to Face
        By attacker; those are left out that lack a place to look at. The crossed control stands beside ``aligned``.
    views : tuple of Face
        For the multi-view attackers.
    """
    found: dict[str, Face] = {}
    if "aligned" in attacks and places.own is not None:
        found["aligned"] = encoder.encode_at(pictures.frontal, places.own)
        if places.other is not None:
            found[CROSSED] = encoder.encode_at(pictures.frontal, places.other)
    if pictures.own is not None and places.average is not None:
        found["registered"] = encode_picture(pictures.own, encoder, places.average)
    if pictures.filled is not None:
        found["fillin"] = encode_picture(pictures.filled, encoder)
    return found, tuple(encode_picture(picture, encoder) for picture in pictures.around)
