"""Reference defacers by the words of the command line."""

import re

from reid_audit.deface.drawn_head import DrawnHead
from reid_audit.deface.protocol import Defacer
from reid_audit.deface.reface import AverageReface, DrawnReface
from reid_audit.deface.reference import EyePlaneCut, FaceBlur, FaceRemoval
from reid_audit.deface.simple import FaceBox, NoDefacing, QuickShear, ShellBlur, SkinNoise
from reid_audit.records import InputError


def list_defacers() -> tuple[Defacer, ...]:
    """Return every reference defacer with its defaults: those that need no label map first."""
    return (
        NoDefacing(),
        FaceBox(),
        ShellBlur(),
        SkinNoise(),
        AverageReface(),
        DrawnReface(),
        QuickShear(),
        EyePlaneCut(),
        FaceBlur(),
        FaceRemoval(),
        DrawnHead(),
    )


def make_defacer(word: str) -> Defacer | None:
    """Return the reference defacer that a word names, or None where it names none.

    Parameters
    ----------
    word : str
        A name of `list_defacers`, with or without its hyphens; ``"blur:5mm"`` is the shell blur of any sigma,
        ``"skin-noise:3"`` the layer of any seed.

    Raises
    ------
    InputError
        Where what follows the colon is not what that defacer takes.
    """
    name, colon, value = word.partition(":")
    if colon and name == "blur":
        number = re.fullmatch(r"(\d+(?:\.\d+)?)(?:mm)?", value)
        if number is None:
            raise InputError(f"defacer {word!r}: a blur is given as blur:5mm, its sigma in mm")
        return ShellBlur(float(number[1]))
    if colon and name == "skin-noise":
        if not value.isdecimal():
            raise InputError(f"defacer {word!r}: the layer is given as skin-noise:3, its seed a whole number")
        return SkinNoise(int(value), name=f"skin-noise-{int(value)}")
    asked = word.replace("-", "")
    return next((defacer for defacer in list_defacers() if defacer.name.replace("-", "") == asked), None)


def reference_defacers() -> tuple[Defacer, ...]:
    """Return the three defacers of the demo: the eye-plane cut, a light blur, and the removal of the whole face."""
    return EyePlaneCut(), FaceBlur(), FaceRemoval()
