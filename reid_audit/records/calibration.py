"""Estimates, thresholds, and the settings under which a threshold holds."""

import math
from dataclasses import dataclass

from reid_audit.records.scores import Rate, Real


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that is not a plain proportion (AUC, d', threshold), with what subjects could make of it.

    Attributes
    ----------
    value : float
        NaN where it could not be measured; ``reason`` then says why.
    low, high : float
        Ends of the two-sided interval at ``confidence``.
    at_least, at_most : float
        One-sided bounds, each at ``confidence``: what a policy compares with its limit.
    subjects : int
        Subjects whom the estimate rests on.
    """

    value: Real
    low: Real = float("nan")
    high: Real = float("nan")
    at_least: Real = float("nan")
    at_most: Real = float("nan")
    subjects: int = 0
    confidence: float = 0.95
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that changes a distance. A threshold holds only under the fingerprint that it was made with."""

    encoder: str
    weights: str
    detector: str
    renderer: str
    views: str
    surface: str
    modality: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """An operating point: match means distance < ``distance``.

    Attributes
    ----------
    name : str
        ``"youden"``, ``"eer"``, ``"fmr10"``, ``"fmr1"`` or ``"fmr0.1"`` (false match rate of 10, 1, 0.1 %).
    distance : float
        NaN = not offered; ``reason`` says why.
    low, high : float
        Two-sided interval with subjects as the sample.
    tmr, fmr : Rate
        On the subjects that chose the threshold.
    tmr_held_out, fmr_held_out : Rate
        On subjects who had no part in choosing it (folds of subjects, both ends of a pair held out).
    """

    name: str
    distance: Real
    low: Real
    high: Real
    tmr: Rate
    fmr: Rate
    tmr_held_out: Rate
    fmr_held_out: Rate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """ROC points in the order of growing threshold; equal lengths. DET and J follow from the same three columns."""

    threshold: tuple[Real, ...]
    fmr: tuple[Real, ...]
    tmr: tuple[Real, ...]


@dataclass(frozen=True, slots=True)
class ThresholdStability:
    """The threshold that smaller cohorts of the same subjects would have given.

    Attributes
    ----------
    name : str
        ``"youden"`` ...
    subjects : int
        Subjects in each draw, drawn without replacement.
    median, low, high : float
        Median and the middle 95 % over the draws that offered the threshold; NaN where none did, and ``low``, ``high``
        for everybody: that is no draw.
    """

    name: str
    subjects: int
    median: Real
    low: Real
    high: Real


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds, how good they are, and the settings that they belong to.

    Attributes
    ----------
    subjects, same_pairs, different_pairs : int
        The cohort: subjects with a same or different comparison, and acquired comparisons.
    unacquired_pairs : int
        Same and different comparisons without a distance.
    eer : float
        Equal error rate, the mean of FMR and FNMR where they are nearest.
    d_prime : float
        Distance of the two means in pooled standard deviations.
    attack : str
        Whose same and different comparisons were used.
    stability : tuple of ThresholdStability
        How the threshold settles as the cohort grows; empty for few subjects.
    """

    fingerprint: Fingerprint
    thresholds: tuple[Threshold, ...]
    auc: Estimate
    eer: Real
    d_prime: Real
    roc: Curve
    subjects: int
    same_pairs: int
    different_pairs: int
    unacquired_pairs: int
    attack: str = "naive"
    seed: int = 0
    draws: int = 0
    notes: tuple[str, ...] = ()
    stability: tuple[ThresholdStability, ...] = ()

    def threshold(self, name: str) -> Threshold:
        """Return the operating point of that name. KeyError names those that exist."""
        for threshold in self.thresholds:
            if threshold.name == name:
                return threshold
        known = ", ".join(t.name for t in self.thresholds)
        raise KeyError(f"no threshold {name!r}; there are: {known}")

    def distance_at(self, name: str) -> float:
        """Return the distance of the operating point of that name; NaN where it is not offered."""
        return next((threshold.distance for threshold in self.thresholds if threshold.name == name), math.nan)
