"""Measures for deciders, on tables of which the answer is plain."""

from __future__ import annotations

import itertools
import math

import pandas as pd
import pytest

from reid_audit.accuracy import measures as module
from reid_audit.audit import assess_scores
from reid_audit.records import Group, Measures, ScoreTable
from reid_audit.report import result_to_json
from reid_audit.report.form import result_from_json

PEOPLE = 16


def make_table(mated: float, non_mated: float) -> ScoreTable:
    """Two visits of 16 subjects: originals are told apart; after defacing distances are as given, to all alike."""
    rows = []
    names = [f"s{i:02d}" for i in range(PEOPLE)]
    for name in names:
        rows.append((Group.SAME, "original", name, "1", name, "2", 0.2))
        rows += [(Group.DEFACED_SAME, "cut", name, a, name, b, mated) for a, b in (("1", "2"), ("2", "1"))]
    for each, other in itertools.permutations(names, 2):
        rows += [(Group.DEFACED_DIFFERENT, "cut", each, a, other, b, non_mated) for a, b in (("1", "2"), ("2", "1"))]
        if each < other:
            rows.append((Group.DIFFERENT, "original", each, "1", other, "1", 1.0))
    columns = ["group", "condition", "probe_subject", "probe_session", "reference_subject", "reference_session"]
    frame = pd.DataFrame(rows, columns=[*columns, "distance"]).astype(dict.fromkeys(columns, "category"))
    frame["group"] = pd.Categorical([group.value for group, *_ in rows])
    return ScoreTable(frame.assign(attack=pd.Categorical(["naive"] * len(frame))))


def measure(mated: float, non_mated: float) -> Measures:
    evidence = assess_scores(make_table(mated, non_mated), source="table", draws=20).evidence
    measures = evidence.attack("cut").measures
    assert measures is not None
    return measures


def test_equal_distances_say_nothing() -> None:
    measures = measure(0.5, 0.5)
    assert (measures.subjects, measures.possible_bits) == (16, 4.0)
    assert (measures.bits.value, measures.anonymity_set.value) == (0.0, 16.0)
    assert measures.min_cllr.value == pytest.approx(1.0)
    assert measures.excess.value == 0.0
    (miss,) = measures.misses  # 32 searches hold FPIR 10 % and not 1 %
    assert (miss.fpir, miss.fnir.value) == (0.1, 1.0)
    assert any("FPIR 1 %" in note for note in measures.notes)


def test_mates_before_all_others_say_who_it_is() -> None:
    measures = measure(0.2, 1.0)
    assert measures.bits.value > 3.5  # of 4
    assert measures.anonymity_set.value < 1.5
    assert measures.min_cllr.value == pytest.approx(0.0, abs=1e-9)
    assert measures.excess.value == 1.0
    assert measures.misses[0].fnir.value == 0.0
    first = {gallery.size: gallery.rank1.value for gallery in measures.galleries}
    assert sorted(first) == [100, 1_000, 10_000, 100_000, 1_000_000]
    assert sorted(first.values(), reverse=True) == list(first.values())  # the larger, the harder to be first
    assert "extrapolation" in measures.galleries[0].model


def test_large_cohorts_are_sampled_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 12)
    measures = measure(0.2, 1.0)
    assert measures.subjects == 12
    assert measures.possible_bits == math.log2(12)
    assert "measured on 12 of 16 subjects, drawn by the seed" in measures.notes


def test_a_result_keeps_and_tabulates_them() -> None:
    result = assess_scores(make_table(0.2, 1.0), source="table", draws=20)
    again = result_from_json(result_to_json(result))
    assert again.evidence.attacks[0].measures == result.evidence.attacks[0].measures
    (row,) = result.measures.to_dict("records")
    assert (row["condition"], row["attack"], row["subjects"], row["possible_bits"]) == ("cut", "naive", 16, 4.0)
    assert row["excess"] == 1.0
    assert row["fnir_fpir10"] == 0.0
    assert math.isnan(row["fnir_fpir1"])
    assert row["rank1_in_100"] > row["rank1_in_1000000"]
