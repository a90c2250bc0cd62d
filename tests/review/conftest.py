"""A result with checks of a known kind, and its scans to look at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from answers import cohort_of, digest

from reid_audit import AuditResult, Decision
from reid_audit.records import Check
from reid_audit.review import (
    ReviewCase,
    list_cases,
)
from reid_audit.testing import make_result


@pytest.fixture(scope="module")
def result() -> AuditResult:
    """Twelve people, two defacers: what an audit says of them, with checks of a known kind in place of its own."""
    made, _ = make_result(12, {"blur": 0.4, "wipe": 60.0}, draws=20)
    rows = [
        replace(row, image_sha256=digest(row.subject, row.condition) if row.condition != "original" else "")
        for row in made.scans
    ]
    checks = {
        "blur": (Check("exposed", Decision.REVIEW, "Look.", condition="blur", subjects=("p001", "p002")),),
        "wipe": (
            Check("exposed", Decision.REVIEW, "Look.", condition="wipe", subjects=("p003",)),
            Check("labels", Decision.REVIEW, "Labels.", condition="wipe", subjects=("p004",)),
        ),
    }
    conditions = [
        replace(each, decision=Decision.REVIEW, checks=checks[each.condition]) for each in made.verdict.conditions
    ]
    verdict = replace(made.verdict, decision=Decision.REVIEW, conditions=tuple(conditions), checks=())
    return replace(made, scans=tuple(rows), verdict=verdict, subjects=(), scores=None)


@pytest.fixture
def cases(result: AuditResult) -> list[ReviewCase]:
    return list_cases(result, cohort_of(result), every=True)[:12]
