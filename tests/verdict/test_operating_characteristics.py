"""The rules on worlds of which the truth is known: the quick form of tests/benchmarks/bench_verdict.py."""

import sys
from pathlib import Path

import pytest

from reid_audit.accuracy.panels import to_panels
from reid_audit.records import Decision
from reid_audit.verdict.rules import judge

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from bench_verdict import POLICY, judge_world
from worlds import KINDS, World

NEVER = [name for name, kind in KINDS.items() if kind.passes in ("never", "rarely")]


@pytest.mark.parametrize("kind", NEVER)
def test_what_must_never_pass_does_not(kind):
    passed = [n for n in (20, 40) for seed in range(3) if judge_world(kind, n, seed)[0] is Decision.PASS]
    assert not passed


@pytest.mark.parametrize("kind", ["perfect", "removed"])
def test_a_defacer_that_leaves_nothing_earns_its_pass(kind):
    passed = sum(judge_world(kind, 60, seed)[0] is Decision.PASS for seed in range(10))
    assert passed >= 9


def test_nothing_passes_without_a_canary():
    frame, strata = KINDS["perfect"].make(World(60, 0))
    decision, checks = judge(to_panels(frame[frame["condition"] != "canary-light"], strata), POLICY)
    assert decision is Decision.INCOMPLETE
    assert "canary" in {check.name for check in checks if check.decision is Decision.INCOMPLETE}


def test_a_list_off_by_one_line_is_named():
    frame, strata = KINDS["shifted"].make(World(40, 0))
    _, checks = judge(to_panels(frame, strata), POLICY)
    assert any("labels do not fit the faces: s000 -> s039, s001 -> s000" in check.text for check in checks)


def test_sex_is_told_and_does_not_fail_for_identity():
    frame, strata = KINDS["sex_only"].make(World(60, 0))
    decision, checks = judge(to_panels(frame, strata), POLICY)
    assert decision is not Decision.FAIL
    assert all(check.value > 0.6 for check in checks if check.name == "sex")
    assert any(check.name == "sex" for check in checks)
