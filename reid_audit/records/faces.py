"""Skin, portrait and face."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from reid_audit.records.alteration import OriginalSummary
from reid_audit.records.scans import Finding, Grid, ScanRef


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


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """The front of an original's face as a map of depths. Biometric data, as a portrait is.

    Attributes
    ----------
    foremost_mm : (100, 100) float32
        RAS y of the foremost point of the skin in each cell of 2 mm, along x and z; -inf where there is none.
    corner_mm : (float, float)
        RAS x and z of the first cell's corner.
    middle_mm : float
        RAS y of the middle of the head, from front to back.
    """

    foremost_mm: NDArray[np.float32]
    corner_mm: tuple[float, float]
    middle_mm: float


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


class Status(StrEnum):
    """How far a scan came. Only ``ok``, ``many_faces`` and ``low_confidence`` carry a vector."""

    OK = "ok"
    MANY_FACES = "many_faces"  # the largest central one was kept
    LOW_CONFIDENCE = "low_confidence"  # kept: an attacker would use it too
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"  # the file gave no volume
    OTHER_GRID = "other_grid"  # a defaced scan that does not lie on its original's voxels
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
        Unit length; in the units of an attacker that compares by a measure of its own. None unless acquired.
    box_px : (left, top, right, bottom) or None
    landmarks_px : (l, 2) float64 or None
        Column, row of each landmark.
    eyes_px : (2, 2) float64 or None
        Column, row of the subject's left and right eye.
    layout : str
        Which landmarks these are, in the detector's words; what an attacker needs to use them on another portrait.
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
    eyes_px: NDArray[np.float64] | None = None
    layout: str = ""
    confidence: float = float("nan")
    reason: str = ""

    @property
    def acquired(self) -> bool:
        """Whether there is a vector to compare."""
        return self.vector is not None


@dataclass(frozen=True, slots=True, eq=False)
class FaceRecord:
    """A face and the scan it came from: what one task of the audit sends back, some hundred kB.

    Attributes
    ----------
    skin_level : float
        Intensity at which the skin was taken; NaN where it came to none.
    looks : mapping of str to tuple of Face
        What attackers other than the baseline got from the scan, one face per look, by the attacker's name; of their
        controls too.
    view, grid : View, Grid or None
        Camera and voxel grid; an original hands them on to its defaced partner.
    relief : Relief or None
        Of an original: what a defacer put before the face is told from it.
    summary : OriginalSummary or None
        Of an original: what was done to a defaced scan is told from it.
    digest : str
        SHA-256 of the voxels: tells a defaced scan that is its original. Names a scan, so that of an original goes into
        no report.
    findings : tuple of Finding
    seconds : mapping of str to float
        Wall time of each stage that was reached: ``read``, ``skin``, ``portrait``, ``face``, ``search``,
        ``attacks``.
    """

    scan: ScanRef
    face: Face
    skin_level: float = float("nan")
    view: View | None = None
    grid: Grid | None = None
    relief: Relief | None = None
    summary: OriginalSummary | None = None
    digest: str = ""
    looks: Mapping[str, tuple[Face, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
