"""The gallery is photographs instead of scans: the attack that starts from a known person's picture (Schwarz 2019)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from reid_audit.attack.base import Attack, Gallery
from reid_audit.attack.multiview import average_faces
from reid_audit.records import Face, FaceRecord, InputError, Portrait, View

_LONGEST_PX = 1024


class Photos(Attack):
    """Looks every scan up in photographs; a person's reference is the mean vector of all of them.

    Attributes
    ----------
    by : Attack or None
        Who looks at the scans: another attacker whose faces they then are; None = the naive one.
    """

    name = "photos"
    gallery = Gallery.PHOTOGRAPHS
    caveat = (
        "the gallery is photographs, one reference per person: the attack of somebody who has a picture and looks for "
        "the scan; its control, originals against photographs, says whether the recogniser sees through the difference "
        "between a picture and a portrait of a scan at all"
    )

    def __init__(self, by: Attack | None = None) -> None:
        super().__init__("" if by is None else f"{self.name}-{by.name}")
        self.by, self.family = by, "" if by is None else Photos.name  # a policy that asks for photos asks for all

    def describe(self) -> str:  # noqa: D102
        gallery = "the gallery is photographs of the people"
        return gallery if self.by is None else f"{gallery}; scans are seen as {self.by.name} sees them"

    def looks_of(self, record: FaceRecord) -> tuple[Face, ...]:  # noqa: D102
        if photographs := record.looks.get(Photos.name):
            return (average_faces(photographs),)
        return (record.face,) if self.by is None else self.by.looks_of(record)


def search_photographs(attacks: Iterable[Attack]) -> tuple[Photos, ...]:
    """Return who looks scans up in photographs: the naive attacker, and each other whose faces a photograph may have.

    Not those who use the person's own original (a photograph's owner has none), who compare by no recogniser's vector,
    or who join what others measured.
    """
    able = (
        attack
        for attack in attacks
        if attack.gallery is Gallery.ORIGINALS and not (attack.baseline or attack.stands_apart or attack.without_hint)
    )
    return (Photos(), *(Photos(attack) for attack in able))


def read_photo(path: Path) -> Portrait:
    """Read a photograph as a portrait: RGB, upright by its EXIF tag, at most 1,024 pixels long.

    Raises
    ------
    InputError
        Where the file is not an image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        # Not the name of the file, which may be a person's.
        raise InputError(f"a photograph cannot be read: {type(error).__name__}") from error
    upright.thumbnail((_LONGEST_PX, _LONGEST_PX))
    pixels = np.array(upright, dtype=np.uint8)
    return Portrait(pixels, View(size_px=max(pixels.shape[:2])), np.full((3, 4), np.nan), "photograph")
