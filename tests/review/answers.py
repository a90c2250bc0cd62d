"""Made-up answers of readers on a made-up result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reid_audit import AuditResult, Cohort, ScanRef
from reid_audit.records import Answer, Modality, Reading, Review


def digest(subject: str, condition: str) -> str:
    return f"{subject} {condition}"


def cohort_of(result: AuditResult) -> Cohort:
    keys = dict.fromkeys((row.subject, row.session, row.condition) for row in result.scans)
    scans = tuple(ScanRef(*key, Path("/".join(key)), Modality.CT) for key in keys)
    import pandas as pd

    return Cohort(scans, pd.DataFrame(index=pd.Index(sorted({key[0] for key in keys}), name="subject")), "manifest.csv")


def make_review(result: AuditResult, answers: Sequence[tuple[str, str, Answer, str]]) -> Review:
    readings = tuple(
        Reading(subject, "1", condition, digest(subject, condition), "seen", reader, answer, "", "2026-01-02T00:00:00")
        for subject, condition, answer, reader in answers
    )
    return Review(result.cohort, result.created_utc, "0.1.0", readings)
