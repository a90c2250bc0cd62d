"""An attacker from outside the package: registered, run also in worker processes, and shown in the report."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from places import EXAMPLES
from resumed_run import COARSE, write_small_cohort

from reid_audit import InputError, assess_scores, attack, local_executor
from reid_audit.attack import Attack, Gallery, Side, choose_attacks, find_attack, register_attack
from reid_audit.match import compare_attacks
from reid_audit.report import result_to_html
from reid_audit.testing import make_faces


@pytest.fixture(autouse=True)
def _own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack, "_TABLE", dict(attack._TABLE))


def test_a_name_is_taken_once() -> None:
    register_attack(Attack("mine"))
    assert [each.name for each in choose_attacks(["mine"])] == ["naive", "mine"]
    for name in ("mine", "naive", "multiview", "photos", "crossed", "", "a,b"):
        with pytest.raises(InputError, match="a name of its own"):
            register_attack(Attack(name))


def test_an_attacker_of_another_laboratory_has_the_defaults() -> None:
    theirs = find_attack("theirs")
    assert (theirs.name, theirs.describe(), theirs.family) == ("theirs", "theirs", "")
    assert (theirs.sees, theirs.gallery) == (Side.RELEASE, Gallery.ORIGINALS)
    assert not (theirs.baseline)
    assert not (theirs.selected_by_default)
    assert not (theirs.stands_in)
    assert not (theirs.without_hint)


def test_workers_weigh_as_this_process_does_and_know_what_a_registered_attacker_says_of_itself() -> None:
    mine = Attack("mine")
    mine.caveat = "Read it with care."
    register_attack(mine)
    faces = make_faces([f"p{n}" for n in range(12)], {"blur": 0.5, "cut": 2.0})
    scores = compare_attacks(faces, choose_attacks(["mine", "shape", "learned"]))
    with local_executor(2) as executor:
        shared = assess_scores(scores, source="made up", draws=100, executor=executor)
    alone = assess_scores(scores, source="made up", draws=100)
    assert repr(shared.evidence) == repr(alone.evidence)  # NaN equals nothing
    assert repr(shared.calibrations) == repr(alone.calibrations)
    told = [mine.caveat in each.notes for each in shared.evidence.attacks if each.attack == "mine"]
    assert told == [True, True]


@pytest.mark.slow
def test_the_example_registers_an_attacker_and_the_report_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)  # worker processes take it over, and with it the module of the class
    example = importlib.import_module("custom_attack")
    result = example.run(write_small_cohort(tmp_path, people=2), settings=COARSE, workers=2, canaries=0)
    assert [each.attack for each in result.evidence.attacks] == ["naive", "mirrored"]
    frame = result.scores.frame
    naive, mirrored = (
        frame[(frame["attack"] == a) & (frame["group"] == "defaced_same") & (frame["condition"] == "cut")]
        for a in ("naive", "mirrored")
    )
    assert len(naive) == len(mirrored) == 2
    assert (naive["distance"].to_numpy() != mirrored["distance"].to_numpy()).all()
    assert "mirrored" in result_to_html(result)
