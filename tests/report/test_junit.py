"""JUnit XML of results and screenings: never greener than the exit code, and XML whatever the labels hold."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from reid_audit.cli import main, screen
from reid_audit.records import Decision
from reid_audit.report import Case, cases_to_junit, result_to_junit, write_result
from reid_audit.screen import ImageScreening, Screening, ScreenState
from reid_audit.testing import make_result


def _told(xml: str) -> dict[tuple[str, str], str]:
    """Return the type of what each case ended in; empty where it was met."""
    cases = ElementTree.fromstring(xml).iter("testcase")
    return {
        (case.attrib["classname"], case.attrib["name"]): next((c.attrib["type"] for c in case), "") for case in cases
    }


def test_three_states_are_told_apart_and_none_is_skipped() -> None:
    xml = cases_to_junit("x", [Case("a", word.value, word, "why") for word in Decision])
    root = ElementTree.fromstring(xml)
    assert {name: root.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "2",
        "skipped": "0",
    }
    assert [child.tag for case in root.iter("testcase") for child in case] == ["error", "error", "failure"]
    assert _told(xml)[("a", "PASS")] == ""


def test_labels_that_xml_cannot_hold_stay_readable() -> None:
    hostile = "p\x00\x1b<b>&'\"\ud800\u202e"
    (case,) = ElementTree.fromstring(cases_to_junit(hostile, [Case(hostile, hostile, Decision.FAIL, hostile)])).iter(
        "testcase"
    )
    assert case.attrib["name"] == "p\ufffd\ufffd<b>&'\"\ufffd\u202e"


def test_a_result_has_a_case_for_each_rule_and_is_green_only_where_it_passes() -> None:
    result, _ = make_result(6)
    told = _told(result_to_junit(result))
    assert told[("verdict", "verdict")] == result.verdict.decision.value
    assert {name for name, _ in told} >= {each.condition for each in result.verdict.conditions}
    rules = [check for each in result.verdict.conditions for check in each.checks]
    assert any(check.decision is Decision.FAIL for check in rules)
    assert {check.decision.value for check in rules} - {"PASS"} <= set(told.values())


def test_a_result_is_written_anew_as_junit(tmp_path: Path) -> None:
    result, _ = make_result(6)
    write_result(result, tmp_path / "result")
    path = tmp_path / "junit.xml"
    assert main(["report", str(tmp_path / "result"), "--format", "junit", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == result_to_junit(result)


@pytest.mark.parametrize("expect_defaced", [True, False])
@pytest.mark.parametrize("states", [(), (ScreenState.FACE,), (ScreenState.UNKNOWN,), (ScreenState.NO_FACE,)])
def test_a_screening_is_as_green_as_its_exit_code(states: tuple[ScreenState, ...], expect_defaced: bool) -> None:
    images = tuple(ImageScreening(f"{state}.nii", state, "") for state in states)
    screening = Screening("tree", images, (), expect_defaced, "1")
    words = set(_told(screen._write(screening, ".xml")).values()) - {""}
    assert words == {0: set(), 1: {"FAIL"}, 3: {"REVIEW"}}[screening.exit_code]
