"""Defacers: small reference ones, so that an audit has something to judge.

Words
-----
defacer
    Anything that takes a volume with its label map and gives back a volume on the same grid, with the mask of the
    voxels that it changed.
image axes
    i, j, k of a `Volume` grow to the right, front and top. The reference defacers cut along them, as paper 1 cuts
    along the slices of the scan, and not along the axes of a tilted head.

study
    A scan as radiotherapy keeps it in DICOM: a CT series, an RT structure set with its contours, and RT doses. The body
    contour and the dose show the face as the scan does, so that all three are defaced together (`deface_study`).

A reference defacer shows what a kind of defacing does to the evidence. It is not meant for a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Volume

from .dicom import DefacedStudy, deface_study
from .label_map import DefacedLabels, deface_files, deface_labels, read_label_names
from .reference import EyePlaneCut, FaceBlur, FaceRemoval
from .structures import Role, StructureNames
from .study import RtStudy, find_study

__all__ = [
    "Defaced",
    "DefacedLabels",
    "DefacedStudy",
    "Defacer",
    "EyePlaneCut",
    "FaceBlur",
    "FaceRemoval",
    "Role",
    "RtStudy",
    "StructureNames",
    "apply_defacer",
    "deface_files",
    "deface_labels",
    "deface_study",
    "find_study",
    "read_label_names",
    "reference_defacers",
]


class Defacer(Protocol):
    """One way of defacing.

    Contract: `deface` gives a new array on the grid of the volume and leaves its input as it was; the same input gives
    the same output; what it needs of the label map and cannot find is an `InputError` that names the label.
    """

    @property
    def name(self) -> str:
        """Label for the condition column, letters, digits and dashes only."""
        ...

    @property
    def description(self) -> str:
        """One sentence: what is removed and what is kept."""
        ...

    def deface(self, volume: Volume, labels: NDArray[np.uint8], label_values: Mapping[str, int]) -> Volume:
        """Return the defaced volume."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Defaced:
    """What a defacer left: the volume, and the boolean mask (i, j, k) of the voxels that differ from the original."""

    volume: Volume
    changed: NDArray[np.bool_]


def apply_defacer(
    defacer: Defacer, volume: Volume, labels: NDArray[np.uint8], label_values: Mapping[str, int]
) -> Defaced:
    """Deface a volume and say which voxels changed.

    Parameters
    ----------
    defacer : Defacer
    volume : Volume
    labels : (i, j, k) integer
        Label map on the volume's grid.
    label_values : mapping of str to int
        Name of each structure to its value in `labels`, e.g. ``{"eye_left": 1, ...}``.

    Raises
    ------
    InputError
        Where a structure that the defacer needs is not in the label map.
    """
    defaced = defacer.deface(volume, labels, label_values)
    return Defaced(defaced, defaced.intensity != volume.intensity)


def reference_defacers() -> tuple[Defacer, ...]:
    """Return the three defacers of the demo: the cut of paper 1, a light blur, and the removal of the whole face."""
    return EyePlaneCut(), FaceBlur(), FaceRemoval()
