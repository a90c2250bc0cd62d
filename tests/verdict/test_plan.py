"""How large a cohort must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reid_audit.records import Decision, InputError, ScoreTable
from reid_audit.verdict import plan_cohort, simulate_passes


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
