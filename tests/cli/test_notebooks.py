"""The notebooks run from top to bottom, are stored executed and clean; and what they are made of."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from places import EXAMPLES

from reid_audit import AuditResult, Decision, InputError, assess_scores, read_result, read_scores, write_result
from reid_audit.match import write_scores
from reid_audit.report import result_to_json
from reid_audit.testing import make_result

NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
# A minute each; test_leaks, and the tests of utility and its page, hold their parts.
LONG = ("utility_and_trade_off", "where_identity_is_left")
QUICK = [path for path in NOTEBOOKS if path.stem not in LONG]


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebooks", EXAMPLES / "run_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _printed(book: Any) -> str:
    """Everything that a notebook printed or shows as text."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    texts = [output.get("text", "") for output in outputs]
    texts += [str(data) for o in outputs for kind, data in o.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(texts)


def test_there_are_five_notebooks() -> None:
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["calibrate_local_cohort", "compare_defacers", "osullivan_statistics", *LONG]


@pytest.mark.slow
@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # of the kernel's machinery
def test_a_notebook_runs_from_top_to_bottom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REID_AUDIT_DISTANCES", raising=False)
    book = _runner().run_notebook(path)
    stored = nbformat.read(path, as_version=4)
    assert [cell.source for cell in book.cells] == [cell.source for cell in stored.cells]
    assert sum("image/png" in o.get("data", {}) for c in book.cells for o in c.get("outputs", [])) >= 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_statistics_of_the_paper_are_reproduced_from_its_distances(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distances = shared / "reference" / "osullivan2025_distances.csv"
    if not distances.is_file():
        pytest.skip("needs the distances that the paper's authors printed")
    monkeypatch.setenv("REID_AUDIT_DISTANCES", str(distances))
    text = _printed(_runner().run_notebook(EXAMPLES / "osullivan_statistics.ipynb"))
    assert "W = 0, p = 7.641e-13" in text
    assert "U = 68, p = 1.6e-22" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_executed_and_clean(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(?:tmp|home|root|work|Users)/|timestamp|iopub|0x[0-9a-f]{6}", text)
    assert path.stat().st_size < 300_000
    for output in outputs:
        picture = output.get("data", {}).get("image/png")
        if picture is not None:
            assert _share_of_white(base64.b64decode(picture)) > 0.5  # a chart on paper, and no portrait on black


def _share_of_white(png: bytes) -> float:
    import io

    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    return float((pixels > 240).mean())


# --- what they are made of ---


@pytest.fixture(scope="module")
def result() -> AuditResult:
    """An audit of made-up people."""
    return make_result(24, {"none": 0.0, "wipe": 60.0}, draws=0)[0]


def test_tables_are_data_frames(result: AuditResult) -> None:
    rates = result.rates
    assert list(rates["condition"]) == ["original", "wipe", "wipe", "none", "none"]
    naive = result.evidence.attack("none")
    row = rates[(rates["condition"] == "none") & (rates["attack"] == "naive")].iloc[0]
    assert row["tmr"] == naive.match("youden").counted.value
    assert row["linkability_high"] == naive.shown_linkability.high
    assert len(result.subjects_table) == len(result.subjects)
    assert len(result.scans_table) == len(result.scans)
    assert set(result.tests["name"]) >= {"mann_whitney", "mcnemar", "identity_permutation"}
    assert set(result.checks["decision"]) <= {decision.value for decision in Decision}


def test_exposed_people_are_a_data_frame(result: AuditResult) -> None:
    exposed = result.exposed
    assert list(exposed.columns) == ["condition", "subject", "why"]
    assert set(exposed["condition"]) == {"none"}  # nobody is found after the wipe
    assert len(exposed) == exposed["subject"].nunique() == 24
    assert exposed["why"].str.contains("found first and matched by").all()


def test_results_are_compared_best_first(result: AuditResult) -> None:
    inside = result.compare()
    assert list(inside.table["condition"]) == ["wipe", "none"]
    assert {"linkability_high", "rank1", "seconds", "cost"} <= set(inside.table.columns)
    assert len(inside.tests_table) == len(inside.tests) > 0
    other = make_result(24, {"blur": 0.9, "reface": 60.0}, draws=0, cost=True)[0]  # of the same originals
    both = result.compare(other)
    assert set(both.table["condition"]) == {"wipe", "none", "blur", "reface"}
    timed = both.table.set_index("condition")["seconds"]
    assert timed["blur"] > 0
    assert timed["wipe"] != timed["wipe"]  # not known
    html = both._repr_html_()
    assert "lost: dice" in html
    assert "FAIL" in html
    with pytest.raises(InputError, match=r"stands in manifest\.csv and in manifest\.csv"):
        result.compare(result)


def test_a_result_shows_itself(result: AuditResult) -> None:
    html = result._repr_html_()
    assert result.verdict.decision is Decision.FAIL
    assert "FAIL" in html
    assert "control" in html
    assert "<script" not in html
    assert repr(result).startswith("AuditResult of manifest.csv: FAIL. ")


def test_figures_are_methods_of_plot_or_named_as_in_the_report(result: AuditResult) -> None:
    for picture in (result.plot.linkability(), result.plot.roc(), result.plot.distances("wipe")):
        assert picture._repr_png_().startswith(b"\x89PNG")
    drawn = {axes.get_title() for axes in result.plot.rank1().figure.axes}
    assert drawn == {"none", "wipe"}
    assert [result.plot(name).figure is not None for name in ("true match rate by attacker", "CMC and threshold")]
    with pytest.raises(InputError, match="there are: linkability by attacker, rank 1 by attacker, "):
        result.plot("nonsense")
    with pytest.raises(InputError, match="no figure 'risk against cost'"):  # no cost was measured
        result.plot.cost()


def test_a_result_is_kept_and_read_back(result: AuditResult, tmp_path: Path) -> None:
    page = write_result(result, tmp_path / "result")
    assert page.name == "report.html"
    again = read_result(tmp_path / "result", scores=True)
    assert result_to_json(again) == result_to_json(result)
    assert again.scores is not None
    assert result.scores is not None
    assert len(again.scores.frame) == len(result.scores.frame)
    with pytest.raises(InputError, match="scores=True"):
        write_result(read_result(tmp_path / "result"), tmp_path / "again")


def test_distances_of_elsewhere_are_assessed(result: AuditResult, tmp_path: Path) -> None:
    assert result.scores is not None
    write_scores(result.scores, tmp_path / "distances.csv")
    assessed = assess_scores(read_scores(tmp_path / "distances.csv"), source="distances.csv", draws=0)
    assert assessed.verdict.decision is result.verdict.decision
    assert assessed.cohort == "distances.csv"
    assert len(assessed.scans_table) == 24 * 2  # a row per person and defacer
    write_result(assessed, tmp_path / "out")
    assert (tmp_path / "out" / "subjects.csv").exists()
