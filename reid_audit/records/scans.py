"""Scans: where they are, their voxels, what was noticed."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")
T = TypeVar("T")

ORIGINAL = "original"
"""The condition of a scan that no defacer has touched."""

CANARY = "canary"
"""What the name of a condition begins with that is a weak defacing made to show that the attackers see."""


def natural_key(label: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``"visit2"`` before ``"visit10"``. Labels that read alike (``"1"``, ``"01"``) stay apart.

    Examples
    --------
    >>> sorted(["visit10", "visit2"], key=natural_key)
    ['visit2', 'visit10']
    """
    parts = (part for part in re.split(r"(\d+)", label) if part)
    return (*((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts), (2, 0, label))


def group_by(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Group items by a key, both in the order in which they come.

    Examples
    --------
    >>> group_by([1, 2, 3], lambda number: number % 2)
    {1: [1, 3], 0: [2]}
    """
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def listed(names: Iterable[str], *, most: int = 5) -> str:
    """Join the first few names, and count the rest: ``"p01, p02 and 3 more"``."""
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def name_series(uid: str) -> str:
    """Give a DICOM series a short name: 12 hex digits of the SHA-256 of its identifier, which it keeps to itself."""
    return hashlib.sha256(uid.strip().encode()).hexdigest()[:12]


FRAMES = ("first", "mean")
"""Which volume of a 4-D file is meant, in place of a series: its first, or the mean of all."""


class Modality(StrEnum):
    """How the skin level is chosen: CT is in HU, MR and PET (as DICOM calls it) have no scale of their own."""

    CT = "CT"
    MR = "MR"
    PET = "PT"


@dataclass(frozen=True, slots=True)
class ScanRef:
    """Where a scan is and whose it is, before any voxel is read.

    Attributes
    ----------
    subject, session : str
        Labels from the manifest. The only identity in the package: never a DICOM PatientName.
    condition : str
        ``"original"`` or the defacer's name.
    path : Path
        A file, or a folder that holds one DICOM series.
    modality : Modality or None
        None = to be told from the file (HU range or DICOM header).
    series : str
        Which DICOM series of the folder, by `name_series`, or which volume of a 4-D file, by `FRAMES`; empty = a file
        of one volume, or a folder that holds one series.
    image : str
        Which image of the session, e.g. ``"T2w run-2"``; empty where a session has one image.
    """

    subject: str
    session: str
    condition: str
    path: Path
    modality: Modality | None = None
    series: str = ""
    image: str = ""

    @property
    def visit(self) -> str:
        """Session and image, e.g. ``"1/T2w run-2"``: what tells the scans of one subject and condition apart."""
        return f"{self.session}/{self.image}" if self.image else self.session

    @property
    def visit_stem(self) -> str:
        """The visit as a part of a file's name: ``"1_T2w_run-2"``."""
        return re.sub(r"[/ ]", "_", self.visit)

    @property
    def is_canary(self) -> bool:
        """Whether the scan is a weak defacing made to show that the attackers see."""
        return self.condition.startswith(CANARY)

    @property
    def key(self) -> str:
        """Label for messages and tables, e.g. ``"p01/1/original"``, ``"p01/1/T2w/original"``. Carries no path."""
        return f"{self.subject}/{self.visit}/{self.condition}"

    @property
    def label(self) -> str:
        """What messages and reports call the file: its name without folders.

        A series of a DICOM tree has none: the tree's folders may be named after its patients.
        """
        return "DICOM series" if self.series and self.series not in FRAMES else self.path.name


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the voxels of a volume lie: what an original hands on to its defaced partner instead of its voxels.

    Attributes
    ----------
    shape : (3,) tuple of int
    voxel_to_ras_mm : (4, 4) float64
    modality : Modality
    source : str
        File name without folders, for messages.
    """

    shape: tuple[int, ...]
    voxel_to_ras_mm: NDArray[np.float64]
    modality: Modality
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One head image in RAS+ mm.

    Attributes
    ----------
    intensity : (i, j, k) float32
        Axes grow to the right, front and top, up to the obliqueness that the affine keeps. CT in HU; MR in its own
        units.
    voxel_to_ras_mm : (4, 4) float64
        Maps a voxel index to RAS+ mm. Its 3 x 3 part is invertible and has a positive diagonal.
    modality : Modality
    source : str
        File name without folders, for messages.
    notes : tuple of str
        What the reader had to mend or doubts, in plain words: ``"mirrored affine"``, ``"sheared by gantry tilt"``.
    """

    intensity: NDArray[np.float32]
    voxel_to_ras_mm: NDArray[np.float64]
    modality: Modality
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along i, j, k, in mm."""
        x, y, z = np.linalg.norm(self.voxel_to_ras_mm[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def is_hu(self) -> bool:
        """Whether intensities are Hounsfield units."""
        return self.modality is Modality.CT

    @property
    def grid(self) -> Grid:
        """The volume without its voxels."""
        return Grid(self.intensity.shape, self.voxel_to_ras_mm, self.modality, self.source)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed about a scan, with its number. ``code`` is stable, ``text`` is for people.

    ``severity`` is ``"info"``, ``"warning"`` or ``"unfit"`` (the scan must not be scored silently).
    """

    code: str
    severity: str
    text: str
    value: float | None = None
