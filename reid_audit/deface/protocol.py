"""The one method that every reference defacer has, and what applying it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.reference import Labels
from reid_audit.records import InputError, Volume


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

    @property
    def needs(self) -> tuple[str, ...]:
        """Structures of the label map that it cannot do without; empty where it finds the face by itself."""
        ...

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the defaced volume."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Defaced:
    """What a defacer left: the volume, and the boolean mask (i, j, k) of the voxels that differ from the original."""

    volume: Volume
    changed: NDArray[np.bool_]


NO_LABELS: Mapping[str, int] = MappingProxyType({})


def apply_defacer(
    defacer: Defacer, volume: Volume, labels: Labels | None = None, label_values: Mapping[str, int] = NO_LABELS
) -> Defaced:
    """Deface a volume and say which voxels changed.

    Parameters
    ----------
    defacer : Defacer
    volume : Volume
    labels : (i, j, k) integer, optional
        Label map on the volume's grid. None: there is none, as if it were empty.
    label_values : mapping of str to int
        Name of each structure to its value in `labels`, e.g. ``{"eye_left": 1, ...}``.

    Raises
    ------
    InputError
        Where a structure that the defacer needs is not in the label map, or the map has another shape.
    """
    if labels is None:
        labels, label_values = np.zeros(volume.intensity.shape, dtype=np.uint8), NO_LABELS
    elif labels.shape != volume.intensity.shape:
        raise InputError(f"label map: its shape {labels.shape} is not that of the scan, {volume.intensity.shape}")
    defaced = defacer.deface(volume, labels, label_values)
    return Defaced(defaced, defaced.intensity != volume.intensity)
