"""The attacker that adds up what the others measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reid_audit import assess_scores
from reid_audit.accuracy import to_panels
from reid_audit.attack import choose_attacks, find_attack
from reid_audit.attack.fusion import divide_by_usual, fuse
from reid_audit.match import compare_faces, join_attacks, merge_scores
from reid_audit.records import Decision, Policy, ScoreTable
from reid_audit.testing import make_faces
from reid_audit.verdict import decide

FUSION = choose_attacks(["fusion"])


def _scores(noise: float, *encoders: str, people: int = 30, seed: int = 0) -> ScoreTable:
    """Encoders that see the same people through noise of their own."""
    names = [f"p{k}" for k in range(people)]
    tables = []
    for k, encoder in enumerate(encoders):
        faces = make_faces(names, {"canary-light": 0.1, "cut": noise}, seed=10 * seed + k)
        tables.append(compare_faces([replace(r, face=replace(r.face, encoder=encoder)) for r in faces]))
    return merge_scores(tables)


def test_each_column_counts_in_units_of_its_own_spread() -> None:
    """Non-mated mean and deviation are 2 and 1, and 0.5 and 0.1; the mated comparison lies 1 and 2 deviations below."""
    columns = np.array([[1.0, 0.3], [1.0, 0.4], [3.0, 0.6], [1.0, np.nan], [0.0, 0.0], [np.nan, np.nan]])
    others = np.array([False, True, True, False, False, False])
    fused = fuse(columns, others)
    middle = ((2 / 1) ** 1.5 + (0.5 / 0.1) ** 1.5) / 2  # what is unusual counts by its power of 3 / 2
    expected = [1 - (1 + 2**1.5) / 2 / middle, 1 - 1 / middle, 1 + 1 / middle, 1 - 1 / middle, 0.0, np.nan]
    np.testing.assert_allclose(fused, expected, atol=1e-12)
    np.testing.assert_allclose(fused[others].mean(), 1.0)


def test_a_column_that_tells_nothing_apart_takes_no_part() -> None:
    columns = np.array([[1.0, 0.3], [1.0, 0.4], [1.0, 0.6]])
    np.testing.assert_allclose(fuse(columns, np.array([False, True, True])), fuse(columns[:, 1:], np.arange(3) > 0))
    assert np.isnan(fuse(columns[:, :1], np.ones(3, bool))).all()


def test_columns_of_one_kind_count_as_one() -> None:
    """Two copies of a column beside another one weigh as much as one copy does."""
    rng = np.random.default_rng(0)
    a, b = 1 + 0.1 * rng.normal(size=(2, 40))
    others = np.ones(40, bool)
    once, twice = np.column_stack([a, b]), np.column_stack([a, a, b])
    np.testing.assert_allclose(fuse(twice, others, ["", "", "shape"]), fuse(once, others), atol=1e-12)
    assert not np.allclose(fuse(twice, others), fuse(once, others))


def test_what_is_usual_for_a_scan_takes_no_part() -> None:
    """Original 2 is near to every face that was made alike: 0.2 to it is far, 0.4 to another is near."""
    probes, references = np.divmod(np.arange(400), 20)
    distances = np.where(references == 2, 0.1, 1.0)
    distances[[22, 23]] = 0.2, 0.4  # probe 1 with originals 2 and 3
    relative = divide_by_usual(distances, probes, references + 20)
    assert relative[23] < 0.5 < 1.2 < relative[22]
    np.testing.assert_allclose(np.delete(relative, [22, 23])[np.delete(references, [22, 23]) != 2], 1.0, atol=0.12)
    assert divide_by_usual(np.array([0.0, np.nan, 2.0]), np.arange(3), np.arange(3))[0] == 0.0
    once = divide_by_usual(np.array([0.5, 1.0, 1.5]), np.zeros(3, int), np.arange(1, 4))  # each original once
    assert (np.diff(once) > 0).all()


def test_encoders_that_err_on_different_people_find_more_together() -> None:
    frame = join_attacks(_scores(4.0, "a", "b", "c"), FUSION).frame
    panels = to_panels(frame[frame["condition"].isin(["original", "cut"])]).panels
    linked = {panel.encoder: float(np.nanmean(panel.mated)) for panel in panels}
    assert set(linked) == {"a", "b", "c", "a+b+c"}
    assert linked["a+b+c"] > max(linked["a"], linked["b"], linked["c"]) + 0.03


def test_nothing_left_stays_at_chance() -> None:
    linked = []
    for seed in range(5):
        panels = to_panels(join_attacks(_scores(600.0, "a", "b", seed=seed), FUSION).frame).panels
        linked += [float(np.nanmean(p.mated)) for p in panels if (p.attack, p.condition) == ("fusion", "cut")]
    assert np.mean(linked) == pytest.approx(0.5, abs=0.06)  # 150 searches: standard error 0.024


def test_only_attackers_without_the_persons_own_original_are_joined_and_only_once() -> None:
    scores = _scores(2.0, "a")
    assert set(join_attacks(scores, FUSION).frame["attack"]) == {"naive"}  # nothing to join
    renamed = scores.frame[~scores.frame["group"].isin(["same", "different"])]
    for name, joined in (("aligned", False), ("registered", True)):
        other = ScoreTable(renamed.assign(attack=renamed["attack"].cat.rename_categories({"naive": name})))
        both = merge_scores([scores, other])
        done = join_attacks(both, FUSION)
        assert ("fusion" in set(done.frame["attack"])) is joined
        assert len(join_attacks(done, FUSION).frame) == len(done.frame)
        assert list(done.frame["encoder"].unique()) == ["a"]


def test_it_has_thresholds_of_its_own_and_lacks_nothing_of_an_encoder() -> None:
    scores = join_attacks(_scores(60.0, "a", "b", people=12), FUSION)
    policy = Policy(required_attacks=("naive", "fusion"))
    result = assess_scores(scores, source="made up", policy=policy, draws=20)
    assert result.encoders == ("a", "b", "a+b")
    assert [calibration.attack for calibration in result.calibrations] == ["naive", "naive", "fusion"]
    assert result.calibrations[2].threshold("youden").tmr.value > 0.9
    (condition,) = result.verdict.conditions
    assert not [check for check in condition.checks if check.name in ("required_attacks", "conditions")]
    assert [c.encoder for c in condition.checks if c.name == "linkability"] == ["a", "b", "a+b"]


def test_a_policy_that_asks_for_it_does_not_pass_without_it() -> None:
    scores = _scores(60.0, "a", "b")
    verdict = decide(to_panels(scores.frame), Policy(required_attacks=("naive", "fusion")))
    (lacking,) = [c for c in verdict.conditions[0].checks if c.name == "required_attacks"]
    assert (lacking.decision, "fusion" in lacking.text, "naive" in lacking.text) == (Decision.INCOMPLETE, True, False)


def test_unbound_it_makes_no_verdict_incomplete() -> None:
    """Control, coverage and blindness of an attacker that stands apart are nobody's concern unless it binds."""
    scores = _scores(60.0, "a", "b")
    blind = scores.frame[scores.frame["encoder"] == "a"].assign(attack="fusion", encoder="a+b")
    blind["distance"] = 0.9 + 0.1 * np.random.default_rng(0).random(len(blind))
    with_it = ScoreTable(merge_scores([scores, ScoreTable(blind)]).frame)
    policy = Policy(required_attacks=("naive",))
    assert find_attack("fusion").stands_apart
    assert decide(to_panels(with_it.frame), policy).decision is decide(to_panels(scores.frame), policy).decision
    bound = decide(to_panels(with_it.frame), Policy(required_attacks=("naive", "fusion")))
    assert bound.decision is Decision.INCOMPLETE
