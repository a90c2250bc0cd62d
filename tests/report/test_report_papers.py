"""Tables of the papers for any result, and the axes of their Figure 4."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reid_audit.cli import main
from reid_audit.records import AuditResult
from reid_audit.report import read_result, write_result
from reid_audit.report.figures import list_details
from reid_audit.report.papers import say_papers
from reid_audit.report.rows import list_rows
from reid_audit.testing import make_result


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return make_result(12, {"blur": 0.2, "wipe": 60.0})[0]


def test_the_tables_of_the_papers_are_a_command(
    result: AuditResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(result, tmp_path / "result")
    assert main(["report", str(tmp_path / "result"), "--format", "papers"]) == 0
    said = capsys.readouterr().out
    assert said == say_papers(read_result(tmp_path / "result", scores=True))
    blur, wipe = said.split("Defacer blur")[1].split("Defacer wipe")
    for part in (blur, wipe):
        assert re.search(r"same vs different +mann_whitney +differ, as expected", part)
        assert re.search(r"rank 1 .*\n  linkability .*\n  identity permutation", part)
    assert "defaced_same vs different  mann_whitney          differ, NOT as expected (mated scans lie closer" in blur
    assert re.search(r"defaced_same vs different +mann_whitney +indistinguishable, as expected", wipe)
    table = said.split("Table 5 of Molchanova 2023")[1].splitlines()
    assert table[2].startswith("original (two sessions)")
    assert [line.split()[0] for line in table[3:]] == ["blur", "wipe"]
    (tmp_path / "result" / "comparisons.csv").unlink()
    assert main(["report", str(tmp_path / "result"), "--format", "papers"]) == 0
    assert "Table 5" not in capsys.readouterr().out


def test_both_panels_of_figure_4_have_one_axis_of_distances(result: AuditResult) -> None:
    figures = list(list_details(result, [row for row in list_rows(result) if row.condition != "original"]))
    ends = set()
    for figure in figures:
        left, right = figure.make().axes
        assert left.get_xlim() == right.get_ylim()
        ends.add(left.get_xlim())
    assert len(figures) > 1
    assert len(ends) == 1
