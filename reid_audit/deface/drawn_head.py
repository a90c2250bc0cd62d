"""A reference refacer that keeps the brain alone: the head around it is a synthetic person's, drawn for each scan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.frame import parameters_to_matrix
from reid_audit.deface.reface import POPULATION, draw_identity
from reid_audit.deface.reference import Labels, brain_of, locate
from reid_audit.phantom import LABELS, make_average_head, measure_brain_distance
from reid_audit.phantom.person import Person, draw_person
from reid_audit.phantom.scan import paint_person
from reid_audit.phantom.tissue import CT_HU, T1
from reid_audit.records import InputError, Modality, Volume
from reid_audit.volume.air import air_to_write

_POINTS = 1500
_SCALES = (0.7, 1.4)
_SCALE_SPREAD = 0.06  # how far brains differ along one axis: what keeps the three scales together
_MAX_MISFIT_MM = 6.0
_LEAST_FILLED = 0.7  # of the brain of the average head, laid on the scan's
_SCALP_MM = 6.0  # least of skin and bone over a brain
_BRAIN_BELOW_MM = 13.5  # below the scalp lies the brain of the average head


class _BrainFrame(NamedTuple):
    """How the brain of the average head lies on that of a scan.

    Attributes
    ----------
    axes : (3, 3) float64
        Right, front and top of the head in RAS, by row.
    centre_ras_mm : (3,) float64
        Where the scan has the middle of the average brain.
    size : (3,) float64
        Of the scan's brain along these axes, 1 = as the average one.
    """

    axes: NDArray[np.float64]
    centre_ras_mm: NDArray[np.floating[Any]]
    size: NDArray[np.floating[Any]]


class _AverageBrain(NamedTuple):
    """Signed distance to the brain of the average head (mm, negative inside), the way into it, its middle and size."""

    distance_mm: NDArray[np.float32]
    head_to_voxel: NDArray[np.floating[Any]]
    centre_mm: NDArray[np.float64]
    volume_mm3: float


@lru_cache(maxsize=1)
def _average_brain() -> _AverageBrain:
    from scipy.ndimage import distance_transform_edt

    head = make_average_head()
    spacing_mm = np.linalg.norm(head.voxel_to_head_mm[:3, :3], axis=0)
    inside = distance_transform_edt(head.brain, sampling=spacing_mm)
    centre = np.argwhere(head.brain).mean(axis=0) @ head.voxel_to_head_mm[:3, :3].T + head.voxel_to_head_mm[:3, 3]
    volume_mm3 = float(head.brain.sum() * np.prod(spacing_mm))
    return _AverageBrain(
        (measure_brain_distance() - inside).astype(np.float32), np.linalg.inv(head.voxel_to_head_mm), centre, volume_mm3
    )


def _find_brain_frame(brain: NDArray[np.bool_], volume: Volume) -> _BrainFrame:
    """Lay the average brain on a scan's by robust least squares on its distance field, as `find_face_frame` does skin.

    Nothing of the face takes part, so that neither its pose nor its proportions are handed on.
    """
    from scipy.ndimage import binary_erosion, map_coordinates
    from scipy.optimize import least_squares

    average = _average_brain()
    edge = np.argwhere(brain & ~binary_erosion(brain, border_value=1))
    points = edge @ volume.voxel_to_ras_mm[:3, :3].T + volume.voxel_to_ras_mm[:3, 3]
    points = points[:: max(1, len(points) // _POINTS)]
    to_voxel, last = average.head_to_voxel, np.asarray(average.distance_mm.shape)[:, None] - 1

    def residual(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = parameters_to_matrix(parameters)
        index = to_voxel[:3, :3] @ (points @ matrix[:3, :3].T + matrix[:3, 3]).T + to_voxel[:3, 3:]
        distance = map_coordinates(average.distance_mm, np.clip(index, 0, last), order=1)
        held = parameters[6:9] * (np.sqrt(len(points) / 30) / _SCALE_SPREAD)
        value: NDArray[np.float64] = np.concatenate([distance, held])
        return value

    start = np.zeros(9)
    start[3:6] = average.centre_mm - points.mean(axis=0)
    x_scale = [0.05] * 3 + [3.0] * 3 + [0.03] * 3
    fit = least_squares(residual, start, loss="soft_l1", f_scale=2.0, x_scale=x_scale, ftol=1e-5, xtol=1e-5)
    scales = np.exp(fit.x[6:9])
    misfit_mm = float(np.median(np.abs(fit.fun[:-3])))
    filled = float(brain.sum() * np.prod(volume.spacing_mm)) * float(np.prod(scales)) / average.volume_mm3
    if misfit_mm > _MAX_MISFIT_MM or scales.min() < _SCALES[0] or scales.max() > _SCALES[1] or filled < _LEAST_FILLED:
        raise InputError(
            f"{volume.source or 'volume'}: the brain of the label map is no whole brain (it fills {filled:.0%} of one "
            f"that is laid on it, limit {_LEAST_FILLED:.0%}; half of its surface lies {misfit_mm:.1f} mm away, limit "
            f"{_MAX_MISFIT_MM:g}); give a label map with the whole brain"
        )
    matrix = parameters_to_matrix(fit.x)
    centre = np.linalg.solve(matrix[:3, :3], average.centre_mm - matrix[:3, 3])
    return _BrainFrame(matrix[:3, :3] / scales[:, None], centre, 1.0 / scales)


def _make_room(person: Person, size: NDArray[np.floating[Any]]) -> Person:
    """Widen the braincase of a person where a brain of this size would come nearer to the skin than a scalp is thick.

    Only as far as it must: a braincase that always had the measures of the scan's brain would hand them on.
    """
    average = Person()
    wanted = {}
    for name, axis_size in zip(("width", "length", "height"), size, strict=True):
        half = f"cranium_half_{name}"
        brain_mm = (getattr(average, half) - _BRAIN_BELOW_MM) * float(axis_size) / person.size
        wanted[half] = max(getattr(person, half), brain_mm + _SCALP_MM)
    return replace(person, **wanted)


@dataclass(frozen=True, slots=True)
class DrawnHead:
    """The head of a synthetic person, another one for each scan, around the brain of the scan.

    Nothing but brain and brainstem is kept: not the ears, the neck, the outline of the head or its size, and the head
    is placed by the brain. What the field of view cuts off is cut off.

    Parameters
    ----------
    people : int
        As in `DrawnReface`.
    """

    people: int = 1000
    name: str = "drawn-head"
    description: str = "replaces the whole head by that of a synthetic person drawn for each scan; keeps the brain"
    needs: tuple[str, ...] = ("brain",)

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with another head. See `reid_audit.deface.apply_defacer`."""
        locate(labels, label_values, self.needs)  # raises where there is none
        kept = brain_of(labels, label_values)
        frame = _find_brain_frame(kept, volume)
        person = _make_room(draw_person(POPULATION, draw_identity(volume, self.people)), frame.size)
        ras_to_head = np.eye(4)
        ras_to_head[:3, :3] = frame.axes / person.size
        ras_to_head[:3, 3] = _average_brain().centre_mm - ras_to_head[:3, :3] @ frame.centre_ras_mm
        shape = (volume.intensity.shape[0], volume.intensity.shape[1], volume.intensity.shape[2])
        contrast = CT_HU if volume.modality is Modality.CT else T1
        painted = paint_person(person, shape, ras_to_head @ volume.voxel_to_ras_mm, contrast)
        head = painted.intensity
        if volume.is_hu:
            head = np.rint(head)
        else:  # as bright as the brain that it surrounds
            dark = np.float32(air_to_write(volume))
            own = float(np.median(volume.intensity[kept])) - dark
            head = dark + head * np.float32(own / np.median(head[painted.labels == LABELS["brain"]]))
        return replace(volume, intensity=np.where(kept, volume.intensity, head).astype(np.float32))
