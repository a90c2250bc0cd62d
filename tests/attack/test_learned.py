"""The attacker that learns on other people: what it undoes, and that nobody is learned from whom it looks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit import ScanRef, Status, assess_scores
from reid_audit.attack import choose_attacks, cross_fit, find_attack
from reid_audit.attack.cross_fit import Sides, learn_distances
from reid_audit.audit.audit import _say_not_run
from reid_audit.match import compare_attacks
from reid_audit.records import ORIGINAL, Face, FaceRecord, Policy, ScoreTable

NUMBERS = 32
LEARNED = choose_attacks(["learned"])


def _vectors(people: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two visits, and the first as a defacer leaves it: turned by one matrix for all, with little noise."""
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(NUMBERS, NUMBERS)))[0]
    person = rng.normal(size=(people, 6)) @ rng.normal(size=(6, NUMBERS))
    first, second = (person + 0.2 * rng.normal(size=person.shape) for _ in range(2))
    return first @ turned + 0.2 * rng.normal(size=first.shape), first, second


def _distances(defaced: np.ndarray, first: np.ndarray, second: np.ndarray, **more: int) -> np.ndarray:
    """Distance of each defaced scan from each second visit."""
    people = np.arange(len(first))
    references = Sides(np.concatenate([first, second]), np.concatenate([people, people]))
    table = learn_distances(Sides(defaced, people), defaced, second, references, rng=np.random.default_rng(0), **more)
    return table[:, len(people) :]


def _linked(distances: np.ndarray) -> float:
    own = np.diag(distances)[:, None]
    return float(((own < distances).sum() + 0.5 * ((own == distances).sum() - len(own))) / (len(own) * (len(own) - 1)))


def test_its_fusion_brings_it_along() -> None:
    assert [attack.name for attack in choose_attacks(["learned-fusion"])] == ["naive", "learned", "learned-fusion"]


def test_what_a_defacer_does_to_everybody_is_undone() -> None:
    defaced, first, second = _vectors(30)
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (defaced, second)]
    assert _linked(1 - unit[0] @ unit[1].T) < 0.65
    assert _linked(_distances(defaced, first, second)) > 0.97


def test_shuffled_people_are_found_at_chance() -> None:
    """Whose defaced scan is whose is what is learned: without it nothing is, however often it is tried."""
    linked = []
    for seed in range(8):
        defaced, first, second = _vectors(20, seed)
        shuffled = np.roll(np.random.default_rng(seed).permutation(20), 1)
        linked.append(_linked(_distances(defaced[shuffled], first, second)))
    assert np.mean(linked) == pytest.approx(0.5, abs=0.08)  # 160 searches: standard error 0.023


def test_noise_is_found_at_chance() -> None:
    linked = []
    for seed in range(8):
        _, first, second = _vectors(20, seed)
        noise = np.random.default_rng(100 + seed).normal(size=first.shape)
        linked.append(_linked(_distances(noise, first, second)))
    assert np.mean(linked) == pytest.approx(0.5, abs=0.08)


def test_nobody_is_learned_from_who_is_compared_and_all_maps_have_as_many_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first number of each vector, plus the mean 8, names its person."""
    people = np.arange(17)
    named = np.column_stack([people, np.random.default_rng(0).normal(size=(17, 3))]).astype(float)
    compared: dict[str, set[tuple[int, int]]] = {"mated": set(), "non-mated": set()}
    sizes: dict[str, list[int]] = {"mated": [], "non-mated": []}

    def people_of(*sides: np.ndarray) -> set[int]:
        return {round(number) + 8 for side in sides for number in side[:, 0]}

    class Spy:
        def __init__(self, learned: set[int]) -> None:
            self.learned = learned

        def compare(self, looks: np.ndarray, probes: np.ndarray, references: np.ndarray) -> np.ndarray:
            assert not people_of(looks, probes, references) & self.learned
            for p in people_of(probes):
                for r in people_of(references):
                    kind = "mated" if p == r else "non-mated"
                    compared[kind].add((p, r))
                    sizes[kind].append(len(self.learned))
            return np.zeros((len(probes), len(references)))

    def fit(looks: np.ndarray, lacking: np.ndarray, originals: Sides) -> Spy:
        assert people_of(looks) == people_of(originals.vectors) == set(originals.people.tolist())
        assert not lacking.any()
        return Spy(people_of(looks))

    monkeypatch.setattr(cross_fit, "_fit", fit)
    learn_distances(Sides(named, people), named, named, Sides(named, people), rng=np.random.default_rng(0), repeats=30)
    assert (len(compared["mated"]), len(compared["non-mated"])) == (17, 17 * 16)
    assert np.mean(sizes["mated"]) == pytest.approx(np.mean(sizes["non-mated"]), abs=0.15)


def test_both_ways_to_solve_give_one_correction() -> None:
    rng = np.random.default_rng(0)
    originals = Sides(rng.normal(size=(6, 8)), np.arange(6))
    tall, lacking = rng.normal(size=(9, 5)), rng.normal(size=(9, 8))
    wide = np.pad(tall, ((0, 0), (0, 20)))  # numbers that are always 0 change nothing
    a, b = (cross_fit._fit(looks, lacking, originals) for looks in (tall, wide))
    np.testing.assert_allclose(a.correction, b.correction[:5], atol=1e-10)
    np.testing.assert_allclose(b.correction[5:], 0, atol=1e-12)


@pytest.mark.parametrize("known", [True, False])
def test_where_nothing_is_lacking_or_nobody_to_learn_from_the_distance_is_that_of_centred_vectors(known: bool) -> None:
    """Originals are looked for among themselves; one visit each: nothing to whiten."""
    _, first, _ = _vectors(12)
    sides = Sides(first, np.arange(12))
    targets = first if known else np.full(first.shape, np.nan)
    table = learn_distances(sides, first, targets, sides, rng=np.random.default_rng(0))
    unit = first - first.mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    np.testing.assert_allclose(table, 1 - unit @ unit.T, atol=1e-12)


def test_a_direction_in_which_visits_differ_counts_less() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), 2)
    vectors = rng.normal(size=(12, 4))[people]
    vectors[:, 0] += 10 * rng.normal(size=24)
    vectors[:, 1:] += 0.1 * rng.normal(size=(24, 3))
    directions, taken = cross_fit._find_whitening(Sides(vectors, people))
    (first,) = np.nonzero(np.abs(directions[:, 0]) > 0.99)[0]
    assert taken[first] > 0.4
    assert np.delete(taken, first).max() < 0.01
    assert len(cross_fit._find_whitening(Sides(vectors[::2], people[::2]))[0]) == 0  # one visit each


def _records(people: int, *encoders: str, seed: int = 0) -> list[FaceRecord]:
    """A release that a naive attacker does not link and a canary; some faces are not found."""
    records = []
    for n, encoder in enumerate(encoders):
        defaced, first, second = _vectors(people, 10 * seed + n)
        canary = first + 0.1 * np.random.default_rng(seed).normal(size=first.shape)
        sides = (("1", ORIGINAL, first), ("2", ORIGINAL, second), ("1", "turned", defaced), ("1", "canary-a", canary))
        for session, condition, vectors in sides:
            for k, vector in enumerate(vectors):
                scan = ScanRef(f"p{k}", session, condition, Path("x.nii"))
                unit = (vector / np.linalg.norm(vector)).astype(np.float32)
                lost = condition == "turned" and k == 3 and (n == 0 or len(encoders) == 1)
                face = Face(Status.NO_FACE, encoder, reason="none") if lost else Face(Status.OK, encoder, unit)
                records.append(FaceRecord(scan, face))
    return records


@pytest.mark.slow
def test_it_is_judged_by_its_own_thresholds_over_all_encoders() -> None:
    records = _records(20, "a", "b")
    scores = compare_attacks(records, LEARNED)
    policy = Policy(required_attacks=("naive", "learned"))
    result = assess_scores(scores, source="made up", policy=policy, draws=20)
    rows = {(row.attack, row.encoder): row for row in result.evidence.attacks}
    assert set(rows) == {("naive", "a"), ("naive", "b"), ("learned", "a+b"), ("learned-fusion", "a+b")}
    assert rows["learned-fusion", "a+b"].linkability.value > rows["naive", "a"].linkability.value + 0.2
    assert rows["learned", "a+b"].linkability.value > 0.95 > rows["naive", "a"].linkability.value + 0.2
    assert rows["learned", "a+b"].fta.successes == 0  # the other encoder saw the scan that one lost
    (own,) = (c for c in result.calibrations if c.attack == "learned")
    assert own.threshold("youden").tmr.value > 0.9
    (condition,) = result.verdict.conditions
    checks = {check.name: check.decision for check in condition.checks if check.attack == "learned"}
    assert (checks["canary"], checks["linkability"]) == ("PASS", "FAIL")


def test_a_scan_without_any_vector_has_no_distance_and_rows_stand_in_any_order() -> None:
    records = _records(18, "a")
    frame = compare_attacks(records, LEARNED).frame
    learned = frame[frame["attack"] == "learned"]
    probe = (learned["condition"] == "turned") & (learned["probe_subject"] == "p3")
    assert probe.any()
    assert learned["distance"].isna().equals(probe)
    shuffled = ScoreTable(compare_attacks(records, ()).frame.sample(frac=1.0, random_state=0))
    again = find_attack("learned").join(shuffled, records).frame
    key = ["group", "condition", "probe_subject", "probe_session", "reference_subject", "reference_session"]
    both = [f.astype(dict.fromkeys(key, str)).set_index(key)["distance"].sort_index() for f in (learned, again)]
    assert both[0].equals(both[1])
    mated = learned[(learned["group"] == "defaced_same") & learned["distance"].notna()]
    assert mated["distance"].median() < learned[learned["group"] == "defaced_different"]["distance"].quantile(0.1)


def test_with_too_few_people_it_is_not_run_and_the_result_says_so() -> None:
    attack = find_attack("learned")
    few = compare_attacks(_records(attack.fewest_people - 1, "a"), LEARNED)
    assert set(few.frame["attack"]) == {"naive"}
    result = assess_scores(few, source="made up", draws=20)
    assert list(_say_not_run(LEARNED, result)) == [
        "Not run: learned, learned-fusion. That takes 8 people or more to learn from."
    ]
    enough = compare_attacks(_records(attack.fewest_people, "a"), LEARNED)
    assert set(enough.frame["attack"]) == {"naive", "learned", "learned-fusion"}
    # A defacer that few were defaced by has none; the others have.
    kept = [r for r in _records(20, "a") if r.scan.condition != "turned" or int(r.scan.subject[1:]) < 7]
    partly = compare_attacks(kept, LEARNED).frame
    assert set(partly[partly["attack"] == "learned"]["condition"]) == {ORIGINAL, "canary-a"}


def test_distances_without_faces_are_not_joined() -> None:
    scores = compare_attacks(_records(18, "a"), ())
    assert find_attack("learned").join(scores, []) is None
    done = compare_attacks([replace(r) for r in _records(18, "a")], LEARNED)
    assert find_attack("learned").join(done, _records(18, "a")) is None
