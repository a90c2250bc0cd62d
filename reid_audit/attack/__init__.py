"""Attackers: what somebody who holds a defaced scan may do before and when a recogniser looks at it.

One file per attacker; each says in its first lines what it uses. `Attack` is the protocol, with the naive attacker's
answer to everything. Other rooms ask for an attacker's properties and never for its name. An attacker from outside the
package joins the table by `register_attack`.
"""

from collections.abc import Iterable

from reid_audit.attack.aligned import Aligned, Crossed, choose_crossings
from reid_audit.attack.base import Attack, Gallery, Hints, Side, Target
from reid_audit.attack.canaries import CANARIES, SAMPLE, choose_canaries
from reid_audit.attack.channels import Brain, Skull
from reid_audit.attack.defaced_gallery import DefacedGallery
from reid_audit.attack.fillin import FillIn
from reid_audit.attack.fusion import Fusion
from reid_audit.attack.lay import Laid
from reid_audit.attack.leaks import map_leaks, pick_mapped
from reid_audit.attack.learned import Learned, LearnedFusion
from reid_audit.attack.multiview import MultiViewMean, MultiViewMin
from reid_audit.attack.naive import Naive
from reid_audit.attack.occlusion import map_occlusion
from reid_audit.attack.photos import Photos, read_photo, search_photographs
from reid_audit.attack.registered import Registered
from reid_audit.attack.shape import REGIONS, Region, Shape
from reid_audit.records import InputError

BASELINE = Naive()
"""The attacker that everybody else is compared with."""

PHOTOS = Photos()
"""Needs a gallery, so that it is run where there is one and not by its name."""

_TABLE: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        BASELINE,
        Aligned(),
        Registered(),
        MultiViewMin(),
        MultiViewMean(),
        FillIn(),
        DefacedGallery(),
        Shape(),
        *(Region(part) for part in REGIONS),
        Skull(),
        Brain(),
        Fusion(),
        Learned(),
        LearnedFusion(),
    )
}
_UNASKED: dict[str, Attack] = {attack.name: attack for attack in (PHOTOS, Crossed())}


def list_attacks() -> tuple[Attack, ...]:
    """Return the attackers that can be asked for, those of `register_attack` last."""
    return tuple(_TABLE.values())


def register_attack(attack: Attack) -> None:
    """Add an attacker from outside the package; it can then be asked for by its name.

    Worker processes get the attacker itself, so that its class must stand in a module that they can import.

    Raises
    ------
    InputError
        Where the name is empty or taken, or holds a comma.
    """
    taken = {name for each in (*_TABLE.values(), *_UNASKED.values()) for name in each.names}
    if not attack.name or "," in attack.name or attack.name in taken:
        raise InputError(f"an attacker needs a name of its own without commas; got {attack.name!r}")
    _TABLE[attack.name] = attack


def find_attack(name: str) -> Attack:
    """Return an attacker by its name; one that is not known, from another laboratory's table, has the defaults."""
    family, _, by = name.partition("-")
    if family == PHOTOS.name and by in _TABLE:
        return Photos(_TABLE[by])
    return _TABLE.get(name) or _UNASKED.get(name) or Attack(name)


def choose_attacks(names: Iterable[str] | None = None) -> tuple[Attack, ...]:
    """Return the attackers of these names or families, the baseline first, in the order of the table.

    One whose family is itself an attacker is nothing without that one, which is run too.

    Parameters
    ----------
    names : iterable of str, optional
        By default those that are selected by default: they need one or two portraits of a scan, others several.

    Raises
    ------
    InputError
        Where a name is not known.
    """
    if names is None:
        return tuple(attack for attack in _TABLE.values() if attack.selected_by_default)
    asked = tuple(dict.fromkeys(names))
    known = {name for attack in _TABLE.values() for name in attack.names}
    for name in asked:
        if name not in known:
            raise InputError(f"--attack: there is no attacker {name!r}; choose from {', '.join(_TABLE)}")
    wanted = {*asked, *(a.family for a in _TABLE.values() if a.name in asked and a.family in _TABLE)}
    return tuple(a for a in _TABLE.values() if a.baseline or not a.names.isdisjoint(wanted))


__all__ = [
    "BASELINE",
    "CANARIES",
    "PHOTOS",
    "SAMPLE",
    "Aligned",
    "Attack",
    "Brain",
    "Crossed",
    "DefacedGallery",
    "FillIn",
    "Fusion",
    "Gallery",
    "Hints",
    "Laid",
    "Learned",
    "LearnedFusion",
    "MultiViewMean",
    "MultiViewMin",
    "Naive",
    "Photos",
    "Region",
    "Registered",
    "Shape",
    "Side",
    "Skull",
    "Target",
    "choose_attacks",
    "choose_canaries",
    "choose_crossings",
    "find_attack",
    "list_attacks",
    "map_leaks",
    "map_occlusion",
    "pick_mapped",
    "read_photo",
    "register_attack",
    "search_photographs",
]
