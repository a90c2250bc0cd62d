"""What a structure is, told from its name and from what the structure set calls it.

Names are compared in lower case with every run of other characters than letters and digits as one underscore, so that
``Eye L``, ``eye-l`` and ``EYE_L`` are one. The defaults follow AAPM TG-263 and what is usual beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from reid_audit.records import InputError
from reid_audit.volume.names import plain_name

_SIDE = "(l|r|lt|rt|left|right|both)"
_TARGET_KINDS = ("GTV", "CTV", "PTV")


class Role(StrEnum):
    """What the defacer does with a structure."""

    TARGET = "target"  # kept whole, and its voxels with it
    BRAIN = "brain"  # likewise
    EYES = "eyes"  # shows where to cut; removed
    REMOVED = "removed"  # lenses, corneas, lacrimal glands, lids
    OTHER = "other"  # clipped where it protrudes, the body among them


@dataclass(frozen=True, slots=True)
class StructureNames:
    """Regular expressions for the names that have a role; each is searched for in the name, see the module.

    Attributes
    ----------
    eyes : tuple of str
        Structures whose extent gives the cut. A margin around an eye (``Eye_L_PRV03``) is none.
    removed : tuple of str
        Structures that are removed, the eyes among them.
    targets : tuple of str
        Kept, with what the structure set itself calls GTV, CTV or PTV. A ring around a target or a body without it
        would keep a whole face: such names are no targets.
    brain : tuple of str
    """

    eyes: tuple[str, ...] = (f"^({_SIDE}_?)?(eye(ball)?|globe)s?(_?{_SIDE})?$",)
    removed: tuple[str, ...] = (f"(^|_)({_SIDE}_?)?(eye|globe|lens|cornea|lacrimal)",)
    targets: tuple[str, ...] = ("^i?(gtv|ctv|ptv|itv)(?!.*(ring|rind|shell|avoid|body|skin|external))",)
    brain: tuple[str, ...] = (f"^(whole_?)?brain(_?stem)?(_?{_SIDE})?$",)

    def __post_init__(self) -> None:
        for pattern in (*self.eyes, *self.removed, *self.targets, *self.brain):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"'{pattern}' is not a regular expression for names of structures: {error}") from error

    def role_of(self, name: str, kind: str = "") -> Role:
        """Return the role of a structure; `kind` is its RT ROI interpreted type, where there is one."""
        plain = plain_name(name)

        def among(patterns: Iterable[str]) -> bool:
            return any(re.search(pattern, plain) for pattern in patterns)

        if among(self.eyes):
            return Role.EYES
        if kind.upper() in _TARGET_KINDS or among(self.targets):
            return Role.TARGET
        if among(self.removed):
            return Role.REMOVED
        return Role.BRAIN if among(self.brain) else Role.OTHER
