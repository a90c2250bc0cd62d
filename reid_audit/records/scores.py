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
    "encoder",
    "probe_subject",
    "probe_session",
    "reference_subject",
    "reference_session",
    "distance",
)
IMAGE_COLUMNS = ("probe_image", "reference_image")
"""Further columns of a table whose sessions hold several images; see `reid_audit.accuracy.pool_images`."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Every comparison that the cohort allows, one row each.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns `SCORE_COLUMNS`: all categorical but ``distance``, float64, cosine distance in [0, 2]; NaN = one of
        the two scans was not acquired. ``condition`` is that of the probe, ``"original"`` for same and different.
        ``encoder`` names the network, ``""`` where nothing is known of it; distances of two encoders are never pooled.
        Where sessions hold several images, also `IMAGE_COLUMNS`, categorical.
    notes : tuple of str
        What was mended on reading them.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


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
        Ends of the two-sided interval at ``confidence``.
    successes, trials : int
    subjects : int
        Subjects behind the trials: pairs share subjects, so this is what the evidence rests on.
    confidence : float
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
    confidence: float = 0.95
    method: str = "Clopper-Pearson"
