"""The dossier: filled in from the result, gaps marked, no claim about the law, no bound that flatters."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from reid_audit import AuditResult, Decision
from reid_audit.cli import main
from reid_audit.report import result_to_dossier, result_to_json
from reid_audit.report.dossier import PUBLIC_LIMIT, bound_rank1
from reid_audit.report.rows import Row, list_rows
from reid_audit.testing import make_result


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return make_result(12, {"blur": 0.2, "wipe": 60.0}, cost=True, draws=20)[0]


def _with_bounds(rows: list[Row], decision: Decision, *bounds: float) -> list[Row]:
    defaced = [row for row in rows if row.condition == "wipe"][: len(bounds)]
    return [
        replace(row, decision=decision, search=replace(row.search, rank1_at_most=bound))
        for row, bound in zip(defaced, bounds, strict=True)
    ]


@pytest.mark.parametrize(
    ("decision", "bounds", "answer"),
    [
        (Decision.PASS, (0.02, 0.08), "within 0.09"),
        (Decision.PASS, (0.02, 0.0901), "above 0.09"),
        (Decision.PASS, (0.02, math.nan), "not measured"),  # an attacker without a bound: none is claimed
        (Decision.INCOMPLETE, (0.02, 0.08), "the number lies within 0.09, and the verdict is INCOMPLETE: do not rely"),
        (Decision.FAIL, (0.3, 0.08), "above 0.09"),
    ],
)
def test_a_bound_is_the_worst_and_never_better_than_the_verdict(
    result: AuditResult, decision: Decision, bounds: tuple[float, ...], answer: str
) -> None:
    (bound,) = bound_rank1(_with_bounds(list_rows(result), decision, *bounds))
    assert bound.answer.startswith(answer)
    if not any(map(math.isnan, bounds)):
        assert bound.at_most == max(bounds)


def test_the_dossier_is_filled_in_and_marks_what_it_does_not_know(result: AuditResult, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(result_to_json(result))
    out = tmp_path / "dossier.md"
    assert main(["report", str(tmp_path), "--format", "dossier", "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert text == result_to_dossier(result)
    for words in ("EMA Policy 0070", "PRCI", "WP216", "164.514(b)(1)", "PS3.15", "TCIA", "OpenNeuro"):
        assert words in text
    assert "12 subjects" in text
    for bound in bound_rank1(list_rows(result)):
        line = f"| {bound.at_most:.3f} | {bound.gallery} | {bound.chance:.3f} | {bound.answer} |"
        assert line in text
    assert text.count("[to be filled in: ") >= 15
    assert "Anticipated recipient: **[to be filled in" in text
    assert PUBLIC_LIMIT == 0.09
    lowered = text.lower()
    for claim in ("hipaa requires", "is anonymous", "complies", "compliant", "gdpr"):
        assert claim not in lowered
    assert not any(row.subject in text for row in result.scans)
    assert "not measured" not in text.split("## 2.")[0].split("Against 0.09")[1].split("Data utility")[0]


def test_a_table_of_distances_has_a_dossier_too(result: AuditResult) -> None:
    bare = replace(result, scans=(), settings={}, utility=(), defacing=(), weights={})
    text = result_to_dossier(bare)
    assert "Scans that were not judged.** Not known" in text
    assert "[to be filled in: not measured; `reid-audit utility` does]" in text


def test_hostile_labels_stay_text() -> None:
    made, _ = make_result(6, {"<b>|x": 0.5}, draws=20)
    text = result_to_dossier(made)
    assert "\\<b\\>\\|x" in text
    assert "<b>" not in text
