"""What each attacker does with one scan: draw it its own way, and let a recogniser look where it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reid_audit.attack import CROSSED
from reid_audit.audit.sitting import Sitting
from reid_audit.face import Encoder
from reid_audit.records import EngineError, Face, InputError, Portrait, RenderError, Skin, Status, View
from reid_audit.render import find_frontal_view, views_around


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """What attackers know from other scans than the one they attack.

    Attributes
    ----------
    average : Face or None
        Where a face is on average; see `reid_audit.attack.average_places`.
    other : Face or None
        Where another person's face is, for the crossed control; see `reid_audit.attack.choose_crossings`.
    """

    average: Face | None = None
    other: Face | None = None


def _attempt(draw: Callable[[], Portrait], look: Callable[[Portrait], Face], encoder: Encoder) -> Face:
    """Look at a portrait; what cannot be drawn costs this attacker, not the scan."""
    try:
        portrait = draw()
    except (RenderError, EngineError) as error:
        return Face(Status.RENDER_FAILED, encoder.name, reason=str(error))
    except InputError as error:
        return Face(Status.NO_SKIN, encoder.name, reason=str(error))
    return look(portrait)


def look_where_faces_are(portrait: Portrait, average: Face, encoder: Encoder) -> Face:
    """Trust the detector where it is as sure as of an untouched face, else look at the average place."""
    face = encoder.encode(portrait)
    return face if face.acquired and face.confidence >= average.confidence else encoder.encode_at(portrait, average)


def look_around(sitting: Sitting, skin: Skin, view: View, encoder: Encoder) -> tuple[Face, ...]:
    """Look for a face from each of `reid_audit.render.views_around`; for originals and defaced scans alike."""
    return tuple(
        _attempt(lambda side=side: sitting.draw(skin, side), encoder.encode, encoder)  # type: ignore[misc]
        for side in views_around(view)
    )


def make_moves(
    sitting: Sitting,
    skin: Skin,
    portrait: Portrait,
    *,
    place: Face | None,
    hints: Hints,
    attacks: Sequence[str],
    encoder: Encoder,
) -> dict[str, Face]:
    """Attack one defaced scan.

    Parameters
    ----------
    sitting : Sitting
    skin, portrait : Skin, Portrait
        Of the defaced scan, at the level and through the camera of its original where there is one.
    place : Face or None
        Where the face was in that original.
    hints : Hints
    attacks : sequence of str
        See `reid_audit.attack.ATTACKS`.
    encoder : Encoder

    Returns
    -------
    dict of str to Face
        By attacker; those are left out that know no place to look at. The crossed control stands beside ``aligned``.
    """
    found: dict[str, Face] = {}
    if "aligned" in attacks and place is not None:
        found["aligned"] = encoder.encode_at(portrait, place)
        if hints.other is not None:
            found[CROSSED] = encoder.encode_at(portrait, hints.other)
    average = hints.average
    if "registered" in attacks and average is not None:
        found["registered"] = _attempt(
            lambda: sitting.draw(skin, find_frontal_view(skin)),
            lambda own: look_where_faces_are(own, average, encoder),
            encoder,
        )
    if "fillin" in attacks:

        def draw_filled() -> Portrait:
            filled = sitting.fill(skin)
            return sitting.draw(filled, find_frontal_view(filled))

        found["fillin"] = _attempt(draw_filled, encoder.encode, encoder)
    return found
