"""The average head, with where its eyes, nose, mouth and chin are.

Words
-----
landmark
    A point of the skin in the middle of a part of the face: ``eye_right``, ``eye_left`` (the front of the eyeball),
    ``nose`` (its tip), ``mouth`` (between the lips) and ``chin``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.broad import find_anchors, place_landmarks
from reid_audit.phantom.person import Person, still_visit
from reid_audit.phantom.scan import paint_person
from reid_audit.phantom.tissue import CT_HU, LABELS, T1
from reid_audit.records import Modality

PARTS = ("eye_right", "eye_left", "nose", "mouth", "chin")
"""The landmarks that this room names."""

_LOW_MM, _HIGH_MM = np.array([-112.0, -118.0, -150.0]), np.array([112.0, 132.0, 142.0])


@dataclass(frozen=True, slots=True, eq=False)
class AverageHead:
    """The head whose traits are all means: nobody's, without noise, in the head frame.

    Attributes
    ----------
    intensity : (i, j, k) float32
        HU, or T1-like units (white matter = 1000, air = 0).
    skin_mm : (i, j, k) float32
        Signed distance to the skin, negative inside.
    brain : (i, j, k) bool
        Brain and brainstem.
    voxel_to_head_mm : (4, 4) float64
        To the frame in which x grows to the right, y to the front, z to the top; z = 0 is the height of the eyes and
        y = 0 that of the ear canals.
    landmarks_mm : mapping of str to (3,) float64
        The `PARTS` in the head frame.
    """

    intensity: NDArray[np.float32]
    skin_mm: NDArray[np.float32]
    brain: NDArray[np.bool_]
    voxel_to_head_mm: NDArray[np.float64]
    landmarks_mm: Mapping[str, NDArray[np.float64]]


def make_average_head(modality: Modality = Modality.CT, *, spacing_mm: float = 2.0) -> AverageHead:
    """Make the average head. The same arguments give the same head, made once per process.

    Parameters
    ----------
    modality : Modality
        What it looks like inside.
    spacing_mm : float
        Edge of its voxels.
    """
    return _make(modality, spacing_mm)


@lru_cache(maxsize=4)  # of positional arguments: a default that is left out and the same one given are two keys
def _make(modality: Modality, spacing_mm: float) -> AverageHead:
    person = Person()
    voxel_to_head = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    voxel_to_head[:3, 3] = _LOW_MM
    i, j, k = (int(n) for n in np.ceil((_HIGH_MM - _LOW_MM) / spacing_mm) + 1)
    painted = paint_person(person, (i, j, k), voxel_to_head, CT_HU if modality is Modality.CT else T1)
    brain = np.isin(painted.labels, [LABELS["brain"], LABELS["brainstem"]])
    for array in (painted.intensity, painted.skin_mm, brain, voxel_to_head):
        array.flags.writeable = False  # it is shared
    landmarks_mm = place_landmarks(person, find_anchors(person, still_visit()))
    return AverageHead(painted.intensity, painted.skin_mm, brain, voxel_to_head, landmarks_mm)


@lru_cache(maxsize=1)
def measure_brain_distance() -> NDArray[np.float32]:
    """Return how far each voxel of `make_average_head` lies from the brain, mm, 0 inside; (i, j, k) float32, shared."""
    from scipy.ndimage import distance_transform_edt

    head = make_average_head()
    spacing_mm = np.linalg.norm(head.voxel_to_head_mm[:3, :3], axis=0)
    away_mm: NDArray[np.float32] = distance_transform_edt(~head.brain, sampling=spacing_mm).astype(np.float32)
    away_mm.flags.writeable = False
    return away_mm
