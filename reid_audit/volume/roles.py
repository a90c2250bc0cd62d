"""What a structure is, told from its name and from what the structure set calls it; the words stand in roles.toml."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from reid_audit.records import InputError
from reid_audit.volume.names import plain_name

_TARGET_KINDS = ("GTV", "CTV", "PTV")
_LISTS = ("sides", "eyes", "removed", "targets", "planning", "brain", "body")


class Role(StrEnum):
    """What the defacer does with a structure."""

    TARGET = "target"  # kept whole, and its voxels with it
    BRAIN = "brain"  # likewise
    EYES = "eyes"  # shows where to cut; removed
    REMOVED = "removed"  # lenses, corneas, lacrimal glands, lids
    OTHER = "other"  # clipped where it protrudes, the body among them


def _parse(text: str, name: str) -> dict[str, tuple[str, ...]]:
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: is no TOML table of names: {error}") from error
    for key, words in table.items():
        if key not in _LISTS or not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
            raise InputError(f"{name}: {key!r} must be one of {', '.join(_LISTS)}, each a list of expressions")
    return {key: tuple(words) for key, words in table.items()}


def _expressions(words: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    side, eyes, removed = ("|".join(words[key]) for key in ("sides", "eyes", "removed"))
    return {
        "eyes": (f"^(({side})_?)?({eyes})(_?({side}))?$",),
        "removed": (f"(^|_)(({side})_?)?({removed})",),
        **{key: tuple(w.replace("{side}", f"({side})") for w in words[key]) for key in _LISTS[3:]},
    }


_WORDS = _parse(files(__package__).joinpath("roles.toml").read_text(encoding="utf-8"), "roles.toml")
_USUAL = _expressions(_WORDS)


@dataclass(frozen=True, slots=True)
class StructureNames:
    """Regular expressions for the names that have a role; each is searched for in the name, see roles.toml.

    Attributes
    ----------
    eyes : tuple of str
        Structures whose extent gives the cut.
    removed : tuple of str
        Structures that are removed, the eyes among them.
    targets : tuple of str
        Kept, with what the structure set itself calls GTV, CTV or PTV.
    planning : tuple of str
        Targets that are planning target volumes.
    brain, body : tuple of str
    """

    eyes: tuple[str, ...] = _USUAL["eyes"]
    removed: tuple[str, ...] = _USUAL["removed"]
    targets: tuple[str, ...] = _USUAL["targets"]
    planning: tuple[str, ...] = _USUAL["planning"]
    brain: tuple[str, ...] = _USUAL["brain"]
    body: tuple[str, ...] = _USUAL["body"]

    def __post_init__(self) -> None:
        for pattern in (*self.eyes, *self.removed, *self.targets, *self.planning, *self.brain, *self.body):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"'{pattern}' is not a regular expression for names of structures: {error}") from error

    @classmethod
    def read(cls, path: Path) -> StructureNames:
        """Read the names from a table such as roles.toml; lists that it lacks are those of the package.

        Raises
        ------
        InputError
            The file cannot be read, holds another list, or an entry is no regular expression.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path.name}: cannot be read; give a TOML table of names, as in roles.toml") from error
        return cls(**_expressions(_WORDS | _parse(text, path.name)))

    def role_of(self, name: str, kind: str = "") -> Role:
        """Return the role of a structure; `kind` is its RT ROI interpreted type, where there is one."""
        if _is_among(name, self.eyes):
            return Role.EYES
        if kind.upper() in _TARGET_KINDS or _is_among(name, self.targets):
            return Role.TARGET
        if _is_among(name, self.removed):
            return Role.REMOVED
        return Role.BRAIN if _is_among(name, self.brain) else Role.OTHER

    def is_planning_target(self, name: str) -> bool:
        """Whether a structure is a planning target volume by its name."""
        return self.role_of(name) is Role.TARGET and _is_among(name, self.planning)

    def is_body(self, name: str) -> bool:
        """Whether a structure is the outline of the patient by its name."""
        return _is_among(name, self.body)


def _is_among(name: str, patterns: Iterable[str]) -> bool:
    plain = _spell(name)
    return any(re.search(pattern, plain) for pattern in patterns)


@cache
def _spell(name: str) -> str:
    """Spell a name without accents: ``"Œil gauche"`` is ``"oeil_gauche"``."""
    letters = name.casefold().translate({0x153: "oe", 0xE6: "ae", 0xF8: "o", 0x142: "l", 0x131: "i"})
    return plain_name("".join(c for c in unicodedata.normalize("NFKD", letters) if not unicodedata.combining(c)))
