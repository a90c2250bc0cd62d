"""Intervals, tests and sample sizes, against numbers that can be checked by hand and against Monte Carlo truth."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, mannwhitneyu, norm, rankdata
from scipy.stats import kruskal as h_test
from scipy.stats import t as student
from scipy.stats import wilcoxon as signed_rank
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from reid_audit.records import Estimate, InputError, TestResult
from reid_audit.stats import (
    Compared,
    adjust,
    auc_of_pairs,
    bounded_below,
    clopper_pearson,
    draw_subjects,
    gap_of_auc,
    gap_of_rates,
    kruskal,
    mann_whitney,
    mean_of_pairs,
    permute_identities,
    rate_of_pairs,
    redraw_curves,
    subject_rate,
    subjects_needed,
    wilcoxon,
)
from reid_audit.stats.auc import auc_bounds, leave_out_auc
from reid_audit.stats.ranks import rank

nan = math.nan


# --- proportions ---


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 70, 0.0, 0.0513), (3, 70, 0.0089, 0.1202), (0, 30, 0.0, 0.1157), (68, 70, 0.9006, 0.9965), (5, 5, 0.4782, 1)],
)
def test_clopper_pearson_known_values(successes: int, trials: int, low: float, high: float) -> None:
    rate = clopper_pearson(successes, trials)
    assert (rate.value, rate.low, rate.high) == pytest.approx((successes / trials, low, high), abs=5e-5)


@given(st.integers(1, 300), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=40, deadline=None)
def test_clopper_pearson_agrees_with_two_libraries(trials: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, trials))
    rate = clopper_pearson(successes, trials, confidence=confidence)
    exact = binomtest(successes, trials).proportion_ci(confidence, "exact")
    assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert (rate.low, rate.high) == pytest.approx(
        proportion_confint(successes, trials, 1 - confidence, "beta"), abs=1e-9, nan_ok=True
    )


def test_no_trials_give_nan_and_not_zero() -> None:
    rate = clopper_pearson(0, 0)
    assert all(math.isnan(x) for x in (rate.value, rate.low, rate.high))
    rate, at_least, at_most = subject_rate([], [])
    assert all(math.isnan(x) for x in (rate.value, rate.low, rate.high, at_least, at_most))


@pytest.mark.parametrize(("successes", "trials", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0.0)])
def test_impossible_counts_and_levels_are_refused(successes: int, trials: int, confidence: float) -> None:
    with pytest.raises(InputError):
        clopper_pearson(successes, trials, confidence=confidence)


def test_one_trial_a_person_is_clopper_pearson() -> None:
    rate, at_least, at_most = subject_rate([True, False, False, False], [3, 1, 2, 0])
    assert rate == clopper_pearson(1, 4)
    one_sided = clopper_pearson(1, 4, confidence=0.90)
    assert (at_least, at_most) == pytest.approx((one_sided.low, one_sided.high))


def test_ten_scans_of_two_people_are_evidence_on_two_people() -> None:
    rate, _, _ = subject_rate([False] * 10, [0] * 5 + [1] * 5)
    assert (rate.trials, rate.subjects) == (10, 2)
    assert rate.high == pytest.approx(clopper_pearson(0, 2).high)


def test_unequal_numbers_of_scans_count_for_less_than_the_people() -> None:
    # Kish: (9 + 1 + 1)^2 / (81 + 1 + 1) = 1.458 effective trials for three people.
    rate, _, _ = subject_rate([False] * 11, [0] * 9 + [1, 2])
    assert rate.high == pytest.approx(1 - 0.025 ** (83 / 121))
    full, _, _ = subject_rate([True] * 11, [0] * 9 + [1, 2])
    assert full.high == 1.0
    assert full.low == pytest.approx(1 - rate.high)


# --- pairs ---


def _pairs_of(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n, 1)


def test_rate_of_pairs_against_a_jackknife_by_hand() -> None:
    p, r = _pairs_of(4)  # (0,1) (0,2) (0,3) (1,2) (1,3) (2,3)
    hit = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    rate = rate_of_pairs(hit, p, r)
    assert (rate.value, rate.successes, rate.trials, rate.subjects) == (0.5, 3, 6, 4)
    # Without person 0 one of three pairs is left, without 1 two, without 2 two, without 3 one. Logits 0 -+ log 2.
    spread = math.log(2) * math.sqrt(3 / 4 * 4)
    half = 3.182446305284263 * spread  # Student's t, 3 degrees of freedom, 97.5 %
    assert (rate.low, rate.high) == pytest.approx((1 / (1 + math.exp(half)), 1 / (1 + math.exp(-half))))


@pytest.mark.parametrize("hit", [False, True])
def test_no_pair_matched_is_no_certainty(hit: bool) -> None:
    p, r = _pairs_of(20)
    rate = rate_of_pairs(np.full(len(p), hit), p, r)
    assert rate.value == float(hit)
    bound = clopper_pearson(0, 10).high  # ten disjoint pairs of twenty people
    assert (rate.low, rate.high) == pytest.approx((1 - bound, 1) if hit else (0, bound))


def test_pairs_without_names_have_a_value_and_no_interval() -> None:
    rate = rate_of_pairs([True, False], [-1, -1], [-1, -1])
    assert rate.value == 0.5
    assert math.isnan(rate.low)
    estimate = auc_of_pairs([0.1], [0], [0.2, 0.3], [-1, -1], [-1, -1])
    assert estimate.value == 1.0
    assert math.isnan(estimate.at_most)
    assert "no subjects" in estimate.reason


@pytest.mark.parametrize(
    "estimate",
    [auc_of_pairs([], [], [0.5], [0], [1]), auc_of_pairs([0.5], [0], [], [], []), mean_of_pairs([], [], [])],
)
def test_empty_groups_give_nan_with_a_reason(estimate: Estimate) -> None:
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.at_most)
    assert estimate.reason


def test_one_person_gives_no_interval() -> None:
    estimate = auc_of_pairs([0.1, 0.2], [0, 0], [0.3], [0], [1])
    assert math.isnan(estimate.low)
    assert "too few" in estimate.reason


distances = st.lists(st.integers(0, 6).map(lambda k: k / 4), min_size=3, max_size=7)


def _world(own: list[float], seed: int) -> tuple[NDArray[np.float64], ...]:
    n = len(own)
    p, r = np.nonzero(~np.eye(n, dtype=bool))
    other = np.random.default_rng(seed).integers(0, 6, len(p)) / 4
    return np.array(own), np.arange(n), other, p, r


@given(distances, st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_auc_is_u_over_the_pairs_and_the_area_under_the_roc(own: list[float], seed: int) -> None:
    d, who, other, p, r = _world(own, seed)
    auc = auc_of_pairs(d, who, other, p, r).value
    assert auc == pytest.approx(mannwhitneyu(other, d).statistic / (len(d) * len(other)))
    assert auc == pytest.approx(roc_auc_score([0] * len(d) + [1] * len(other), [*d, *other]))
    assert auc == pytest.approx(mann_whitney(d, other).effect)


@given(distances, st.integers(0, 1000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_leaving_one_person_out_is_what_it_says(own: list[float], seed: int, lost: bool) -> None:
    """The closed form of the jackknife equals removing each person and starting again."""
    d, who, other, p, r = _world(own, seed)
    if lost:  # person 0 was not acquired: all of his probes are NaN
        d = np.where(who == 0, nan, d)
        other = np.where(p == 0, nan, other)
    d, who = np.append(d, 0.5), np.append(who, 1)  # one person has two own pairs
    left = []
    for m in range(len(own)):
        kept, apart = who != m, (p != m) & (r != m)
        left.append(auc_of_pairs(d[kept], who[kept], other[apart], p[apart], r[apart]).value)
    assert leave_out_auc(d, who, other, p, r).without == pytest.approx(left)


def test_bounds_of_an_auc_by_hand() -> None:
    """At 0.5 the variance is the jackknife's alone, at 0.9 it is mixed with that of a proportion."""
    without = np.array([0.49, 0.51] * 5)  # variance 9 / 10 x 10 x 0.01^2
    n = 0.25 / 9e-4 * (norm.ppf(0.975) / student.ppf(0.975, 9)) ** 2
    bounds = auc_bounds(0.5, without, 0.95, subjects=10)
    assert (bounds.low, bounds.high) == pytest.approx(beta.ppf([0.025, 0.975], n / 2 + 0.5, n / 2 + 0.5))
    share = 0.75 * 0.8**2
    n = 0.09 / ((1 - share) * 9e-4 + share * 0.09 / 10) * (norm.ppf(0.95) / student.ppf(0.95, 9)) ** 2
    bounds = auc_bounds(0.9, without + 0.4, 0.95, subjects=10)
    assert bounds.at_least == pytest.approx(beta.ppf(0.05, 0.9 * n + 0.5, 0.1 * n + 0.5))


def test_a_scan_without_a_face_counts_one_half() -> None:
    p, r = np.nonzero(~np.eye(2, dtype=bool))
    # Person 1 has no face: his own pair is a guess, his non-mated pair is left out.
    assert auc_of_pairs([0.1, nan], [0, 1], [0.5, nan], p, r).value == pytest.approx((1 + 0.5) / 2)
    assert auc_of_pairs([nan, nan], [0, 1], [nan, nan], p, r).value == 0.5
    none = auc_of_pairs([0.1, nan], [0, 1], [nan, nan], p, r)
    assert math.isnan(none.value)
    assert "none of other people's pairs" in none.reason


def test_all_ties_allow_for_the_share_of_people_that_may_not_have_been_seen() -> None:
    p, r = np.nonzero(~np.eye(30, dtype=bool))
    estimate = auc_of_pairs(np.full(30, nan), np.arange(30), np.full(len(p), nan), p, r)
    unseen = 1 - 0.05 ** (1 / 30)
    assert (estimate.value, estimate.at_most) == pytest.approx((0.5, 0.5 + 0.5 * unseen))


@given(distances, st.integers(0, 1000), st.permutations(range(7)))
@settings(max_examples=25, deadline=None)
def test_renaming_and_reordering_people_changes_nothing(own: list[float], seed: int, names: list[int]) -> None:
    d, who, other, p, r = _world(own, seed)
    rename = np.array(names) * 3 + 1
    order, others = np.random.default_rng(seed).permutation(len(d)), np.random.default_rng(seed).permutation(len(p))
    each = auc_of_pairs(d, who, other, p, r)
    two = auc_of_pairs(d[order], rename[who][order], other[others], rename[p][others], rename[r][others])
    assert astuple(each) == pytest.approx(astuple(two), nan_ok=True)
    a, b = rate_of_pairs(other < 0.5, p, r), rate_of_pairs(other[others] < 0.5, rename[p][others], rename[r][others])
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), nan_ok=True)


# --- redrawing people ---


def test_every_draw_holds_as_many_people() -> None:
    weights = draw_subjects(7, 50, rng=np.random.default_rng(0))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.6)


def test_both_ends_of_a_pair_follow_the_draw() -> None:
    p, r = _pairs_of(3)
    own, other = np.array([0.1, 0.2, 0.3]), np.array([0.15, 0.25, 0.35])
    weights = np.array([[1, 1, 1], [3, 0, 0], [2, 1, 0]], dtype=np.uint16)
    whole, alone, two = redraw_curves(own, np.arange(3), other, p, r, np.array([0.2, 0.3, 1.0]), weights)
    assert whole.tmr == pytest.approx([1 / 3, 2 / 3, 1])
    assert whole.fmr == pytest.approx([1 / 3, 2 / 3, 1])
    assert alone.tmr == pytest.approx([1, 1, 1])
    assert np.isnan(alone.fmr).all()  # one person makes no pair with himself
    assert two.tmr == pytest.approx([2 / 3, 1, 1])
    assert two.fmr == pytest.approx([1, 1, 1])


# --- tests ---


def test_mann_whitney_by_hand() -> None:
    actual = mann_whitney([1, 2], [3, 4, 5])
    assert (actual.statistic, actual.n, actual.method, actual.effect) == (0, (2, 3), "exact", 1)
    assert actual.p == pytest.approx(2 / 10)  # 2 of the C(5, 2) orders are as extreme


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([nan], [1.0]), ([1.0], [])])
def test_mann_whitney_of_an_empty_group_is_nan(a: list[float], b: list[float]) -> None:
    actual = mann_whitney(a, b)
    assert math.isnan(actual.p)
    assert actual.reason


def test_mann_whitney_of_equal_distances_finds_nothing() -> None:
    actual = mann_whitney([0.5, 0.5], [0.5])
    assert (actual.p, actual.effect) == (1.0, 0.5)


@pytest.mark.parametrize("digits", [15, 1])  # without ties and with them: exact up to a size, and normal
@pytest.mark.parametrize(("n", "m"), [(3, 5), (20, 45), (60, 70)])
def test_rank_tests_agree_with_scipy(n: int, m: int, digits: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(0, 1, n).round(digits), rng.normal(0.3, 1, m).round(digits)
    after = x + rng.normal(0.2, 1, n).round(digits)
    for actual, expected in (
        (test := mann_whitney(x, y), mannwhitneyu(x, y, method=test.method)),
        (test := wilcoxon(x, after), signed_rank(after - x, method=test.method)),
        (kruskal([x, y, after]), h_test(x, y, after)),
    ):
        assert (actual.statistic, actual.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert np.array_equal(rank(np.stack([x, -x])), rankdata(np.stack([x, -x]), axis=1))


def test_wilcoxon_by_hand() -> None:
    actual = wilcoxon([1.0, 1.0, 1.0, 1.0], [2.0, 3.0, 4.0, 0.5])
    assert (actual.statistic, actual.n, actual.method) == (1, (4,), "exact")
    assert actual.effect == pytest.approx((2 + 3 + 4 - 1) / 10)
    assert actual.p == pytest.approx(4 / 16)


def test_wilcoxon_leaves_out_what_is_missing_or_equal() -> None:
    actual = wilcoxon([1.0, nan, 1.0, 2.0], [2.0, 2.0, 1.0, nan])
    assert actual.n == (1,)
    assert math.isnan(wilcoxon([1.0], [1.0]).p)
    assert "before and after" in wilcoxon([nan], [1.0]).reason
    with pytest.raises(InputError, match="2 and 1"):
        wilcoxon([1, 2], [1])


def test_kruskal_by_hand() -> None:
    actual = kruskal([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert actual.statistic == pytest.approx(7.2)  # 12 / (9 x 10) x (36 + 225 + 576) / 3 - 3 x 10
    assert actual.effect == pytest.approx((7.2 - 2) / 6)
    for groups in ([[1.0]], [[1.0], []], [[1.0], [1.0]]):
        assert math.isnan(kruskal(groups).p)


def _test(p: float) -> TestResult:
    return TestResult("t", "", (1,), 1, 0.0, p, "exact")


def test_benjamini_hochberg_agrees_with_statsmodels_and_leaves_nan() -> None:
    p = [0.01, 0.04, 0.03, 0.2, 0.9]
    adjusted = adjust([*map(_test, p), _test(nan)])
    assert [t.p_adjusted for t in adjusted[:5]] == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert math.isnan(adjusted[5].p_adjusted)
    assert adjust([]) == ()


def test_permutation_sees_through_rows_and_columns() -> None:
    rng = np.random.default_rng(0)
    n = 12
    loud = 10 * rng.normal(size=(n, 1)) + 10 * rng.normal(size=(1, n))  # scans far from, references near to everybody
    block = loud + rng.normal(size=(n, n)) - 3 * np.eye(n)
    actual = permute_identities([block], rng=np.random.default_rng(1), permutations=999)
    assert actual.p == pytest.approx(0.001)
    assert permute_identities([loud], rng=np.random.default_rng(1), permutations=999).p == 1.0


def test_permutation_of_two_people_cannot_be_significant() -> None:
    actual = permute_identities([np.array([[0.0, 1], [1, 0]])], rng=np.random.default_rng(0), permutations=999)
    assert 0.4 < actual.p < 0.6


def test_permutation_without_people_or_distances_is_nan() -> None:
    rng = np.random.default_rng(0)
    for blocks in ([], [np.zeros((1, 1))], [np.full((3, 3), nan)]):
        actual = permute_identities(blocks, rng=rng)
        assert math.isnan(actual.p)
        assert actual.reason
    with pytest.raises(InputError):
        permute_identities([np.zeros((2, 3))], rng=rng)


def test_equivalence_needs_a_bound_below_the_margin() -> None:
    for at_most, word in ((0.59, "shown"), (0.61, "not shown"), (nan, "not shown")):
        actual = bounded_below(Estimate(0.5, at_most=at_most, subjects=30), 0.60)
        assert actual.method.startswith(f"{word} below")


def test_one_acquired_probe_among_many_still_has_an_interval() -> None:
    """29 scans without a face and one with: a guess, known about as well as if none had been seen."""
    people = np.arange(30)
    p, r = (each.ravel() for each in np.meshgrid(people, people, indexing="ij"))
    p, r = p[p != r], r[p != r]
    own, other = np.full(30, nan), np.full(len(p), nan)
    blind = auc_of_pairs(own, people, other, p, r)
    own[3], other[p == 3] = 0.05, np.linspace(0.01, 0.09, 29)
    estimate = auc_of_pairs(own, people, other, p, r)
    assert estimate.value == pytest.approx(0.5, abs=0.03)
    assert 0.3 < estimate.low < 0.5 < estimate.high < 0.7
    assert blind.value == 0.5


# --- how many people ---


@pytest.mark.parametrize(("rate", "matches", "people"), [(0.10, 0, 29), (0.05, 0, 59), (0.01, 0, 299), (0.10, 1, 46)])
def test_people_needed(rate: float, matches: int, people: int) -> None:
    assert subjects_needed(rate, 0.95, matches) == people
    assert clopper_pearson(matches, people, confidence=0.90).high <= rate
    assert clopper_pearson(matches, people - 1, confidence=0.90).high > rate


@pytest.mark.parametrize(("rate", "confidence", "matches"), [(0, 0.95, 0), (1, 0.95, 0), (0.1, 1, 0), (0.1, 0.95, -1)])
def test_people_needed_refuses_nonsense(rate: float, confidence: float, matches: int) -> None:
    with pytest.raises(InputError):
        subjects_needed(rate, confidence, matches)


# --- Monte Carlo: does the interval hold what it says? ---

PERSON, NOISE = 0.6, 0.8
"""Standard deviations: how much of a distance belongs to each of its two people, and how much to the pair."""


class World:
    """Distances with random effects of people, and the truth about them.

    A non-mated pair is a_i + a_j + noise; a mated pair is 0.8 a_i + b_i + noise - gap, so that people who are far
    from everybody are also far from themselves.
    """

    def __init__(self, people: int, gap: float, threshold: float) -> None:
        self.people, self.gap, self.threshold = people, gap, threshold
        self.p, self.r = np.triu_indices(people, 1)
        other = math.sqrt(2 * PERSON**2 + NOISE**2)
        own = math.sqrt((0.64 + 1) * PERSON**2 + NOISE**2)
        self.auc = norm.cdf(gap / math.hypot(other, own))
        self.fmr, self.tmr = norm.cdf(threshold / other), norm.cdf((threshold + gap) / own)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        a, b = rng.normal(0, PERSON, (2, self.people))
        own = 0.8 * a + b + rng.normal(0, NOISE, self.people) - self.gap
        return own, a[self.p] + a[self.r] + rng.normal(0, NOISE, len(self.p))


RUNS = 1000


@pytest.mark.slow
@pytest.mark.parametrize("people", [20, 40, 80])
@pytest.mark.parametrize(
    ("gap", "threshold"), [(0.3, -1.0), (2.2, -1.2), (3.5, -2.0)], ids=["AUC .57", "AUC .91", "AUC .985"]
)
def test_intervals_cover(people: int, gap: float, threshold: float) -> None:
    """Nominal 95 % intervals cover in 92-98 %.

    Strictly so at the middle point (FMR 15 %, TMR 82 %). Elsewhere Clopper-Pearson, which promises at least its level,
    and the FMR of few matches may cover more, and never less.
    """
    world, rng = World(people, gap, threshold), np.random.default_rng(people)
    names = np.arange(people)
    inside = {"auc": 0, "fmr": 0, "tmr": 0, "pairs": 0, "at_least": 0, "at_most": 0}
    for _ in range(RUNS):
        own, other = world.draw(rng)
        auc = auc_of_pairs(own, names, other, world.p, world.r)
        inside["auc"] += auc.low <= world.auc <= auc.high
        inside["at_least"] += auc.at_least <= world.auc
        inside["at_most"] += auc.at_most >= world.auc
        fmr = rate_of_pairs(other < threshold, world.p, world.r)
        inside["fmr"] += fmr.low <= world.fmr <= fmr.high
        tmr, _, _ = subject_rate(own < threshold, names)
        inside["tmr"] += tmr.low <= world.tmr <= tmr.high
        naive = clopper_pearson(int((other < threshold).sum()), len(other))
        inside["pairs"] += naive.low <= world.fmr <= naive.high
    cover = {name: count / RUNS for name, count in inside.items()}
    most = 0.985 if gap < 1 else 1.0  # near 1 they cover more, lest they cover less where tails are heavy
    assert 0.92 <= cover["auc"] <= most, cover
    assert 0.92 <= cover["at_least"] <= most, cover
    assert 0.92 <= cover["at_most"] <= most, cover
    middle = gap == 2.2
    assert 0.92 <= cover["fmr"] <= (0.98 if middle or world.fmr * len(world.p) > 20 else 0.995), cover
    assert 0.94 <= cover["tmr"] <= (0.98 if middle else 1.0), cover
    assert cover["pairs"] < 0.90, "pairs that share people were counted as independent, and it did no harm"
    assert cover["pairs"] < cover["fmr"] - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("people", [20, 40, 80])
@pytest.mark.parametrize("gap", [0.0, 0.5, 1.5])
def test_bounds_of_linkability_hold_where_searches_differ(people: int, gap: float) -> None:
    """Probes that are far from everybody (sd 2), references that are near to everybody (sd 0.6), a third faceless."""
    rng, names = np.random.default_rng(people), np.arange(people)
    p, r = np.nonzero(~np.eye(people, dtype=bool))
    within = norm.cdf(gap / math.sqrt(2 * 0.6**2 + 2 * NOISE**2))
    pooled = norm.cdf(gap / math.sqrt(2 * 2**2 + 2 * 0.6**2 + 2 * NOISE**2))
    held = {"within": 0, "pooled": 0}
    for _ in range(800):
        block = rng.normal(0, 2, (people, 1)) + rng.normal(0, 0.6, people) + rng.normal(0, NOISE, (people, people))
        block[names, names] -= gap
        block[rng.random(people) < 1 / 3] = nan
        own, other = block[names, names], block[p, r]
        nearer = 0.5 + 0.5 * (own[p] < other) - 0.5 * (own[p] > other)
        held["within"] += mean_of_pairs(nearer, p, r).at_most >= 0.5 / 3 + within * 2 / 3
        held["pooled"] += auc_of_pairs(own, names, other, p, r).at_most >= 0.5 / 3 + pooled * 2 / 3
    assert 0.92 <= held["within"] / 800 <= 0.99, held
    assert 0.92 <= held["pooled"] / 800 <= 0.99, held


@pytest.mark.slow
def test_permutation_keeps_its_level_with_dependent_pairs() -> None:
    rng = np.random.default_rng(5)
    n, runs = 15, 800
    rejected = 0
    for _ in range(runs):
        person = rng.normal(size=n)
        blocks = [person[:, None] + rng.normal(size=n)[None, :] + rng.normal(size=(n, n)) for _ in range(2)]
        blocks[0][3] = nan  # one scan has no face
        rejected += permute_identities(blocks, rng=rng, permutations=199).p <= 0.05
    assert 0.03 <= rejected / runs <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("people", [20, 70])
def test_equivalence_keeps_its_level_at_the_margin(people: int) -> None:
    """At AUC = margin at most 5 % (2 % Monte Carlo error allowed) of cohorts are called equivalent."""
    margin, rng = 0.60, np.random.default_rng(people)
    spread = math.hypot(math.sqrt(2 * PERSON**2 + NOISE**2), math.sqrt(1.64 * PERSON**2 + NOISE**2))
    world = World(people, norm.ppf(margin) * spread, 0)
    shown = 0
    for _ in range(RUNS):
        own, other = world.draw(rng)
        estimate = auc_of_pairs(own, np.arange(people), other, world.p, world.r)
        shown += bounded_below(estimate, margin).method.startswith("shown")
    assert shown / RUNS <= 0.07


# --- differences of two attackers ---


def test_the_gap_of_two_aucs_is_their_difference_and_knows_that_the_people_are_the_same() -> None:
    """Two attackers that share nearly all of their noise: each AUC is wide, their difference is not."""
    rng = np.random.default_rng(5)
    n = 40
    probe, reference = (side.ravel() for side in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    off = probe != reference
    probe, reference = probe[off], reference[off]
    own, other = rng.normal(0.0, 1.0, n), rng.normal(0.8, 1.0, len(probe))
    first = Compared(own, np.arange(n), other, probe, reference)
    second = Compared(own + rng.normal(0.1, 0.05, n), np.arange(n), other, probe, reference)
    aucs = [auc_of_pairs(*each) for each in (first, second)]
    gap = gap_of_auc(first, second)
    assert gap.value == pytest.approx(aucs[0].value - aucs[1].value)
    assert gap.low < gap.value < gap.high
    assert gap.high - gap.low < 0.3 * (aucs[0].high - aucs[0].low)
    none = gap_of_auc(first, first)
    assert none.value == 0
    assert none.low == -none.high < 0  # what people who were not seen could still differ by
    assert gap_of_auc(first, second._replace(mated=[], mated_subject=[])).reason == "there are no own pairs"


def test_the_gap_of_two_rates() -> None:
    people = np.repeat(np.arange(10), 2)
    first, second = np.arange(20) < 16, np.arange(20) < 6
    gap = gap_of_rates(first, people, second, people)
    assert gap.value == pytest.approx(0.5)
    # Ten people, five of whom differ in both of their trials: the plain t interval of their means.
    spread = 2.262157 * np.std([1.0] * 5 + [0.0] * 5, ddof=1) / np.sqrt(10)
    assert (gap.low, gap.high) == pytest.approx((0.5 - spread, 0.5 + spread))
    assert gap_of_rates([], [], second, people).reason == "there are no trials"
    assert gap_of_rates([True], [0], [True], [0]).reason == "too few people for an interval"
