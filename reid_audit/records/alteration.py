"""What an original hands on, so that its defaced partners can be compared with it without its voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records.scans import Grid


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines straight through the skin, and the intensities along them.

    Attributes
    ----------
    points_ras_mm, normals : (n, 3) float32
        Where each line meets the original's skin, and the direction out of the head.
    values : (n, d) float32
        At d depths, in the original's units; NaN outside the field of view.
    """

    points_ras_mm: NDArray[np.float32]
    normals: NDArray[np.float32]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A whole scan in steps of a few mm along its own axes.

    Attributes
    ----------
    field : (i, j, k) float16
        The intensity above that of the air, in units of the spread of the head's.
    lattice_to_ras_mm : (4, 4) float64
    """

    field: NDArray[np.float16]
    lattice_to_ras_mm: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OriginalSummary:
    """An original in a few hundred kB. Biometric data, as a portrait is.

    Attributes
    ----------
    grid : Grid
    skin_level : float
        In the original's units.
    air, contrast : float
        Intensity of the air before the face, and how far that of the flesh lies above it.
    face, rest : Lines
        Through the skin of the face region, and through that of the cranium, which a defacer leaves.
    face_parts : (n,) int8
        Which of eyes, nose and mouth each line of the face lies in; -1 for none.
    lattice : Lattice
    """

    grid: Grid
    skin_level: float
    air: float
    contrast: float
    face: Lines
    rest: Lines
    face_parts: NDArray[np.int8]
    lattice: Lattice
