"""The decision, seen by somebody who wants a PASS that is not deserved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit.accuracy import assess, calibrate_scores, to_panels
from reid_audit.attack import find_attack
from reid_audit.match import compare_faces, merge_scores
from reid_audit.records import (
    Check,
    Decision,
    Estimate,
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
from reid_audit.verdict import decide, read_policy
from reid_audit.verdict.policy import check_policy, format_policy

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
    """Make vectors: visits differ by noise 0.6, defacers add theirs, None = no face; blind = an encoder of noise.

    Beside the defacers there is a canary, a weak defacing that an attacker who sees must link.
    """
    rng = np.random.default_rng(seed)
    lost, faces = set(faceless), []
    for i in range(people):
        person = rng.normal(size=48)
        for visit in visits:
            original = rng.normal(size=48) if blind else person + 0.6 * rng.normal(size=48)
            for condition, size in {"original": 0.0, "canary-light": 0.2, **defacers}.items():
                scan = ScanRef(f"p{i}", visit, condition, Path("scan.nii.gz"))
                face = Face(Status.NO_FACE, "toy")
                if size is not None and scan.key not in lost:
                    vector = original + size * rng.normal(size=48)
                    face = Face(Status.OK, "toy", vector=(vector / np.linalg.norm(vector)).astype(np.float32))
                faces.append(FaceRecord(scan, face))
    return faces


def _decide(table: ScoreTable, policy: Policy = NAIVE_ONLY, *, findings: Iterable[Check] = ()) -> Verdict:
    return decide(to_panels(table.frame), policy, findings=findings)


def _all_checks(verdict: Verdict) -> list[Check]:
    return [*verdict.checks, *(check for condition in verdict.conditions for check in condition.checks)]


def _check(verdict: Verdict, name: str, *, attack: str = "") -> Check:
    (check,) = [c for c in _all_checks(verdict) if c.name == name and (not attack or c.attack == attack)]
    return check


def _names(verdict: Verdict) -> set[str]:
    """Names of the rules that kept the verdict from a PASS."""
    return {check.name for check in _all_checks(verdict) if check.decision is not Decision.PASS}


@pytest.fixture(scope="module")
def wiped() -> ScoreTable:
    """Sixty people whose defaced scans keep nothing."""
    return compare_faces(_faces(60, {"wipe": 60.0}))


def test_a_good_defacer_passes(wiped: ScoreTable) -> None:
    verdict = _decide(wiped)
    assert (verdict.decision, verdict.exit_code) == (Decision.PASS, 0)
    assert {condition.condition for condition in verdict.conditions} == {"wipe"}  # a canary is no defacer
    assert all(check.decision is Decision.PASS for check in _all_checks(verdict))
    assert "chance 0.5" in _check(verdict, "linkability").text


def test_without_canaries_nothing_passes(wiped: ScoreTable) -> None:
    frame = wiped.frame
    verdict = _decide(ScoreTable(frame[frame["condition"] != "canary-light"]))
    assert verdict.decision is Decision.INCOMPLETE
    assert "canary" in _names(verdict)


def test_no_defacing_fails() -> None:
    verdict = _decide(compare_faces(_faces(30, {"none": 0.0})))
    assert (verdict.decision, verdict.exit_code) == (Decision.FAIL, 1)
    assert {"match_rate", "linkability", "unaltered"} <= _names(verdict)
    assert len(_check(verdict, "unaltered").subjects) == 30


def test_the_worst_defacer_decides() -> None:
    verdict = _decide(compare_faces(_faces(60, {"none": 0.0, "wipe": 60.0})))
    assert {c.condition: c.decision for c in verdict.conditions} == {"none": Decision.FAIL, "wipe": Decision.PASS}
    assert verdict.decision is Decision.FAIL


# --- what must never pass ---


def test_one_untouched_person_among_sixty_is_named() -> None:
    wiped, left = _faces(60, {"cut": 60.0}), _faces(60, {"cut": 0.0})
    mixed = [b if a.scan.subject == "p7" and a.scan.condition == "cut" else a for a, b in zip(wiped, left, strict=True)]
    verdict = _decide(compare_faces(mixed))
    assert verdict.decision is Decision.FAIL
    assert _check(verdict, "unaltered").subjects == ("p7",)


def test_a_list_that_is_off_by_one_line_is_named() -> None:
    faces = _faces(40, {"cut": 0.0})
    vectors = {face.scan.key: face.face for face in faces}
    wrong = [
        replace(face, face=vectors[f"p{(int(face.scan.subject[1:]) + 1) % 40}/{face.scan.session}/cut"])
        if face.scan.condition == "cut"
        else face
        for face in faces
    ]
    verdict = _decide(compare_faces(wrong))
    assert verdict.decision is not Decision.PASS
    assert "the labels do not fit the faces" in _check(verdict, "labels").text
    assert "p0 -> p1" in _check(verdict, "labels").text


@pytest.mark.parametrize("seed", range(6))
def test_a_blind_audit_is_incomplete(seed: int) -> None:
    verdict = _decide(compare_faces(_faces(30, {"wipe": 60.0}, blind=True, seed=seed)))
    assert verdict.decision is Decision.INCOMPLETE


def test_a_constant_encoder_is_incomplete() -> None:
    frame = compare_faces(_faces(30, {"cut": 0.0})).frame.copy()
    frame["distance"] = 0.4
    assert _decide(ScoreTable(frame)).decision not in (Decision.PASS, Decision.REVIEW)


def test_one_scan_under_two_visits_is_no_control() -> None:
    """An encoder of noise recognises copies perfectly, and would call any defacer safe."""
    faces = {r.scan.key: r for r in _faces(60, {"cut": 60.0}, blind=True)}
    for i in range(60):
        first, second = faces[f"p{i}/1/original"], faces[f"p{i}/2/original"]
        faces[second.scan.key] = replace(second, face=first.face)
    verdict = _decide(compare_faces(faces.values()))
    assert verdict.decision is Decision.INCOMPLETE
    assert "control_copies" in _names(verdict)


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


def test_a_shift_of_each_person_is_caught_within_searches() -> None:
    frame = compare_faces(_faces(60, {"shift": 0.3})).frame.copy()
    defaced = (frame["condition"] == "shift").to_numpy()
    own_shift = frame["probe_subject"].cat.codes.to_numpy() % 12 * 0.06
    frame["distance"] = np.where(defaced, 1 + own_shift + 0.04 * frame["distance"], frame["distance"])
    assert _check(_decide(ScoreTable(frame)), "linkability").decision is Decision.FAIL


def test_a_few_people_found_first_do_not_pass() -> None:
    """Ten of seventy found first, three matched: the published example, which its authors called safe."""
    faces, left = _faces(70, {"cut": 60.0}), _faces(70, {"cut": 0.3})
    mixed = [
        b if a.scan.condition == "cut" and int(a.scan.subject[1:]) < 10 else a for a, b in zip(faces, left, strict=True)
    ]
    assert _decide(compare_faces(mixed)).decision is not Decision.PASS


def test_nothing_to_judge_is_incomplete() -> None:
    assert _decide(compare_faces([])).decision is Decision.INCOMPLETE
    assert _decide(compare_faces(_faces(30, {}))).decision is Decision.INCOMPLETE


# --- where no face was seen ---


def test_whole_face_removal_is_not_passed_by_a_naive_attacker_alone() -> None:
    verdict = _decide(compare_faces(_faces(40, {"gone": None})))
    assert verdict.decision is Decision.INCOMPLETE
    assert "unseen" in _names(verdict)


def test_whole_face_removal_passes_once_a_stronger_attacker_saw_it_and_found_nothing() -> None:
    naive = compare_faces(_faces(60, {"gone": None}))
    registered = compare_faces(_faces(60, {"gone": 60.0}), attack=find_attack("registered"))
    verdict = _decide(merge_scores([naive, registered]), Policy())
    assert verdict.decision is Decision.PASS


def test_the_stronger_attacker_binds() -> None:
    """A detector that finds nothing, and landmarks set by hand that find everybody."""
    naive = compare_faces(_faces(40, {"cut": None}))
    registered = compare_faces(_faces(40, {"cut": 0.5}), attack=find_attack("registered"))
    verdict = _decide(merge_scores([naive, registered]), Policy())
    assert verdict.decision is Decision.FAIL
    assert _check(verdict, "linkability", attack="registered").decision is Decision.FAIL


def test_an_attacker_that_the_policy_asks_for_and_was_not_run(wiped: ScoreTable) -> None:
    verdict = _decide(wiped, Policy())
    assert verdict.decision is Decision.INCOMPLETE
    assert "registered" in _check(verdict, "required_attacks").text


def test_a_required_attacker_must_have_seen_something() -> None:
    naive = compare_faces(_faces(60, {"wipe": 60.0}))
    unseeing = compare_faces(_faces(60, {"wipe": None}), attack=find_attack("registered"))
    assert _decide(merge_scores([naive, unseeing]), Policy()).decision is Decision.INCOMPLETE


def test_an_attacker_that_does_not_bind_can_only_ask_for_a_human() -> None:
    naive = compare_faces(_faces(60, {"cut": 60.0}))
    aligned = compare_faces(_faces(60, {"cut": 0.5}), attack=find_attack("aligned"))
    verdict = _decide(merge_scores([naive, aligned]), NAIVE_ONLY)
    assert verdict.decision is Decision.REVIEW
    assert "does not bind" in _check(verdict, "linkability", attack="aligned").text


def test_people_without_a_defaced_scan_are_missed() -> None:
    """Leaving out the scans on which a defacer failed must not buy a PASS."""
    faces = _faces(60, {"wipe": 60.0})
    part = [r for r in faces if r.scan.condition != "wipe" or int(r.scan.subject[1:]) < 50]
    verdict = _decide(compare_faces(part))
    assert verdict.decision not in (Decision.PASS, Decision.FAIL)
    assert "coverage" in _names(verdict)


def test_a_defaced_gallery_that_links_needs_a_human(wiped: ScoreTable) -> None:
    calibration = calibrate_scores(wiped, fingerprint=FINGERPRINT, seed=0, draws=0)
    evidence = assess(wiped, calibration, seed=0, permutations=9)
    linked = Estimate(0.9, at_least=0.85, at_most=0.95)
    attack = replace(evidence.attacks[0], condition="wipe", defaced_gallery=linked)
    verdict = decide(to_panels(wiped.frame), NAIVE_ONLY, evidence=replace(evidence, attacks=(attack,)))
    assert verdict.decision is Decision.REVIEW
    assert "at least 0.85" in _check(verdict, "defaced_gallery").text


# --- findings and limits ---


@pytest.mark.parametrize("decision", list(Decision))
def test_findings_of_other_rooms_count(wiped: ScoreTable, decision: Decision) -> None:
    finding = Check("original_in_release", decision, "A file of the release is an original.")
    verdict = _decide(wiped, findings=[finding])
    assert verdict.decision is decision
    assert verdict.conditions[0].decision is decision
    assert finding in verdict.checks


@pytest.mark.parametrize("decision", list(Decision))
def test_a_finding_on_one_defacers_scans_is_its_own_and_the_releases(decision: Decision) -> None:
    table = compare_faces(_faces(60, {"scrub": 50.0, "wipe": 60.0}))
    finding = Check("original_in_release", decision, "1 of 120 scans equals its original.", condition="wipe")
    verdict = _decide(table, findings=[finding])
    assert {c.condition: c.decision for c in verdict.conditions} == {"scrub": Decision.PASS, "wipe": decision}
    assert verdict.decision is decision
    assert verdict.conditions[1].checks[0] == finding
    assert finding not in (*verdict.checks, *verdict.conditions[0].checks)


def test_a_finding_on_a_defacer_that_nobody_attacked_counts_in_the_whole_alone(wiped: ScoreTable) -> None:
    finding = Check("original_in_release", Decision.FAIL, "1 of 1 scans equals its original.", condition="lost")
    verdict = _decide(wiped, findings=[finding])
    assert verdict.decision is Decision.FAIL
    assert finding in verdict.checks
    assert [condition.decision for condition in verdict.conditions] == [Decision.PASS]


def test_a_stricter_limit_turns_a_pass_into_a_review(wiped: ScoreTable) -> None:
    verdict = _decide(wiped, replace(NAIVE_ONLY, max_match_rate=0.02))
    assert verdict.decision is Decision.REVIEW
    assert "lies between" in _check(verdict, "match_rate").text


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
        _decide(wiped, replace(NAIVE_ONLY, max_linkability=math.nan))
    assert check_policy(Policy()) == Policy()
