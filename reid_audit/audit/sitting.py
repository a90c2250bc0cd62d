"""One scan while it is examined: whatever is made of it is made once, however many recognisers look at it."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np

from reid_audit.audit.filling import fill_skin
from reid_audit.audit.settings import Settings
from reid_audit.records import ORIGINAL, Portrait, ScanRef, Skin, View, Volume
from reid_audit.render import Renderer
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume


class Sitting:
    """A scan with its volume, its skins and its portraits, each made when it is first asked for.

    What fails is tried again for the next recogniser, so that each gets the error as its own.

    Attributes
    ----------
    scan : ScanRef
    settings : Settings
        What all the recognisers have in common; its encoder and detector are not used here.
    renderer : Renderer
    sought : dict of str to (Skin, View)
        What a search for a face ended with, by the detector that looked: recognisers with one detector search once.
    """

    def __init__(self, scan: ScanRef, settings: Settings, renderer: Renderer) -> None:
        self.scan, self.settings, self.renderer = scan, settings, renderer
        self.sought: dict[str, tuple[Skin, View]] = {}
        self._volume: Volume | None = None
        self._skins: dict[float | None, Skin] = {}
        self._filled: dict[int, tuple[Skin, Skin]] = {}
        self._portraits: dict[tuple[int, View], tuple[Skin, Portrait]] = {}

    def read(self) -> Volume:
        """Read the scan's file. InputError where it gives no volume."""
        if self._volume is None:
            self._volume = read_volume(
                self.scan.path, modality=self.scan.modality, series=self.scan.series, name=self.scan.label
            )
        return self._volume

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the voxels."""
        return hashlib.sha256(np.ascontiguousarray(self.read().intensity.T).data).hexdigest()

    def extract(self, level: float | None) -> Skin:
        """Extract the skin at a level; None = found on the scan itself. InputError where there is none."""
        if level not in self._skins:
            self._skins[level] = extract_skin(
                self.read(), level=level, settings=self.settings.surface, altered=self.scan.condition != ORIGINAL
            )
        return self._skins[level]

    def fill(self, skin: Skin) -> Skin:
        """Fill what was cut away from the head; see `fill_skin`, also for its errors."""
        if id(skin) not in self._filled:
            self._filled[id(skin)] = skin, fill_skin(self.read(), skin, settings=self.settings.surface)
        return self._filled[id(skin)][1]

    def draw(self, skin: Skin, view: View) -> Portrait:
        """Draw a skin through a camera. RenderError or EngineError where that cannot be done."""
        key = id(skin), view  # the skin is kept beside its portrait, so that its id stays its own
        if key not in self._portraits:
            self._portraits[key] = skin, self.renderer.render(skin, view, lighting=self.settings.lighting)
        return self._portraits[key][1]
