"""The rules on worlds of which the truth is known: the quick form of tests/benchmarks/bench_verdict.py."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from reid_audit.accuracy.panels import to_panels
from reid_audit.records import Decision
from reid_audit.verdict.rules import judge
from reid_audit.verdict.rules.thresholds import operating_point

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from bench_verdict import POLICY, allowed, judge_world
from worlds import KINDS, World

WORLDS = 20
"""Of each kind; the table in docs/evidence.md has 200."""
NEVER = [name for name, kind in KINDS.items() if kind.passes in ("never", "rarely")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEVER)
def test_what_must_never_pass_does_not(kind):
    sizes = [20, 25, 30, 35] * (WORLDS // 4)
    assert not [n for seed, n in enumerate(sizes, 10_000) if judge_world(kind, n, seed)[0] is Decision.PASS]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.passes in ("grows", "both")])
def test_a_defacer_that_leaves_nothing_earns_its_pass(kind):
    passed = sum(judge_world(kind, 50, seed)[0] is Decision.PASS for seed in range(WORLDS))
    assert passed >= WORLDS * allowed(kind, 50)[0] - 3 * math.sqrt(WORLDS * 0.05)  # within chance of the bound for 50


def test_nothing_passes_without_a_canary():
    frame, strata = KINDS["perfect"].make(World(60, 0))
    decision, checks = judge(to_panels(frame[frame["condition"] != "canary-light"], strata), POLICY)
    assert decision is Decision.INCOMPLETE
    assert "canary" in {check.name for check in checks if check.decision is Decision.INCOMPLETE}


def test_an_attacker_sees_if_it_links_one_of_two_canaries_of_a_sample():
    frame, strata = KINDS["sampled_canaries"].make(World(60, 0))
    _, checks = judge(to_panels(frame, strata), POLICY)
    texts = [check.text for check in checks if check.name == "canary"]
    assert len(texts) == 3
    assert all("sees: of weakly defaced scans (canary-blur, 24 people)" in text for text in texts)


def test_what_an_attacker_finds_that_does_not_bind_is_for_a_human_unless_it_says_otherwise():
    frame, strata = KINDS["shape_links"].make(World(40, 0))
    decision, checks = judge(to_panels(frame, strata), POLICY)
    (told,) = [check for check in checks if check.attack == "shape" and check.name == "linkability"]
    assert decision is told.decision is Decision.FAIL
    frame = frame.replace({"attack": {"shape": "another"}, "encoder": {"shape": "A"}})
    decision, checks = judge(to_panels(frame, strata), POLICY)
    assert decision is Decision.REVIEW
    (told,) = [check for check in checks if check.attack == "another" and check.name == "linkability"]
    assert told.text.endswith("This attacker does not bind by the policy: judge what it means.")


def test_a_looser_policy_is_said():
    frame, strata = KINDS["perfect"].make(World(30, 0))
    _, checks = judge(to_panels(frame, strata), replace(POLICY, max_linkability=0.7, required_attacks=("naive",)))
    (said,) = [check.text for check in checks if check.name == "policy_looser"]
    assert "registered is not required" in said
    assert "max_linkability is 0.7, not 0.6" in said


def test_two_people_whose_files_were_exchanged_are_named():
    w = World(40, 3)
    frame, strata = KINDS["untouched2_swapped"].make(w)
    _, checks = judge(to_panels(frame, strata), POLICY)
    assert any(check.name == "labels" and check.text.count(" -> ") == 2 for check in checks)


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


@pytest.mark.parametrize(("factor", "name"), [(0.5, "youden"), (1.5, "youden of the calibration")])
def test_of_the_thresholds_of_a_cohort_and_of_a_calibration_that_counts_at_which_more_match(factor, name):
    frame, strata = KINDS["perfect"].make(World(30, 0))
    (originals,) = to_panels(frame, strata).originals.values()
    own = operating_point(originals, "youden")
    given = SimpleNamespace(name="youden", distance=factor * own.distance)
    calibration = SimpleNamespace(thresholds=(given,), threshold=lambda _: given)
    point = operating_point(originals, "youden", calibration)
    assert point.name == name
    assert point.distance == max(own.distance, given.distance)
    assert point.fmr == pytest.approx((originals.non_mated[originals.non_mated >= 0] < point.distance).mean())
