"""Reference refacers: an average or a drawn synthetic face replaces the scan's own, as mri_reface does."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.frame import FaceFrame, depth_mm, find_face_frame, head_coordinates
from reid_audit.deface.reference import Labels, brain_of
from reid_audit.deface.simple import blend, find_face
from reid_audit.phantom import make_average_head, make_phantom, measure_brain_distance
from reid_audit.records import Modality, Volume

_DEEP_MM = 16.0  # below both skins: eyes and lips, and no brain
_FADE_MM = 6.0
_BRAIN_MM = 5.0  # how much farther out a brain may reach than the average one, laid on by the skin
_VOXEL_MM = 1.5
POPULATION = 20_000
"""Seed of the synthetic people whose faces are laid on; no phantom of a test or demo has it."""


class Donor(NamedTuple):
    """The head whose face is laid on.

    Attributes
    ----------
    intensity : (i, j, k) float32
    depth_mm : (i, j, k) float32
        Signed distance to the skin, negative inside.
    head_to_voxel : (4, 4) float64
        From millimetres of the head frame to the axes of both.
    """

    intensity: NDArray[np.float32]
    depth_mm: NDArray[np.float32]
    head_to_voxel: NDArray[np.floating[Any]]


@lru_cache(maxsize=2)
def average_donor(modality: Modality) -> Donor:
    """Return the average of the synthetic heads; the same object each time."""
    head = make_average_head(modality, spacing_mm=_VOXEL_MM)
    return Donor(head.intensity, head.skin_mm, np.linalg.inv(head.voxel_to_head_mm))


def draw_identity(volume: Volume, people: int) -> int:
    """Return which of so many synthetic people a scan gets: it hangs on the scan's voxels alone."""
    digest = hashlib.sha256(np.ascontiguousarray(volume.intensity).data).digest()
    return int.from_bytes(digest[:8], "big") % people


@lru_cache(maxsize=2)
def _draw(identity: int, modality: Modality) -> Donor:
    """Make a synthetic person who faces the front, and lay the average head on the skin."""
    volume = make_phantom(
        identity, modality=modality, seed=POPULATION, spacing_mm=_VOXEL_MM, pose_sd_deg=0.0, shift_sd_mm=0.0
    ).volume
    frame = find_face_frame(volume)
    depth = depth_mm(volume.intensity, volume.spacing_mm, frame.level)
    return Donor(volume.intensity, depth, np.linalg.inv(frame.ras_to_head_mm @ volume.voxel_to_ras_mm))


def lay_face(volume: Volume, donor: Donor, brain: NDArray[np.bool_], *, frame: FaceFrame | None = None) -> Volume:
    """Put a donor's face on a scan: air where it is smaller than the scan's own, flesh where it is larger.

    Parameters
    ----------
    volume : Volume
    donor : Donor
    brain : (i, j, k) bool
        What stays as it is, whatever lies there on the average head.
    frame : FaceFrame, optional
        How the average head lies on the scan; found by the whole skin, face and all, by default.
    """
    from scipy.ndimage import map_coordinates

    frame, box, share = find_face(volume, frame=frame)
    x, y, z = head_coordinates(frame, volume, box)
    m = donor.head_to_voxel
    index = [m[a, 0] * x + m[a, 1] * y + m[a, 2] * z + m[a, 3] for a in range(3)]
    other = map_coordinates(donor.intensity, index, order=1, mode="nearest")
    other_depth = map_coordinates(donor.depth_mm, index, order=1, mode="nearest")
    part = volume.intensity[box]
    depth = depth_mm(part, volume.spacing_mm, frame.level)
    if not volume.is_hu:
        other = _as_bright(other, part, (other_depth < -2) & (depth < -2) & (share > 0.5), air=part[depth > 5])
    # Both skins are left behind: what lies deep below either stays, and so does what may be brain.
    share *= np.clip((np.maximum(depth, other_depth) + _DEEP_MM + _FADE_MM) / _FADE_MM, 0.0, 1.0)
    brain_mm, head_to_voxel = measure_brain_distance(), np.linalg.inv(make_average_head().voxel_to_head_mm)
    index = [
        head_to_voxel[a, 0] * x + head_to_voxel[a, 1] * y + head_to_voxel[a, 2] * z + head_to_voxel[a, 3]
        for a in range(3)
    ]
    away_mm = map_coordinates(brain_mm, index, order=1, mode="nearest")
    share *= np.clip((away_mm - _BRAIN_MM) / _FADE_MM, 0.0, 1.0)
    share[brain[box]] = 0.0
    return blend(volume, box, share, other)


def _as_bright(
    other: NDArray[np.float32], own: NDArray[np.float32], flesh: NDArray[np.bool_], *, air: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale intensities so that the medians of air and flesh are those of the scan."""
    dark = float(np.median(air)) if air.size else 0.0
    if not flesh.any():
        return other
    bright, donor_bright = float(np.median(own[flesh])), float(np.median(other[flesh]))
    scaled: NDArray[np.float32] = (dark + other * ((bright - dark) / max(donor_bright, 1e-6))).astype(np.float32)
    return scaled


@dataclass(frozen=True, slots=True)
class AverageReface:
    """The average face of the synthetic heads, laid on by its skin, replaces the scan's own.

    In MR the intensities of the average are scaled so that its flesh is as bright as the scan's. Where the average
    face is smaller, air takes the place of flesh; where it is larger, flesh that of air.
    """

    name: str = "average-reface"
    description: str = "replaces the face from chin to brow by the average synthetic one; keeps ears, crown and brain"
    needs: tuple[str, ...] = ()

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with the average face. See `reid_audit.deface.apply_defacer`."""
        return lay_face(volume, average_donor(volume.modality), brain_of(labels, label_values))


@dataclass(frozen=True, slots=True)
class DrawnReface:
    """The face of a synthetic person, another one for each scan, replaces the scan's own.

    Parameters
    ----------
    people : int
        How many synthetic people the faces are drawn from. Who it is hangs on the scan's voxels alone: the same scan
        gets the same face, two visits of a person get two.
    """

    people: int = 1000
    name: str = "drawn-reface"
    description: str = "replaces the face from chin to brow by that of a synthetic person drawn for each scan"
    needs: tuple[str, ...] = ()

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with another face. See `reid_audit.deface.apply_defacer`."""
        donor = _draw(draw_identity(volume, self.people), volume.modality)
        return lay_face(volume, donor, brain_of(labels, label_values))
