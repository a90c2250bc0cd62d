"""Each attacker and encoder has a threshold of its own, and pages and figures show that one."""

from __future__ import annotations

import pytest

from reid_audit import AuditResult, assess_scores
from reid_audit.match import merge_scores
from reid_audit.records import ScoreTable
from reid_audit.report import result_to_dossier, result_to_markdown
from reid_audit.report.figures import list_details
from reid_audit.report.rows import list_rows, tell_threshold
from reid_audit.testing import make_scores


@pytest.fixture(scope="module")
def result() -> AuditResult:
    tables = [
        ScoreTable(make_scores(8, {"blur": 0.4}, attacks=("naive",), seed=seed)[0].frame.assign(encoder=encoder))
        for seed, encoder in enumerate(("dlib", "ArcFace"))
    ]
    return assess_scores(merge_scores(tables), source="x.csv", draws=0)


def test_the_threshold_of_every_encoder_is_told(result: AuditResult) -> None:
    name = result.verdict.policy.threshold
    first, second = (calibration.distance_at(name) for calibration in result.calibrations)
    assert first != second
    told = f"{first:.4f} for dlib and {second:.4f} for ArcFace"
    assert tell_threshold(result) == told
    assert told in result_to_markdown(result)
    assert told in result_to_dossier(result)
    assert tell_threshold(result.of_encoder("ArcFace")) == f"{second:.4f}"


def test_figures_draw_the_threshold_of_their_encoder(result: AuditResult) -> None:
    name = result.verdict.policy.threshold
    rows = [row for row in list_rows(result) if row.decision is not None]
    drawn = []
    for row, figure in zip(rows, list_details(result, rows), strict=True):
        expected = result.evidence.attack("blur", "naive", encoder=row.encoder).match(name).distance
        assert row.distance == expected
        left, right = figure.make().axes
        assert expected in [line.get_xdata()[0] for line in left.get_lines()]
        assert expected in [line.get_ydata()[0] for line in right.get_lines() if len(set(line.get_ydata())) == 1]
        drawn.append(expected)
    assert len(set(drawn)) == 2
