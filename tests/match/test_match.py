"""Which pairs are made, what their distances are, and tables of distances made elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reid_audit.attack import Attack, find_attack
from reid_audit.match import (
    compare_faces,
    cosine_distances,
    merge_scores,
    pairs,
    read_score_strata,
    read_scores,
    write_scores,
)
from reid_audit.records import (
    SCORE_COLUMNS,
    Face,
    FaceRecord,
    Group,
    InputError,
    ScanRef,
    ScoreTable,
    Status,
    natural_key,
)
from reid_audit.work import local_executor


def _record(key: str, vector: Iterable[float] | None, *, encoder: str = "toy") -> FaceRecord:
    """Make a face from ``"subject/session/condition"``."""
    subject, session, condition = key.split("/")
    face = Face(Status.NO_FACE, encoder)
    if vector is not None:
        face = Face(Status.OK, encoder, vector=np.asarray(list(vector), dtype=np.float32))
    return FaceRecord(ScanRef(subject, session, condition, Path("x.nii.gz")), face)


def _pairs(table: ScoreTable, group: Group) -> set[str]:
    """Name every row of a group as ``"probe > reference"``."""
    f = table.frame[table.frame["group"] == group.value]
    return {
        f"{r.probe_subject}{r.probe_session}>{r.reference_subject}{r.reference_session}"
        for r in f.itertuples(index=False)
    }


# --- distances ---


def test_known_distances() -> None:
    actual = cosine_distances([[1, 0], [3, 3]], [[2, 0], [0, 1], [-1, 0]])
    half = 1 - math.sqrt(0.5)
    assert actual == pytest.approx(np.array([[0, 1, 2], [half, half, 2 - half]]))
    assert actual.dtype == np.float64


vectors = arrays(np.float32, (4, 8), elements=st.floats(-1, 1, width=32)).filter(
    lambda v: bool((np.linalg.norm(v, axis=1) > 1e-3).all())
)


@given(vectors, st.floats(0.1, 100))
@settings(max_examples=40, deadline=None)
def test_distances_are_symmetric_bounded_and_scale_free(v: np.ndarray, scale: float) -> None:
    actual = cosine_distances(v, v)
    assert (np.diag(actual) == 0).all()  # exactly
    assert ((actual >= 0) & (actual <= 2)).all()
    assert actual == pytest.approx(actual.T, abs=1e-12)
    assert cosine_distances(scale * v.astype(np.float64), v) == pytest.approx(actual, abs=1e-9)
    assert cosine_distances(v, -v) == pytest.approx(2 - actual, abs=1e-9)


def test_small_distances_keep_their_digits() -> None:
    tiny = 1e-9  # 1 - cos is 5e-19, far below the rounding of 1
    assert cosine_distances([[1.0, 0.0]], [[1.0, tiny]])[0, 0] == pytest.approx(tiny**2 / 2, rel=1e-6)


def test_opposite_vectors_are_never_further_than_two() -> None:
    v = np.random.default_rng(0).normal(size=(200, 128))
    far = np.diag(cosine_distances(v, -v))
    assert (far <= 2).all()
    assert far == pytest.approx(np.full(200, 2.0))


def test_no_vectors_give_an_empty_table() -> None:
    assert cosine_distances(np.zeros((0, 4)), np.ones((2, 4))).shape == (0, 2)


@pytest.mark.parametrize("bad", [[[0.0, 0.0]], [[math.nan, 1.0]], [[math.inf, 1.0]], [[1.0, 2.0, 3.0]]])
def test_vectors_without_a_direction_are_refused(bad: list[list[float]]) -> None:
    with pytest.raises(InputError):
        cosine_distances(bad, [[1.0, 0.0]])


# --- pairs ---


def _two_by_two(conditions: tuple[str, ...] = ("original", "cut"), people: str = "AB") -> list[FaceRecord]:
    rng = np.random.default_rng(0)
    return [_record(f"{s}/{v}/{c}", rng.normal(size=4)) for s, v, c in product(people, "12", conditions)]


def test_all_groups_of_two_people_in_two_visits() -> None:
    table = compare_faces(_two_by_two())
    assert tuple(table.frame.columns) == SCORE_COLUMNS
    expected = {
        Group.SAME: {"A1>A2", "B1>B2"},
        Group.DIFFERENT: {"A1>B1"},
        Group.DEFACED_SAME: {"A1>A2", "A2>A1", "B1>B2", "B2>B1"},
        Group.DEFACED_DIFFERENT: {"A1>B2", "A2>B1", "B1>A2", "B2>A1"},
        Group.DEFACED_SAME_SCAN: {"A1>A1", "A2>A2", "B1>B1", "B2>B2"},
        Group.DEFACED_DEFACED_SAME: {"A1>A2", "B1>B2"},
        Group.DEFACED_DEFACED_DIFFERENT: {"A1>B2", "B1>A2"},
    }
    assert {group: _pairs(table, group) for group in Group} == expected
    assert len(table.frame) == sum(map(len, expected.values()))  # no pair twice
    original = table.frame["group"].isin(["same", "different"])
    assert set(table.frame.loc[original, "condition"]) == {"original"}
    assert set(table.frame.loc[~original, "condition"]) == {"cut"}


class _Costly(Attack):
    """Compares as the naive attacker, and counts what it compares."""

    name = "costly"
    costly = True

    def __init__(self) -> None:
        super().__init__()
        self.tiles: list[tuple[int, int]] = []

    def score(self, probes: Sequence[FaceRecord], references: Sequence[FaceRecord]) -> np.ndarray:
        self.tiles.append((len(probes), len(references)))
        return super().score(probes, references)


def _two_visits(people: int, lost: Iterable[str] = ()) -> list[FaceRecord]:
    rng = np.random.default_rng(0)
    keys = [f"p{n}/{v}/{c}" for n, v, c in product(range(people), "12", ("original", "cut", "wipe"))]
    return [_record(key, None if key in lost else rng.normal(size=4)) for key in keys]


def test_a_costly_attacker_makes_the_same_table_of_few_comparisons() -> None:
    faces, attack, told = _two_visits(40, ["p3/1/cut", "p17/2/original"]), _Costly(), []
    table = compare_faces(faces, attack=attack, progress=lambda *step: told.append(step))
    whole = compare_faces(faces).frame.assign(attack=table.frame["attack"])
    pd.testing.assert_frame_equal(table.frame, whole)
    # A square is 1600 comparisons, its diagonal five tiles of 8 x 8; above it are 39, 31, 23, 15 and 7 columns.
    diagonal, half = 5 * 64, 8 * (39 + 31 + 23 + 15) + 7 * 7
    per_condition = 3 * 1600 + 2 * diagonal  # defaced -> original both ways, both defaced; the same scan, twice
    assert sum(p * r for p, r in attack.tiles) == diagonal + half + 2 * per_condition
    assert told[-1] == ("comparisons by costly", len(attack.tiles), len(attack.tiles))


def test_a_costly_attacker_compares_both_defaced_within_parts_of_a_large_cohort(monkeypatch) -> None:
    monkeypatch.setattr(pairs, "MOST_BOTH_DEFACED", 4)
    faces, attack = _two_visits(10), _Costly()
    frame = compare_faces(faces, attack=attack).frame
    both = frame[(frame["group"] == "defaced_defaced_different") & (frame["condition"] == "cut")]
    number = {name: int(str(name)[1:]) for name in frame["probe_subject"].cat.categories}
    met = {(number[p], number[r]) for p, r in zip(both["probe_subject"], both["reference_subject"], strict=True)}
    assert met == {(i, j) for i, j in product(range(10), repeat=2) if i != j and (i - j) % 3 == 0}  # 10 in 3 parts
    whole = compare_faces(faces).frame
    keys = [column for column in SCORE_COLUMNS if column not in ("attack", "distance")]
    joined = frame.astype(dict.fromkeys(keys, str)).merge(whole.astype(dict.fromkeys(keys, str)), on=keys)
    assert (joined["distance_x"] == joined["distance_y"]).all()
    assert len(joined) == len(frame) == len(whole) - 2 * (90 - len(met))


def test_workers_share_the_comparisons_of_a_costly_attacker() -> None:
    faces = _two_visits(20)
    with local_executor(2) as executor:
        shared = compare_faces(faces, attack=_Costly(), executor=executor)
    pd.testing.assert_frame_equal(shared.frame, compare_faces(faces, attack=_Costly()).frame)


def test_three_visits_give_every_pair_of_visits() -> None:
    faces = [_record(f"A/{v}/{c}", np.ones(3)) for v in ("10", "2", "1") for c in ("original", "cut")]
    table = compare_faces(faces)
    assert _pairs(table, Group.SAME) == {"A1>A2", "A1>A10", "A2>A10"}
    assert len(_pairs(table, Group.DEFACED_SAME)) == 6


def test_one_visit_compares_within_it() -> None:
    faces = [r for r in _two_by_two() if r.scan.session == "1"]
    table = compare_faces(faces)
    assert _pairs(table, Group.DEFACED_SAME_SCAN) == {"A1>A1", "B1>B1"}
    assert _pairs(table, Group.DEFACED_DIFFERENT) == {"A1>B1", "B1>A1"}
    for group in (Group.SAME, Group.DEFACED_SAME, Group.DEFACED_DEFACED_SAME):
        assert not _pairs(table, group)


def test_one_person_with_two_visits_sets_the_structure_of_the_null() -> None:
    faces = [r for r in _two_by_two() if r.scan.key not in ("B/2/original", "B/2/cut")]
    assert _pairs(compare_faces(faces), Group.DEFACED_DIFFERENT) == {"B1>A2", "A2>B1"}


def test_who_lacks_the_first_visit_is_left_out_of_different_alone() -> None:
    faces = [r for r in _two_by_two(people="ABC") if r.scan.key != "C/1/original"]
    table = compare_faces(faces)
    assert _pairs(table, Group.DIFFERENT) == {"A1>B1"}
    assert "C1>C2" in _pairs(table, Group.DEFACED_SAME)
    assert "A1>C2" in _pairs(table, Group.DEFACED_DIFFERENT)


def test_defacers_do_not_meet() -> None:
    table = compare_faces(_two_by_two(("original", "cut", "blur")))
    counts = Counter(zip(table.frame["condition"], table.frame["group"], strict=True))
    each = compare_faces(_two_by_two(("original", "cut")))
    for group in Group:
        assert counts["blur", group] == counts["cut", group]
        assert counts["cut", group] == len(_pairs(each, group)) * (group not in (Group.SAME, Group.DIFFERENT))


def test_what_was_not_acquired_keeps_its_rows() -> None:
    faces = _two_by_two()
    blind = [_record(r.scan.key, None) if r.scan.key == "A/1/cut" else r for r in faces]
    whole, part = compare_faces(faces).frame, compare_faces(blind).frame
    assert len(part) == len(whole)
    own = (part["condition"] == "cut") & (
        ((part["probe_subject"] == "A") & (part["probe_session"] == "1"))
        | (part["group"].str.startswith("defaced_defaced") & (part["reference_subject"] == "A"))
        & (part["reference_session"] == "1")
    )
    assert (part["distance"].isna() == own).all()
    everybody = compare_faces([_record(r.scan.key, None) for r in faces]).frame
    assert len(everybody) == len(whole)
    assert everybody["distance"].isna().all()


def test_the_order_of_the_faces_does_not_matter() -> None:
    faces = _two_by_two(people="ABC")
    assert compare_faces(faces).frame.equals(compare_faces(reversed(faces)).frame)


def test_distances_are_those_of_the_vectors() -> None:
    faces = {r.scan.key: r.face.vector for r in _two_by_two()}
    for row in compare_faces(_two_by_two()).frame.itertuples(index=False):
        other = row.condition if row.group.startswith("defaced_defaced") else "original"
        probe = faces[f"{row.probe_subject}/{row.probe_session}/{row.condition}"]
        reference = faces[f"{row.reference_subject}/{row.reference_session}/{other}"]
        assert row.distance == pytest.approx(cosine_distances(probe, reference)[0, 0], abs=1e-12)


def test_no_faces_give_no_rows() -> None:
    assert len(compare_faces([]).frame) == 0
    assert tuple(compare_faces([]).frame.columns) == SCORE_COLUMNS


def test_faces_of_two_encoders_are_compared_within_each() -> None:
    # A and B are orthogonal to "toy" (distance 1) and alike to "b" (distance 0), whose vectors are longer.
    faces = [
        _record("A/1/original", [1, 0]),
        _record("A/1/original", [1, 0, 0], encoder="b"),
        _record("B/1/original", [0, 1]),
        _record("B/1/original", [1, 0, 0], encoder="b"),
    ]
    frame = compare_faces(faces).frame
    assert list(zip(frame["encoder"], frame["group"], frame["distance"], strict=True)) == [
        ("toy", "different", 1.0),
        ("b", "different", 0.0),
    ]


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ([_record("A/1/original", [1, 0]), _record("A/1/original", [1, 0])], "A/1/original occurs twice"),
        ([_record("A/1/original", [1, 0]), _record("B/1/original", [1])], "equally long"),
        ([_record("A/1/original", [0, 0])], "A/1/original: its vector"),
        ([_record("A/1/original", [math.nan, 0])], "A/1/original: its vector"),
    ],
)
def test_faces_that_cannot_be_compared_are_named(faces: list[FaceRecord], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare_faces(faces)


def test_merging_keeps_every_row_and_its_attack() -> None:
    naive, aligned = (
        compare_faces(_two_by_two()),
        compare_faces(_two_by_two(people="BC"), attack=find_attack("aligned")),
    )
    both = merge_scores([naive, aligned]).frame
    assert len(both) == len(naive.frame) + len(aligned.frame)
    assert Counter(both["attack"]) == {"naive": len(naive.frame), "aligned": len(aligned.frame)}
    tail = both.iloc[len(naive.frame) :].astype(dict.fromkeys(SCORE_COLUMNS[:-1], str)).reset_index(drop=True)
    assert tail.equals(aligned.frame.astype(dict.fromkeys(SCORE_COLUMNS[:-1], str)))
    assert len(merge_scores([]).frame) == 0


def test_natural_order() -> None:
    assert sorted(["v10", "v2", "v1", "a", "01", "1"], key=natural_key) == ["01", "1", "a", "v1", "v2", "v10"]


# --- tables ---


def test_scores_survive_the_file(tmp_path: Path) -> None:
    faces = [_record(r.scan.key, None) if r.scan.key == "A/1/cut" else r for r in _two_by_two()]
    table = compare_faces(faces, attack=find_attack("aligned"))
    write_scores(table, tmp_path / "scores.csv")
    again = read_scores(tmp_path / "scores.csv").frame
    assert again["distance"].equals(table.frame["distance"])
    for column in SCORE_COLUMNS[:-1]:
        assert list(again[column]) == list(table.frame[column])


def test_a_table_with_the_least_columns(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("group,distance,subject\nsame,0.1,7\ndifferent,0.5,\ndefaced_same,,7\ndefaced_same_scan,0.2,7\n")
    frame = read_scores(path).frame
    assert list(frame["condition"]) == ["original", "original", "defaced", "defaced"]
    assert list(frame["reference_session"]) == ["2", "1", "2", "1"]
    assert list(frame["probe_subject"].astype(object).where(frame["probe_subject"].notna(), None)) == [
        "7",
        None,
        "7",
        "7",
    ]
    assert math.isnan(frame["distance"][2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group,distance\nsame,-0.1\n", r"row 2: distance must be a number in \[0, 2\]; got '-0.1'"),
        ("group,distance\nsame,0.1\nsame,2.1\n", "row 3"),
        ("group,distance\nsame,near\n", "'near'"),
        ("group,distance\nsame,inf\n", "'inf'"),
        ("group,distance\nsimilar,0.1\n", "unknown group 'similar'"),
        ("group,score\nsame,0.1\n", "needs the columns"),
        ("distance\n0.1\n", "needs the columns"),
        ("", "cannot be read"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_scores(path)
    assert "d.csv" in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_missing_table_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_scores(tmp_path / "none.csv")


def test_columns_without_another_use_are_strata(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(
        "group,subject,probe_subject,reference_subject,distance,sex,site\n"
        "same,a,a,a,0.1,F,X\ndefaced_same,a,a,a,0.4,F,X\nsame,b,b,b,0.2,M,\ndifferent,,a,b,0.9,,\n"
    )
    strata = read_score_strata(path)
    assert strata.to_dict("index") == {"a": {"sex": "F", "site": "X"}, "b": {"sex": "M", "site": ""}}
    path.write_text("group,subject,distance,sex\nsame,a,0.1,F\ndefaced_same,a,0.4,M\n")
    with pytest.raises(InputError, match="sex has several values for the subject 'a'"):
        read_score_strata(path)
