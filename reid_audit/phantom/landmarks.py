"""Where eyes, nose, mouth and chin are: of the average head, and of any synthetic scan.

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

from reid_audit.phantom.broad import Anchors, find_anchors
from reid_audit.phantom.field import WARP_SIGMA_MM
from reid_audit.phantom.person import Person, draw_head, still_visit
from reid_audit.phantom.scan import head_to_ras, paint_person
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


def _in_head_frame(person: Person, anchors: Anchors) -> dict[str, NDArray[np.float64]]:
    eyes = {eye.side: np.add(eye.centre_mm, (0.0, eye.radius_mm, 0.0)) for eye in anchors.eyes}
    middle = len(anchors.lip_y) // 2
    return {
        "eye_right": eyes[1],
        "eye_left": eyes[-1],
        "nose": np.array([person.nose_tip_x, anchors.tip_y, anchors.tip_z]),
        "mouth": np.array([0.0, float(anchors.lip_y[middle]) + person.lip_protrusion, anchors.mouth_z]),
        "chin": np.array([person.chin_x, person.midface_y + person.chin_forward, person.menton_z + 11.0]),
    }


@lru_cache(maxsize=4)
def make_average_head(modality: Modality = Modality.CT, *, spacing_mm: float = 2.0) -> AverageHead:
    """Make the average head. The same arguments give the same head, made once per process.

    Parameters
    ----------
    modality : Modality
        What it looks like inside.
    spacing_mm : float
        Edge of its voxels.
    """
    person = Person()
    voxel_to_head = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    voxel_to_head[:3, 3] = _LOW_MM
    i, j, k = (int(n) for n in np.ceil((_HIGH_MM - _LOW_MM) / spacing_mm) + 1)
    painted = paint_person(person, (i, j, k), voxel_to_head, CT_HU if modality is Modality.CT else T1)
    brain = np.isin(painted.labels, [LABELS["brain"], LABELS["brainstem"]])
    for array in (painted.intensity, painted.skin_mm, brain, voxel_to_head):
        array.flags.writeable = False  # it is shared
    landmarks_mm = _in_head_frame(person, find_anchors(person, still_visit()))
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


def locate_landmarks(
    identity: int,
    visit: int = 1,
    *,
    modality: Modality = Modality.CT,
    seed: int = 0,
    pose_sd_deg: float = 3.0,
    shift_sd_mm: float = 3.0,
    variety: float | None = None,
    difficulty: str = "easy",
) -> dict[str, NDArray[np.float64]]:
    """Tell where the landmarks of a synthetic scan are.

    Parameters
    ----------
    identity, visit, modality, seed, pose_sd_deg, shift_sd_mm, variety, difficulty
        Those with which `make_phantom` made the scan.

    Returns
    -------
    dict
        Each of `PARTS` to its (3,) position in RAS mm, right to about 2 mm.
    """
    person, at_visit = draw_head(
        seed,
        identity,
        visit,
        modality=modality,
        spacing_mm=None,
        pose_sd_deg=pose_sd_deg,
        shift_sd_mm=shift_sd_mm,
        variety=variety,
        difficulty=difficulty,
    )
    matrix = head_to_ras(person, at_visit)
    points_ras_mm = {}
    for name, point in _in_head_frame(person, find_anchors(person, at_visit)).items():
        # The warp moves the frame under the shape: what it carries to `point` came from there, minus the shift.
        away = (point - person.warp_centres_mm) / WARP_SIGMA_MM
        weight = np.exp(-0.5 * (away**2).sum(axis=1))
        point = point - weight @ person.warp_shifts_mm
        points_ras_mm[name] = matrix[:3, :3] @ point + matrix[:3, 3]
    return points_ras_mm
