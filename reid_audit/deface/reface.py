"""The face of the average head in place of one's own: a reference for mri_reface and its like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.frame import depth_mm, head_coordinates
from reid_audit.deface.reference import Labels, brain_of
from reid_audit.deface.simple import blend, find_face
from reid_audit.records import Volume

_DEEP_MM = 16.0  # below the average skin: eyes and lips, and no brain
_FADE_MM = 6.0


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
        from scipy.ndimage import map_coordinates

        from reid_audit.phantom import make_average_head

        average = make_average_head(volume.modality, spacing_mm=1.5)
        frame, box, share = find_face(volume)
        x, y, z = head_coordinates(frame, volume, box)
        to_voxel = np.linalg.inv(average.voxel_to_head_mm)
        index = [to_voxel[a, a] * at + to_voxel[a, 3] for a, at in enumerate((x, y, z))]
        index = [np.broadcast_to(at, x.shape) for at in index]
        other = map_coordinates(average.intensity, index, order=1, mode="nearest")
        other_depth = map_coordinates(average.skin_mm, index, order=1, mode="nearest")
        part = volume.intensity[box]
        depth = depth_mm(part, volume.spacing_mm, frame.level)
        if not volume.is_hu:
            other = _as_bright(other, part, (other_depth < -2) & (depth < -2) & (share > 0.5), air=part[depth > 5])
        # Both skins are left behind: what lies deep below either stays.
        share *= np.clip((np.maximum(depth, other_depth) + _DEEP_MM + _FADE_MM) / _FADE_MM, 0.0, 1.0)
        share[brain_of(labels[box], label_values)] = 0.0
        return blend(volume, box, share, other)


def _as_bright(
    other: NDArray[np.float32], own: NDArray[np.float32], flesh: NDArray[np.bool_], *, air: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale intensities so that the medians of air and flesh are those of the scan."""
    dark = float(np.median(air)) if air.size else 0.0
    if not flesh.any():
        return other
    bright, theirs = float(np.median(own[flesh])), float(np.median(other[flesh]))
    scaled: NDArray[np.float32] = (dark + other * ((bright - dark) / max(theirs, 1e-6))).astype(np.float32)
    return scaled
