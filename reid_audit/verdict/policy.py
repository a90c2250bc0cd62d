"""The policy as a small TOML file: read, checked and written with its meaning."""

import math
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from reid_audit.records import InputError, Policy

_MEANING = {
    "max_match_rate": "mated comparisons that match beyond chance, upper bound",
    "max_linkability": "AUC of mated against non-mated comparisons in a search (0.5 = chance), upper bound",
    "max_rank1_over_chance": "searches with the mate first among 100 people, above chance, upper bound",
    "min_control_tmr": "originals that must match, upper bound",
    "min_control_auc": "linkability that an attacker must reach on a canary and on originals, lower bound",
    "min_subjects": "subjects with a defaced scan that an attacker saw who links canaries",
    "max_original_fta": "original scans without a vector",
    "max_defaced_fta": "defaced scans that a required attacker, the baseline aside, may get no vector from",
    "required_attacks": "attackers that bind, and without which nothing passes",
    "threshold": "operating point of the match rates: youden, eer, fmr10, fmr1 or fmr0.1",
    "confidence": "of every one-sided bound",
}
_GONE = {"level": "it is now called 'confidence'; rename it"}
"""Settings of version 0.1."""

_THRESHOLDS = ("youden", "eer", "fmr10", "fmr1", "fmr0.1")


def _check_setting(name: str, value: object, source: str) -> Any:
    if name == "required_attacks":
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) and v for v in value):
            raise InputError(f"{source}: required_attacks must be a list of names; got {value!r}")
        return tuple(value)
    if name == "threshold":
        if value not in _THRESHOLDS:
            raise InputError(f"{source}: threshold must be one of {', '.join(_THRESHOLDS)}; got {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{source}: {name} must be a number; got {value!r}")
    if name == "min_subjects":
        if not math.isfinite(value) or value != int(value) or value < 2:
            raise InputError(f"{source}: min_subjects must be a whole number of at least 2; got {value!r}")
        return int(value)
    if name == "confidence" and not 0.5 < value < 1:
        raise InputError(f"{source}: confidence must lie strictly between 0.5 and 1; got {value!r}")
    if not 0 <= value <= 1:
        raise InputError(f"{source}: {name} must lie in 0 .. 1; got {value!r}")
    return float(value)


def check_policy(policy: Policy, *, source: str = "the policy") -> Policy:
    """Return the policy with every number in its range.

    Raises
    ------
    InputError
        Names the setting, its rule and its value.
    """
    return Policy(**{f.name: _check_setting(f.name, getattr(policy, f.name), source) for f in fields(Policy)})


def read_policy(path: Path) -> Policy:
    """Read a policy from a TOML file: settings of `Policy` at the top or in a table ``[policy]``; the rest by default.

    Raises
    ------
    InputError
        Not TOML, an unknown setting, or a value out of range.
    """
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not TOML: {error}") from error
    if set(settings) == {"policy"} and isinstance(settings["policy"], dict):
        settings = settings["policy"]
    for name in settings.keys() & _GONE.keys():
        raise InputError(f"{path.name}: the setting {name!r} is gone: {_GONE[name]}")
    known = {f.name for f in fields(Policy)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InputError(f"{path.name}: unknown setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return Policy(**{name: _check_setting(name, value, path.name) for name, value in settings.items()})


def format_policy(policy: Policy) -> str:
    """Return a policy as a commented TOML file, which `read_policy` reads back."""
    lines = ["[policy]"]
    for field in fields(Policy):
        value = getattr(policy, field.name)
        if isinstance(value, tuple):
            text = "[" + ", ".join(f'"{v}"' for v in value) + "]"
        else:
            text = f'"{value}"' if isinstance(value, str) else f"{value}"
        lines.append(f"{field.name} = {text}  # {_MEANING[field.name]}")
    return "\n".join(lines) + "\n"
