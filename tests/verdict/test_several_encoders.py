"""Several encoders on one release: each judged by its own thresholds, and the worst counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up_faces import make_faces

from reid_audit.accuracy import assess, calibrate_scores, split_encoders, to_panels
from reid_audit.match import compare_faces, merge_scores
from reid_audit.records import Check, Decision, Evidence, Fingerprint, Policy, ScoreTable, worst
from reid_audit.verdict import decide

POLICY = Policy(required_attacks=("naive",))
UNTOUCHED, WIPED = 0.0, 60.0  # noise that the defacer adds


def _scores(**defacers: float) -> ScoreTable:
    """A table whose encoders, named by the keywords, are blinded by so much noise in the condition ``cut``."""
    tables = []
    for encoder, noise in defacers.items():
        faces = make_faces(40, {"canary-light": 0.1, "cut": noise})
        tables.append(compare_faces([replace(r, face=replace(r.face, encoder=encoder)) for r in faces]))
    return merge_scores(tables)


def _assess(scores: ScoreTable) -> Evidence:
    calibrations = [
        calibrate_scores(table, fingerprint=Fingerprint(name, "", "", "", "", "", ""), seed=0, draws=20)
        for name, table in split_encoders(scores).items()
    ]
    return assess(scores, calibrations, seed=0, permutations=99)


def test_each_encoder_is_assessed_as_it_would_be_alone() -> None:
    scores = _scores(a=UNTOUCHED, b=WIPED)
    evidence = _assess(scores)
    assert evidence.encoders == ("a", "b")
    for name, table in split_encoders(scores).items():
        assert repr(evidence.of_encoder(name)) == repr(_assess(table))
    assert {test.encoder for attack in evidence.attacks for test in attack.tests} == {"a", "b"}
    assert evidence.attack("cut", encoder="a").linkability.value > 0.99


@pytest.mark.parametrize("first", [UNTOUCHED, WIPED])
@pytest.mark.parametrize("second", [UNTOUCHED, WIPED])
def test_another_encoder_never_makes_a_verdict_better(first: float, second: float) -> None:
    scores = _scores(a=first, b=second)
    alone = [decide(to_panels(table.frame), POLICY) for table in split_encoders(scores).values()]
    verdict = decide(to_panels(scores.frame), POLICY)
    assert [part.decision is Decision.FAIL for part in alone] == [noise == UNTOUCHED for noise in (first, second)]
    assert verdict.decision is worst(part.decision for part in alone)
    assert verdict.conditions[0].decision is verdict.decision
    binding = tuple(name for name, part in zip("ab", alone, strict=True) if part.decision is verdict.decision)
    assert verdict.encoders == verdict.conditions[0].encoders == binding
    for name, part in zip("ab", alone, strict=True):
        assert verdict.of_encoder(name).decision is part.decision
        of_encoder = [check for check in verdict.conditions[0].checks if check.encoder == name]
        texts = [check.text.removeprefix(f"{name}, ").removeprefix(f"{name}: ") for check in of_encoder]
        assert texts == [check.text for check in part.conditions[0].checks]


def test_the_number_of_looks_is_said() -> None:
    verdict = decide(to_panels(_scores(a=WIPED, b=WIPED, c=WIPED).frame), POLICY)
    (check,) = [check for check in verdict.checks if check.name == "encoders"]
    for words in ("worst over 3 encoders: a, b, c", "3 upper bounds holds at 95%", "probability 0.15 at most"):
        assert words in check.text


def test_what_was_found_counts_once_for_all_or_for_its_encoder() -> None:
    panels = to_panels(_scores(a=WIPED, b=WIPED).frame)
    everybody = Check("original_in_release", Decision.FAIL, "1 scan equals its original.", condition="cut")
    second = Check("unseen_scans", Decision.INCOMPLETE, "1 scan was not seen.", condition="cut", encoder="b")
    verdict = decide(panels, POLICY, findings=[everybody, second])
    assert [check.text for check in verdict.conditions[0].checks[:2]] == [everybody.text, "b: 1 scan was not seen."]
    assert verdict.decision is Decision.FAIL
    only_second = decide(panels, POLICY, findings=[second])
    assert (only_second.decision, only_second.encoders) == (Decision.INCOMPLETE, ("b",))


def test_a_defacer_that_one_encoder_never_saw_does_not_pass() -> None:
    scores = _scores(a=WIPED, b=WIPED).frame
    lacking = scores[(scores["encoder"] == "a") | (scores["condition"] == "original")]
    verdict = decide(to_panels(lacking), POLICY)
    assert (verdict.conditions[0].decision, verdict.conditions[0].encoders) == (Decision.INCOMPLETE, ("b",))


def test_one_encoder_has_no_need_of_a_name() -> None:
    verdict = decide(to_panels(_scores(a=WIPED).frame), POLICY)
    assert verdict.encoders == verdict.conditions[0].encoders == ()
    assert {check.encoder for check in (*verdict.checks, *verdict.conditions[0].checks)} == {""}
