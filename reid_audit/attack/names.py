"""What the attackers are called."""

from __future__ import annotations

from collections.abc import Iterable

from reid_audit.records import InputError

DEFACED_GALLERY = "defaced_gallery"
PHOTOS = "photos"
CROSSED = "crossed"

ATTACKS = ("naive", "aligned", "registered", "multiview", "fillin", DEFACED_GALLERY)
"""Names of the attackers."""

DEFAULT_ATTACKS = ("naive", "aligned", "registered")
"""Those that need one portrait of a scan, or two: the others take several times as long."""


def check_attacks(names: Iterable[str]) -> tuple[str, ...]:
    """Return the attackers without repetition, naive among them.

    Raises
    ------
    InputError
        Where a name is not one of `ATTACKS`.
    """
    asked = tuple(dict.fromkeys(names))
    for name in asked:
        if name not in ATTACKS:
            raise InputError(f"--attack: there is no attacker {name!r}; choose from {', '.join(ATTACKS)}")
    return tuple(name for name in ATTACKS if name == "naive" or name in asked)
