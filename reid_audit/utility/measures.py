"""How the cost is measured, and the records that come of one case."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reid_audit.records import Finding, InputError, Real
from reid_audit.utility.change import ChangeComponent
from reid_audit.utility.dose import DOSE_UNITS
from reid_audit.utility.near_face import NEAR_FACE_MM
from reid_audit.utility.segmentation import TOLERANCE_MM


class Position(StrEnum):
    """Where a structure lies against the face and the change. ``ALL`` = not sorted, or all together.

    ``DELETED``: nowhere any more, on purpose. It is an eye, a lens or the like, which the structures of the defaced
    scan no longer name, or one of `UtilitySettings.deleted` without a voxel there. It has its own numbers and is in
    none of all structures together.
    """

    ON_FACE = "on_face"  # within 5 mm of the facial skin
    SAME_SLICES = "same_slices"
    ELSEWHERE = "elsewhere"
    DELETED = "deleted"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class UtilitySettings:
    """How the cost is measured.

    Attributes
    ----------
    tolerance_mm : float
        Of the surface Dice.
    near_face_mm : float
        How near to the facial skin a structure is on the face.
    brain : tuple of str
        Structures whose voxels must not change (criterion C1), together.
    aliases : mapping of str to str
        Names in the files to the names to use.
    names : mapping of int to str, or None
        Of label values.
    dose_unit : str
        Of dose images: ``"Gy"`` or ``"cGy"``.
    deleted : tuple of str
        Further structures that are deleted on purpose: see `Position`.
    """

    tolerance_mm: float = TOLERANCE_MM
    near_face_mm: float = NEAR_FACE_MM
    brain: tuple[str, ...] = ("brain", "brainstem")
    aliases: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[int, str] | None = None
    dose_unit: str = "Gy"
    deleted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would cost every scan its numbers."""
        if self.dose_unit not in DOSE_UNITS:
            raise InputError(f"--dose-unit must be one of {', '.join(DOSE_UNITS)}; got {self.dose_unit!r}")
        for option, value in (("--tolerance", self.tolerance_mm), ("near_face_mm", self.near_face_mm)):
            if not 0 <= value < math.inf:
                raise InputError(f"{option} must be a distance in mm, not negative; got {value:g}")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of one structure of one case; NaN = undefined (see the metric).

    ``before`` and ``after`` stand where the number is their difference.
    """

    subject: str
    session: str
    condition: str
    metric: str
    unit: str
    structure: str
    position: str
    value: Real
    before: Real = math.nan
    after: Real = math.nan


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one structure of one original lies.

    Attributes
    ----------
    position : str
        See `Position`.
    place : str
        Against the change, slice by slice: see `reid_audit.utility.change.Place`.
    face_distance_mm : float
        From the facial skin; NaN beyond 60 mm.
    changed : float
        Share of its voxels that changed.
    """

    subject: str
    session: str
    condition: str
    structure: str
    position: str
    place: str
    face_distance_mm: Real
    changed: Real


@dataclass(frozen=True, slots=True)
class DoseCurve:
    """Dose-volume histogram of one structure of one case, in Gy at `reid_audit.utility.dose.CURVE_PERCENT`.

    ``before`` and ``after`` are of the structure and the dose then; empty where there was none.
    """

    structure: str
    before: tuple[Real, ...]
    after: tuple[Real, ...]


@dataclass(frozen=True, slots=True)
class CaseUtility:
    """Everything about one defaced scan; a few kB. ``reason`` says why it could not be measured, else ``""``."""

    subject: str
    session: str
    condition: str
    file: str
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    measures: tuple[Measure, ...] = ()
    places: tuple[Placement, ...] = ()
    components: tuple[ChangeComponent, ...] = ()
    curves: tuple[DoseCurve, ...] = ()
    seconds: float = 0.0
