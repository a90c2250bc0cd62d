"""Comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, WithJsonSchema

if TYPE_CHECKING:
    import pandas as pd


class Group(StrEnum):
    """Which two scans a comparison joins, probe -> reference."""

    SAME = "same"
    DIFFERENT = "different"
    DEFACED_SAME = "defaced_same"
    DEFACED_DIFFERENT = "defaced_different"
    DEFACED_SAME_SCAN = "defaced_same_scan"
    DEFACED_DEFACED_SAME = "defaced_defaced_same"
    DEFACED_DEFACED_DIFFERENT = "defaced_defaced_different"


SCORE_COLUMNS = (
    "group",
    "condition",
    "attack",
    "probe_subject",
    "probe_session",
    "reference_subject",
    "reference_session",
    "distance",
)

ENCODER_COLUMN = "encoder"
"""Names the recogniser of a row, in a table that several recognisers made. Their distances are never pooled."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Every comparison that the cohort allows, one row each.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns `SCORE_COLUMNS`: all categorical but ``distance``, float64, cosine distance in [0, 2]; NaN = one of
        the two scans was not acquired. ``condition`` is that of the probe, ``"original"`` for same and different. What
        several recognisers found has `ENCODER_COLUMN` as well, and is for writing down, not for judging as one.
    """

    frame: pd.DataFrame


def _none_to_nan(value: object) -> object:
    return float("nan") if value is None else value


Real = Annotated[
    float, BeforeValidator(_none_to_nan), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})
]
"""A float that is written to JSON as null where it is NaN, and read back as NaN."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A proportion with its interval.

    Attributes
    ----------
    value : float
        The observed proportion ``successes / trials``; NaN where there were no trials.
    low, high : float
        Ends of the two-sided interval at ``level``.
    successes, trials : int
    subjects : int
        People behind the trials: pairs share people, so this is what the evidence rests on.
    level : float
        Confidence, e.g. 0.95.
    method : str
        ``"Clopper-Pearson"``, ``"subject bootstrap"``, ...
    """

    value: Real
    low: Real
    high: Real
    successes: int
    trials: int
    subjects: int
    level: float = 0.95
    method: str = "Clopper-Pearson"
