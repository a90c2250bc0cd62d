"""The records that flow between the rooms, and the errors that may end a run.

Words
-----
scan
    One head volume on disk, named by subject, session, modality and condition. The condition is ``"original"`` or the
    name of the defacer that made it. Nothing else identifies anybody in this package.
RAS+ mm
    The frame of every coordinate: x grows to the subject's right, y to the front (anterior), z to the top (superior).
match
    A comparison whose distance is *strictly* smaller than the threshold. Larger distances mean less alike.
acquired
    A scan from which the recogniser got a vector. What is not acquired is counted (FTA), never dropped.

Errors
------
::

    ReidAuditError
    +-- InputError         a file, table or argument cannot be used       (also a ValueError)
    +-- WeightsError       a model file is missing, damaged or not the one that was pinned
    +-- EngineError        a package that renders or recognises is missing or broke
    +-- RenderError        no portrait could be drawn of this surface
    +-- CalibrationError   a calibration was made under other settings     (also a ValueError)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

if TYPE_CHECKING:
    import pandas as pd

ORIGINAL = "original"
"""The condition of a scan that no defacer has touched."""


class ReidAuditError(Exception):
    """Base of every error that this package raises on purpose. The message is one sentence for the user."""


class InputError(ReidAuditError, ValueError):
    """A file, table or argument cannot be used. The message names it, the rule and the value."""


class WeightsError(ReidAuditError):
    """A model file is missing, damaged or not the pinned one. The message names the command that mends it."""


class EngineError(ReidAuditError):
    """A package that renders or recognises faces is missing or failed. Never to be confused with "no face"."""


class RenderError(ReidAuditError):
    """No portrait could be drawn of this surface."""


class CalibrationError(ReidAuditError, ValueError):
    """A calibration was made under settings that do not fit. The message names each difference."""


# --- scans ---


class Modality(StrEnum):
    """How the skin level is chosen: CT is in HU, MR has no scale of its own."""

    CT = "CT"
    MR = "MR"


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
    """

    subject: str
    session: str
    condition: str
    path: Path
    modality: Modality | None = None

    @property
    def key(self) -> str:
        """Label for messages and tables, e.g. ``"p01/1/original"``. Carries no path."""
        return f"{self.subject}/{self.session}/{self.condition}"


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


# --- surface and portrait ---


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed about a scan, with its number. ``code`` is stable, ``text`` is for people.

    ``severity`` is ``"info"``, ``"warning"`` or ``"unfit"`` (the scan must not be scored silently).
    """

    code: str
    severity: str
    text: str
    value: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """The outer surface of a head.

    Attributes
    ----------
    vertices_ras_mm : (n, 3) float32
    faces : (m, 3) int32
        Indices into the vertices, counter-clockwise seen from outside.
    normals : (n, 3) float32
        Unit length, pointing out of the head.
    level : float
        Intensity of the isosurface, in the volume's own units; a defaced partner is meshed at the original's level.
    checks : tuple of Finding
    """

    vertices_ras_mm: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    level: float
    checks: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """The camera, wholly: the same View gives the same picture in every renderer.

    Attributes
    ----------
    azimuth_deg, elevation_deg : float
        Direction from which the camera looks at the target: 0, 0 = from the front (RAS +y); azimuth grows towards the
        subject's left, so that 90 sees the left side; elevation grows towards the top.
    roll_deg : float
        Turns the camera about its own axis; 0 keeps RAS +z upwards.
    target_ras_mm : (3,) tuple of float
        The point in the middle of the picture.
    distance_mm : float
        From the camera to the target.
    view_angle_deg : float
        Full vertical opening of the camera.
    size_px : int
        Height and width of the picture.
    """

    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    roll_deg: float = 0.0
    target_ras_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    distance_mm: float = 1000.0
    view_angle_deg: float = 18.0
    size_px: int = 512


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture of a head. Biometric data: see DESIGN rule on privacy in the README before keeping one.

    Attributes
    ----------
    pixels : (h, w, 3) uint8
        RGB, row 0 at the top.
    view : View
    ras_mm_to_px : (3, 4) float64
        Camera matrix: homogeneous RAS mm to homogeneous pixel (column, row).
    renderer : str
        Which engine drew it: ``"vtk"``, ``"pyrender"`` or ``"raycast"``.
    """

    pixels: NDArray[np.uint8]
    view: View
    ras_mm_to_px: NDArray[np.float64]
    renderer: str


# --- faces ---


class Status(StrEnum):
    """How far a scan came. Only ``ok``, ``many_faces`` and ``low_confidence`` carry a vector."""

    OK = "ok"
    MANY_FACES = "many_faces"  # the largest central one was kept
    LOW_CONFIDENCE = "low_confidence"  # kept: an attacker would use it too
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"  # the file gave no volume
    NO_SKIN = "no_skin"  # the volume gave no surface
    RENDER_FAILED = "render_failed"
    BACKEND_ERROR = "backend_error"  # the recogniser broke; never the same as "no face"


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """What a recogniser made of one portrait.

    Attributes
    ----------
    status : Status
    vector : (d,) float32 or None
        Unit length. None unless acquired.
    box_px : (left, top, right, bottom) or None
    landmarks_px : (l, 2) float64 or None
        Column, row of each landmark.
    confidence : float
        The detector's own score, NaN where nothing was found. Its scale belongs to the detector.
    encoder : str
        Name of the encoder, e.g. ``"dlib"``.
    reason : str
        One sentence where the status is not ``ok``.
    """

    status: Status
    encoder: str
    vector: NDArray[np.float32] | None = None
    box_px: tuple[float, float, float, float] | None = None
    landmarks_px: NDArray[np.float64] | None = None
    confidence: float = float("nan")
    reason: str = ""

    @property
    def acquired(self) -> bool:
        """Whether there is a vector to compare."""
        return self.vector is not None


@dataclass(frozen=True, slots=True, eq=False)
class FaceRecord:
    """A face and the scan it came from: what one task of the audit sends back, a few kB."""

    scan: ScanRef
    face: Face
    level: float = float("nan")
    view: View | None = None
    findings: tuple[Finding, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


# --- comparisons ---


class Group(StrEnum):
    """Which two scans a comparison joins, probe -> reference."""

    SAME = "same"
    DIFFERENT = "different"
    DEFACED_SAME = "defaced_same"
    DEFACED_DIFFERENT = "defaced_different"
    DEFACED_SAME_SCAN = "defaced_same_scan"
    DEFACED_DEFACED_SAME = "defaced_defaced_same"
    DEFACED_DEFACED_DIFFERENT = "defaced_defaced_different"


SCORE_COLUMNS = (
    "group",
    "condition",
    "attack",
    "probe_subject",
    "probe_session",
    "reference_subject",
    "reference_session",
    "distance",
)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Every comparison that the cohort allows, one row each.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns `SCORE_COLUMNS`: all categorical but ``distance``, float64, cosine distance in [0, 2]; NaN = one of
        the two scans was not acquired. ``condition`` is that of the probe, ``"original"`` for same and different.
    """

    frame: pd.DataFrame


def _none_to_nan(value: object) -> object:
    return float("nan") if value is None else value


Real = Annotated[float, BeforeValidator(_none_to_nan)]
"""A float that is written to JSON as null where it is NaN, and read back as NaN."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A proportion with its interval.

    Attributes
    ----------
    value : float
        The observed proportion ``successes / trials``; NaN where there were no trials.
    low, high : float
        Ends of the two-sided interval at ``level``.
    successes, trials : int
    subjects : int
        People behind the trials: pairs share people, so this is what the evidence rests on.
    level : float
        Confidence, e.g. 0.95.
    method : str
        ``"Clopper-Pearson"``, ``"subject bootstrap"``, ...
    """

    value: Real
    low: Real
    high: Real
    successes: int
    trials: int
    subjects: int
    level: float = 0.95
    method: str = "Clopper-Pearson"
