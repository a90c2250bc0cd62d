"""Defacers: small reference ones, so that an audit has something to judge.

Words
-----
defacer
    Anything that takes a volume with its label map and gives back a volume on the same grid, with the mask of the
    voxels that it changed.
image axes
    i, j, k of a `Volume` grow to the right, front and top. The reference defacers cut along them, as paper 1 cuts
    along the slices of the scan, and not along the axes of a tilted head.

A reference defacer shows what a kind of defacing does to the evidence. It is not meant for a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Volume

from .cohort import deface_scans, parse_makers
from .companions import Companions
from .found import FoundTool, find_tool
from .frame import FaceFrame, find_face_frame
from .names import list_defacers, make_defacer
from .reface import AverageReface
from .reference import EyePlaneCut, FaceBlur, FaceRemoval, Labels
from .run import ToolRun, check_output, run_tool
from .runs import DefacingSummary, read_defacing, summarise_defacing, write_defacing
from .simple import FaceBox, NoDefacing, QuickShear, ShellBlur, SkinNoise
from .tools import TOOLS, Tool, find_named_tool, make_command_tool

__all__ = [
    "TOOLS",
    "AverageReface",
    "Companions",
    "Defaced",
    "Defacer",
    "DefacingSummary",
    "EyePlaneCut",
    "FaceBlur",
    "FaceBox",
    "FaceFrame",
    "FaceRemoval",
    "FoundTool",
    "NoDefacing",
    "QuickShear",
    "ShellBlur",
    "SkinNoise",
    "Tool",
    "ToolRun",
    "apply_defacer",
    "check_output",
    "deface_scans",
    "find_face_frame",
    "find_named_tool",
    "find_tool",
    "list_defacers",
    "make_command_tool",
    "make_defacer",
    "parse_makers",
    "read_defacing",
    "reference_defacers",
    "run_tool",
    "summarise_defacing",
    "write_defacing",
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


def reference_defacers() -> tuple[Defacer, ...]:
    """Return the three defacers of the demo: the cut of paper 1, a light blur, and the removal of the whole face."""
    return EyePlaneCut(), FaceBlur(), FaceRemoval()
