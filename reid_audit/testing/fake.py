"""Stand-ins for the slow parts: an encoder that needs no network, and heads of a few thousand voxels."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from reid_audit.records import Face, Modality, Portrait, Status, Volume


class FakeEncoder:
    """An encoder whose vector is the portrait itself, in blocks of 32 pixels.

    It satisfies `reid_audit.face.Encoder`; portraits whose sides are multiples of 32 px are needed.

    Parameters
    ----------
    face : callable, optional
        What is returned for each portrait instead.
    """

    name = "pixels"
    recipe = "dlib"  # what a worker would be told; the double answers to any name
    detector = "none"
    notice = ""
    identity: Mapping[str, str] = MappingProxyType({"test double": "pixels"})

    def __init__(self, face: Callable[[Portrait], Face] | None = None) -> None:
        self._face = face

    def encode_at(self, portrait: Portrait, place: Face) -> Face:
        """Return the face of the whole portrait where a box is given, and no face elsewhere."""
        if place.box_px is None:
            return Face(Status.NO_FACE, self.name, reason="no place")
        return self.encode(portrait)

    def encode(self, portrait: Portrait) -> Face:
        """Return the face of the whole portrait."""
        if self._face is not None:
            return self._face(portrait)
        size = portrait.pixels.shape[0] // 32
        blocks = portrait.pixels[..., 0].reshape(size, 32, size, 32).mean(axis=(1, 3)).ravel()
        vector = (blocks / np.linalg.norm(blocks)).astype(np.float32)
        return Face(Status.OK, self.name, vector, (0, 0, 1, 1), confidence=1.0)


def make_tiny_head(radius_mm: float, *, stretch: float = 1.0, dent_mm: float = 0.0, shift_mm: float = 0.0) -> Volume:
    """Return an egg of tissue in 24 voxels of 10 mm: enough of a head to be meshed and told from another.

    Parameters
    ----------
    radius_mm : float
    stretch : float
        How much longer it is from back to front than from side to side.
    dent_mm : float
        How much is missing of its front, y > 60 mm, as a defacer leaves it.
    shift_mm : float
        Along x (RAS+): positive is towards the right.

    Returns
    -------
    Volume
        CT in HU, float32, (24, 24, 24).
    """
    x, y, z = np.meshgrid(*[np.arange(24) * 10.0 - 115.0] * 3, indexing="ij", sparse=True)
    inside = radius_mm - np.sqrt((x - shift_mm) ** 2 + (y / stretch) ** 2 + z**2) - dent_mm * (y > 60)
    intensity = np.clip(inside * 40, -1000, 40).astype(np.float32)
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    affine[:3, 3] = -115.0
    return Volume(intensity, affine, Modality.CT)
