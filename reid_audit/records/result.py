"""What a run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema

from reid_audit.records.calibration import Calibration, Fingerprint
from reid_audit.records.cost import DefaceRun, UtilityValue
from reid_audit.records.evidence import Evidence, SubjectEvidence
from reid_audit.records.faces import Status
from reid_audit.records.leaks import LeakMap
from reid_audit.records.review import Review
from reid_audit.records.scans import Finding
from reid_audit.records.scores import Group, Real, ScoreTable
from reid_audit.records.verdict import Verdict
from reid_audit.records.views import view

if TYPE_CHECKING:
    import pandas as pd

    from reid_audit.records.comparison import Comparison


_IN_MEMORY = GetPydanticSchema(lambda _source, _handler: core_schema.none_schema())
"""A field that JSON does not hold."""


@dataclass(frozen=True, slots=True)
class PairCount:
    """How many comparisons of one group a cohort allows.

    Attributes
    ----------
    group : Group
    condition : str
        Of the probe; ``"original"`` for same and different.
    possible : int
        Pairs whose two scans are in the manifest: the rows that `reid_audit.compare_faces` will give.
    missing : int
        Further pairs that there would be, had every subject a scan wherever somebody has one.
    reasons : tuple of str
        Why pairs are missing or there are none, e.g. ``"no original in session 2: p03, p07"``.
    """

    group: Group
    condition: str
    possible: int
    missing: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanRow:
    """How far one scan came with one encoder.

    ``file`` is a name without folders; ``confidence`` is the detector's own score; ``skin_level`` is in the scan's own
    units. ``image_sha256`` is what `reid_audit.volume.digest_image` gives of a defaced scan, by which a certificate
    knows it again in a release; empty for an original, which it would name, and for what could not be read.
    """

    subject: str
    session: str
    condition: str
    file: str
    status: Status
    reason: str
    confidence: Real
    skin_level: Real
    findings: tuple[Finding, ...]
    seconds: float
    encoder: str = ""
    image_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Histogram of the distances of one group: ``counts[i]`` lie in [``edges[i]``, ``edges[i + 1]``).

    The last bin holds its upper edge as well. ``missing`` comparisons have no distance.
    """

    group: Group
    condition: str
    attack: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Everything that a report says: what `reid_audit.report` writes, and reads back as it was.

    Attributes
    ----------
    cohort : str
        Name of the manifest, without folders.
    created_utc : str
        When the audit ended, ISO 8601.
    calibrations, fingerprints : tuple
        One of each per encoder, in the order in which the encoders were run.
    mismatches : tuple of str
        Differences between the calibrations' fingerprints and this run, which the user allowed. Empty as a rule.
    notices : tuple of str
        Fallbacks and stand-ins that a reader must know of.
    settings, software : mapping of str to str
    weights : mapping of str to mapping of str to str
        Model files and their digests, by encoder.
    scans : tuple of ScanRow
        Every scan of the manifest, in its order, once per encoder.
    pairs : tuple of PairCount
    subjects : tuple of SubjectEvidence
        Personal: for the steward, not for publication.
    defacing : tuple of DefaceRun
        How the defacers ran, where that is known.
    utility : tuple of UtilityValue
        What the protection cost, where that was measured.
    review : Review or None
        What people saw who looked at scans, where that is in the verdict.
    leaks : tuple of LeakMap
        Where on the face identity is left, by defacer; empty unless the shape was measured.
    scores : ScoreTable or None
        Every comparison; a file of its own, so None in a result that was read from JSON.
    """

    cohort: str
    created_utc: str
    tool_version: str
    verdict: Verdict
    evidence: Evidence
    calibrations: tuple[Calibration, ...]
    fingerprints: tuple[Fingerprint, ...]
    mismatches: tuple[str, ...]
    notices: tuple[str, ...]
    settings: Mapping[str, str]
    software: Mapping[str, str]
    weights: Mapping[str, Mapping[str, str]]
    scans: tuple[ScanRow, ...]
    pairs: tuple[PairCount, ...]
    subjects: tuple[SubjectEvidence, ...]
    distributions: tuple[Distribution, ...]
    defacing: tuple[DefaceRun, ...] = ()
    utility: tuple[UtilityValue, ...] = ()
    review: Review | None = None
    leaks: tuple[LeakMap, ...] = ()
    schema_version: int = 2
    scores: Annotated[ScoreTable | None, Field(exclude=True), _IN_MEMORY] = field(
        default=None, repr=False, compare=False
    )

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders, in the order in which they were run; ``("",)`` where the table of distances names none."""
        return self.evidence.encoders

    def of_encoder(self, encoder: str) -> AuditResult:
        """Return what one encoder alone measured, and what was decided by that."""
        place = self.encoders.index(encoder)
        return replace(
            self,
            verdict=self.verdict.of_encoder(encoder),
            evidence=self.evidence.of_encoder(encoder),
            calibrations=self.calibrations[place : place + 1],
            fingerprints=self.fingerprints[place : place + 1],
            weights={name: files for name, files in self.weights.items() if name == encoder},
            scans=tuple(row for row in self.scans if row.encoder == encoder),
            subjects=tuple(row for row in self.subjects if row.encoder == encoder),
            distributions=tuple(row for row in self.distributions if row.encoder == encoder),
        )

    @property
    def reason(self) -> str:
        """Why the verdict is what it is, in one sentence."""
        return str(view("explain", self))

    @property
    def rates(self) -> pd.DataFrame:
        """The numbers that carry the verdict: a row for the control, and for each defacer and attacker.

        Proportions in [0, 1]; ``_low`` and ``_high`` are the ends of the two-sided interval; NaN = not measured.
        """
        return view("make_frame", self, "rates")

    @property
    def measures(self) -> pd.DataFrame:
        """What is left for those who decide, per defacer and attacker: bits, anonymity set, FNIR, larger galleries."""
        return view("make_frame", self, "measures")

    @property
    def subjects_table(self) -> pd.DataFrame:
        """Each subject per defacer and attacker: distances and ranks before and after. Personal."""
        return view("make_frame", self, "subjects")

    @property
    def scans_table(self) -> pd.DataFrame:
        """Each scan with what became of it, the most exposed first. Personal."""
        return view("make_frame", self, "scans")

    @property
    def exposed(self) -> pd.DataFrame:
        """Whom a rule names or an attacker both finds first and matches: per defacer and subject, why. Personal."""
        return view("make_frame", self, "exposed")

    @property
    def tests(self) -> pd.DataFrame:
        """Every significance test: of the controls, of each attack, and between defacers."""
        return view("make_frame", self, "tests")

    @property
    def checks(self) -> pd.DataFrame:
        """Every rule of the policy and how it was met."""
        return view("make_frame", self, "checks")

    def compare(self, *others: AuditResult) -> Comparison:
        """Put the defacers of this result, and of others that were measured alike, side by side, best first.

        Parameters
        ----------
        *others : AuditResult
            Without any, the defacers of this one.

        Returns
        -------
        Comparison
            Shows itself in a notebook; ``.table`` and ``.tests_table`` are DataFrames.

        Raises
        ------
        CalibrationError
            The results were measured with other settings or thresholds.
        InputError
            A defacer stands in two of them, or in none.
        """
        comparison: Comparison = view("compare_results", self, *others)
        return comparison

    @property
    def plot(self) -> Any:
        """The figures of the report, e.g. ``result.plot.roc()``; see `reid_audit.report.Plots`."""
        return view("Plots", self)

    def __repr__(self) -> str:
        return f"AuditResult of {self.cohort}: {self.verdict.decision.value}. {self.reason}"

    def _repr_html_(self) -> str:
        return str(view("to_html", self))
