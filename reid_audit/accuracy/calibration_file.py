"""The file of the calibrations, and which of them may be used for what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from reid_audit.attack import BASELINE
from reid_audit.records import Calibration, CalibrationError, Fingerprint, InputError, read_json, to_json, write_private


@dataclass(frozen=True, slots=True)
class _CalibrationFile:
    calibrations: tuple[Calibration, ...]
    schema_version: int = 2


def write_calibrations(calibrations: Calibration | Iterable[Calibration], path: Path) -> None:
    """Write calibrations as JSON, one per encoder. NaN becomes null; no subject's distance is in it.

    Raises
    ------
    InputError
        If two are of one encoder, there is none, or the file cannot be written.
    """
    held = _listed(calibrations)
    names = [calibration.fingerprint.encoder for calibration in held]
    if not names or len(set(names)) < len(names):
        raise InputError(f"a calibration file holds one calibration per encoder; got {names}")
    write_private(path, to_json(_CalibrationFile(held)))


def read_calibrations(path: Path) -> tuple[Calibration, ...]:
    """Read what `write_calibrations` wrote: a calibration per encoder, one or more.

    Raises
    ------
    InputError
        The file cannot be read, is not such a file, or is one of another schema version.
    """
    return read_json(path, _CalibrationFile, made_by="reid-audit calibrate").calibrations


def _listed(calibrations: Calibration | Iterable[Calibration]) -> tuple[Calibration, ...]:
    return (calibrations,) if isinstance(calibrations, Calibration) else tuple(calibrations)


def assign_calibrations(
    calibrations: Calibration | Iterable[Calibration], encoders: Iterable[str]
) -> dict[str, dict[str, Calibration]]:
    """Give each encoder its own calibrations, by the attacker whose comparisons of originals set them.

    Parameters
    ----------
    calibrations : Calibration or iterable of Calibration
        Each belongs to the encoder that its fingerprint names. Where all are of one encoder and one encoder is asked
        for, they belong to it whatever their name: `check_fingerprint` then tells the difference.
    encoders : iterable of str

    Raises
    ------
    CalibrationError
        An encoder has none: the threshold of another one means nothing.
    """
    names = list(encoders)
    known: dict[str, dict[str, Calibration]] = {}
    for calibration in _listed(calibrations):
        known.setdefault(calibration.fingerprint.encoder, {})[calibration.attack] = calibration
    if len(names) == len(known) == 1:
        return dict(zip(names, known.values(), strict=True))
    for name in names:
        if name not in known:
            raise CalibrationError(
                f"the calibration covers {', '.join(known) or 'no encoder'} and not {name}; calibrate anew with "
                f"--encoder {name}, or with all that you audit with, separated by commas"
            )
    return {name: known[name] for name in names}


def choose_calibration(calibrations: Mapping[str, Calibration], attack: str) -> Calibration:
    """Return the calibration of one attacker: its own, else that of the attackers who leave originals as they are.

    Raises
    ------
    CalibrationError
        There is none.
    """
    if attack in calibrations:
        return calibrations[attack]
    if BASELINE.name in calibrations:
        return calibrations[BASELINE.name]
    if len(calibrations) == 1:
        return next(iter(calibrations.values()))
    raise CalibrationError(f"there is no calibration for the attack {attack!r}, and none for {BASELINE.name!r}")


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
