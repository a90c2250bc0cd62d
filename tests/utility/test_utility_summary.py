"""Volumetry, train x test matrix, trade-off and the rows of a result: numbers that a reader can check by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from reid_audit import Face, InputError, ScanRef, Status, assess_scores
from reid_audit.match import compare_faces
from reid_audit.records import FaceRecord, ScoreTable, TradeOff
from reid_audit.report import result_to_json
from reid_audit.report.form import result_from_json
from reid_audit.report.utility_tables import list_tables
from reid_audit.stats import mean_of_people, mean_per_person, paired_t
from reid_audit.utility import (
    CaseUtility,
    Measure,
    Utility,
    bland_altman,
    compare_programs,
    count_targets,
    cross_conditions,
    measure_same_scan,
    pareto_front,
    read_model_scores,
    read_quality,
    trade_offs,
    with_utility,
)
from reid_audit.utility.compare import compare_defacers
from reid_audit.utility.exclusion import Availability, Exclusion, count_available, find_exclusions, keep_cases
from reid_audit.utility.measures import Placement
from reid_audit.utility.summarize import summarize_cases, summarize_volumes
from reid_audit.utility.volumetry import normalised_repeatability

# --- volumetry ---


def test_repeatability_by_hand() -> None:
    actual = bland_altman([10, 20, 30, 40], [12, 20, 28, 44])  # differences 2, 0, -2, 4
    assert (actual.cases, actual.undefined, actual.bias) == (4, 0, 1)
    assert actual.cr == pytest.approx(1.96 * math.sqrt(24 / 4))
    assert actual.cr_of_spread == pytest.approx(1.96 * math.sqrt(20 / 3))
    assert (actual.low, actual.high) == (pytest.approx(1 - actual.cr_of_spread), pytest.approx(1 + actual.cr_of_spread))


def test_a_pure_bias_is_not_repeatable() -> None:
    actual = bland_altman([10, 20, 30], [9, 19, 29])
    assert actual.cr == pytest.approx(1.96)
    assert actual.cr_of_spread == 0


def test_repeatability_without_pairs() -> None:
    actual = bland_altman([math.nan, 1], [1, math.nan])
    assert (actual.cases, actual.undefined) == (0, 2)
    assert math.isnan(actual.cr)
    with pytest.raises(InputError, match="pairs"):
        bland_altman([1], [1, 2])


def test_normalised_repeatability_scales_by_the_originals() -> None:
    volumes = {
        "big": ([100, 200, 300], [120, 200, 300]),
        "small": ([1, 2, 3], [1, 2, 3.2]),
        "one": ([5, 5, 5], [4, 5, 5]),
    }
    actual, spread, left_out = normalised_repeatability(volumes)
    assert left_out == ("one",)
    assert actual.cases == 6
    assert actual.cr == pytest.approx(1.96 * math.sqrt((0.1**2 + 0.1**2) / 6))
    assert spread == pytest.approx(0)  # both have the same own CR
    assert math.isnan(normalised_repeatability({})[0].cr)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 1e3), st.floats(1, 1e3)), min_size=3, max_size=8), st.floats(0.1, 100))
def test_nothing_changes_nothing_and_units_do_not_matter(pairs: list[tuple[float, float]], unit: float) -> None:
    before, after = np.array(pairs).T
    each = normalised_repeatability({"a": (before, after)})[0].cr
    other = normalised_repeatability({"a": (before * unit, after * unit)})[0].cr
    np.testing.assert_allclose(other, each, rtol=1e-6)
    np.testing.assert_allclose(bland_altman(before, before).cr, 0)


# --- means of people, paired t ---


def test_people_are_averaged_first() -> None:
    np.testing.assert_allclose(mean_per_person([1, 3, 5, math.nan], ["a", "a", "b", "c"]), [2, 5])
    actual = mean_of_people([1, 3, 5], ["a", "a", "b"])
    assert (actual.value, actual.subjects) == (3.5, 2)
    assert actual.low < 3.5 < actual.high


def test_intervals_of_means() -> None:
    from scipy.stats import t as student

    values = np.array([1.0, 2.0, 4.0, 7.0])
    low, high = student.interval(0.95, 3, values.mean(), values.std(ddof=1) / 2)
    actual = mean_of_people(values, range(4))
    assert (actual.low, actual.high) == (pytest.approx(low), pytest.approx(high))
    same = mean_of_people([2, 2, 2], range(3))
    assert same.value == 2
    assert math.isnan(same.low)
    assert same.reason
    assert math.isnan(mean_of_people(np.ones(3), range(3), is_share=True).low)  # a Dice of 1 is no count of successes
    all_one = mean_of_people(np.ones(20), range(20), is_yes_no=True)
    assert all_one.high == 1
    assert all_one.low == pytest.approx(0.832, abs=1e-3)  # Clopper-Pearson of 20 of 20
    assert math.isnan(mean_of_people([], []).value)
    assert mean_of_people([1.0], ["a"]).reason == "one person only"


def test_shares_keep_their_bounds_and_cover() -> None:
    rng = np.random.default_rng(0)
    truth, hits = 0.9, 0
    for _ in range(200):
        actual = mean_of_people(rng.beta(9, 1, size=25), range(25), is_share=True)
        assert 0 <= actual.low <= actual.high <= 1
        hits += actual.low <= truth <= actual.high
    assert hits >= 182


def test_paired_t_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=12)
    b = a + rng.normal(0.3, 1, size=12)
    actual, expected = paired_t(a, b), ttest_rel(b, a)
    assert (actual.statistic, actual.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert actual.n == (12,)
    assert paired_t([1, 2], [1, 2]).reason == "no pair differs"
    assert paired_t([1, 2], [2, 3]).reason == "all pairs differ alike"
    assert paired_t([1], [2]).reason == "fewer than two pairs"
    with pytest.raises(InputError):
        paired_t([1], [1, 2])


# --- the train x test matrix ---

SCORES = """trained_on,evaluated_on,subject,structure,score
mask,original,p1,eye,0.7
original,original,p1,eye,0.8
original,original,p2,eye,0.9
original,mask,p1,eye,0.4
original,mask,p2,eye,
mask,original,p2,eye,0.6
mask,mask,p1,eye,0.75
mask,mask,p2,eye,0.85
"""


def test_the_matrix_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(SCORES)
    actual = cross_conditions(read_model_scores(path))
    assert actual.conditions == ("original", "mask")
    assert actual.cell("original", "original").mean == pytest.approx(0.85)
    assert actual.cell("original", "original").sd == pytest.approx(math.sqrt(0.005))
    lost = actual.cell("original", "mask")
    assert (lost.mean, lost.scores, lost.undefined) == (pytest.approx(0.4), 1, 1)
    assert lost.mean_with_empty == pytest.approx(0.2)
    assert {t.condition for t in actual.tests} == {"original", "mask"}
    with pytest.raises(KeyError):
        actual.cell("original", "nobody")


def test_the_tests_of_the_matrix_are_corrected_within_an_evaluation() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    rows = []
    for evaluated in ("original", "a"):
        for trained, drop in (("original", 0.0), ("a", 0.1), ("b", 0.0)):
            for subject in range(12):
                rows.append((trained, evaluated, f"p{subject}", "eye", 0.8 - drop + rng.normal(0, 0.01)))
    table = pd.DataFrame(rows, columns=["trained_on", "evaluated_on", "subject", "structure", "score"])
    tests = {(t.condition, t.compared): t for t in cross_conditions(table).tests}
    assert len(tests) == 6
    assert tests["original", "trained on original vs a"].p_adjusted < 0.01
    assert tests["original", "trained on original vs b"].p_adjusted > 0.05
    family = [t for (condition, _), t in tests.items() if condition == "a"]
    assert all(t.p_adjusted >= t.p for t in family)


def test_structures_are_scored_against_the_originals() -> None:
    """Figures 3 and 4 of Sahlsten 2023: one of training and evaluation stays on originals; BH over all of them."""
    import pandas as pd
    from scipy.stats import false_discovery_control
    from scipy.stats import wilcoxon as signed_rank

    rng = np.random.default_rng(0)
    drops = {("original", "original"): 0.0, ("a", "original"): 0.1, ("original", "a"): 0.02, ("a", "a"): 0.5}
    rows = [
        (*who, f"p{subject}", structure, 0.9 - drop * (structure == "eye") + rng.normal(0, 0.02))
        for who, drop in drops.items()
        for structure in ("eye", "cord")
        for subject in range(12)
    ]
    rows.append(("a", "original", "p12", "eye", math.nan))
    table = pd.DataFrame(rows, columns=["trained_on", "evaluated_on", "subject", "structure", "score"])
    actual = cross_conditions(table)
    assert [(row.structure, row.trained_on, row.scores, row.undefined) for row in actual.training] == [
        *(("eye", "original", 12, 0), ("eye", "a", 12, 1)),
        *(("cord", "original", 12, 0), ("cord", "a", 12, 0)),
    ]
    assert {row.trained_on for row in actual.testing} == {"original"}
    scores = {key: own["score"].to_numpy()[:12] for key, own in table.groupby(list(table.columns[[0, 1, 3]]))}
    p_values = [
        signed_rank(scores["original", "original", name], scores["a", "original", name]).pvalue
        for name in ("eye", "cord")
    ]
    tests = [row.test for row in actual.training if row.test is not None]
    assert [test.p for test in tests] == pytest.approx(p_values)
    assert [test.p_adjusted for test in tests] == pytest.approx(false_discovery_control(p_values))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("trained_on,score\n", "lacks the column evaluated_on"),
        (SCORES + "mask,mask,p3,eye,high\n", "line 10.*'high'"),
        (SCORES + "mask,mask,p2,eye,0.1\n", "occurs twice"),
    ],
)
def test_scores_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"scores.csv.*{words}"):
        read_model_scores(path)
    with pytest.raises(InputError, match=r"absent\.csv"):
        read_model_scores(tmp_path / "absent.csv")


# --- the trade-off ---


def test_the_front_by_hand() -> None:
    points = [
        TradeOff("cheap", 0.9, 0.1),
        TradeOff("safe", 0.1, 0.9),
        TradeOff("beaten", 0.9, 0.9),
        TradeOff("middle", 0.5, 0.5),
        TradeOff("twin", 0.5, 0.5),
        TradeOff("unknown", math.nan, 0.0),
        TradeOff("level", 0.1, 1.0),
    ]
    assert [p.condition for p in pareto_front(points)] == ["cheap", "middle", "twin", "safe"]
    assert pareto_front([]) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_nobody_beats(pairs: list[tuple[int, int]]) -> None:
    points = [TradeOff(str(i), float(r), float(c)) for i, (r, c) in enumerate(pairs)]
    front = pareto_front(points)
    assert front
    for p in points:
        beaten = any(q.risk <= p.risk and q.cost <= p.cost and (q.risk, q.cost) != (p.risk, p.cost) for q in points)
        assert (p in front) != beaten
    assert [p.risk for p in front] == sorted((p.risk for p in front), reverse=True)


# --- rows ---


def _case(
    subject: str, condition: str, dice: float, volumes: tuple[float, float], structure: str = "eye"
) -> CaseUtility:
    def measure(metric: str, unit: str, value: float, before: float = math.nan, after: float = math.nan) -> Measure:
        return Measure(subject, "1", condition, metric, unit, structure, "on_face", value, before, after)

    measures = (
        measure("dice", "", dice),
        measure("volume_difference", "cm3", volumes[1] - volumes[0], *volumes),
    )
    return CaseUtility(subject, "1", condition, f"{subject}.nii.gz", measures=measures)


def _cases() -> tuple[CaseUtility, ...]:
    rng = np.random.default_rng(0)
    cases = []
    for i in range(12):
        size = 5 + i / 3
        cases.append(_case(f"p{i}", "mild", 0.98 + rng.uniform(-0.01, 0.01), (size, size + rng.normal(0, 0.01))))
        cases.append(_case(f"p{i}", "harsh", 0.6 + rng.uniform(-0.1, 0.1), (size, size - 2 + rng.normal(0, 0.1))))
    cases.append(_case("p12", "harsh", math.nan, (math.nan, math.nan)))
    return tuple(cases)


def test_rows_have_intervals_counts_and_corrected_tests() -> None:
    values = {(v.condition, v.metric, v.structure, v.position): v for v in summarize_cases(_cases())}
    harsh = values["harsh", "dice", "eye", "on_face"]
    assert (harsh.cases, harsh.undefined, harsh.subjects) == (12, 1, 12)
    assert 0.5 < harsh.low < harsh.mean < harsh.high < 0.7
    assert values["harsh", "dice", "all", "on_face"].mean == pytest.approx(harsh.mean)
    assert values["harsh", "dice", "all", "all"].undefined == 1
    shrunk, kept = (values[c, "volume_difference", "eye", "on_face"] for c in ("harsh", "mild"))
    assert shrunk.mean == pytest.approx(-2, abs=0.1)
    assert shrunk.p_value < 0.001
    assert shrunk.p_adjusted == shrunk.p_value  # the only structure of its defacer
    over_both = {(v.condition, v.metric): v for v in summarize_cases(_cases(), over_defacers=True)}
    assert over_both["harsh", "volume_difference"].p_adjusted == pytest.approx(2 * shrunk.p_value)
    assert kept.p_adjusted > 0.01
    assert values["harsh", "ncr", "all", "all"].mean > 10 * values["mild", "ncr", "all", "all"].mean
    cases = _cases()
    result = Utility("cohort.csv", 2.0, 5.0, cases, summarize_cases(cases), summarize_volumes(cases), ())
    table, sentence = list_tables(result, "volumes")
    p_of = {row[0]: float(row[-1]) for row in table.rows if row[1] == "eye"}
    assert p_of == {"mild": pytest.approx(kept.p_adjusted, rel=0.1), "harsh": pytest.approx(shrunk.p_value, rel=0.1)}
    assert sentence.title.endswith(": 0 of 1 after mild, 1 of 1 after harsh.")


def test_a_person_with_many_scans_counts_once() -> None:
    sessions = [("p0", "1", 1.0), ("p0", "2", 0.8), ("p1", "1", 0.5)]
    measures = [Measure(who, visit, "cut", "dice", "", "eye", "on_face", v) for who, visit, v in sessions]
    cases = tuple(CaseUtility(m.subject, m.session, "cut", "f", measures=(m,)) for m in measures)
    row = summarize_cases(cases)[0]
    assert (row.cases, row.subjects, row.median) == (3, 2, 0.8)
    assert row.mean == pytest.approx((0.9 + 0.5) / 2)


def test_intervals_of_distances_do_not_reach_below_zero() -> None:
    measures = [Measure(f"p{i}", "1", "cut", "hd95", "mm", "eye", "on_face", v) for i, v in enumerate((0.1, 0.2, 9.0))]
    cases = tuple(CaseUtility(m.subject, "1", "cut", "f", measures=(m,)) for m in measures)
    assert all(v.low == 0 < v.mean < v.high for v in summarize_cases(cases))


def test_repeatability_rows() -> None:
    rows = {(r.condition, r.structure): r for r in summarize_volumes(_cases())}
    assert rows["harsh", "eye"].cr == pytest.approx(1.96 * 2, rel=0.05)
    assert rows["harsh", "eye"].undefined == 1
    assert rows["harsh", "all"].cr == pytest.approx(1.96 * 2 / (11 / 3), rel=0.05)


def test_defacers_are_compared_by_person() -> None:
    (actual,) = (c for c in compare_defacers(_cases()) if c.metric == "dice")
    assert (actual.first, actual.second) == ("mild", "harsh")
    assert actual.difference == pytest.approx(-0.38, abs=0.05)
    assert actual.t.n == actual.wilcoxon.n == (12,)
    assert max(actual.t.p_adjusted, actual.wilcoxon.p_adjusted) < 0.001


def test_two_programs_are_compared_on_the_scans_of_each_defacer() -> None:
    better = tuple(
        replace(
            case, measures=tuple(replace(m, value=m.value + 0.2) if m.metric == "dice" else m for m in case.measures)
        )
        for case in _cases()
        if case.condition == "harsh"
    )
    actual = compare_programs(_cases(), better, ("one", "other"))
    assert list(actual) == ["harsh"]  # the second program has no other
    (row,) = actual["harsh"]
    assert (row.metric, row.structure, row.first, row.second) == ("dice", "eye", "one", "other")
    assert row.difference == pytest.approx(0.2)
    assert row.wilcoxon.p < 0.01


def test_no_case_gives_no_row() -> None:
    failed = (CaseUtility("p1", "1", "cut", "p1.nii.gz", reason="unreadable"),)
    assert summarize_cases(failed) == ()
    assert summarize_volumes(failed) == ()
    assert compare_defacers(failed) == ()


def test_utility_joins_the_result() -> None:
    rng = np.random.default_rng(0)
    faces = []
    for i in range(8):
        person = rng.normal(size=16)
        for visit, condition, noise in (("1", "original", 0.3), ("2", "original", 0.3), ("1", "mild", 2.0)):
            vector = person + noise * rng.normal(size=16)
            scan = ScanRef(f"p{i}", visit, condition, Path("p.nii.gz"))
            faces.append(FaceRecord(scan, Face(Status.OK, "random", vector=vector / np.linalg.norm(vector))))
    result = assess_scores(compare_faces(faces), source="cohort.csv", draws=50)
    values = summarize_cases(_cases())
    condition = result.verdict.conditions[0].condition
    values = tuple(replace(v, condition=condition) if v.condition == "mild" else v for v in values)
    joined = with_utility(result, values)
    assert joined.utility == values
    assert result_to_json(result_from_json(result_to_json(joined))) == result_to_json(joined)
    frame = result.scores.frame.copy()
    own = (frame["group"] == "defaced_same_scan") & (frame["condition"] == condition)
    assert own.sum() == 8
    frame.loc[own, "distance"] = [0.1, 0.2, 0.5, 0.5, 0.5, 0.5, math.nan, math.nan]
    joined = replace(joined, scores=ScoreTable(frame))
    row = next(r for r in measure_same_scan(joined) if r.condition == condition)
    assert (row.comparisons, row.undefined) == (8, 2)
    assert row.mean == pytest.approx(2.3 / 6)
    assert row.inverse_mean == pytest.approx((10 + 5 + 4 * 2) / 6)  # not 1 / mean, which is 2.6
    assert row.inverse_sd == pytest.approx(np.std([10, 5, 2, 2, 2, 2], ddof=1))
    threshold = result.calibrations[0].threshold(result.verdict.policy.threshold).distance
    assert row.identifiable == sum(d < threshold for d in (0.1, 0.2, 0.5, 0.5, 0.5, 0.5)) / 8
    assert [r.condition for r in measure_same_scan(joined)] == ["original", condition]
    point = trade_offs(joined)[0]
    assert (point.risk, point.risk_sd) == (row.inverse_mean, row.inverse_sd)
    assert point.cost == next(v.mean for v in values if v.condition == condition and v.metric == "ncr")
    assert trade_offs(joined, cost="dice")[0].cost == pytest.approx(0.02, abs=0.01)
    # Two people with T1w and T2w in session 1, the first of them with a session 2: three distances join two sessions.
    mated = {"group": "same", "condition": "original", "probe_session": "1"}
    table = (
        frame.iloc[[0] * 5]
        .astype(object)
        .assign(**mated, reference_session=["1", "1", "2", "2", "2"], distance=[9.0, 9.0, 1.0, 2.0, 6.0])
    )
    original, _ = measure_same_scan(replace(joined, scores=ScoreTable(table)))
    assert (original.comparisons, original.mean) == (3, 3.0)
    original, _ = measure_same_scan(replace(joined, scores=ScoreTable(table.iloc[:2])))
    assert (original.comparisons, math.isnan(original.mean)) == (0, True)
    assert math.isnan(trade_offs(result)[0].cost)
    with pytest.raises(InputError, match="lacks its comparisons"):
        trade_offs(replace(joined, scores=None))
    frame.loc[own, "distance"] = 0.0
    assert trade_offs(replace(joined, scores=ScoreTable(frame)))[0].risk == math.inf


# --- exclusion ---


def _judged(
    person: int, condition: str = "cut", *, front: float = 0.3, dice: float = 0.95, lost: float = 0.0
) -> CaseUtility:
    numbers = {"brain_changed": 0.0, "front_changed": front + 0.001 * person, "brain_dice": dice + 0.001 * person}
    measures = [Measure(f"p{person}", "1", condition, n, "", "all", "all", v) for n, v in numbers.items()]
    measures.append(Measure(f"p{person}", "1", condition, "lost", "", "gland", "on_face", lost))
    return CaseUtility(f"p{person}", "1", condition, "f", measures=tuple(measures))


def _fail(actual: tuple[Exclusion, ...]) -> set[tuple[str, str, str]]:
    return {(row.subject, row.condition, row.criterion) for row in actual}


def test_scans_that_fail_by_hand() -> None:
    """Of ten scans the quartiles of 0.300 ... 0.309 lie 0.0045 apart: 0.4 and 0.2 are far out, 0.31 is not."""
    usual = [_judged(i) for i in range(10)]
    assert find_exclusions(usual) == ()
    wrong = [*usual, _judged(20, front=0.4), _judged(21, front=-0.021)]
    assert _fail(find_exclusions(wrong)) == {("p20", "cut", "C2"), ("p21", "cut", "C2")}
    assert find_exclusions(wrong)[1].value == 0  # nothing changed in front
    brain = replace(usual[0].measures[0], value=0.001)
    touched = replace(usual[0], measures=(brain, *usual[0].measures[1:]))
    assert _fail(find_exclusions([touched, *usual[1:]])) == {("p0", "cut", "C1")}
    assert _fail(find_exclusions(usual, {("p3", "1", "cut"): False, ("p4", "1", "cut"): True})) == {("p3", "cut", "QC")}


def test_an_original_is_no_standard_where_it_fails_under_every_defacer() -> None:
    both = [_judged(i, condition) for condition in ("cut", "blur") for i in range(10)]
    bad_original = [_judged(20, "cut", front=0.285, dice=0.5), _judged(20, "blur", front=0.285, dice=0.5)]
    bad_defacer = [_judged(21, "cut", front=0.285, dice=0.5), _judged(21, "blur", front=0.285, dice=0.93)]
    actual = find_exclusions([*both, *bad_original, *bad_defacer])
    assert _fail(actual) == {("p20", "cut", "C3"), ("p20", "blur", "C3")}
    kept = keep_cases([*both, *bad_defacer], actual, ["C3"])
    assert len(kept) == 22


def test_the_subset_that_every_defacer_passes() -> None:
    cases = [_judged(i, condition) for condition in ("cut", "blur") for i in range(3)]
    actual = find_exclusions(cases, {("p0", "1", "cut"): False})
    assert [(c.subject, c.condition) for c in keep_cases(cases, actual, ["QC"])][:3] == [
        ("p1", "cut"),
        ("p2", "cut"),
        ("p0", "blur"),
    ]
    shared = keep_cases(cases, actual, ["QC"], common=True)
    assert {(c.subject, c.condition) for c in shared} == {(p, c) for p in ("p1", "p2") for c in ("cut", "blur")}
    assert keep_cases(cases, actual, []) == tuple(cases)


def test_unavailable_is_lost_or_failed() -> None:
    """Four scans: one loses its gland, one fails QC, one loses its gland and fails, one could not be measured."""
    cases = [_judged(0, lost=1), _judged(1), _judged(2, lost=1), CaseUtility("p3", "1", "cut", "f", reason="damaged")]
    cases += [_judged(i, "blur") for i in range(4)]
    actual = find_exclusions(cases, {("p1", "1", "cut"): False, ("p2", "1", "cut"): False})
    rows = {(row.condition, row.structure): row for row in count_available(cases, actual)}
    assert rows["cut", "gland"] == Availability("cut", "gland", total=4, lost=1, unavailable=4)
    assert rows["blur", "all"] == Availability("blur", "all", total=4, lost=0, unavailable=0)


def test_quality_that_a_human_wrote(tmp_path: Path) -> None:
    path = tmp_path / "quality.csv"
    path.write_text("subject,session,condition,removed,nose\n01,1,cut,1,1\n02,1,cut,No,0\n")
    assert read_quality(path) == {("01", "1", "cut"): True, ("02", "1", "cut"): False}
    for text, words in (
        ("", "cannot be read"),
        ("subject,removed\n", "session"),
        ("subject,session,condition,removed\na,1,b,maybe\n", "line 2.*'maybe'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_quality(path)


def test_targets_are_counted_by_scan() -> None:
    """One scan with a PTV below and one across the cut is a scan whose PTVs overlap, as the paper counts it."""

    def case(person: str, **places: str) -> CaseUtility:
        at = tuple(Placement(person, "1", "cut", n, "elsewhere", place, math.nan, 0.0) for n, place in places.items())
        return CaseUtility(person, "1", "cut", "f", places=at)

    cases = [
        case("p0", PTV_70="below", PTV_54="overlapping", eye="overlapping"),
        case("p1", PTV_70="below", PTV_54="same_slices"),
        case("p2", PTV_70="below", GTV="overlapping"),  # its GTV lies in the PTV, and is not counted beside it
        case("p3", CTV="kept"),  # no PTV: its other targets
        case("p4", eye="overlapping"),  # no target
    ]
    count = count_targets(cases, "cut")
    assert {k: n for k, n in count.scans.items() if n} == {"overlapping": 1, "same_slices": 1, "below": 1, "kept": 1}
    assert {k: n for k, n in count.structures.items() if n} == {
        "overlapping": 1,
        "same_slices": 1,
        "below": 3,
        "kept": 1,
    }
    assert sum(count_targets(cases, "other").scans.values()) == 0
