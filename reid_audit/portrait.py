"""The chain of one scan: file -> volume -> skin -> view -> portrait -> face, each step once, kept while needed.

Everybody who needs a portrait asks a `ScanContext`: the audit and its attackers, the search for the skin level,
`render`, the eyes of a scan, kept portraits, the choice of an encoder.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from reid_audit.face import Encoder
from reid_audit.records import (
    ORIGINAL,
    Face,
    Grid,
    InputError,
    Modality,
    OriginalSummary,
    Portrait,
    Relief,
    RenderError,
    ScanRef,
    Skin,
    View,
    Volume,
)
from reid_audit.render import Lighting, Renderer, find_frontal_view
from reid_audit.surface import SurfaceSettings, extract_skin, refine_level
from reid_audit.volume import digest_voxels, read_volume

STAGE_VERSION = 2
"""Raise when the search for a face, or the order of the steps, gives another face; kept faces are then made anew."""

_SEARCH_VOXEL_MM = 2.0  # a level is judged on a coarse mesh

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Partner:
    """What an original hands on to its defaced partners.

    Attributes
    ----------
    skin_level : float
    view : View
    grid : Grid
    face : Face
        Where its face is.
    relief : Relief or None
    summary : OriginalSummary or None
        What was done to a defaced scan is told from it; see `reid_audit.alteration`.
    """

    skin_level: float
    view: View
    grid: Grid
    face: Face
    relief: Relief | None = None
    summary: OriginalSummary | None = None


class ScanContext:
    """One scan while it is examined; each volume, skin, view and portrait is made when it is first asked for.

    What fails is tried again when it is asked for again, so that each encoder and attacker gets the error as its own.

    Parameters
    ----------
    scan : ScanRef
    renderer : Renderer
    surface : SurfaceSettings
    lighting : Lighting
    skin_level : float or None
        For every scan, in its own units; None = found on the scan.
    change : callable, optional
        What becomes of the volume after it was read: a canary is a weakly defaced original that is on no disk.
    """

    def __init__(
        self,
        scan: ScanRef,
        renderer: Renderer,
        *,
        surface: SurfaceSettings = SurfaceSettings(),
        lighting: Lighting = Lighting(),
        skin_level: float | None = None,
        change: Callable[[Volume], Volume] | None = None,
    ) -> None:
        self.scan, self.renderer = scan, renderer
        self.surface, self.lighting, self.skin_level, self.change = surface, lighting, skin_level, change
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, made once per key. Skins are keys by identity and are kept alive by it."""
        if key not in self._made:
            self._made[key] = make()
        value: T = self._made[key]
        return value

    def read(self) -> Volume:
        """Read the scan's file. InputError where it gives no volume."""
        return self.once("volume", self._read)

    def _read(self) -> Volume:
        scan = self.scan
        try:
            volume = read_volume(scan.path, modality=scan.modality, series=scan.series, name=scan.label)
        except InputError:
            # A CT that was rescaled is no CT to the reader; what was done to it is told by its original.
            if scan.modality is not Modality.CT or scan.condition == ORIGINAL:
                raise
            volume = read_volume(scan.path, series=scan.series, name=scan.label)
        return volume if self.change is None else self.change(volume)

    def undo(self, alteration: Callable[[Volume], Volume]) -> Volume:
        """Go on with the volume that this gives of the one that was read: what protects nobody is undone, once."""
        volume = self.once("undone", lambda: alteration(self.read()))
        self._made["volume"] = volume
        return volume

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the voxels."""
        return digest_voxels(self.read())

    def extract(self, skin_level: float | None = None) -> Skin:
        """Extract the skin at a level; None = that of the settings, or found on the scan. InputError without a skin."""
        level = self.skin_level if skin_level is None else skin_level
        return self.once(
            ("skin", level),
            lambda: extract_skin(
                self.read(), level=level, settings=self.surface, altered=self.scan.condition != ORIGINAL
            ),
        )

    def find_view(self, skin: Skin) -> View:
        """Return the frontal camera of a skin. RenderError where it has no pose."""
        return self.once(("view", skin), lambda: find_frontal_view(skin))

    def find_best_view(self, skin: Skin, encoder: Encoder) -> View:
        """Return the camera near the frontal one from which the detector is surest of a face."""
        return find_frontal_view(skin, lambda view: self._encode_again(skin, view, encoder).confidence)

    def draw(self, skin: Skin, view: View) -> Portrait:
        """Draw a skin through a camera. RenderError or EngineError where that cannot be done."""
        return self.once(("portrait", skin, view), lambda: self.renderer.render(skin, view, lighting=self.lighting))

    def search_face(self, skin: Skin, encoder: Encoder) -> tuple[Skin, View]:
        """Look at an original whose face was not found at once: at other skin levels (MR), then from other heights.

        Parameters
        ----------
        skin : Skin
            At the level that was looked at first.
        encoder : Encoder
            Encoders with one detector search once.

        Returns
        -------
        Skin, View
            The surest of all; what was given where none is surer.
        """
        return self.once(("search", encoder.detector), lambda: self._search(skin, encoder))

    def _encode_again(self, skin: Skin, view: View, encoder: Encoder) -> Face:
        """Encode a face without keeping the portrait: a search draws many."""
        return encoder.encode(self.renderer.render(skin, view, lighting=self.lighting))

    def _search(self, skin: Skin, encoder: Encoder) -> tuple[Skin, View]:
        coarse = replace(self.surface, voxel_mm=max(_SEARCH_VOXEL_MM, self.surface.voxel_mm))

        def confidence_at(level: float) -> float:
            try:
                rough = extract_skin(self.read(), level=level, settings=coarse)
                if not is_fit(rough):
                    return float("nan")
                return self._encode_again(rough, find_frontal_view(rough), encoder).confidence
            except (InputError, RenderError):  # no surface at this level: no face there
                return float("nan")

        if self.skin_level is None:
            level = refine_level(self.read(), confidence_at)
            if level != skin.level:
                skin = self.extract(level)
        if not is_fit(skin):  # at no level
            return skin, self.find_view(skin)
        return skin, self.find_best_view(skin, encoder)

    def is_hopeful(self, skin: Skin) -> bool:
        """Whether a search may find a face: noise taken for skin is no head, but MR may be fit at another level."""
        return is_fit(skin) or (self.read().modality is not Modality.CT and self.skin_level is None)


def is_fit(skin: Skin) -> bool:
    """Whether a skin may have a face: a search would see something in a brain as well."""
    return all(finding.severity != "unfit" for finding in skin.checks)
