"""How large a cohort must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reid_audit.accuracy.panels import Panels
from reid_audit.records import Decision, InputError, Policy, ScoreTable
from reid_audit.verdict import plan_cohort
from reid_audit.verdict.plan import simulate_passes
from reid_audit.verdict.rules import judge
from reid_audit.verdict.worlds import NothingLeft


def draw(subjects: int, visits: int, *, rng: np.random.Generator) -> ScoreTable:
    """A table whose length is the number of scans, with one random number."""
    return ScoreTable(pd.DataFrame({"distance": rng.random(subjects * visits)}))


def by_size(table: ScoreTable) -> Decision:
    return Decision.PASS if len(table.frame) >= 70 else Decision.REVIEW


def by_luck(table: ScoreTable) -> Decision:
    return Decision.PASS if table.frame["distance"].iloc[0] < len(table.frame) / 100 else Decision.INCOMPLETE


def test_the_smallest_size_that_passes() -> None:
    plans = plan_cohort(by_size, draw, visits=(1, 2), sizes=(20, 30, 35, 40, 70, 100), worlds=3)
    assert {(plan.visits, plan.subjects) for plan in plans} == {(1, 70), (2, 35)}
    assert [plan.target for plan in plans] == [0.80, 0.90, 0.95] * 2
    assert all(rate.decisions == ((Decision.PASS, 3),) for rate in plans[0].rates if rate.subjects >= 70)


def test_targets_need_cohorts_of_their_own() -> None:
    plans = plan_cohort(by_luck, draw, visits=(1,), sizes=range(10, 101, 10), worlds=400)
    assert [plan.subjects for plan in plans] == pytest.approx([80, 90, 100], abs=10)


def test_a_target_that_no_size_reaches_says_what_was_answered() -> None:
    (plan,) = plan_cohort(by_size, draw, targets=(0.9,), visits=(1,), sizes=(20, 30), worlds=2)
    assert plan.subjects is None
    assert plan.rates[-1].decisions == ((Decision.REVIEW, 2),)


def test_a_simulation_can_be_repeated_and_has_an_interval() -> None:
    first, again = (simulate_passes(by_luck, draw, 50, 1, worlds=40, seed=3) for _ in range(2))
    assert first == again
    assert first.passed.low < 0.5 < first.passed.high


def test_bad_requests_name_themselves() -> None:
    with pytest.raises(InputError, match="targets must lie"):
        plan_cohort(by_size, draw, targets=(0.0,))
    with pytest.raises(InputError, match="sizes must grow"):
        plan_cohort(by_size, draw, sizes=(30, 20))
    with pytest.raises(InputError, match="worlds"):
        simulate_passes(by_size, draw, 10, 1, worlds=0, seed=0)


def test_a_cohort_with_nothing_left_has_every_comparison() -> None:
    world = NothingLeft(("naive", "registered"), encoders=2, strata=("sex", "site"))
    panels = world(12, 2, rng=np.random.default_rng(0))
    assert {(p.encoder, p.condition, p.attack) for p in panels.panels} == {
        (f"encoder {k}", condition, attack)
        for k in (1, 2)
        for condition in ("tool", "canary-light")
        for attack in ("naive", "registered")
    }
    assert all(np.isfinite(panel.blocks).all() and panel.blocks.shape == (2, 12, 12) for panel in panels.panels)
    assert list(panels.strata) == ["sex", "site"]
    assert panels.strata.isin(["A", "B"]).all().all()


def test_the_whole_policy_passes_what_leaves_nothing_and_not_too_few_subjects() -> None:
    def decide(panels: Panels) -> Decision:
        return judge(panels, Policy())[0]

    world = NothingLeft(Policy().required_attacks)
    few, many = (simulate_passes(decide, world, subjects, 2, worlds=5, seed=0) for subjects in (29, 70))
    assert few.passed.value == 0  # the policy asks for 30
    assert many.passed.value >= 0.8
    without = simulate_passes(decide, NothingLeft(("naive",)), 70, 2, worlds=2, seed=0)
    assert without.decisions == ((Decision.INCOMPLETE, 2),)  # an attacker that the policy asks for was not run


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    simulate_passes(by_luck, draw, 50, 1, worlds=2, seed=0, progress=lambda *step: told.append(step))
    assert told == [("50 subjects, 1 visit", done, 2) for done in (0, 1, 2)]
