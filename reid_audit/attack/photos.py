"""The gallery is photographs instead of scans: the attack that starts from a known person's picture (Schwarz 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid_audit.attack.base import Attack, Gallery
from reid_audit.attack.multiview import average_faces
from reid_audit.records import Face, FaceRecord, InputError, Portrait, View

_LONGEST_PX = 1024


class Photos(Attack):
    """Looks every scan up in photographs; a person's reference is the mean vector of all of them."""

    name = "photos"
    gallery = Gallery.PHOTOGRAPHS
    caveat = (
        "the gallery is photographs, one reference per person: the attack of somebody who has a picture and looks for "
        "the scan; its control, originals against photographs, says whether the recogniser sees through the difference "
        "between a picture and a portrait of a scan at all"
    )

    def describe(self) -> str:  # noqa: D102
        return "the gallery is photographs of the people"

    def looks_of(self, record: FaceRecord) -> tuple[Face, ...]:  # noqa: D102
        return (average_faces(super().looks_of(record)),)


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
