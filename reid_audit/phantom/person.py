"""The traits of a synthetic person, and what changes from one visit to the next.

Words
-----
trait
    One number that describes a person's head: a mean over adults, a spread between adults, and how far men and women
    differ. Means and spreads follow adult head and face surveys (Farkas 1994, *Anthropometry of the Head and Face*;
    Zhuang & Bradtmiller 2005, doi:10.1080/15459620590969028) where these give the distance, and the eye elsewhere.
head frame
    Millimetres, x to the right, y to the front, z to the top. z = 0 is the height of the eyes, y = 0 the ear canals.
warp
    A smooth displacement of the head frame, different on both sides: what makes a face asymmetric and its own.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.change import FAMILY, Change, Difficulty, draw_change, find_difficulty
from reid_audit.records import Modality

MAX_VARIETY = 1.5
"""Largest `variety`: beyond it the parts of a jaw can come in the wrong order."""

_PERSON_STREAM, _VISIT_STREAM, _FAMILY_STREAM, _CHANGE_STREAM = range(4)  # keep what is drawn independent
_REACH = 2.2  # spreads between which normals are drawn: rare, but never grotesque
_LEAST = 0.3  # of the mean: what variety leaves of a length


def _trait(mean: float, spread: float, male: float = 0.0) -> Any:
    """Return a field with its mean as default; `male` = difference of men to the mean, in spreads (women: minus)."""
    return field(default=mean, metadata={"spread": spread, "male": male})


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The shape of one head; ``Person()`` is the average one. Lengths in mm, angles in degrees, head frame.

    ``_z`` is a height above the eyes, ``_y`` a depth in front of the ear canals; paired parts give the right side and
    are mirrored, the differences between the sides are the traits that end in ``_skew`` and the warp.
    """

    # Braincase and the outline of the face.
    size: float = _trait(1.0, 0.022, male=0.6)
    cranium_half_width: float = _trait(75.0, 2.6, male=0.1)
    cranium_half_length: float = _trait(95.0, 3.4)
    cranium_half_height: float = _trait(84.0, 3.0)
    forehead_slope: float = _trait(0.0, 3.0, male=-0.3)
    forehead_boss: float = _trait(2.0, 1.3, male=-0.4)
    temple_hollow: float = _trait(3.0, 1.6)
    face_half_width: float = _trait(68.5, 2.7, male=0.2)
    jaw_half_width: float = _trait(54.5, 3.2, male=0.4)
    menton_z: float = _trait(-112.0, 4.5, male=-0.3)
    jaw_rise: float = _trait(39.0, 3.0)
    face_squareness: float = _trait(2.08, 0.11, male=0.2)
    midface_y: float = _trait(81.5, 2.8)
    # Brow, eyes.
    brow_height_z: float = _trait(16.0, 2.3, male=-0.5)
    brow_ridge: float = _trait(2.6, 1.35, male=0.7)
    brow_tail_drop: float = _trait(2.0, 2.2)
    glabella: float = _trait(1.5, 1.15, male=0.6)
    eye_x: float = _trait(31.5, 1.8)
    eye_depth: float = _trait(0.0, 1.9, male=-0.3)
    eye_hollow: float = _trait(2.8, 1.7, male=0.3)
    eyeball_radius: float = _trait(12.0, 0.35)
    eye_half_width: float = _trait(15.0, 1.1)
    eye_open_top: float = _trait(5.1, 0.9, male=-0.2)
    eye_open_bottom: float = _trait(4.2, 0.6)
    eye_tilt_deg: float = _trait(4.0, 2.8, male=-0.2)
    lid_thickness: float = _trait(2.3, 0.35)
    lid_crease: float = _trait(0.9, 0.6)
    lash_line: float = _trait(1.6, 0.3)
    lid_fold: float = _trait(1.6, 1.1)
    eye_bag: float = _trait(0.5, 0.6)
    # Nose.
    sellion_z: float = _trait(3.0, 2.4)
    sellion_y: float = _trait(6.0, 1.8, male=0.3)
    bridge_half_width: float = _trait(5.6, 1.1, male=0.2)
    nose_hump: float = _trait(0.6, 1.2, male=0.3)
    nose_length: float = _trait(40.5, 3.4, male=0.3)
    nose_projection: float = _trait(25.5, 2.9, male=0.3)
    nose_tip_radius: float = _trait(8.2, 1.1, male=0.2)
    nose_tip_turn: float = _trait(2.0, 1.6, male=-0.3)
    ala_half_width: float = _trait(12.2, 1.9, male=0.3)
    ala_size: float = _trait(6.4, 0.85, male=0.2)
    nostril: float = _trait(3.4, 0.45)
    # Mouth and chin.
    lip_length: float = _trait(22.0, 2.8, male=0.3)
    mouth_half_width: float = _trait(25.0, 2.8, male=0.3)
    mouth_curve: float = _trait(-0.5, 2.0)
    upper_lip: float = _trait(5.0, 1.3, male=-0.3)
    lower_lip: float = _trait(5.8, 1.3, male=-0.2)
    cupid_bow: float = _trait(1.4, 0.6)
    lip_protrusion: float = _trait(0.8, 1.5)
    muzzle: float = _trait(5.5, 1.5)
    philtrum: float = _trait(0.9, 0.35)
    chin_forward: float = _trait(3.0, 2.4, male=0.2)
    chin_half_width: float = _trait(14.0, 2.8, male=0.4)
    chin_cleft: float = _trait(0.3, 0.5, male=0.3)
    chin_crease: float = _trait(2.0, 0.9)
    # Cheeks, flesh.
    cheekbone: float = _trait(3.2, 1.7)
    cheekbone_z: float = _trait(-24.0, 3.0)
    cheek_flesh: float = _trait(-0.5, 2.4)
    smile_fold: float = _trait(1.0, 0.8, male=0.2)
    jowl: float = _trait(1.0, 1.4)
    under_chin: float = _trait(2.5, 2.6)
    fat_thickness: float = _trait(4.0, 1.0, male=-0.3)
    # Ears, neck.
    ear_length: float = _trait(61.0, 3.6, male=0.4)
    ear_width: float = _trait(34.0, 2.2, male=0.2)
    ear_angle_deg: float = _trait(24.0, 5.5)
    ear_z: float = _trait(-17.0, 3.0)
    ear_lobe: float = _trait(6.0, 1.3)
    neck_radius: float = _trait(54.0, 3.2, male=0.7)
    larynx: float = _trait(3.0, 1.6, male=0.8)
    # Differences between the sides (right minus left).
    eye_height_skew: float = _trait(0.0, 0.7)
    eye_open_skew: float = _trait(0.0, 0.5)
    brow_height_skew: float = _trait(0.0, 0.8)
    ala_size_skew: float = _trait(0.0, 0.4)
    mouth_height_skew: float = _trait(0.0, 0.8)
    cheek_flesh_skew: float = _trait(0.0, 0.8)
    ear_angle_skew: float = _trait(0.0, 2.5)
    ear_height_skew: float = _trait(0.0, 1.5)
    nose_tip_x: float = _trait(0.0, 1.0)
    chin_x: float = _trait(0.0, 1.0)
    # Warp: Gaussian displacements of the head frame; none in the average person.
    warp_centres_mm: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    warp_shifts_mm: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    # What a table of subjects would say.
    sex: str = ""
    age_years: int = 0

    @property
    def gonion_z(self) -> float:
        """Height of the angle of the jaw."""
        return self.menton_z + self.jaw_rise


# Where the warp acts, right side and middle (x, y, z in the head frame); mirrored to the left with draws of its own.
_WARP_SITES = ((0, 95, 45), (0, 95, -20), (0, 90, -80), (32, 75, 10), (38, 70, -30), (30, 70, -75), (52, 20, -70))
_WARP_CENTRES_MM = np.array([(s * x, y, z) for x, y, z in _WARP_SITES for s in ((1, -1) if x else (1,))], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """What is different about one scan of a person: pose, grid, noise, and the little that a face changes itself."""

    rotation_deg: tuple[float, float, float]  # about x (nod), y (tilt), z (turn)
    shift_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    weight: float  # 0 = as the person is; +1 = a few kg more
    mouth_gap_mm: float
    lid_drop_mm: float
    noise: float  # 1 = usual dose or coil
    scale: float  # MR only: units are arbitrary
    bias: tuple[float, float, float]  # MR only: relative change of the coil's gain per 100 mm
    noise_seed: int
    change: Change = field(default_factory=Change)


def still_visit() -> Visit:
    """Return a visit that changes nothing about a person's head."""
    none = (0.0, 0.0, 0.0)
    return Visit(none, none, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 1.0, 1.0, none, 0)


def _clipped_normal(rng: np.random.Generator, size: Any = None) -> Any:
    """Draw standard normals within `_REACH` spreads."""
    return np.clip(rng.standard_normal(size), -_REACH, _REACH)


def _least(mean: float, spread: float, male: float) -> float:
    """Return the smallest value of a trait: lengths, which nobody has at 0 or below, keep a share of their mean."""
    smallest = mean - spread * (_REACH + abs(male))
    return min(smallest, _LEAST * mean) if smallest > 0 else -np.inf


def draw_person(seed: int, identity: int, *, variety: float = 1.0, kinship: float = 0.0) -> Person:
    """Draw the person that (seed, identity) stands for; the same arguments give the same person.

    `variety` multiplies how far the person is from the average one, in every trait and in the warp. `kinship` is the
    share of the variance that each `FAMILY` of neighbouring identities has in common, with the sex and nearly the age.
    """
    own = _draw_traits(np.random.default_rng((_PERSON_STREAM, seed, identity)))
    if kinship:
        shared = _draw_traits(np.random.default_rng((_FAMILY_STREAM, seed, identity // FAMILY)))
        normals = np.sqrt(1 - kinship) * own.normals + np.sqrt(kinship) * shared.normals
        shifts = np.sqrt(1 - kinship) * own.shifts + np.sqrt(kinship) * shared.shifts
        age_years = round((1 - kinship) * own.age_years + kinship * shared.age_years)
        own = _Draw(shared.sex, np.clip(normals, -_REACH, _REACH), np.clip(shifts, -_REACH, _REACH), age_years)
    sign = 1.0 if own.sex == "M" else -1.0
    traits = {}
    for f, normal in zip(_traits(), own.normals, strict=True):
        mean: Any = f.default
        spread, male = f.metadata["spread"], f.metadata["male"]
        drawn = float(mean + variety * spread * (normal + sign * male))
        # A number of Python's own: one of NumPy's would make every array that it meets float64.
        traits[f.name] = max(drawn, _least(mean, spread, male))
    return Person(
        **traits,
        warp_centres_mm=_WARP_CENTRES_MM,
        warp_shifts_mm=np.asarray(variety * own.shifts * (0.9, 1.0, 1.0), np.float32),
        sex=own.sex,
        age_years=own.age_years,
    )


def _traits() -> list[Any]:
    """Return the fields of `Person` that are drawn."""
    return [f for f in fields(Person) if "spread" in f.metadata]


class _Draw(NamedTuple):
    """What of a person is drawn, in spreads."""

    sex: str
    normals: NDArray[np.float64]
    shifts: NDArray[np.float64]
    age_years: int


def _draw_traits(rng: np.random.Generator) -> _Draw:
    sex = "M" if rng.random() < 0.5 else "F"
    normals = np.array([_clipped_normal(rng) for _ in _traits()])
    return _Draw(sex, normals, _clipped_normal(rng, _WARP_CENTRES_MM.shape), int(rng.integers(22, 86)))


def change_person(person: Person, change: Change) -> Person:
    """Return the person as a visit sees it; traits stay within what is plausible."""
    moved = {}
    for f in _traits():
        if f.name in change.traits:
            least = _least(f.default, f.metadata["spread"], f.metadata["male"])
            moved[f.name] = max(getattr(person, f.name) + change.traits[f.name], least)
    shifts = person.warp_shifts_mm if change.warp_mm is None else person.warp_shifts_mm + change.warp_mm
    return replace(person, warp_shifts_mm=shifts, **moved)


def draw_visit(
    seed: int,
    identity: int,
    visit: int,
    *,
    modality: Modality,
    spacing_mm: float | None,
    pose_sd_deg: float,
    shift_sd_mm: float,
    person: Person | None = None,
    difficulty: Difficulty | None = None,
) -> Visit:
    """Draw what (seed, identity, visit) changes.

    Parameters
    ----------
    seed, identity, visit : int
    modality : Modality
    spacing_mm : float or None
        Edge of isotropic voxels; None = drawn.
    pose_sd_deg, shift_sd_mm : float
        Spread of each angle and of each component of the shift.
    person, difficulty
        Whose face changes, and how much; without them it stays but for weight, mouth and lids.
    """
    change = Change()
    if person is not None and difficulty is not None:
        change = draw_change(np.random.default_rng((_CHANGE_STREAM, seed, identity, visit)), person, difficulty)
    rng = np.random.default_rng((_VISIT_STREAM, seed, identity, visit))
    rotation = _clipped_normal(rng, 3) * pose_sd_deg
    shift = _clipped_normal(rng, 3) * shift_sd_mm
    slice_mm = float(rng.uniform(1.2, 1.6)) if modality is Modality.CT else 1.2
    slice_mm = change.slice_mm if change.slice_mm and modality is Modality.CT else slice_mm
    in_plane_mm = float(rng.uniform(1.15, 1.3))
    weight, gap, drop = rng.normal(0, 0.3), abs(rng.normal(0, 0.5)), rng.normal(0, 0.2)
    bias = rng.normal(0, 0.12, 3)
    noise, scale = float(np.exp(rng.normal(0, 0.2))), float(np.exp(rng.normal(0, 0.5)))
    return Visit(
        rotation_deg=(float(rotation[0]), float(rotation[1]), float(rotation[2])),
        shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
        spacing_mm=(spacing_mm,) * 3 if spacing_mm else (in_plane_mm, in_plane_mm, slice_mm),
        weight=float(np.clip(weight, -1, 1)),
        mouth_gap_mm=min(float(gap), 1.5),
        lid_drop_mm=float(np.clip(drop, -0.5, 0.5)),
        noise=noise,
        scale=scale,
        bias=(float(bias[0]), float(bias[1]), float(bias[2])),
        noise_seed=int(rng.integers(2**63)),
        change=change,
    )


def draw_head(
    seed: int,
    identity: int,
    visit: int,
    *,
    modality: Modality,
    spacing_mm: float | None,
    pose_sd_deg: float,
    shift_sd_mm: float,
    variety: float | None,
    difficulty: str,
) -> tuple[Person, Visit]:
    """Draw the person as a visit sees it, and the visit; the arguments are those of `make_phantom`."""
    scale = find_difficulty(difficulty)
    person = draw_person(seed, identity, variety=scale.variety if variety is None else variety, kinship=scale.kinship)
    at_visit = draw_visit(
        seed,
        identity,
        visit,
        modality=modality,
        spacing_mm=spacing_mm,
        pose_sd_deg=pose_sd_deg,
        shift_sd_mm=shift_sd_mm,
        person=person,
        difficulty=scale if scale.change else None,
    )
    return change_person(person, at_visit.change), at_visit
