"""Defacers side by side: who comes first, which results may be compared, and tests paired by person."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from reid_audit import AuditResult, CalibrationError, Decision, InputError, assess_scores, write_result
from reid_audit.accuracy import compare_pairwise, rank_defacers
from reid_audit.cli import main
from reid_audit.match import merge_scores
from reid_audit.records import Check, DefaceRun, DefaceStatus, ScoreTable, SubjectEvidence, UtilityValue
from reid_audit.stats import mcnemar
from reid_audit.testing import FINGERPRINT, make_result, make_scores

nan = math.nan


def _result(defacers: dict[str, float], **options: object) -> AuditResult:
    return make_result(24, defacers, attacks=("naive",), draws=0, **options)[0]


@pytest.fixture(scope="module")
def both() -> AuditResult:
    return _result({"none": 0.0, "wipe": 60.0})


@pytest.fixture(scope="module")
def apart() -> list[AuditResult]:
    """The same people, a defacer per run."""
    return [_result({"none": 0.0}), _result({"wipe": 60.0})]


def test_the_best_comes_first(both: AuditResult) -> None:
    comparison = rank_defacers([both])
    assert [row.condition for row in comparison.rows] == ["wipe", "none"]
    assert comparison.rows[1].decision is Decision.FAIL
    assert comparison.rows[0].linkability.value < comparison.rows[1].linkability.value
    assert comparison.distance == both.calibrations[0].threshold("youden").distance
    assert comparison.tests == both.evidence.family[-len(comparison.tests) :]


def test_a_defacer_that_left_a_scan_as_it_was_spoils_no_other() -> None:
    copied = Check("original_in_release", Decision.FAIL, "1 of 48 scans equals its original.", condition="scrub")
    scores, _ = make_scores(24, {"scrub": 60.0, "wipe": 60.0}, attacks=("naive",))
    sound, copying = (assess_scores(scores, source="x.csv", findings=f, draws=0) for f in ([], [copied]))
    assert copying.verdict.decision is Decision.FAIL
    before = {row.condition: row.decision for row in rank_defacers([sound]).rows}
    rows = {row.condition: row.decision for row in rank_defacers([copying]).rows}
    assert rows == {"scrub": Decision.FAIL, "wipe": before["wipe"]}
    assert before["wipe"] is not Decision.FAIL


def test_runs_of_one_fingerprint_are_paired_by_person(apart: list[AuditResult]) -> None:
    comparison = rank_defacers(apart)
    assert comparison.notes == ()
    matched = next(test for test in comparison.tests if test.compared == "matched: none vs wipe")
    assert matched.subjects == 24
    assert matched.p < 1e-5
    assert matched.p_adjusted >= matched.p


def test_other_people_under_the_same_labels_are_not_paired(apart: list[AuditResult]) -> None:
    non_mated = _result({"wipe": 60.0}, seed=9)
    non_mated = replace(non_mated, calibrations=apart[0].calibrations)  # one calibration file for both
    comparison = rank_defacers([apart[0], non_mated])
    assert "24 subject labels stand for people whose originals gave other distances" in comparison.notes[0]
    assert all(test.subjects == 0 for test in comparison.tests)
    assert all(math.isnan(test.p) for test in comparison.tests)


@pytest.mark.parametrize("field", ["encoder", "weights", "surface", "modality"])
def test_other_settings_are_refused_by_name(apart: list[AuditResult], field: str) -> None:
    other = replace(apart[1], fingerprints=(replace(FINGERPRINT, **{field: "changed"}),))
    with pytest.raises(CalibrationError, match=f"b cannot be compared: {field} is .* and 'changed'"):
        rank_defacers([apart[0], other], names=["a", "b"])


def test_every_difference_is_named(apart: list[AuditResult]) -> None:
    threshold = replace(apart[1].calibrations[0].threshold("youden"), distance=0.123)
    calibration = replace(apart[1].calibrations[0], thresholds=(threshold,))
    other = replace(
        apart[1], fingerprints=(replace(FINGERPRINT, detector="x", views="y"),), calibrations=(calibration,)
    )
    with pytest.raises(CalibrationError, match=r"detector is .*views is .*youden threshold is .* and 0.123.*--calib"):
        rank_defacers([apart[0], other])


def test_distances_of_unknown_origin_are_not_mixed() -> None:
    tables = [make_scores(24, {name: 1.0}, attacks=("naive",))[0] for name in ("a", "b")]
    results = [assess_scores(table, source="x.csv", draws=0) for table in tables]
    assert rank_defacers(results[:1]).rows[0].condition == "a"
    with pytest.raises(CalibrationError, match="nothing says what the distances were measured with"):
        rank_defacers(results)


def test_one_defacer_in_two_results_is_refused(both: AuditResult) -> None:
    with pytest.raises(InputError, match="'none' stands in a and in b"):
        rank_defacers([both, both], names=["a", "b"])
    with pytest.raises(InputError, match="name one folder"):
        rank_defacers([])


def _value(condition: str, mean: float, *, larger: bool | None = True, metric: str = "dice") -> UtilityValue:
    return UtilityValue(condition, metric, "", "all", "all", 9, 0, mean, mean, nan, nan, nan, nan, larger)


def test_seconds_failures_and_costs_stand_beside_the_risk(both: AuditResult) -> None:
    runs = [DefaceRun("wipe", "1", f"p{i}", "1", DefaceStatus.OK, seconds=s) for i, s in enumerate((1.0, 3.0, 8.0))]
    runs.append(DefaceRun("wipe", "1", "p9", "1", DefaceStatus.TIMED_OUT, "too long"))
    costs = [_value("none", 1.0), _value("wipe", 0.7)]
    wipe, none = rank_defacers([both], defacing=runs, utility=costs).rows
    assert (wipe.seconds, wipe.runs, wipe.failures, wipe.failed) == (3.0, 4, 1, (("timed_out", 1),))
    assert (none.runs, math.isnan(none.seconds)) == (0, True)
    assert (wipe.cost, none.cost) == (pytest.approx(0.3), 0.0)
    assert wipe.best_choice is none.best_choice is True  # neither beats the other in both
    worse = rank_defacers([both], utility=[_value("none", 0.5), _value("wipe", 0.7)]).rows
    assert [row.best_choice for row in worse] == [True, False]
    shifts = [_value("none", -2.0, larger=None, metric="shift"), _value("wipe", 1.0, larger=None, metric="shift")]
    assert [row.cost for row in rank_defacers([both], utility=shifts).rows] == [1.0, 2.0]
    assert rank_defacers([both]).rows[0].best_choice is None
    with pytest.raises(InputError, match="no defacer has the cost 'hd95'; there are: dice"):
        rank_defacers([both], utility=costs, cost_metric="hd95")


def test_mcnemar_by_hand() -> None:
    # 5 people with the first alone, none with the second: 2 / 2^5
    test = mcnemar([True] * 5 + [False, True], [False] * 5 + [False, True])
    assert (test.n, test.p, test.subjects) == ((5, 0), pytest.approx(2 / 32), 7)
    assert test.effect == pytest.approx(5 / 7)
    assert mcnemar([True], [True]).p == 1.0
    assert math.isnan(mcnemar([], []).p)
    with pytest.raises(InputError, match="2 and 1"):
        mcnemar([True, False], [True])


def _person(subject: str, condition: str, rank: float, *, matched: bool = False) -> SubjectEvidence:
    return SubjectEvidence(subject, condition, "naive", 0.1, 0.5, 1.0, rank, True, matched, 0)


def test_pairwise_tests_take_only_shared_people_and_count_the_faceless() -> None:
    people = [_person(f"p{i}", "a", 1.0, matched=True) for i in range(6)]
    people += [_person(f"p{i}", "b", nan if i == 0 else 2.0 + i) for i in range(6)]
    people += [_person("q", "b", 1.0, matched=True)]
    tests = {test.compared: test for test in compare_pairwise(people)}
    assert tests["matched: a vs b"].n == (6, 0)
    assert tests["found first: a vs b"].n == (6, 0)  # who has no face is not found
    assert tests["rank: a vs b"].n == (5,)
    assert all(test.p_adjusted >= test.p for test in tests.values())
    assert compare_pairwise(people[:6]) == ()


def test_the_command_compares_folders(
    apart: list[AuditResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []
    for result in apart:
        name = result.verdict.conditions[0].condition
        write_result(result, tmp_path / name)
        folders.append(str(tmp_path / name))
    assert main(["compare", *folders, "-o", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert text.index("1. wipe") < text.index("2. none: FAIL")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.html",
        "comparison.json",
        "defacers.csv",
        "tests.csv",
    ]
    assert main(["compare", *folders, "-o", str(tmp_path / "out")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["compare", folders[0], folders[0]]) == 2
    assert "stands in" in capsys.readouterr().err
    assert main(["compare", str(tmp_path)]) == 2
    assert "result.json cannot be read" in capsys.readouterr().err.replace("\n", " ")


def test_the_command_reads_how_defacers_ran_and_what_they_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reid_audit.deface import write_defacing
    from reid_audit.utility import Utility, write_utility

    result, _ = make_result(24, {"none": 1.0, "wipe": 60.0}, cost=True)
    write_result(replace(result, defacing=(), utility=()), tmp_path / "result")
    write_defacing(result.defacing, tmp_path / "defacing.json")
    lost = Utility("manifest.csv", 2.0, 5.0, cases=(), values=result.utility, volumes=(), comparisons=(), places=())
    write_utility(lost, tmp_path / "utility")
    argv = ["compare", str(tmp_path / "result"), "--defacing", str(tmp_path / "defacing.json")]
    assert main([*argv, "--utility", str(tmp_path / "utility"), "--cost", "dice"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "seconds a scan 12 (median)" in text  # 10 to 14, in turn
    assert "failed 1 of 25 runs: 1 failed" in text
    assert "failed 0 of 24 runs" in text
    assert "lost (dice, brain, elsewhere)" in text


def test_several_encoders_count_by_the_worst_of_them(both: AuditResult) -> None:
    from reid_audit.report import result_to_html, result_to_json, result_to_markdown
    from reid_audit.report.bids import format_bids
    from reid_audit.report.form import result_from_json
    from reid_audit.report.rows import list_risks

    weak, _ = make_scores(24, {"none": 60.0, "wipe": 60.0}, attacks=("naive",))
    strong, _ = make_scores(24, {"none": 1.0, "wipe": 60.0}, attacks=("naive",))
    weak = ScoreTable(weak.frame.assign(encoder="weak"))
    joined = assess_scores(merge_scores([weak, strong]), source="x.csv", fingerprints=[FINGERPRINT], draws=50)
    assert joined.encoders == ("weak", "toy")
    none = next(row for row in rank_defacers([joined]).rows if row.condition == "none")
    assert (none.worst_encoder, none.worst_attack) == ("toy", "naive")
    assert none.decision is Decision.FAIL
    assert none.linkability == joined.evidence.attack("none", encoder="toy").shown_linkability
    assert {test.encoder for test in rank_defacers([joined]).tests} == {"weak", "toy"}
    exposed = [risk for risk in list_risks(joined) if risk.matched and risk.scan.condition == "none"]
    matched = {p.subject for p in joined.subjects if p.condition == "none" and p.matched_after}
    assert {risk.scan.subject for risk in exposed} == matched
    html = result_to_html(joined)
    assert html.count(">naive, toy</abbr></th>") == html.count(">naive, weak</abbr></th>") == 1
    assert "naive, weak" in result_to_markdown(joined)
    assert "naive\ttoy" in format_bids(joined)["reid_rates.tsv"]
    assert result_to_json(result_from_json(result_to_json(joined))) == result_to_json(joined)
    with pytest.raises(CalibrationError, match="by 2 and 1 encoders"):
        rank_defacers([joined, both])
