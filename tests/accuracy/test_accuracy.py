"""Searches and the evidence, on tables that can be checked by hand."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_faces import FINGERPRINT, make_evidence, make_faces, make_table
from places import SHARED
from pydantic import TypeAdapter

from reid_audit.accuracy import (
    assess,
    calibrate_scores,
    list_subjects,
    to_panels,
)
from reid_audit.attack import find_attack
from reid_audit.match import compare_faces, merge_scores, read_scores, write_scores
from reid_audit.records import (
    CalibrationError,
    Evidence,
    Face,
    Group,
    InputError,
    ScoreTable,
    Status,
)
from reid_audit.stats import mann_whitney, suppress, wilcoxon

nan = math.nan


# --- searches ---


def test_ranks_by_hand_with_ties_to_the_attacker() -> None:
    rows = [
        *[("same", s, s, 0.1) for s in "abc"],
        *[("different", *p, 0.8) for p in ("ab", "ac", "bc")],
        ("defaced_same", "a", "a", 0.4),  # b is nearer: rank 2
        ("defaced_different", "a", "b", 0.3),
        ("defaced_different", "a", "c", 0.5),
        ("defaced_same", "b", "b", 0.3),  # c is as near: rank 1
        ("defaced_different", "b", "a", 0.6),
        ("defaced_different", "b", "c", 0.3),
        ("defaced_same", "c", "c", nan),  # no face: finds nobody
        ("defaced_different", "c", "a", nan),
        ("defaced_different", "c", "b", nan),
    ]
    evidence, calibration = make_evidence(make_table(rows))
    assert calibration.threshold("youden").distance == 0.8
    attack = evidence.attack("cut")
    search = attack.search
    assert (search.gallery, search.rank1.successes, search.rank1.trials) == (3, 1, 3)
    assert (search.chance1, search.chance5) == (pytest.approx(1 / 3), 1)
    assert (search.cmc_ranks, search.cmc) == ((1, 2, 3), pytest.approx((1 / 3, 2 / 3, 2 / 3)))
    assert search.mean_rank == pytest.approx((2 + 1 + 2) / 3)
    assert (search.fpir, search.tpir) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert attack.search_auc.value == pytest.approx((0 + 1 + 1 + 0.5 + 0.5 + 0.5) / 6)
    # Strangers at 0.3 0.5 0.6 0.3: a beats two of them, b two and two ties, c guesses.
    assert attack.linkability.value == pytest.approx((2 + 3 + 2) / 12)
    assert (attack.fta.successes, attack.fta.trials) == (1, 3)


def test_a_match_needs_less_than_the_threshold() -> None:
    rows = [
        *[("same", who, who, d) for who, d in (("a", 0.1), ("b", 0.2), ("c", 0.9))],
        *[("different", *pair, 0.8) for pair in ("ab", "ac", "bc")],
        *[("defaced_same", who, who, d) for who, d in (("a", 0.1), ("b", 0.8), ("c", 0.1))],
        *[("defaced_different", p, r, 0.95) for p, r in product("abc", "abc") if p != r],
    ]
    evidence, calibration = make_evidence(make_table(rows))
    assert calibration.threshold("youden").distance == 0.8
    attack = evidence.attack("cut")
    match = attack.match("youden")
    assert (match.counted.successes, match.subjects.successes, match.worst.successes) == (2, 2, 2)  # b is at it
    assert (match.still_matched.successes, match.still_matched.trials) == (1, 2)  # c did not match before
    assert match.non_mated.successes == 0
    assert attack.search.rank1.value == 1
    assert (attack.search.tpir, attack.search.fpir) == (pytest.approx(2 / 3), 0)


def test_cmc_of_the_whole_gallery_is_one() -> None:
    evidence, _ = make_evidence(compare_faces(make_faces(12, {"cut": 5.0})))
    search = evidence.attack("cut").search
    assert search.cmc_ranks[-1] == search.gallery == 12
    assert search.cmc[-1] == 1
    assert list(search.cmc) == sorted(search.cmc)
    assert search.rank1.trials == 24  # two visits, two directions
    control = evidence.controls[0].search
    assert control.rank1.value > 0.9
    assert (control.gallery, control.rank1.trials) == (12, 12)  # also the last person meets all others


# --- evidence ---


def test_the_published_distances() -> None:
    path = SHARED / "reference" / "osullivan2025_distances.csv"
    if not path.is_file():
        pytest.skip("needs ../shared/reference/osullivan2025_distances.csv")
    table = read_scores(path)
    evidence, calibration = make_evidence(table)
    youden = calibration.threshold("youden")
    assert youden.distance == pytest.approx(0.3310264075361308, abs=1e-12)
    assert (youden.tmr.successes, youden.tmr.trials) == (66, 68)
    match = evidence.attack("defaced").match("youden")
    assert (match.counted.successes, match.counted.trials) == (3, 68)
    tests = {t.compared: t for t in evidence.attack("defaced").tests}
    paired = tests["same vs defaced_same"]
    assert (paired.statistic, paired.n, paired.effect) == (0, (68,), 1)
    assert paired.p == pytest.approx(7.641e-13, rel=1e-3)
    by_group = {g: table.frame.loc[table.frame["group"] == g.value, "distance"] for g in Group}
    u = mann_whitney(by_group[Group.SAME], by_group[Group.DEFACED_SAME])
    assert u.statistic == 68
    assert u.p == pytest.approx(1.5999e-22, rel=1e-4)
    assert wilcoxon(by_group[Group.SAME], by_group[Group.DEFACED_SAME]).p == pytest.approx(paired.p)
    # The table has no defaced_different: what the literature never measured stays NaN, with a reason.
    assert math.isnan(evidence.attack("defaced").linkability.value)
    assert "defaced_different" in evidence.attack("defaced").linkability.reason


def test_a_good_and_a_useless_defacer() -> None:
    evidence, _ = make_evidence(compare_faces(make_faces(24, {"none": 0.0, "wipe": 50.0})))
    none, wipe = evidence.attack("none"), evidence.attack("wipe")
    assert none.match("youden").subjects.value == 1
    assert none.linkability.value == 1
    assert none.search.rank1.value == 1
    assert abs(wipe.linkability.value - 0.5) < 0.1
    assert abs(wipe.search_auc.value - 0.5) < 0.1
    assert wipe.linkability.at_most < 0.7
    p = {(t.condition, t.name): t.p for a in evidence.attacks for t in a.tests}
    assert p["none", "identity_permutation"] == pytest.approx(1 / 200)
    assert p["wipe", "identity_permutation"] > 0.01
    assert all(t.p_adjusted >= t.p for a in evidence.attacks for t in a.tests if not math.isnan(t.p))
    (family,) = evidence.family
    assert (family.name, family.compared) == ("kruskal_wallis", "none vs wipe")


def test_a_shift_of_every_distance_hides_from_the_threshold_and_not_from_linkability() -> None:
    """All defaced distances grow by 0.6: nobody matches, and nearly everybody is found first."""
    frame = compare_faces(make_faces(24, {"shift": 0.3})).frame.copy()
    defaced = frame["condition"] == "shift"
    frame.loc[defaced, "distance"] = np.minimum(frame.loc[defaced, "distance"] + 0.6, 2)
    attack = make_evidence(ScoreTable(frame))[0].attack("shift")
    assert attack.match("youden").subjects.successes == 0
    assert attack.auc_vs_different.value < 0.75  # the way of the literature sees little
    assert attack.linkability.at_least > 0.9
    assert attack.search.rank1.value > 0.95


def test_a_shift_of_each_person_hides_from_pooled_linkability_and_not_from_searches() -> None:
    frame = compare_faces(make_faces(40, {"shift": 0.3}, noise=0.9)).frame.copy()
    defaced = frame["condition"] == "shift"
    own_shift = frame["probe_subject"].cat.codes.to_numpy() % 10 * 0.5
    squeezed = frame["distance"].to_numpy() * 0.05 + 0.3 * own_shift
    frame["distance"] = np.where(defaced, squeezed, frame["distance"])
    attack = make_evidence(ScoreTable(frame))[0].attack("shift")
    assert attack.linkability.value < 0.62
    assert attack.search_auc.at_least > 0.9


def test_three_ways_of_counting_scans_without_a_face() -> None:
    lost = [f"p{i}/1/cut" for i in range(6)]
    faces = make_faces(20, {"cut": 0.1})
    blind = [r if r.scan.key not in lost else replace(r, face=Face(Status.NO_FACE, "toy")) for r in faces]
    naive = compare_faces([r for r in blind if r.scan.key[-5:] != "2/cut"])
    attack = make_evidence(naive)[0].attack("cut")
    match = attack.match("youden")
    assert (attack.fta.successes, attack.fta.trials) == (6, 20)
    assert (match.counted.successes, match.counted.trials) == (14, 20)
    assert (match.acquired.successes, match.acquired.trials) == (14, 14)
    assert (match.worst.successes, match.worst.trials) == (20, 20)  # nothing better known: a match
    assert (match.still_matched.successes, match.still_matched.trials) == (14, 20)
    assert attack.linkability.value == pytest.approx(0.7 + 0.3 * 0.5, abs=0.03)
    assert attack.linkability_acquired.value == pytest.approx(1, abs=0.01)
    # The aligned attacker sees every scan, and finds the six wiped.
    wiped = make_faces(20, {"cut": 50.0})
    aligned = [w if w.scan.key in lost else r for r, w in zip(faces, wiped, strict=True)]
    part = [r for r in aligned if r.scan.key[-5:] != "2/cut"]
    both = merge_scores([naive, compare_faces(part, attack=find_attack("aligned"))])
    assert make_evidence(both)[0].attack("cut").match("youden").worst.successes == 14


def test_an_original_without_a_face_is_no_credit_to_the_defacer() -> None:
    lost = [f"p{i}/2/original" for i in range(5)]
    evidence, _ = make_evidence(compare_faces(make_faces(20, {"cut": 0.0}, faceless=lost)))
    attack = evidence.attack("cut")
    assert attack.match("youden").counted.value == 1
    assert attack.match("youden").counted.trials == 40 - 5
    assert any("5 comparisons left out" in note for note in attack.notes)
    fta = evidence.controls[0].fta
    assert (fta.successes, fta.trials) == (5, 40)
    tmr, _ = evidence.controls[0].rate("youden")
    assert (tmr.successes, tmr.trials) == (15, 20)  # in the control no face is no match


def test_no_face_at_all_is_a_guess() -> None:
    attack = make_evidence(compare_faces(make_faces(30, {"gone": None})))[0].attack("gone")
    assert attack.fta.value == 1
    assert attack.match("youden").subjects.successes == 0
    assert attack.match("youden").worst.value == 1
    assert attack.linkability.value == attack.search_auc.value == 0.5
    assert 0.5 < attack.linkability.at_most < 0.6
    assert attack.search.rank1.value == 0
    assert math.isnan(attack.linkability_acquired.value)
    assert any("no face found in 60 of 60" in note for note in attack.notes)


def test_one_visit_rests_on_the_same_scan_and_says_so() -> None:
    evidence, _ = make_evidence(compare_faces(make_faces(20, {"cut": 0.5}, visits=["1"])))
    attack = evidence.attack("cut")
    assert attack.group is Group.DEFACED_SAME_SCAN
    assert any("flatters" in note for note in attack.notes)
    assert [m.threshold for m in attack.matches] == ["fmr10"]  # the others need same pairs, or more people
    assert attack.linkability.value > 0.9
    assert math.isnan(evidence.controls[0].auc.value)
    assert any("two original visits" in note for note in evidence.controls[0].notes)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("same", "a", "a", 0.1)],
        [("different", "a", "b", 0.1)],
        [("defaced_same", "a", "a", 0.1)],
        [("defaced_different", "a", "b", 0.1)],
        [("defaced_same", "a", "a", nan), ("defaced_different", "a", "b", nan)],
        [("same", "a", "a", nan), ("different", "a", "b", nan), ("defaced_same", "a", "a", nan)],
        [(g, "a", "a" if "same" in g else "b", 0.0) for g in Group],
        [("same", None, None, 0.1), ("different", None, None, 0.5), ("defaced_same", None, None, 0.2)],
    ],
)
def test_a_cohort_that_lacks_a_group_gives_nan_and_a_reason(rows: list[tuple[object, ...]]) -> None:
    evidence, calibration = make_evidence(make_table(rows))
    for attack in evidence.attacks:
        for estimate in (attack.linkability, attack.search_auc, attack.auc_vs_different, attack.defaced_gallery):
            assert not math.isnan(estimate.at_most) or estimate.reason
        for test in attack.tests:
            assert not math.isnan(test.p) or test.reason or test.name == "equivalence"
    assert list_subjects(make_table(rows), calibration) is not None


def test_rows_that_no_evidence_would_count_are_refused() -> None:
    frame = make_table([("defaced_same", "a", "a", 0.1)]).frame
    frame["condition"] = "original"
    calibration = calibrate_scores(make_table([]), fingerprint=FINGERPRINT, seed=0)
    with pytest.raises(InputError, match="1 defaced_same rows break it"):
        assess(ScoreTable(frame), calibration, seed=0)
    frame["condition"] = None
    with pytest.raises(InputError, match="must be in every row; 1 lack one"):
        assess(ScoreTable(frame), calibration, seed=0)
    with pytest.raises(InputError, match="needs the column 'distance'"):
        assess(ScoreTable(frame.drop(columns="distance")), calibration, seed=0)


def test_renaming_people_changes_nothing_but_names() -> None:
    faces = make_faces(14, {"cut": 1.5})
    rename = {f"p{i}": f"q{(i * 5 + 3) % 14}" for i in range(14)}
    renamed = [replace(r, scan=replace(r.scan, subject=rename[r.scan.subject])) for r in faces]
    each, two = (make_evidence(compare_faces(f))[0].attack("cut") for f in (faces, renamed))
    for m, n in zip(each.matches, two.matches, strict=True):
        if m.threshold == "youden":
            assert m.counted == n.counted
    for a, b in ((each.linkability, two.linkability), (each.search_auc, two.search_auc)):
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))
    assert each.search.cmc == two.search.cmc
    assert each.tests[0].p == pytest.approx(two.tests[0].p)


def test_each_attacker_stands_alone() -> None:
    naive = compare_faces(make_faces(20, {"cut": 20.0}))
    stronger = compare_faces(make_faces(20, {"cut": 0.5}), attack=find_attack("aligned")).frame
    only_defaced = ScoreTable(stronger[stronger["condition"] == "cut"])
    evidence, calibration = make_evidence(merge_scores([naive, only_defaced]))
    assert [c.attack for c in evidence.controls] == ["naive"]  # originals are the same under both
    marks = {(t.condition, t.attack) for each in evidence.attacks for t in each.tests}
    assert marks == {("cut", "naive"), ("cut", "aligned")}
    assert evidence.attack("cut", "aligned").linkability.value > 0.9 > evidence.attack("cut").linkability.value
    with pytest.raises(KeyError, match="cut/naive"):
        evidence.attack("cut", "defaced_gallery")
    with pytest.raises(CalibrationError, match="no calibration for the attack 'naive'"):
        assess(naive, [replace(calibration, attack=attack) for attack in ("aligned", "photos")], seed=0)


@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_a_better_attack_never_looks_safer(seed: int, factor: float, several: int) -> None:
    """Bringing some defaced scans nearer to their owners raises no number that reads as safety."""
    frame = _BETTER.frame.copy()
    own = np.flatnonzero(frame["group"] == "defaced_same")
    nearer = np.random.default_rng(seed).choice(own, size=several, replace=False)
    frame.loc[nearer, "distance"] *= factor
    worse = make_evidence(ScoreTable(frame))[0].attack("cut")
    before = _BETTER_EVIDENCE.attack("cut")
    for name in ("linkability", "search_auc", "auc_vs_different"):
        assert getattr(worse, name).value >= getattr(before, name).value - 1e-12
    for each, two in zip(worse.matches, before.matches, strict=True):
        assert each.subjects.value >= two.subjects.value
        assert each.counted.value >= two.counted.value
    assert worse.search.rank1.value >= before.search.rank1.value
    assert worse.search.mean_rank <= before.search.mean_rank


_BETTER = compare_faces(make_faces(12, {"cut": 3.0}, seed=5))
_BETTER_EVIDENCE = make_evidence(_BETTER)[0]


def test_evidence_from_a_file_is_the_same(tmp_path: Path) -> None:
    table = compare_faces(make_faces(12, {"cut": 1.5}, faceless=["p3/1/cut", "p4/2/original"]))
    write_scores(table, tmp_path / "scores.csv")
    again = read_scores(tmp_path / "scores.csv")
    assert repr(make_evidence(again)) == repr(make_evidence(table))


def test_evidence_survives_json() -> None:
    adapter = TypeAdapter(Evidence)
    strata = pd.DataFrame({"sex": ["F", "M"] * 6}, [f"p{i}" for i in range(12)])
    for faces in (make_faces(12, {"cut": 1.5, "gone": None}), make_faces(3, {"cut": 1.0}, visits=["1"]), []):
        evidence, _ = make_evidence(compare_faces(faces), strata=strata)
        text = adapter.dump_json(evidence)
        assert b"NaN" not in text
        assert repr(adapter.validate_json(text)) == repr(evidence)


def test_a_defaced_gallery_is_measured_too() -> None:
    defaced_gallery = make_evidence(compare_faces(make_faces(20, {"cut": 0.5})))[0].attack("cut").defaced_gallery
    assert defaced_gallery.value > 0.9
    assert defaced_gallery.subjects == 20


def test_small_strata_are_suppressed() -> None:
    faces = make_faces(24, {"cut": 0.0})
    sex = pd.DataFrame({"sex": ["F"] * 12 + ["M"] * 12, "site": ["x"] * 20 + ["y"] * 4}, [f"p{i}" for i in range(24)])
    evidence, _ = make_evidence(compare_faces(faces), strata=sex)
    cells = {(c.column, c.value): c for c in evidence.strata}
    assert cells["sex", "F"].subjects == 12
    assert cells["sex", "M"].matches[0].subjects.trials == 12
    assert cells["sex", "M"].rank1 is not None
    for condition in ("original", "cut"):
        women, men = [c.differential for c in evidence.strata if (c.column, c.condition) == ("sex", condition)]
        assert women is not None
        assert men is not None
        assert women.tmr_gap.value == -men.tmr_gap.value  # two strata: each is the others of the other
    for hidden in ("x", "y"):  # y is small, and x would give it away
        assert cells["site", hidden].suppressed
        assert cells["site", hidden].subjects is None
        assert cells["site", hidden].matches == ()


@pytest.mark.parametrize(
    ("sizes", "hidden"),
    [({"a": 20, "b": 12}, ""), ({"a": 20, "b": 3}, "ab"), ({"a": 3, "b": 4, "c": 50}, "ab"), ({"a": 3}, "a")],
)
def test_suppression_cannot_be_undone_by_subtraction(sizes: dict[str, int], hidden: str) -> None:
    assert suppress(sizes, 10) == frozenset(hidden)


def test_people_are_compared_within_a_column_that_is_named() -> None:
    frame = compare_faces(make_faces(12, {"cut": 1.0})).frame
    strata = pd.DataFrame({"sex": ["F", "M"] * 6, "site": ["a"] * 4 + ["b"] * 8}, [f"p{i}" for i in range(12)])
    rivals = {within: to_panels(frame, strata, within=within).panels[0].rivals.sum() for within in _WITHIN}
    assert rivals == _WITHIN
    with pytest.raises(InputError, match="within 'age': there is no such column; there are: sex, site"):
        to_panels(frame, strata, within="age")


_WITHIN = {"auto": 60, "sex": 60, "site": 4 * 3 + 8 * 7, "all": 12 * 11}
"""Ordered pairs of two of twelve people: both of one sex, of one site, any."""


def test_who_is_easiest_to_find() -> None:
    faces = make_faces(12, {"cut": 50.0}, faceless=["p5/1/cut", "p5/2/cut"])
    untouched = make_faces(12, {"cut": 0.0}, faceless=[])
    mixed = [
        u if r.scan.subject == "p7" and r.scan.condition == "cut" else r for r, u in zip(faces, untouched, strict=True)
    ]
    table = compare_faces(mixed)
    calibration = calibrate_scores(table, fingerprint=FINGERPRINT, seed=0, draws=0)
    people = list_subjects(table, calibration)
    assert len(people) == 12
    assert (people[0].subject, people[0].rank_after, people[0].matched_after) == ("p7", 1, True)
    assert (people[-1].subject, people[-1].unacquired, people[-1].matched_after) == ("p5", 2, False)
    assert math.isnan(people[-1].rank_after)
    assert all(p.matched_before for p in people)


def test_permutations_depend_on_the_seed_alone() -> None:
    table = compare_faces(make_faces(10, {"cut": 3.0}))
    calibration = calibrate_scores(table, fingerprint=FINGERPRINT, seed=0, draws=0)
    each, two = (assess(table, calibration, seed=4, permutations=99) for _ in range(2))
    assert repr(each) == repr(two)


def test_every_pair_of_visits_counts_for_its_person() -> None:
    visits = ["1", "2", "3"]
    attack = make_evidence(compare_faces(make_faces(15, {"cut": 0.0}, visits=visits)))[0].attack("cut")
    match = attack.match("youden")
    assert (match.counted.trials, match.counted.subjects) == (15 * len(list(product(visits, "ab"))), 15)
    assert (match.subjects.trials, match.subjects.successes) == (15, 15)
    assert match.counted.low == pytest.approx(match.subjects.low)


def test_attempts_of_a_large_cohort_are_measured_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = compare_faces(make_faces(12, {"cut": 5.0}))
    calibration = calibrate_scores(scores, fingerprint=FINGERPRINT, seed=0, draws=100)
    largest = int((scores.frame["condition"] == "cut").sum())
    with ThreadPoolExecutor(2) as executor:
        monkeypatch.setattr(executor, "submit", Mock(wraps=executor.submit))
        for most, submitted in ((largest, 1), (largest - 1, 1)):
            monkeypatch.setattr("reid_audit.accuracy.evidence._MOST_SENT", most)
            assert assess(scores, calibration, seed=0, permutations=99, executor=executor).attacks
            assert executor.submit.call_count == submitted
