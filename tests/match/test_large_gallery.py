"""Searching block by block comes to what the full table of distances comes to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import TESTS
from scipy import stats

import reid_audit.match.gallery as gallery
from reid_audit import InputError
from reid_audit.attack import choose_attacks
from reid_audit.match import compare_attacks, compare_faces, cosine_distances, search_gallery
from reid_audit.match.gallery import summarise_pairs
from reid_audit.match.pairs import JUDGED_ROW_BYTES
from reid_audit.records import Face, FaceRecord, Group, ScanRef, Status


def _vectors(rng: np.random.Generator, people: int, length: int, *, coarse: bool = False) -> tuple:
    """Two visits of each person and, coarsely rounded, with many ties."""
    base = rng.normal(size=(people, length))
    visits = [base + rng.normal(size=base.shape) for _ in range(2)]
    if coarse:
        visits = [np.round(v) + 0.0 for v in visits]
        for v in visits:
            v[~v.any(axis=1), 0] = 1.0
    return visits[0], visits[1]


@given(
    people=st.integers(1, 12),
    length=st.sampled_from([2, 8]),
    coarse=st.booleans(),
    lost=st.floats(0, 0.5),
    twice=st.booleans(),
    at_once=st.sampled_from([1, 7, 1 << 22]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=40, deadline=None)
def test_blocks_come_to_what_the_table_comes_to(
    people: int, length: int, coarse: bool, lost: float, twice: bool, at_once: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    probes, references = _vectors(rng, people, length, coarse=coarse)
    who_p, who_r = [f"p{i}" for i in range(people)], [f"p{i}" for i in range(people)]
    if twice:  # a second reference of some, and a person without a probe
        references = np.concatenate([references, references[: people // 2] * 2.0, np.ones((1, length))])
        who_r = [*who_r, *who_r[: people // 2], "other"]
    probes[rng.random(len(probes)) < lost] = np.nan
    references[rng.random(len(references)) < lost] = np.nan
    limits = (0.0, 0.49713, 1.00037)  # no distance of whole numbers: blocks may round a last bit otherwise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "_PAIRS_AT_ONCE", at_once)
        actual = search_gallery(probes, references, probe_people=who_p, reference_people=who_r, k=3, thresholds=limits)

    full = np.full((len(probes), len(references)), np.nan)
    p, r = (np.flatnonzero(~np.isnan(v[:, 0])) for v in (probes, references))
    full[np.ix_(p, r)] = cosine_distances(probes[p], references[r])
    is_own = np.array(who_p)[:, None] == np.array(who_r)[None, :]
    for summary, mask in ((actual.own, is_own), (actual.others, ~is_own)):
        values = full[mask]
        seen = values[~np.isnan(values)]
        assert (summary.pairs, summary.missing) == (len(seen), len(values) - len(seen))
        assert summary.below == tuple(int((seen < limit).sum()) for limit in limits)
        assert summary.counts.sum() == len(seen)
        if len(seen):
            assert summary.mean == pytest.approx(seen.mean(), abs=1e-12)
            assert (summary.low, summary.high) == pytest.approx((seen.min(), seen.max()), abs=1e-14)
            for share in (0.0, 0.1, 0.5, 1.0):
                exact = np.quantile(seen, share, method="inverted_cdf")
                assert summary.quantile(share) == pytest.approx(exact, abs=2.1 / gallery.BINS)
        if len(seen) > 1:
            assert summary.sd == pytest.approx(seen.std(ddof=1), abs=1e-7)
    mated, theirs = full[is_own & ~np.isnan(full)], full[~is_own & ~np.isnan(full)]
    if len(mated) and len(theirs):
        expected = 1 - stats.mannwhitneyu(mated.round(13), theirs.round(13)).statistic / (len(mated) * len(theirs))
        assert actual.auc == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(actual.auc)
    for i in range(len(probes)):
        own = full[i][is_own[i] & ~np.isnan(full[i])]
        nearer = (full[i][~is_own[i]] < own.min() - 1e-12).sum() if len(own) else -1
        assert actual.mate_ranks[i] == nearer + 1
        seen = np.sort(full[i][~np.isnan(full[i])])[:3]
        assert np.allclose(actual.distances[i][: len(seen)], seen, atol=1e-15)
        assert np.isnan(actual.distances[i][len(seen) :]).all()
        assert (actual.nearest[i][len(seen) :] == -1).all()
        assert np.allclose(full[i][actual.nearest[i][: len(seen)]], seen, atol=1e-15)


@pytest.mark.parametrize("at_once", [5, 1 << 22])
def test_pairs_of_one_list_are_the_group_different(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(gallery, "_PAIRS_AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(9, 16)).astype(np.float32)
    faces = [
        FaceRecord(ScanRef(f"p{i}", "1", "original", Path("x")), Face(Status.OK, "e", v / np.linalg.norm(v)))
        for i, v in enumerate(vectors)
    ]
    frame = compare_faces(faces).frame
    expected = frame["distance"][frame["group"] == Group.DIFFERENT.value]
    vectors = np.concatenate([vectors, np.full((1, 16), np.nan)])
    actual = summarise_pairs(vectors, thresholds=(1.0,))
    assert (actual.pairs, actual.missing) == (36, 9)
    assert actual.mean == pytest.approx(expected.mean(), abs=1e-6)
    assert actual.below == (int((expected < 1.0).sum()),)
    assert summarise_pairs(np.zeros((0, 4))).pairs == 0


def test_a_table_that_would_not_fit_is_refused_before_it_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = np.float32([1, 0])
    faces = [
        FaceRecord(ScanRef(f"p{i}", visit, condition, Path("x")), Face(Status.OK, "e", vector))
        for i in range(50)
        for visit, condition in (("1", "original"), ("2", "original"), ("1", "tool"))
    ]
    rows = len(compare_faces(faces).frame)
    free = type("Memory", (), {"available": 48 * rows})
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    compare_faces(faces)
    with pytest.raises(InputError, match="give fewer people with --limit"):  # to be judged takes more than the table
        compare_attacks(faces, choose_attacks(["naive", "registered"]))
    free.available = 2 * JUDGED_ROW_BYTES * rows
    assert len(compare_attacks(faces, choose_attacks(["naive", "registered"])).frame) > rows
    free.available = 48 * rows // 2
    with pytest.raises(InputError, match=r"comparisons takes .*search_gallery"):
        compare_faces(faces)

    free.available = 10**12
    compare_faces(faces)
    limit = tmp_path / "memory.max"  # of a container, on a machine that has far more
    limit.write_text(str(48 * rows // 2))
    (tmp_path / "memory.current").write_text("0")
    monkeypatch.setattr("reid_audit.work.local._CGROUP_FILES", [(str(limit), str(tmp_path / "memory.current"))])
    with pytest.raises(InputError, match="comparisons takes"):
        compare_faces(faces)


def test_equal_vectors_are_ties() -> None:
    same = np.ones((4, 8))
    actual = search_gallery(same, same, probe_people="abcd", reference_people="abcd")
    assert actual.auc == 0.5
    assert list(actual.mate_ranks) == [1, 1, 1, 1]  # ties go to the attacker
    assert actual.own.high == actual.others.high == 0.0
    assert actual.nearest.shape == (4, 5)
    assert (actual.nearest[:, 4] == -1).all()


def test_nothing_to_search() -> None:
    actual = search_gallery(np.zeros((0, 4)), np.zeros((0, 4)), probe_people=[], reference_people=[])
    assert actual.own.pairs == actual.others.pairs == 0
    assert np.isnan(actual.auc)
    assert np.isnan(actual.others.quantile(0.5))
    actual = search_gallery(np.ones((1, 4)), np.zeros((0, 4)), probe_people=["a"], reference_people=[])
    assert list(actual.mate_ranks) == [0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"probe_people": ["a"]}, "probe_people must name 2"),
        ({"reference_people": []}, "reference_people must name 2"),
        ({"references": np.ones((2, 3))}, "equally long"),
        ({"probes": np.zeros((2, 4))}, "zero vectors"),
        ({"probes": np.ones(4)}, "shape"),
        ({"k": 0}, "k must be at least 1"),
    ],
)
def test_what_cannot_be_searched_is_named(change: dict, word: str) -> None:
    arguments = {
        "probes": np.ones((2, 4)),
        "references": np.ones((2, 4)),
        "probe_people": ["a", "b"],
        "reference_people": ["a", "b"],
        "k": 1,
    } | change
    with pytest.raises(InputError, match=word):
        search_gallery(arguments.pop("probes"), arguments.pop("references"), **arguments)


def test_histograms_and_quantiles_refuse_what_they_cannot_give() -> None:
    summary = summarise_pairs(np.eye(4))
    assert summary.histogram(4).tolist() == [0, 0, 6, 0]
    with pytest.raises(InputError, match="power of two"):
        summary.histogram(60)
    with pytest.raises(InputError, match="share"):
        summary.quantile(1.5)


def test_the_benchmark_runs() -> None:
    program = TESTS / "benchmarks" / "bench_gallery.py"
    words = [sys.executable, str(program), "--people", "300", "--length", "32", "--faiss"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "300 x 300" in done.stdout
    assert "pairs per second" in done.stdout
