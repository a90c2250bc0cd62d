"""Pictures for the tests of encoders, and how far apart two faces are."""

import numpy as np

from reid_audit import testing
from reid_audit.records import Portrait, View


def portrait(pixels) -> Portrait:
    return Portrait(np.ascontiguousarray(pixels), View(), np.eye(3, 4), "test")


def distance(each, other) -> float:
    return 1 - float(each.vector.astype(float) @ other.vector.astype(float))


def scene(*faces, seed=0, colour=testing.RED):
    """512 x 512 px of dark noise with a face of the stand-in detector at each (left, top)."""
    pixels = np.random.default_rng(seed).integers(0, 90, (512, 512, 3), dtype=np.uint8)
    for left, top in faces:
        testing.paint_face(pixels, left=left, top=top, colour=colour)
    return portrait(pixels)
