"""The file of a calibration, and whether it may be used: one recogniser's thresholds, or those of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from reid_audit.records import Calibration, CalibrationError, Fingerprint, InputError

SCHEMA_VERSION = 1


def write_calibration(calibration: Calibration | Sequence[Calibration], path: Path) -> None:
    """Write a calibration as JSON, or a list of them: one per recogniser. NaN becomes null; no person's distance is in.

    Raises
    ------
    InputError
        If two are of one recogniser, there is none, or the file cannot be written.
    """
    if isinstance(calibration, Calibration):
        content = TypeAdapter(Calibration).dump_json(calibration, indent=2)
    else:
        names = [one.fingerprint.encoder for one in calibration]
        if not names or len(set(names)) < len(names):
            raise InputError(f"a calibration file holds one calibration per recogniser; got {names}")
        content = TypeAdapter(tuple[Calibration, ...]).dump_json(tuple(calibration), indent=2)
    try:
        path.write_bytes(content + b"\n")
    except OSError as error:
        raise InputError(f"{path.name} cannot be written: {error.strerror}") from error


def _read_one(content: Any, name: str) -> Calibration:
    try:
        calibration = TypeAdapter(Calibration).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CalibrationError(f"{name} is not a calibration: {where}: {first['msg']}") from error
    if calibration.schema_version != SCHEMA_VERSION:
        raise CalibrationError(
            f"{name} has schema version {calibration.schema_version}, this program reads {SCHEMA_VERSION}; "
            "calibrate anew"
        )
    return calibration


def read_calibrations(path: Path) -> tuple[Calibration, ...]:
    """Read what `write_calibration` wrote: a calibration per recogniser, one or more.

    Raises
    ------
    InputError
        The file cannot be opened.
    CalibrationError
        It is not a calibration, or one of another schema version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        content = from_json(text)
    except ValueError as error:
        raise CalibrationError(f"{path.name} is not a calibration: {error}") from error
    parts = content if isinstance(content, list) else [content]
    if not parts:
        raise CalibrationError(f"{path.name} is not a calibration: it holds none")
    return tuple(_read_one(part, path.name) for part in parts)


def read_calibration(path: Path) -> Calibration:
    """Read the calibration of one recogniser.

    Raises
    ------
    InputError, CalibrationError
        As `read_calibrations`; also where the file covers several recognisers.
    """
    found = read_calibrations(path)
    if len(found) > 1:
        names = ", ".join(one.fingerprint.encoder for one in found)
        raise CalibrationError(f"{path.name} covers several recognisers ({names}): read_calibrations reads them")
    return found[0]


def find_calibration(calibrations: Iterable[Calibration], encoder: str) -> Calibration:
    """Return the calibration of one recogniser, by its name.

    Raises
    ------
    CalibrationError
        There is none: the threshold of another recogniser means nothing.
    """
    known = {one.fingerprint.encoder: one for one in calibrations}
    if encoder not in known:
        raise CalibrationError(
            f"the calibration covers {', '.join(known) or 'no recogniser'} and not {encoder}; "
            f"calibrate anew with --encoder {encoder}, or with all that you audit with, separated by commas"
        )
    return known[encoder]


def check_fingerprint(calibration: Calibration, current: Fingerprint, *, allow: bool = False) -> tuple[str, ...]:
    """Compare the settings of a calibration with those of now.

    Parameters
    ----------
    calibration : Calibration
    current : Fingerprint
    allow : bool
        Return the differences, to be written into the report, instead of refusing.

    Returns
    -------
    tuple of str
        One sentence per difference; empty = the thresholds hold.

    Raises
    ------
    CalibrationError
        There is a difference and ``allow`` is false.
    """
    differences = tuple(
        f"{field.name} was {getattr(calibration.fingerprint, field.name)!r} and is {getattr(current, field.name)!r}"
        for field in fields(Fingerprint)
        if getattr(calibration.fingerprint, field.name) != getattr(current, field.name)
    )
    if differences and not allow:
        raise CalibrationError(
            "the thresholds were made under other settings: " + "; ".join(differences) + "; calibrate anew"
        )
    return differences
