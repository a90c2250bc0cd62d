"""What differs between two visits of one person beyond pose and noise, and how alike people are: the difficulties.

Words
-----
change
    One way in which a face or a scan differs from visit to visit: swelling, expression, a beard, hair, the pillow, the
    imprint of a mask, teeth that streak. Its amount is drawn anew for every visit.
difficulty
    How large the changes are and how far apart people lie: what makes re-identification easy or hard. The numbers are
    fitted to distances of dlib's encoder (``examples/compare_encoders.py --difficulty``), not taken from surveys.
family
    People with neighbouring numbers who share a part of every trait, the sex and nearly the age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError

if TYPE_CHECKING:
    from reid_audit.phantom.person import Person

FAMILY = 3
"""How many people a family has."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How far apart people are, and how much a visit changes.

    Attributes
    ----------
    variety : float
        As in `make_phantom`, where that is not given.
    kinship : float
        Share of the variance of each trait that a family has in common, 0 to 1.
    change : float
        Scale of all changes of the face; 1 is one `_FACE` spread.
    slices_mm : (2,) tuple of float
        Least and largest thickness of the slices of a CT, unless the edge of its voxels is given.
    blur_mm : float
        Largest standard deviation of the blur that kernel and motion make.
    support, streaks : float
        Shares of visits with a headrest in the field of view, and with streaks from teeth (both CT).
    """

    variety: float = 1.0
    kinship: float = 0.0
    change: float = 0.0
    slices_mm: tuple[float, float] = (1.2, 1.6)
    blur_mm: float = 0.0
    support: float = 0.0
    streaks: float = 0.0


DIFFICULTIES: Mapping[str, Difficulty] = MappingProxyType(
    {
        "easy": Difficulty(),
        "typical": Difficulty(variety=1.5, change=0.5, slices_mm=(1.2, 2.0), blur_mm=0.5, support=0.1, streaks=0.1),
        "hard": Difficulty(
            variety=1.0, kinship=0.5, change=2.55, slices_mm=(1.2, 3.0), blur_mm=1.0, support=0.3, streaks=0.3
        ),
    }
)
"""``easy``: visits differ by pose, grid and noise alone. ``typical``: one person's and two people's distances are those
of heads from published label maps. ``hard``: they overlap as those of published real scans do."""


@dataclass(frozen=True, slots=True)
class _Way:
    """What one unit of a change adds to the traits; `grows` is for what only adds, as a beard does."""

    traits: Mapping[str, float]
    grows: bool = False
    men: bool = False


_FACE: Mapping[str, _Way] = MappingProxyType(
    {
        "weight": _Way({"cheek_flesh": 1.2, "under_chin": 1.5, "jowl": 0.7, "fat_thickness": 0.3, "neck_radius": 0.8}),
        "swelling": _Way(
            {"eye_bag": 0.4, "lid_fold": 0.4, "eye_open_top": -0.5, "upper_lip": 0.4, "lower_lip": 0.5, "muzzle": 0.6}
        ),
        "one-sided swelling": _Way({"cheek_flesh_skew": 1.5, "mouth_height_skew": 0.6, "eye_open_skew": 0.3}),
        "smile": _Way(
            {"mouth_half_width": 1.5, "mouth_curve": 1.2, "smile_fold": 0.5, "lip_protrusion": -0.5, "cheekbone": 0.6}
        ),
        "brow": _Way({"brow_height_z": 1.2, "brow_tail_drop": -0.6, "eye_open_top": 0.4, "brow_ridge": -0.3}),
        "jaw": _Way({"menton_z": -1.5, "lip_length": 0.4, "chin_forward": -0.6, "chin_x": 0.4, "chin_crease": -0.4}),
        "beard": _Way(
            {"chin_forward": 1.2, "under_chin": 1.5, "jowl": 1.0, "muzzle": 0.8, "chin_half_width": 1.5},
            grows=True,
            men=True,
        ),
        "hair": _Way({"forehead_boss": 1.0, "temple_hollow": -1.2, "cranium_half_height": 1.0}, grows=True),
        "pillow": _Way(
            {"ear_angle_deg": -3.0, "jowl": 0.6, "cheek_flesh_skew": 0.7, "ear_angle_skew": 2.0}, grows=True
        ),
        "mask": _Way(
            {
                "nose_projection": -0.9,
                "nose_tip_turn": -0.4,
                "chin_forward": -0.7,
                "cheekbone": -0.5,
                "brow_ridge": -0.3,
            },
            grows=True,
        ),
    }
)
_WARP_MM = 0.5  # spread of the displacement at each site of the warp: what no trait describes


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """How one visit differs from the person as drawn.

    Attributes
    ----------
    traits : mapping of str to float
        What is added to traits of `Person`.
    warp_mm : (w, 3) float32
        What is added to the displacements of the person's warp; none = nothing.
    slice_mm : float or None
        Thickness of the slices; None = as without difficulty.
    blur_mm : float
        Standard deviation.
    headrest, streaks : bool
    """

    traits: Mapping[str, float] = field(default_factory=dict)
    warp_mm: NDArray[np.float32] | None = None
    slice_mm: float | None = None
    blur_mm: float = 0.0
    headrest: bool = False
    streaks: bool = False


def find_difficulty(name: str) -> Difficulty:
    """Return a difficulty by its name; `InputError` where there is none of it."""
    if name not in DIFFICULTIES:
        raise InputError(f"difficulty must be one of {', '.join(DIFFICULTIES)}; got {name!r}.")
    return DIFFICULTIES[name]


def draw_change(rng: np.random.Generator, person: Person, difficulty: Difficulty) -> Change:
    """Draw how a visit differs."""
    traits: dict[str, float] = {}
    for way in _FACE.values():
        amount = difficulty.change * float(np.clip(rng.standard_normal(), -2, 2))
        if way.men and person.sex != "M":
            continue
        for name, rate in way.traits.items():
            traits[name] = traits.get(name, 0.0) + rate * (abs(amount) if way.grows else amount)
    spread = difficulty.change * _WARP_MM
    warp: Any = np.clip(rng.standard_normal(person.warp_shifts_mm.shape), -2, 2) * spread
    slice_mm, blur_mm = float(rng.uniform(*difficulty.slices_mm)), float(rng.uniform(0, difficulty.blur_mm))
    headrest, streaks = bool(rng.random() < difficulty.support), bool(rng.random() < difficulty.streaks)
    return Change(traits, warp.astype(np.float32), slice_mm, blur_mm, headrest, streaks)
