"""What a run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reid_audit.records.cost import DefaceRun, UtilityValue
from reid_audit.records.evidence import Calibration, Evidence, Fingerprint, SubjectEvidence
from reid_audit.records.faces import Status
from reid_audit.records.scans import Finding
from reid_audit.records.scores import Group, Real
from reid_audit.records.verdict import Verdict


@dataclass(frozen=True, slots=True)
class PairCount:
    """How many comparisons of one group a cohort allows.

    Attributes
    ----------
    group : Group
    condition : str
        Of the probe; ``"original"`` for same and different.
    possible : int
        Pairs whose two scans are in the manifest: the rows that `reid_audit.match.compare` will give.
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
    units.
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
    mismatches : tuple of str
        Differences between the calibration's fingerprint and this run, which the user allowed. Empty as a rule.
    notices : tuple of str
        Fallbacks and stand-ins that a reader must know of.
    settings, software, weights : mapping of str to str
    scans : tuple of ScanRow
        Every scan of the manifest, in its order.
    pairs : tuple of PairCount
    subjects : tuple of SubjectEvidence
        Personal: for the steward, not for publication.
    defacing : tuple of DefaceRun
        How the defacers ran, where that is known.
    utility : tuple of UtilityValue
        What the protection cost, where that was measured.
    recognisers : tuple of AuditResult
        Where several recognisers were run: the same audit by each of them alone. The numbers of the whole are then
        those of the strongest that binds, and its verdict is the worst over all, see `reid_audit.verdict.several`.
        Empty otherwise.
    """

    cohort: str
    created_utc: str
    tool_version: str
    verdict: Verdict
    evidence: Evidence
    calibration: Calibration
    fingerprint: Fingerprint
    mismatches: tuple[str, ...]
    notices: tuple[str, ...]
    settings: Mapping[str, str]
    software: Mapping[str, str]
    weights: Mapping[str, str]
    scans: tuple[ScanRow, ...]
    pairs: tuple[PairCount, ...]
    subjects: tuple[SubjectEvidence, ...]
    distributions: tuple[Distribution, ...]
    defacing: tuple[DefaceRun, ...] = ()
    utility: tuple[UtilityValue, ...] = ()
    schema_version: int = 1
    recognisers: tuple[AuditResult, ...] = ()
