"""Mated against non-mated comparisons in squares that a reader can check by hand, and what chance does to them."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import norm

from reid_audit.stats.residuals import (
    agreement,
    best_assignment,
    excess,
    linkability,
    order_score,
    percentiles,
    residuals,
    share_of_subjects,
)


def test_rows_and_columns_that_lie_far_from_everybody_leave_nothing():
    row, column = np.array([0.0, 3, 1, 7, 2, 9, 4]), np.array([5.0, 1, 2, 0, 8, 3, 6])
    assert np.abs(residuals((row[:, None] + column)[None])).max() < 1e-3


def test_a_mate_that_is_nearer_than_its_row_and_column_explain_keeps_the_difference():
    block = np.add.outer(np.arange(7.0), np.arange(7.0))
    block[3, 3] -= 2
    residual = residuals(block[None])[0]
    assert residual[3, 3] == pytest.approx(-2 / np.sqrt(7 / 5), abs=1e-3)


def test_the_percentile_counts_rivals_that_lie_farther():
    block = np.array([[2.0, 1, 3, 4], [9, 5, 6, 7], [1, 1, 1, 1], [1, 2, 3, np.nan]])[None]
    mated = np.diagonal(percentiles(block)[0])
    # Two of three rivals farther; all three; three ties; no vector.
    assert mated[:3] == pytest.approx([2.5 / 4, 3.5 / 4, 2 / 4])
    assert np.isnan(mated[3])


def test_linkability_is_one_half_of_guesses_and_of_scans_without_a_vector():
    bound = linkability(np.array([[0.25, 0.75, np.nan, 0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8]]), confidence=0.95)
    assert bound.value == pytest.approx(0.5)
    assert bound.at_least < 0.5 < bound.at_most


def test_linkability_of_shifted_normal_distances_is_their_auc():
    rng = np.random.default_rng(0)
    mated = norm.cdf(rng.standard_normal((1, 40_000)) + 1)
    assert linkability(mated, confidence=0.95).value == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.005)


def test_visits_that_agree_count_as_one_and_independent_visits_as_two():
    agree = np.zeros((2, 40), dtype=bool)
    agree[:, :4] = True
    apart = np.zeros((2, 40), dtype=bool)
    apart[0, :4] = apart[1, 4:8] = True
    assert share_of_subjects(agree, confidence=0.95).at_most > share_of_subjects(apart, confidence=0.95).at_most
    # 4 of 40 and 8 of 80, Clopper-Pearson one-sided.
    assert share_of_subjects(agree, confidence=0.95).at_most == pytest.approx(0.2142, abs=5e-4)


def test_an_original_that_everybody_matches_is_no_excess():
    hits = np.array([[True, True, False, False, False]])
    bound = excess(hits, hits.astype(float), confidence=0.95)
    assert bound.value == 0
    # None of five lies beyond chance: 1 - 0.05 ** (1 / 5).
    assert bound.at_most == pytest.approx(0.4507, abs=1e-4)
    assert excess(hits, np.zeros((1, 5)), confidence=0.95).value == pytest.approx(0.4)


def test_what_is_near_to_one_group_alone_leaves_nothing_within_it():
    group = np.repeat([0, 1], 10)
    near_to_own = np.where(group[:, None] == group, np.arange(20.0), 30.0 - np.arange(20.0))
    assert np.abs(residuals(near_to_own[None], group)).max() < 0.01
    assert np.abs(residuals(near_to_own[None])).max() > 1


def test_the_upper_bound_of_linkability_misses_the_truth_no_more_often_than_it_says():
    """People's visits depend on each other; the truth is AUC 0.60."""
    rng, shift = np.random.default_rng(1), norm.ppf(0.6) * np.sqrt(2)
    missed = 0
    for _ in range(1000):
        person = rng.standard_normal((1, 30)) * np.sqrt(0.5)
        z = person + rng.standard_normal((2, 30)) * np.sqrt(0.5) + shift
        missed += linkability(norm.cdf(z), confidence=0.95).at_most < 0.6
    assert missed / 1000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_list_off_by_one_line_stands_out_among_random_orders():
    rng = np.random.default_rng(2)
    block = rng.standard_normal((1, 20, 20))
    order = np.roll(np.arange(20), 1)
    block[0, np.arange(20), order] -= 3
    percentile = percentiles(block)
    assert order_score(percentile, order) > 6
    assert abs(order_score(percentile, np.arange(20))) < 4
    assert (best_assignment(block) == order).mean() > 0.7


def test_the_score_of_an_order_is_that_of_all_orders_counted_out():
    percentile = np.random.default_rng(1).random((2, 4, 4))
    mean, rows = percentile.mean(axis=0), np.arange(4)
    every = np.array([mean[rows, list(order)].mean() for order in permutations(rows)])
    order = np.array([1, 2, 3, 0])
    expected = (mean[rows, order].mean() - every.mean()) / every.std()
    assert order_score(percentile, order) == pytest.approx(expected)
    assert order_score(np.full((1, 4, 4), 0.5), order) == 0


def test_independent_blocks_do_not_agree():
    rng = np.random.default_rng(3)
    scores = [agreement(*rng.standard_normal((2, 15, 15)), rng, draws=40) for _ in range(60)]
    assert np.mean(scores) == pytest.approx(0, abs=0.6)
    assert max(scores) < 4.5


def test_blocks_with_one_hidden_order_agree():
    rng = np.random.default_rng(4)
    first, second = rng.standard_normal((2, 30, 30))
    order = rng.permutation(30)
    first[np.arange(30), order] -= 2.5
    second[np.arange(30), order] -= 2.5
    assert agreement(first, second, rng) > 4.5
