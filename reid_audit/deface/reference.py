"""The three reference defacers of the demo, all of them for scans with a label map."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import find_cut, removed_by
from reid_audit.records import InputError, Volume
from reid_audit.volume.air import air_to_write

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class _Extent:
    """First and last slice, and centre of mass, of a structure along i, j, k, in voxels."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]
    centre: tuple[float, float, float]


def locate(labels: Labels, label_values: Mapping[str, int], names: Iterable[str]) -> NDArray[np.bool_]:
    """Return the union of the named structures; raise where there is none."""
    wanted = tuple(names)
    if not label_values:
        raise InputError(f"there is no label map, and this defacer needs {', '.join(wanted)}; give one with --labels")
    unknown = [name for name in wanted if name not in label_values]
    if unknown:
        raise InputError(f"label map has no structure called {', '.join(unknown)}; it needs {', '.join(wanted)}")
    mask: NDArray[np.bool_] = np.isin(labels, [label_values[name] for name in wanted])
    if not mask.any():
        raise InputError(f"label map is empty where this defacer needs {' or '.join(wanted)}")
    return mask


def _extent(mask: NDArray[np.bool_]) -> _Extent:
    """Return where a non-empty mask lies."""
    profiles = [mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    present = [np.flatnonzero(profile) for profile in profiles]
    i, j, k = (float(np.average(np.arange(p.size), weights=p)) for p in profiles)
    return _Extent(
        (int(present[0][0]), int(present[1][0]), int(present[2][0])),
        (int(present[0][-1]), int(present[1][-1]), int(present[2][-1])),
        (i, j, k),
    )


def _with_air(volume: Volume, removed: NDArray[np.bool_]) -> Volume:
    intensity = np.where(removed, np.float32(air_to_write(volume)), volume.intensity)
    return replace(volume, intensity=intensity)


def brain_of(labels: Labels, label_values: Mapping[str, int]) -> NDArray[np.bool_]:
    """Return the voxels of brain and brainstem; none where the label map has no such structure."""
    return np.isin(labels, [label_values[name] for name in ("brain", "brainstem") if name in label_values])


@dataclass(frozen=True, slots=True)
class EyePlaneCut:
    """The defacer of O'Sullivan-Steben 2025 (II.A) for one volume with eye labels.

    Everything above the lowest slice of the eyes and in front of the eyes' centre becomes air; brain voxels are kept.
    Nose, mouth and chin stay.
    """

    name: str = "eye-plane"
    description: str = "removes what lies above the lowest eye slice and in front of the eyes' centre; keeps the brain"
    needs: tuple[str, ...] = ("eye_left", "eye_right")

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume without eyes, brow and forehead. See `reid_audit.deface.apply_defacer`."""
        cut = find_cut(locate(labels, label_values, ("eye_left", "eye_right")))
        return _with_air(volume, removed_by(cut, brain_of(labels, label_values), where="eyes of the label map"))


def _face_box(
    volume: Volume, labels: Labels, label_values: Mapping[str, int], *, above_mm: float, below_mm: float
) -> tuple[_Extent, slice]:
    """Return the extent of the eyes, and the slices from `below_mm` under the chin to `above_mm` over the eyes."""
    eyes = _extent(locate(labels, label_values, ("eye_left", "eye_right")))
    chin = _extent(locate(labels, label_values, ("mandible",)))
    voxel_mm = volume.spacing_mm[2]
    bottom = max(0, round(chin.first[2] - below_mm / voxel_mm))
    top = round(eyes.last[2] + above_mm / voxel_mm) + 1
    return eyes, slice(bottom, top)


@dataclass(frozen=True, slots=True)
class FaceBlur:
    """A light Gaussian blur of the face: a weak defacer, which an audit must fail.

    Parameters
    ----------
    sigma_mm : float
        Standard deviation of the blur.
    """

    sigma_mm: float = 2.0
    behind_eyes_mm: float = 10.0
    needs: tuple[str, ...] = ("eye_left", "eye_right", "mandible")

    @property
    def name(self) -> str:
        """Label of the condition, e.g. ``"blur-2mm"``."""
        return f"blur-{self.sigma_mm:g}mm"

    @property
    def description(self) -> str:
        """What is removed and what is kept."""
        return f"blurs the face from chin to brow by a Gaussian of {self.sigma_mm:g} mm; removes nothing"

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with a blurred face. See `reid_audit.deface.apply_defacer`."""
        from scipy import ndimage

        eyes, slices = _face_box(volume, labels, label_values, above_mm=25.0, below_mm=15.0)
        front = max(0, round(eyes.centre[1] - self.behind_eyes_mm / volume.spacing_mm[1]))
        box = (slice(None), slice(front, None), slices)
        sigma_voxels = [self.sigma_mm / spacing for spacing in volume.spacing_mm]
        intensity = volume.intensity.copy()
        intensity[box] = ndimage.gaussian_filter(intensity[box], sigma_voxels, mode="nearest", truncate=3.0)
        return replace(volume, intensity=intensity)


@dataclass(frozen=True, slots=True)
class FaceRemoval:
    """Removal of the whole face: brow to below the chin, ear to ear.

    Everything in front of a coronal plane through the back of the jaw becomes air, from below the chin to above the
    brow; brain voxels with a margin are kept.

    Parameters
    ----------
    brow_mm : float
        How far above the top of the eyes the removed region reaches.
    chin_mm : float
        How far below the lowest point of the jaw it reaches.
    brain_margin_mm : float
        What is kept around the brain.
    """

    brow_mm: float = 35.0
    chin_mm: float = 20.0
    brain_margin_mm: float = 3.0
    name: str = "face-removal"
    description: str = "removes the face from above the brow to below the chin, ear to ear; keeps the brain"
    needs: tuple[str, ...] = ("eye_left", "eye_right", "mandible")

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume without a face. See `reid_audit.deface.apply_defacer`."""
        from scipy import ndimage

        jaw = _extent(locate(labels, label_values, ("mandible",)))
        _, slices = _face_box(volume, labels, label_values, above_mm=self.brow_mm, below_mm=self.chin_mm)
        removed = np.zeros(labels.shape, dtype=bool)
        removed[:, jaw.first[1] :, slices] = True
        radius = [max(1, round(self.brain_margin_mm / spacing)) for spacing in volume.spacing_mm]
        kept = ndimage.maximum_filter(
            brain_of(labels, label_values)[:, :, slices], size=tuple(2 * r + 1 for r in radius), mode="constant"
        )
        removed[:, :, slices] &= ~kept
        return _with_air(volume, removed)
