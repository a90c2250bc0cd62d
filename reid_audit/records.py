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

import re
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


def natural_key(label: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``"visit2"`` before ``"visit10"``. Labels that read alike (``"1"``, ``"01"``) stay apart."""
    parts = (part for part in re.split(r"(\d+)", label) if part)
    return (*((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts), (2, 0, label))


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
        Unit length. None unless acquired.
    box_px : (left, top, right, bottom) or None
    landmarks_px : (l, 2) float64 or None
        Column, row of each landmark.
    eyes_px : (2, 2) float64 or None
        Column, row of the person's left and right eye.
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
    """A face and the scan it came from: what one task of the audit sends back, a few kB.

    Attributes
    ----------
    level : float
        Intensity at which the skin was taken; NaN where it came to none.
    attacks : mapping of str to Face
        What attackers other than the naive one got from a defaced scan, by the attacker's name.
    view, grid : View, Grid or None
        Camera and voxel grid; an original hands them on to its defaced partner.
    digest : str
        SHA-256 of the voxels: tells a defaced scan that is its original. Names a scan, so it goes into no report.
    findings : tuple of Finding
    seconds : mapping of str to float
        Wall time of each stage that was reached: ``read``, ``skin``, ``portrait``, ``face``.
    """

    scan: ScanRef
    face: Face
    level: float = float("nan")
    view: View | None = None
    grid: Grid | None = None
    digest: str = ""
    attacks: Mapping[str, Face] = field(default_factory=dict)
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


# --- evidence ---


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that is not a plain proportion (AUC, d', threshold), with what people could make of it.

    Attributes
    ----------
    value : float
        NaN where it could not be measured; ``reason`` then says why.
    low, high : float
        Ends of the two-sided interval at ``level``.
    at_least, at_most : float
        One-sided bounds, each at ``level``: what a policy compares with its limit.
    subjects : int
        People whom the estimate rests on.
    """

    value: Real
    low: Real = float("nan")
    high: Real = float("nan")
    at_least: Real = float("nan")
    at_most: Real = float("nan")
    subjects: int = 0
    level: float = 0.95
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """One significance test, with all that is needed to read or repeat it.

    Attributes
    ----------
    name : str
        Stable, e.g. ``"mann_whitney"``, ``"wilcoxon_signed_rank"``, ``"identity_permutation"``.
    compared : str
        The groups, e.g. ``"same vs defaced_same"``.
    n : tuple of int
        Observations on each side (a paired test has one number).
    subjects : int
        People behind them; 0 = the table names no subjects.
    statistic, p : float
        NaN where the test could not be run; ``reason`` then says why.
    method : str
        ``"exact"``, ``"asymptotic"``, or how many permutations.
    effect, effect_name : float, str
        AUC for Mann-Whitney, matched-pairs rank-biserial for Wilcoxon, eta squared for Kruskal-Wallis.
    p_adjusted : float
        Benjamini-Hochberg over the family it was adjusted in; NaN = not adjusted.
    condition, attack : str
        What it belongs to; empty for the control.
    """

    __test__ = False  # a record, not a test case, whatever its name suggests to a test collector

    name: str
    compared: str
    n: tuple[int, ...]
    subjects: int
    statistic: Real
    p: Real
    method: str
    alternative: str = "two-sided"
    effect: Real = float("nan")
    effect_name: str = ""
    p_adjusted: Real = float("nan")
    condition: str = ""
    attack: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that changes a distance. A threshold holds only under the fingerprint that it was made with."""

    encoder: str
    weights: str
    detector: str
    renderer: str
    views: str
    surface: str
    modality: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """An operating point: match means distance < ``distance``.

    Attributes
    ----------
    name : str
        ``"youden"``, ``"eer"``, ``"fmr10"``, ``"fmr1"`` or ``"fmr0.1"`` (false match rate of 10, 1, 0.1 %).
    distance : float
        NaN = not offered; ``reason`` says why.
    low, high : float
        Two-sided interval with people as the sample.
    tmr, fmr : Rate
        On the people that chose the threshold.
    tmr_held_out, fmr_held_out : Rate
        On people who had no part in choosing it (folds of subjects, both ends of a pair held out).
    """

    name: str
    distance: Real
    low: Real
    high: Real
    tmr: Rate
    fmr: Rate
    tmr_held_out: Rate
    fmr_held_out: Rate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """ROC points in the order of growing threshold; equal lengths. DET and J follow from the same three columns."""

    threshold: tuple[Real, ...]
    fmr: tuple[Real, ...]
    tmr: tuple[Real, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds, how good they are, and the settings that they belong to.

    Attributes
    ----------
    subjects, same_pairs, different_pairs : int
        The cohort: people with a same or different comparison, and acquired comparisons.
    unacquired_pairs : int
        Same and different comparisons without a distance.
    eer : float
        Equal error rate, the mean of FMR and FNMR where they are nearest.
    d_prime : float
        Distance of the two means in pooled standard deviations.
    attack : str
        Whose same and different comparisons were used.
    """

    fingerprint: Fingerprint
    thresholds: tuple[Threshold, ...]
    auc: Estimate
    eer: Real
    d_prime: Real
    roc: Curve
    subjects: int
    same_pairs: int
    different_pairs: int
    unacquired_pairs: int
    attack: str = "naive"
    seed: int = 0
    draws: int = 0
    notes: tuple[str, ...] = ()
    schema_version: int = 1

    def threshold(self, name: str) -> Threshold:
        """Return the operating point of that name. KeyError names those that exist."""
        for threshold in self.thresholds:
            if threshold.name == name:
                return threshold
        known = ", ".join(t.name for t in self.thresholds)
        raise KeyError(f"no threshold {name!r}; there are: {known}")


@dataclass(frozen=True, slots=True)
class SearchRates:
    """1:N: each probe is looked up among all references of one session; ties go to the attacker.

    Attributes
    ----------
    gallery : int
        References searched; the smallest gallery where sessions differ.
    rank1, rank5 : Rate
        Share of searches that put the mate first, or among the first five. A probe without a face finds nobody.
    chance1, chance5 : float
        What guessing would reach: R / N.
    mean_rank : float
        Unacquired probes at (N + 1) / 2.
    cmc : tuple of float
        cmc[r - 1] = share of searches with the mate among the first r; r = 1 .. gallery, thinned to at most 100
        steps named by ``cmc_ranks``.
    fpir, tpir : float
        Open set at the Youden threshold: searches of people who are not in the gallery that return anybody; searches
        of people in it whose mate is first and below the threshold. FNIR = 1 - tpir.
    fpir_extrapolated : tuple of (gallery size, FPIR)
        1 - (1 - FMR)^N, an extrapolation that takes comparisons for independent.
    rank1_at_least, rank1_at_most : float
        One-sided bounds of rank-1, each at the rate's level.
    """

    gallery: int
    rank1: Rate
    rank5: Rate
    chance1: Real
    chance5: Real
    mean_rank: Real
    cmc_ranks: tuple[int, ...]
    cmc: tuple[Real, ...]
    fpir: Real
    tpir: Real
    fpir_extrapolated: tuple[tuple[int, Real], ...]
    rank1_at_least: Real = float("nan")
    rank1_at_most: Real = float("nan")
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MatchRates:
    """How often defaced scans match their own person at one threshold, three ways, and strangers beside it.

    Attributes
    ----------
    threshold, distance : str, float
        The operating point and its value.
    counted : Rate
        All defaced scans with an acquired reference; no face = no match.
    acquired : Rate
        Only those with a distance.
    worst : Rate
        No face = what the aligned attacker got; without one, a match.
    people : Rate
        People with at least one match, of all people: what a policy limits.
    strangers : Rate
        Defaced scans against other people, no face = no match: the control of the attack.
    still_matched : Rate
        Among comparisons that matched before defacing, those that still do.
    at_low, at_high : float
        ``counted`` at the two ends of the threshold's interval.
    """

    threshold: str
    distance: Real
    counted: Rate
    acquired: Rate
    worst: Rate
    people: Rate
    strangers: Rate
    still_matched: Rate
    at_low: Real = float("nan")
    at_high: Real = float("nan")
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ControlEvidence:
    """What the attacker can do with original scans. A blind attacker proves nothing.

    ``identical`` counts own pairs of originals at distance 0: one scan under two visits, which anything recognises.
    """

    attack: str
    subjects: int
    rates: tuple[tuple[str, Rate, Rate], ...]  # threshold name, TMR over all same pairs (no face = no match), FMR
    auc: Estimate
    search: SearchRates
    fta: Rate
    tests: tuple[TestResult, ...]
    notes: tuple[str, ...] = ()
    identical: int = 0

    def rate(self, name: str) -> tuple[Rate, Rate]:
        """Return (TMR, FMR) at that threshold. KeyError names those that exist."""
        for threshold, tmr, fmr in self.rates:
            if threshold == name:
                return tmr, fmr
        raise KeyError(f"no threshold {name!r}; there are: {', '.join(t for t, _, _ in self.rates)}")


@dataclass(frozen=True, slots=True)
class AttackEvidence:
    """What one attacker can still do after one defacer.

    Attributes
    ----------
    condition, attack : str
    group : Group
        ``defaced_same``, or ``defaced_same_scan`` where nobody has two visits: that flatters the attacker.
    subjects : int
        People with such a comparison.
    fta : Rate
        Defaced scans without a vector.
    matches : tuple of MatchRates
        One per threshold that the calibration offers.
    search : SearchRates
    linkability : Estimate
        AUC of own against other people's originals, over all pairs; a scan without a face counts one half.
    linkability_acquired : Estimate
        The same without the scans that had no face.
    search_auc : Estimate
        The same within each probe's own search: 1 - (rank - 1) / (N - 1) on average. It still sees a person whose
        distances were all shifted together.
    auc_vs_different : Estimate
        Against original strangers, as the literature does. A shift of every distance hides linkage from it.
    parrot : Estimate
        AUC where the gallery is defaced too; NaN where there is none.
    tests : tuple of TestResult
    notes : tuple of str
        Why numbers are missing, and what a reader must know.
    """

    condition: str
    attack: str
    group: Group
    subjects: int
    fta: Rate
    matches: tuple[MatchRates, ...]
    search: SearchRates
    linkability: Estimate
    linkability_acquired: Estimate
    search_auc: Estimate
    auc_vs_different: Estimate
    parrot: Estimate
    tests: tuple[TestResult, ...]
    notes: tuple[str, ...] = ()

    def match(self, name: str) -> MatchRates:
        """Return the match rates at that threshold. KeyError names those that exist."""
        for rates in self.matches:
            if rates.threshold == name:
                return rates
        raise KeyError(f"no threshold {name!r}; there are: {', '.join(m.threshold for m in self.matches)}")


@dataclass(frozen=True, slots=True)
class StratumEvidence:
    """Match rates of one kind of people, e.g. column ``"sex"``, value ``"F"``. Suppressed cells hold no number."""

    column: str
    value: str
    condition: str
    attack: str
    suppressed: bool
    subjects: int | None
    fta: Rate | None
    matches: tuple[MatchRates, ...]
    rank1: Rate | None


@dataclass(frozen=True, slots=True)
class PersonEvidence:
    """How easily one person is found before and after one defacer. Personal: for the steward, not for publication."""

    subject: str
    condition: str
    attack: str
    distance_before: Real
    distance_after: Real
    rank_before: Real
    rank_after: Real
    matched_before: bool
    matched_after: bool
    unacquired: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All numbers that a verdict is made of."""

    controls: tuple[ControlEvidence, ...]
    attacks: tuple[AttackEvidence, ...]
    strata: tuple[StratumEvidence, ...]
    family: tuple[TestResult, ...]  # across defacers: Kruskal-Wallis, one per attacker
    seed: int
    draws: int
    level: float = 0.95
    notes: tuple[str, ...] = ()

    def attack(self, condition: str, attack: str = "naive") -> AttackEvidence:
        """Return the evidence of one attacker on one defacer. KeyError names those that exist."""
        for one in self.attacks:
            if (one.condition, one.attack) == (condition, attack):
                return one
        known = ", ".join(f"{a.condition}/{a.attack}" for a in self.attacks)
        raise KeyError(f"no evidence on {condition}/{attack}; there is: {known or 'none'}")


class Decision(StrEnum):
    """The verdict's word. A later member outweighs an earlier one."""

    PASS = "PASS"
    REVIEW = "REVIEW"
    INCOMPLETE = "INCOMPLETE"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the policy, applied once. ``text`` is the sentence for the report."""

    name: str
    decision: Decision
    text: str
    value: Real = float("nan")
    bound: Real = float("nan")
    limit: Real = float("nan")
    attack: str = ""


@dataclass(frozen=True, slots=True)
class ConditionVerdict:
    """The decision on one defacer and every check behind it."""

    condition: str
    decision: Decision
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a steward accepts. The defaults are the tool's; `reid_audit.verdict.read_policy` reads a TOML file.

    Attributes
    ----------
    max_match_rate : float
        People matched at ``threshold`` after defacing, by the one-sided upper bound.
    max_linkability : float
        AUC of own against strangers' originals, over all pairs and within searches, by the one-sided upper bound.
    max_rank1_over_chance : float
        Share of people found first, above chance, by the one-sided upper bound.
    min_control_tmr, min_control_auc : float
        What the attacker must reach on originals; AUC by its one-sided lower bound.
    min_subjects : int
        People with a comparison before and after defacing.
    max_original_fta : float
        Original scans without a face.
    max_defaced_fta : float
        Defaced scans that no attacker got a vector from, before a PASS needs a human.
    required_attacks : tuple of str
        The attackers that bind: without each of these a PASS becomes a REVIEW. What other attackers find can turn a
        PASS into a REVIEW and no more.
    threshold : str
        Operating point of the match rate.
    level : float
        Confidence of each one-sided bound.
    """

    max_match_rate: float = 0.10
    max_linkability: float = 0.60
    max_rank1_over_chance: float = 0.10
    min_control_tmr: float = 0.80
    min_control_auc: float = 0.80
    min_subjects: int = 20
    max_original_fta: float = 0.10
    max_defaced_fta: float = 0.10
    required_attacks: tuple[str, ...] = ("naive", "registered")
    threshold: str = "youden"
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: the worst of the conditions and of what concerns all of them."""

    decision: Decision
    conditions: tuple[ConditionVerdict, ...]
    checks: tuple[Check, ...]  # those that concern every condition: the control, the cohort, the release
    policy: Policy

    @property
    def exit_code(self) -> int:
        """0 PASS, 1 FAIL, 3 REVIEW, 4 INCOMPLETE; 2 is left to usage and input errors."""
        return {Decision.PASS: 0, Decision.FAIL: 1, Decision.REVIEW: 3, Decision.INCOMPLETE: 4}[self.decision]


# --- the result ---


@dataclass(frozen=True, slots=True)
class PairCount:
    """How many comparisons of one group a cohort allows.

    Attributes
    ----------
    group : Group
    condition : str
        Of the probe; ``"original"`` for same and different.
    possible : int
        Pairs whose two scans are in the manifest: the rows that `reid_audit.match.compare` will give.
    missing : int
        Further pairs that there would be, had every subject a scan wherever somebody has one.
    reasons : tuple of str
        Why pairs are missing or there are none, e.g. ``"no original in session 2: p03, p07"``.
    """

    group: Group
    condition: str
    possible: int
    missing: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanRow:
    """How far one scan came. ``file`` is a name without folders; ``level`` is in the scan's own units."""

    subject: str
    session: str
    condition: str
    file: str
    status: Status
    reason: str
    confidence: Real
    level: Real
    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """Histogram of the distances of one group: ``counts[i]`` lie in [``edges[i]``, ``edges[i + 1]``).

    The last bin holds its upper edge as well. ``missing`` comparisons have no distance.
    """

    group: Group
    condition: str
    attack: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Everything that a report says: what `reid_audit.report` writes, and reads back as it was.

    Attributes
    ----------
    cohort : str
        Name of the manifest, without folders.
    created_utc : str
        When the audit ended, ISO 8601.
    mismatches : tuple of str
        Differences between the calibration's fingerprint and this run, which the user allowed. Empty as a rule.
    notices : tuple of str
        Fallbacks and stand-ins that a reader must know of.
    settings, software, weights : mapping of str to str
    scans : tuple of ScanRow
        Every scan of the manifest, in its order.
    pairs : tuple of PairCount
    people : tuple of PersonEvidence
        Personal: for the steward, not for publication.
    """

    cohort: str
    created_utc: str
    tool_version: str
    verdict: Verdict
    evidence: Evidence
    calibration: Calibration
    fingerprint: Fingerprint
    mismatches: tuple[str, ...]
    notices: tuple[str, ...]
    settings: Mapping[str, str]
    software: Mapping[str, str]
    weights: Mapping[str, str]
    scans: tuple[ScanRow, ...]
    pairs: tuple[PairCount, ...]
    people: tuple[PersonEvidence, ...]
    distributions: tuple[Distribution, ...]
    schema_version: int = 1
