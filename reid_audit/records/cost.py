"""What a defacer took: seconds, memory and failures of its runs, and what the data lost."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from reid_audit.records.scans import group_by
from reid_audit.records.scores import Real


class DefaceStatus(StrEnum):
    """How one run of a defacer ended. Only ``ok`` leaves a scan to score."""

    OK = "ok"
    MISSING = "missing"  # the tool is not on this machine
    FAILED = "failed"  # it said so itself, or left no output
    TIMED_OUT = "timed_out"
    OTHER_GRID = "other_grid"  # the output does not lie on the input's voxels
    UNCHANGED = "unchanged"  # the output is the input
    BRAIN_CUT = "brain_cut"  # voxels of the brain mask were changed


@dataclass(frozen=True, slots=True)
class DefaceRun:
    """One run of one defacer on one scan.

    Attributes
    ----------
    condition : str
        The defacer's name: the condition of the scans that it makes.
    version : str
        Of the tool, ``""`` where it does not say.
    subject, session : str
    status : DefaceStatus
    reason : str
        One sentence where the status is not ``ok``.
    seconds : float
        Wall time.
    peak_memory_mb : float
        Of the tool and its children; NaN where it could not be measured.
    """

    condition: str
    version: str
    subject: str
    session: str
    status: DefaceStatus
    reason: str = ""
    seconds: Real = float("nan")
    peak_memory_mb: Real = float("nan")


@dataclass(frozen=True, slots=True)
class DefacingSummary:
    """The runs of one defacer, as every table shows them.

    Attributes
    ----------
    condition, version : str
        The version is ``""`` where it is not known, and several are joined by commas.
    runs, ok : int
        ``ok`` of them left a scan to score; the others are its failures.
    failures : tuple of (DefaceStatus, int)
        How often each other status occurred, in the order of `DefaceStatus`; those that did not are left out.
    median_seconds : float
        Over the runs that are ``ok`` and were timed; NaN where none was. A tool that stops at once is not a fast one,
        and a time limit that ended a run is not the tool's time.
    peak_memory_mb : float
        The largest of all runs, for a run that failed needed it too; NaN where none was measured.
    """

    condition: str
    version: str
    runs: int
    ok: int
    failures: tuple[tuple[DefaceStatus, int], ...]
    median_seconds: float
    peak_memory_mb: float

    @property
    def failed(self) -> int:
        """Runs that left no scan to score."""
        return self.runs - self.ok


def summarise_defacing(runs: Iterable[DefaceRun]) -> tuple[DefacingSummary, ...]:
    """Sum up the runs per defacer, in the order in which the defacers first occur. Empty for no runs."""
    by_condition = group_by(runs, lambda run: run.condition)
    return tuple(_sum_up(condition, rows) for condition, rows in by_condition.items())


def _sum_up(condition: str, rows: list[DefaceRun]) -> DefacingSummary:
    counts = Counter(row.status for row in rows)
    ok = DefaceStatus.OK
    seconds = [row.seconds for row in rows if row.status is ok and not math.isnan(row.seconds)]
    peaks = [row.peak_memory_mb for row in rows if not math.isnan(row.peak_memory_mb)]
    return DefacingSummary(
        condition=condition,
        version=", ".join(dict.fromkeys(row.version for row in rows if row.version)),
        runs=len(rows),
        ok=counts[ok],
        failures=tuple((status, counts[status]) for status in DefaceStatus if status is not ok and counts[status]),
        median_seconds=median(seconds) if seconds else math.nan,
        peak_memory_mb=max(peaks, default=math.nan),
    )


@dataclass(frozen=True, slots=True)
class UtilityValue:
    """What one defacer did to one measure of one structure, over cases.

    Attributes
    ----------
    condition : str
        The defacer's name.
    metric : str
        E.g. ``"dice"``, ``"surface_dice_2mm"``, ``"hd95"``, ``"volume_difference"``, ``"dose_d0.01cc_difference"``.
    unit : str
        E.g. ``"mm"``, ``"cm3"``, ``"HU"``, ``"cGy"``; ``""`` for a share.
    structure : str
        ``"all"`` where the structures were taken together.
    position : str
        ``"on_face"``, ``"same_slices"``, ``"elsewhere"`` or ``"all"``.
    cases, undefined : int
        Cases with a number, and cases without (a structure empty before or after): counted, never dropped silently.
    mean : float
        Over subjects, each of whose cases were averaged first.
    median : float
        Over cases.
    low, high : float
        95 % interval of the mean, whose sample is the subjects; NaN where they do not vary at all and have no bounds.
    p_value, p_adjusted : float
        Paired Wilcoxon before against after, and after Benjamini-Hochberg; NaN where the metric compares already.
    larger_is_better : bool or None
        None where the ideal is no difference: 0.
    subjects : int
        Subjects behind the cases: the sample of the interval and of the test.
    sd : float
        Standard deviation over cases; NaN for fewer than two.
    """

    condition: str
    metric: str
    unit: str
    structure: str
    position: str
    cases: int
    undefined: int
    mean: Real
    median: Real
    low: Real
    high: Real
    p_value: Real
    p_adjusted: Real
    larger_is_better: bool | None
    subjects: int = 0
    sd: Real = float("nan")


@dataclass(frozen=True, slots=True)
class Repeatability:
    """How well the volumes of one structure agree before and after, over cases. See `reid_audit.utility.volumetry`.

    Attributes
    ----------
    condition, structure, unit : str
        ``"all"`` and ``""`` for the volumes of all structures, scaled to [0, 1].
    cases, undefined : int
    bias, low, high : float
        Mean of after minus before, and the limits of agreement.
    cr, cr_of_spread : float
        Coefficient of repeatability with the bias in it, and without.
    """

    condition: str
    structure: str
    unit: str
    cases: int
    undefined: int
    bias: Real
    low: Real
    high: Real
    cr: Real
    cr_of_spread: Real


@dataclass(frozen=True, slots=True)
class TradeOff:
    """What one defacer leaves of the risk and what it costs: a point of the trade-off plot; smaller is better in both.

    Attributes
    ----------
    condition : str
    risk, risk_sd : float
        NaN = not measured. The standard deviations are the whiskers.
    cost, cost_sd : float
    """

    condition: str
    risk: Real
    cost: Real
    risk_sd: Real = float("nan")
    cost_sd: Real = float("nan")
