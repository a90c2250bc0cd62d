"""DET, FNIR at FPIR, Cllr, and what is left of the control."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reid_audit.records import InputError
from reid_audit.stats import measure_cllr, measure_det, measure_fnir, measure_share_of_control
from reid_audit.stats.tradeoff import cost_of_ratios, least_cost


def _ladder() -> np.ndarray:
    """Ten subjects: non-mated of probe i at 0.5 + i / 100, mates at 0.1 but for the last two at 0.9."""
    block = np.repeat(0.5 + np.arange(10)[:, None] / 100, 10, axis=1)
    np.fill_diagonal(block, [0.1] * 8 + [0.9] * 2)
    return block


def test_det_by_hand() -> None:
    points = measure_det([_ladder()], fmr=[0.5, 0.1, 0.001])
    assert [(p.fmr, p.fnmr.value) for p in points] == [(0.5, 0.2), (0.1, 0.2)]  # 90 comparisons cannot hold 0.1 %
    assert all(0 < p.fnmr.low < 0.2 < p.fnmr.high < 1 for p in points)
    assert measure_det([]) == ()
    with pytest.raises(InputError):
        measure_det([_ladder()], fmr=[0.0])


def test_det_without_a_miss_is_not_certain() -> None:
    (point,) = measure_det([np.where(np.eye(30, dtype=bool), 0.1, 0.9)], fmr=[0.1])
    assert (point.fnmr.value, point.fnmr.low) == (0, 0)
    assert point.fnmr.high == pytest.approx(1 - 0.025 ** (1 / 30))  # 0 of 30


def test_fnir_by_hand() -> None:
    (point,) = measure_fnir([_ladder()], fpir=[0.3, 0.1])
    assert point.fpir == 0.3  # ten searches cannot hold 10 %
    assert point.threshold == pytest.approx(0.53)  # three of ten nearest non-mated lie below
    assert point.fnir.value == pytest.approx(0.2)


def test_a_mate_that_is_second_or_not_acquired_is_missed() -> None:
    block = _ladder()
    block[0, 1] = 0.05
    block[1] = np.nan
    block[9, 9] = 0.1  # nine acquired searches: 0.35 x 9 > 3
    (point,) = measure_fnir([block], fpir=[0.35])
    assert point.fnir.value == pytest.approx(0.3)  # probes 0, 1 and 8


def test_cllr_by_hand() -> None:
    assert cost_of_ratios([0, 0], [0]) == pytest.approx(1)  # LR 1 says nothing
    assert cost_of_ratios([math.log(3)], [-math.log(3)]) == pytest.approx(math.log2(4 / 3))
    assert cost_of_ratios([-math.log(3)], [math.log(3)]) == pytest.approx(2)  # wrong by 3 costs log2 4
    assert math.isnan(cost_of_ratios([], [1.0]))


def test_least_cost_by_hand() -> None:
    assert least_cost([0.1, 0.2], [0.3, 0.4, 0.5]) == pytest.approx(0)
    assert least_cost([0.5], [0.5, 0.5]) == pytest.approx(1)
    assert least_cost([0.9], [0.1]) == pytest.approx(1)  # distances the wrong way round are no evidence
    # Half of the mated are apart, the rest tied with all others: there a ratio of one half. The mated there cost
    # log2 3 for half of them, the others log2 1.5: (0.5 x 1.585 + 0.585) / 2.
    assert least_cost([0.1, 0.5], [0.5, 0.5]) == pytest.approx((0.5 * math.log2(3) + math.log2(1.5)) / 2)
    assert math.isnan(least_cost([], [1.0]))


def test_cllr_of_nothing_left_is_about_one_and_of_all_left_about_zero() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.8, 0.05, (40, 40))
    nothing = measure_cllr([noise], rng=rng)
    assert nothing.cllr.value == pytest.approx(1, abs=0.05)
    assert nothing.cllr.high > 1
    assert 0.7 < nothing.min_cllr.value <= nothing.cllr.value
    strong = measure_cllr([noise - 0.5 * np.eye(40)], rng=rng)
    assert strong.min_cllr.value == 0
    assert strong.min_cllr.high > 0
    assert strong.cllr.value < 0.1
    assert "10 subjects" in measure_cllr([noise[:9, :9]], rng=rng).cllr.reason


def test_share_of_control_by_hand() -> None:
    control = np.where(np.eye(10, dtype=bool), 0.1, 0.9)  # AUC 1
    defaced = control.copy()
    np.fill_diagonal(defaced, [0.1] * 8 + [1.5] * 2)  # AUC 0.8
    share = measure_share_of_control([defaced], [control])
    assert share.value == pytest.approx(0.6)  # 0.3 of 0.5
    assert share.low < 0.6 < share.high
    assert math.isnan(measure_share_of_control([control], [np.full((10, 10), 0.5)]).value)
    with pytest.raises(InputError, match="10 subjects"):
        measure_share_of_control([control], [control[:9, :9]])
