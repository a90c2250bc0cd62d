"""The decision, seen by somebody who wants a PASS that is not deserved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit.accuracy import assess, calibrate_scores
from reid_audit.attack import find_attack
from reid_audit.match import compare_faces, merge_scores
from reid_audit.records import (
    Check,
    Decision,
    Estimate,
    Evidence,
    Face,
    FaceRecord,
    Fingerprint,
    InputError,
    Policy,
    ScanRef,
    ScoreTable,
    Status,
    Verdict,
)
from reid_audit.verdict import check_policy, decide, format_policy, read_policy

nan = math.nan
FINGERPRINT = Fingerprint("toy", "-", "-", "-", "-", "-", "CT")
NAIVE_ONLY = Policy(required_attacks=("naive",))


def _faces(
    people: int,
    defacers: Mapping[str, float | None],
    *,
    visits: Iterable[str] = ("1", "2"),
    blind: bool = False,
    faceless: Iterable[str] = (),
    seed: int = 0,
) -> list[FaceRecord]:
    """Make vectors: visits differ by noise 0.6, defacers add theirs, None = no face; blind = an encoder of noise."""
    rng = np.random.default_rng(seed)
    lost, faces = set(faceless), []
    for i in range(people):
        person = rng.normal(size=48)
        for visit in visits:
            original = rng.normal(size=48) if blind else person + 0.6 * rng.normal(size=48)
            for condition, size in {"original": 0.0, **defacers}.items():
                scan = ScanRef(f"p{i}", visit, condition, Path("scan.nii.gz"))
                face = Face(Status.NO_FACE, "toy")
                if size is not None and scan.key not in lost:
                    vector = original + size * rng.normal(size=48)
                    face = Face(Status.OK, "toy", vector=(vector / np.linalg.norm(vector)).astype(np.float32))
                faces.append(FaceRecord(scan, face))
    return faces


def _assess(table: ScoreTable, *, confidence: float = 0.95) -> Evidence:
    calibration = calibrate_scores(table, fingerprint=FINGERPRINT, seed=0, draws=0)
    return assess(table, calibration, seed=0, permutations=99, confidence=confidence)


def _decide(table: ScoreTable, policy: Policy = NAIVE_ONLY) -> Verdict:
    return decide(_assess(table, confidence=policy.confidence), policy)


def _check(verdict: Verdict, name: str, *, attack: str = "") -> Check:
    everything = [*verdict.checks, *(c for one in verdict.conditions for c in one.checks)]
    (found,) = [c for c in everything if c.name == name and (not attack or c.attack == attack)]
    return found


@pytest.fixture(scope="module")
def wiped() -> ScoreTable:
    """Sixty people whose defaced scans keep nothing."""
    return compare_faces(_faces(60, {"wipe": 60.0}))


def test_a_good_defacer_passes(wiped: ScoreTable) -> None:
    verdict = _decide(wiped)
    assert (verdict.decision, verdict.exit_code) == (Decision.PASS, 0)
    assert all(c.decision is Decision.PASS for c in (*verdict.checks, *verdict.conditions[0].checks))
    assert "0 of 60 people matched after defacing; at most 0.0487" in _check(verdict, "match_rate").text


def test_no_defacing_fails() -> None:
    verdict = _decide(compare_faces(_faces(30, {"none": 0.0})))
    assert (verdict.decision, verdict.exit_code) == (Decision.FAIL, 1)
    for name in ("match_rate", "linkability", "search_linkability", "rank1"):
        assert _check(verdict, name).decision is Decision.FAIL
    assert "at least 0.905 at 95% confidence, above the limit of 0.1" in _check(verdict, "match_rate").text
    assert "Strangers matched in" in _check(verdict, "match_rate").text


def test_the_worst_defacer_decides() -> None:
    verdict = _decide(compare_faces(_faces(60, {"none": 0.0, "wipe": 60.0})))
    assert {c.condition: c.decision for c in verdict.conditions} == {"none": Decision.FAIL, "wipe": Decision.PASS}
    assert verdict.decision is Decision.FAIL


# --- what must never pass ---


@pytest.mark.parametrize("seed", range(6))
def test_a_blind_audit_is_incomplete(seed: int) -> None:
    verdict = _decide(compare_faces(_faces(30, {"cut": 1.0, "none": 60.0}, blind=True, seed=seed)))
    assert _check(verdict, "control_auc").decision is Decision.INCOMPLETE
    assert "blind" in _check(verdict, "control_auc").text
    by = {c.condition: c.decision for c in verdict.conditions}
    assert by["none"] is Decision.INCOMPLETE
    assert verdict.decision not in (Decision.PASS, Decision.REVIEW)


def test_a_match_rate_at_a_blind_threshold_is_no_fail() -> None:
    """An encoder of noise matches half of everything at its own threshold: that says nothing about the defacer."""
    table = compare_faces(_faces(40, {"wipe": 60.0}, blind=True, seed=3))
    frame = table.frame.copy()
    frame.loc[frame["group"] == "defaced_same", "distance"] *= 0.05
    frame.loc[frame["group"] == "defaced_different", "distance"] *= 0.05
    verdict = _decide(ScoreTable(frame))
    assert _check(verdict, "match_rate").decision is Decision.INCOMPLETE
    assert "threshold means nothing" in _check(verdict, "match_rate").text
    assert verdict.decision is Decision.INCOMPLETE


def test_a_constant_encoder_is_incomplete() -> None:
    frame = compare_faces(_faces(30, {"cut": 0.0})).frame.copy()
    frame["distance"] = 0.4
    verdict = _decide(ScoreTable(frame))
    assert (verdict.decision, verdict.exit_code) == (Decision.INCOMPLETE, 4)
    assert "ties" in _check(verdict, "rank1").text


@pytest.mark.parametrize(("copies", "decision"), [(40, Decision.INCOMPLETE), (2, Decision.REVIEW)])
def test_one_scan_under_two_visits_is_no_control(copies: int, decision: Decision) -> None:
    """An encoder of noise recognises copies perfectly, and would call any defacer safe."""
    faces = {r.scan.key: r for r in _faces(60, {"cut": 60.0}, blind=copies == 40)}
    for i in range(60 if copies == 40 else copies):
        first, second = faces[f"p{i}/1/original"], faces[f"p{i}/2/original"]
        faces[second.scan.key] = replace(second, face=first.face)
    verdict = _decide(compare_faces(faces.values()))
    assert _check(verdict, "control_auc").decision is Decision.PASS
    assert _check(verdict, "identical_visits").decision is decision
    assert verdict.decision is decision


def test_zero_matches_of_ten_people_is_no_pass() -> None:
    verdict = _decide(compare_faces(_faces(10, {"wipe": 60.0})))
    assert verdict.decision is Decision.INCOMPLETE
    assert _check(verdict, "subjects").decision is Decision.INCOMPLETE
    lax = replace(NAIVE_ONLY, min_subjects=5)  # even if the policy asks for fewer people
    assert _decide(compare_faces(_faces(10, {"wipe": 60.0})), lax).decision is not Decision.PASS


def test_linkage_that_ten_people_prove_is_a_fail() -> None:
    assert _decide(compare_faces(_faces(10, {"none": 0.0}))).decision is Decision.FAIL


def test_a_shift_that_keeps_ranks_fails_though_nobody_matches() -> None:
    frame = compare_faces(_faces(60, {"shift": 0.3})).frame.copy()
    defaced = frame["condition"] == "shift"
    frame.loc[defaced, "distance"] = np.minimum(frame.loc[defaced, "distance"] + 0.6, 2)
    verdict = _decide(ScoreTable(frame))
    assert _check(verdict, "match_rate").decision is Decision.PASS
    assert _check(verdict, "linkability").decision is Decision.FAIL
    assert verdict.decision is Decision.FAIL


def test_a_shift_of_each_person_is_caught_within_searches() -> None:
    frame = compare_faces(_faces(60, {"shift": 0.3})).frame.copy()
    defaced = (frame["condition"] == "shift").to_numpy()
    own_shift = frame["probe_subject"].cat.codes.to_numpy() % 12 * 0.06
    frame["distance"] = np.where(defaced, 1 + own_shift + 0.04 * frame["distance"], frame["distance"])
    verdict = _decide(ScoreTable(frame))
    assert _check(verdict, "linkability").decision is not Decision.FAIL
    assert _check(verdict, "search_linkability").decision is Decision.FAIL
    assert _check(verdict, "rank1").decision is Decision.FAIL


def test_a_few_people_found_first_need_a_human() -> None:
    """Ten of seventy found first, three matched: the published example, which its authors called safe."""
    faces, left = _faces(70, {"cut": 60.0}), _faces(70, {"cut": 0.0})
    mixed = [
        b if a.scan.condition == "cut" and int(a.scan.subject[1:]) < 10 else a for a, b in zip(faces, left, strict=True)
    ]
    one_way = [r for r in mixed if r.scan.key[-5:] != "2/cut"]
    verdict = _decide(compare_faces(one_way))
    assert _check(verdict, "rank1").text.startswith("naive: 10 of 70 searches") or _check(verdict, "rank1").value > 0.1
    assert verdict.decision in (Decision.REVIEW, Decision.FAIL)


def test_nan_anywhere_never_passes(wiped: ScoreTable) -> None:
    evidence = _assess(wiped)
    attack, control = evidence.attacks[0], evidence.controls[0]
    empty = Estimate(nan)
    no_bound = Estimate(0.5)
    assert decide(evidence, NAIVE_ONLY).decision is Decision.PASS
    broken = [
        *(replace(attack, **{name: e}) for name in ("linkability", "search_auc") for e in (empty, no_bound)),
        replace(attack, linkability=Estimate(nan, nan, nan, 0.4, 0.5)),
        replace(attack, matches=()),
        replace(attack, fta=replace(attack.fta, value=nan)),
        replace(attack, subjects=0),
        replace(attack, search=replace(attack.search, rank1_at_most=nan)),
        replace(attack, search=replace(attack.search, chance1=nan)),
    ]
    for one in broken:
        verdict = decide(replace(evidence, attacks=(one,)), NAIVE_ONLY)
        assert verdict.decision is Decision.INCOMPLETE
        assert all(check.text for check in verdict.conditions[0].checks)
    for other in (
        replace(control, auc=empty),
        replace(control, auc=no_bound),
        replace(control, rates=()),
        replace(control, fta=replace(control.fta, value=nan)),
        replace(control, subjects=0),
    ):
        assert decide(replace(evidence, controls=(other,)), NAIVE_ONLY).decision is Decision.INCOMPLETE


def test_nothing_to_judge_is_incomplete(wiped: ScoreTable) -> None:
    assert _decide(compare_faces([])).decision is Decision.INCOMPLETE
    assert _decide(compare_faces(_faces(30, {}))).decision is Decision.INCOMPLETE
    evidence = _assess(wiped)
    assert decide(replace(evidence, attacks=()), NAIVE_ONLY).decision is Decision.INCOMPLETE
    assert decide(replace(evidence, controls=()), NAIVE_ONLY).decision is Decision.INCOMPLETE


def test_originals_without_a_face_make_it_incomplete() -> None:
    lost = [f"p{i}/2/original" for i in range(15)]
    verdict = _decide(compare_faces(_faces(60, {"wipe": 60.0}, faceless=lost)))
    assert _check(verdict, "original_fta").decision is Decision.INCOMPLETE
    assert "15 of 120" in _check(verdict, "original_fta").text


# --- where no face was found ---


def test_whole_face_removal_is_not_failed_and_not_passed_by_a_naive_attacker_alone() -> None:
    verdict = _decide(compare_faces(_faces(40, {"gone": None})))
    assert (verdict.decision, verdict.exit_code) == (Decision.REVIEW, 3)
    assert "No face was found in 80 of 80 defaced scans" in _check(verdict, "defaced_fta").text
    for name in ("match_rate", "linkability", "search_linkability", "rank1"):
        assert _check(verdict, name).decision is Decision.PASS


def test_whole_face_removal_passes_once_a_stronger_attacker_saw_it_and_found_nothing() -> None:
    naive = compare_faces(_faces(60, {"gone": None}))
    registered = compare_faces(_faces(60, {"gone": 60.0}), attack=find_attack("registered"))
    verdict = _decide(merge_scores([naive, registered]), Policy())
    assert verdict.decision is Decision.PASS
    assert "registered got a vector from 120 of 120" in _check(verdict, "defaced_fta").text


def test_the_stronger_attacker_binds() -> None:
    """A detector that finds nothing, and landmarks set by hand that find everybody."""
    naive = compare_faces(_faces(40, {"cut": None}))
    registered = compare_faces(_faces(40, {"cut": 0.5}), attack=find_attack("registered"))
    verdict = _decide(merge_scores([naive, registered]), Policy())
    assert verdict.decision is Decision.FAIL
    assert _check(verdict, "linkability", attack="naive").decision is Decision.PASS
    assert _check(verdict, "linkability", attack="registered").decision is Decision.FAIL


def test_an_attacker_that_the_policy_asks_for_and_was_not_run(wiped: ScoreTable) -> None:
    verdict = _decide(wiped, Policy())
    assert verdict.decision is Decision.REVIEW
    assert "registered" in _check(verdict, "required_attacks").text


def test_a_required_attacker_must_have_seen_something() -> None:
    naive = compare_faces(_faces(60, {"wipe": 60.0}))
    unseeing = compare_faces(_faces(60, {"wipe": None}), attack=find_attack("registered"))
    verdict = _decide(merge_scores([naive, unseeing]), Policy())
    assert verdict.decision is Decision.REVIEW
    assert "registered: no vector from 120 of 120" in _check(verdict, "required_attacks").text


def test_an_attacker_that_does_not_bind_can_only_ask_for_a_human() -> None:
    naive = compare_faces(_faces(60, {"cut": 60.0}))
    aligned = compare_faces(_faces(60, {"cut": 0.5}), attack=find_attack("aligned"))
    verdict = _decide(merge_scores([naive, aligned]), NAIVE_ONLY)
    assert verdict.decision is Decision.REVIEW
    found = _check(verdict, "linkability", attack="aligned")
    assert found.decision is Decision.REVIEW
    assert "does not bind" in found.text


def test_people_without_a_defaced_scan_are_missed() -> None:
    """Leaving out the scans on which a defacer failed must not buy a PASS."""
    faces = _faces(60, {"wipe": 60.0})
    part = [r for r in faces if r.scan.condition == "original" or int(r.scan.subject[1:]) < 50]
    verdict = _decide(compare_faces(part))
    assert verdict.decision is Decision.REVIEW
    assert "50 of 60 people" in _check(verdict, "coverage").text


def test_a_defaced_gallery_that_links_needs_a_human() -> None:
    """A defacer that turns every vector the same way: nobody is found with originals, everybody with defaced ones."""
    faces = _faces(60, {"turn": 0.0})
    turned = [
        replace(r, face=replace(r.face, vector=np.roll(r.face.vector, 7)))
        if r.scan.condition == "turn" and r.face.vector is not None
        else r
        for r in faces
    ]
    verdict = _decide(compare_faces(turned))
    assert verdict.decision is Decision.REVIEW
    assert "defaces his own gallery" in _check(verdict, "defaced_gallery").text
    assert _check(verdict, "linkability").decision is Decision.PASS


def test_a_pass_admits_what_is_left(wiped: ScoreTable) -> None:
    evidence = _assess(wiped)
    attack = evidence.attacks[0]
    tests = tuple(replace(t, p=0.001) if t.name == "identity_permutation" else t for t in attack.tests)
    verdict = decide(replace(evidence, attacks=(replace(attack, tests=tests),)), NAIVE_ONLY)
    assert verdict.decision is Decision.PASS
    assert "It is not none" in _check(verdict, "linkability").text


# --- findings, other cohorts, levels ---


@pytest.mark.parametrize("decision", list(Decision))
def test_findings_of_other_rooms_count(wiped: ScoreTable, decision: Decision) -> None:
    finding = Check("original_in_release", decision, "A file of the release is an original.")
    verdict = decide(_assess(wiped), NAIVE_ONLY, findings=[finding])
    assert verdict.decision is decision
    assert verdict.conditions[0].decision is decision
    assert finding in verdict.checks


@pytest.mark.parametrize("decision", list(Decision))
def test_a_finding_on_one_defacers_scans_is_its_own_and_the_releases(decision: Decision) -> None:
    evidence = _assess(compare_faces(_faces(60, {"scrub": 50.0, "wipe": 60.0})))
    finding = Check("original_in_release", decision, "1 of 120 scans equals its original.", condition="wipe")
    verdict = decide(evidence, NAIVE_ONLY, findings=[finding])
    assert {one.condition: one.decision for one in verdict.conditions} == {"scrub": Decision.PASS, "wipe": decision}
    assert verdict.decision is decision
    assert verdict.exit_code == decide(evidence, NAIVE_ONLY, findings=[replace(finding, condition="")]).exit_code
    assert verdict.conditions[1].checks[0] == finding
    assert finding not in (*verdict.checks, *verdict.conditions[0].checks)


def test_what_a_defacer_fails_by_itself_stays_failed_whatever_is_found() -> None:
    evidence = _assess(compare_faces(_faces(30, {"none": 0.0, "wipe": 60.0})))
    finding = Check("unseen_scans", Decision.INCOMPLETE, "1 of 60 scans was not seen.", condition="none")
    verdict = decide(evidence, replace(NAIVE_ONLY, max_match_rate=0.2), findings=[finding])
    assert {one.condition: one.decision for one in verdict.conditions} == {
        "none": Decision.FAIL,
        "wipe": Decision.PASS,
    }
    assert finding in verdict.conditions[0].checks


def test_a_finding_on_a_defacer_that_nobody_attacked_counts_in_the_whole_alone(wiped: ScoreTable) -> None:
    finding = Check("original_in_release", Decision.FAIL, "1 of 1 scans equals its original.", condition="lost")
    verdict = decide(_assess(wiped), NAIVE_ONLY, findings=[finding])
    assert verdict.decision is Decision.FAIL
    assert finding in verdict.checks
    assert [one.decision for one in verdict.conditions] == [Decision.PASS]


def test_one_visit_borrows_its_control_for_at_most_a_review() -> None:
    calibration = calibrate_scores(compare_faces(_faces(60, {})), fingerprint=FINGERPRINT, seed=0, draws=0)
    one_visit = compare_faces(_faces(60, {"wipe": 60.0}, visits=["1"], seed=9))
    evidence = assess(one_visit, calibration, seed=0, permutations=99)
    assert decide(evidence, NAIVE_ONLY).decision is Decision.INCOMPLETE
    verdict = decide(evidence, NAIVE_ONLY, external={"toy": calibration})
    assert verdict.decision is Decision.REVIEW
    assert "two original visits" in _check(verdict, "control_tmr").text
    blind = calibrate_scores(compare_faces(_faces(60, {}, blind=True)), fingerprint=FINGERPRINT, seed=0, draws=0)
    evidence = assess(one_visit, blind, seed=0, permutations=99)
    assert decide(evidence, NAIVE_ONLY, external={"toy": blind}).decision is Decision.INCOMPLETE


def test_the_same_scan_flatters_the_attacker_and_the_report_says_so() -> None:
    calibration = calibrate_scores(compare_faces(_faces(60, {})), fingerprint=FINGERPRINT, seed=0, draws=0)
    table = compare_faces(_faces(60, {"none": 0.1}, visits=["1"]))
    verdict = decide(assess(table, calibration, seed=0, permutations=9), NAIVE_ONLY, external={"toy": calibration})
    assert verdict.decision is Decision.FAIL
    assert "flatters" in _check(verdict, "same_scan").text


def test_levels_must_agree(wiped: ScoreTable) -> None:
    with pytest.raises(InputError, match=r"confidence 0\.95 and the policy 0\.9; assess with confidence=0\.9"):
        decide(_assess(wiped), replace(NAIVE_ONLY, confidence=0.9))
    assert _decide(wiped, replace(NAIVE_ONLY, confidence=0.9)).decision is Decision.PASS


def test_a_stricter_limit_turns_a_pass_into_a_review(wiped: ScoreTable) -> None:
    verdict = _decide(wiped, replace(NAIVE_ONLY, max_match_rate=0.03))
    assert verdict.decision is Decision.REVIEW
    assert (
        "at least 0 and at most 0.0487 at 95% confidence, and the limit of 0.03" in _check(verdict, "match_rate").text
    )


def test_more_people_do_not_settle_what_lies_above_the_limit() -> None:
    """Four of thirty match: too few to prove more than 10 %, and more of the same would not prove less."""
    kept = {f"p{i}" for i in range(4)}
    wiped, left = _faces(30, {"cut": 60.0}), _faces(30, {"cut": 0.0})
    mixed = [b if a.scan.subject in kept and a.scan.condition == "cut" else a for a, b in zip(wiped, left, strict=True)]
    check = _check(_decide(compare_faces(mixed)), "match_rate")
    assert check.decision is Decision.REVIEW
    assert check.value == pytest.approx(4 / 30)
    assert "settle" not in check.text


def test_a_threshold_that_the_cohort_does_not_offer_is_incomplete(wiped: ScoreTable) -> None:
    verdict = _decide(wiped, replace(NAIVE_ONLY, threshold="fmr0.1"))
    assert verdict.decision is Decision.INCOMPLETE
    assert "no such threshold" in _check(verdict, "match_rate").text


# --- the policy file ---


def test_the_policy_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    for policy in (Policy(), Policy(max_match_rate=0.05, required_attacks=(), threshold="fmr1", min_subjects=70)):
        path.write_text(format_policy(policy))
        assert read_policy(path) == policy
    path.write_text("max_match_rate = 0.2\n")
    assert read_policy(path) == Policy(max_match_rate=0.2)
    path.write_text("")
    assert read_policy(path) == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_match = 0.1", "unknown setting 'max_match'"),
        ("max_match_rate = 1.5", r"max_match_rate must lie in 0 \.\. 1; got 1\.5"),
        ("max_match_rate = nan", "max_match_rate must lie in"),
        ('max_match_rate = "low"', "must be a number"),
        ("max_match_rate = true", "must be a number"),
        ("min_subjects = 1", "at least 2"),
        ("min_subjects = 20.5", "whole number"),
        ("min_subjects = inf", "whole number"),
        ("confidence = 1.0", "confidence must lie"),
        ("confidence = 0.4", "confidence must lie"),
        ('threshold = "best"', "threshold must be one of"),
        ('required_attacks = "naive"', "list of names"),
        ("max_match_rate 0.1", "is not TOML"),
        ("[policy]\nmin_subjects = 30\n[other]\n", "unknown setting"),
    ],
)
def test_a_policy_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_policy(path)
    assert "policy.toml" in str(error.value)


def test_a_missing_policy_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml cannot be read"):
        read_policy(tmp_path / "none.toml")


def test_a_policy_made_in_code_is_checked_too(wiped: ScoreTable) -> None:
    with pytest.raises(InputError, match="max_linkability"):
        decide(_assess(wiped), replace(NAIVE_ONLY, max_linkability=nan))
    assert check_policy(Policy()) == Policy()
