"""Pictures of a case, drawn when they are asked for; none is ever written to a file."""

import hashlib
import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from reid_audit.alteration import find_alteration, restore, summarise_original
from reid_audit.portrait import ScanContext
from reid_audit.records import InputError, Portrait, ScanRef, Skin, View
from reid_audit.render import Renderer, turn_view
from reid_audit.review.cases import ReviewCase
from reid_audit.volume import check_same_grid, digest_image, digest_voxels

AZIMUTHS_DEG = (-60, -30, 0, 30, 60)
"""From where the head is seen, in degrees to its left; 0 faces it."""
SIDES = ("before", "after")
_KEPT = 3  # cases whose volumes stay in memory: this one, the one before, and the next


@dataclass(slots=True, eq=False)
class _Drawn:
    """One case while it is looked at."""

    before: ScanContext | None
    after: ScanContext
    png: dict[tuple[str, int], bytes] = field(default_factory=dict)


class Pictures:
    """Draws the cases, before and after, from several sides, through one camera.

    Parameters
    ----------
    cases : sequence of ReviewCase
    renderer : Renderer
        Used from one thread at a time.
    """

    def __init__(self, cases: Sequence[ReviewCase], renderer: Renderer) -> None:
        self._cases, self._renderer = cases, renderer
        self._open: OrderedDict[int, _Drawn] = OrderedDict()
        self._shown: dict[int, dict[int, str]] = {}

    def draw(self, number: int, side: str, azimuth_deg: int) -> bytes:
        """Return a picture as PNG.

        Raises
        ------
        InputError
            Where a scan gives no picture, or is not the image that was judged.
        RenderError, EngineError
            Where nothing can be drawn.
        """
        drawn = self._open_case(number)
        if (side, azimuth_deg) not in drawn.png:
            context = drawn.after if side == "after" else drawn.before
            if context is None:
                raise InputError("there is no original of this subject")
            skin, view = self._aim(drawn, side)
            portrait = context.draw(skin, turn_view(view, azimuth_deg=azimuth_deg))
            drawn.png[side, azimuth_deg] = _to_png(portrait)
        content = drawn.png[side, azimuth_deg]
        if side == "after":
            self._shown.setdefault(number, {})[azimuth_deg] = hashlib.sha256(content).hexdigest()
        return content

    def shown(self, number: int) -> str:
        """Return one SHA-256 for the pictures of the defaced scan that were shown; empty where none was."""
        pictures = self._shown.get(number, {})
        text = "".join(f"{angle} {digest}\n" for angle, digest in sorted(pictures.items()))
        return hashlib.sha256(text.encode()).hexdigest() if pictures else ""

    def _open_case(self, number: int) -> _Drawn:
        if number not in self._open:
            case = self._cases[number]
            before = None if case.before is None else self._context(case.before)
            after = self._context(case.scan)
            volume = after.read()
            if digest_image(digest_voxels(volume), volume.grid) != case.image_sha256:
                raise InputError(f"{case.scan.key} is not the image that was judged; score it again")
            self._open[number] = _Drawn(before, after)
        self._open.move_to_end(number)
        while len(self._open) > _KEPT:
            self._open.popitem(last=False)
        return self._open[number]

    def _context(self, scan: ScanRef) -> ScanContext:
        return ScanContext(scan, self._renderer)

    def _aim(self, drawn: _Drawn, side: str) -> tuple[Skin, View]:
        """Return skin and frontal camera: the original's level and camera for both, else the scan's own.

        What protects nobody (a turn, a motion, other intensities) is undone as in the audit: a reader who is shown the
        back of a head would say that the face is removed. A scan that does not fit its original faces itself.
        """
        after, before = drawn.after, drawn.before
        if before is not None:
            skin = before.extract()
            view = before.find_view(skin)
            if side == "before":
                return skin, view
            if after.once("laid on its original", lambda: _undo(after, before, skin, view)):
                return after.extract(skin.level), view
        skin = after.extract()
        return skin, after.find_view(skin)


def _undo(after: ScanContext, before: ScanContext, skin: Skin, view: View) -> bool:
    """Lay a defaced scan on its original; False where it does not fit it."""
    try:
        original = summarise_original(before.read(), skin, view)
    except InputError:  # no head to compare with: the grids alone tell
        return _lies_alike(after, before)
    alteration = find_alteration(original, after.read())
    after.undo(lambda volume: restore(volume, alteration, original))
    return alteration.face is not None


def _lies_alike(after: ScanContext, before: ScanContext) -> bool:
    try:
        check_same_grid(before.read(), after.read())
    except InputError:
        return False
    return True


def _to_png(portrait: Portrait) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(portrait.pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
