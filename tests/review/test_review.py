"""Reviews: who must be looked at, what is kept, and what the verdict makes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from answers import cohort_of, make_review

from reid_audit import AuditResult, Decision, InputError
from reid_audit.cli import main
from reid_audit.cli.review import say_review
from reid_audit.records import Answer, Check, Review, to_json
from reid_audit.report import result_to_json
from reid_audit.review import (
    Progress,
    ReviewCase,
    list_cases,
    list_screened,
    measure_agreement,
    read_review,
)
from reid_audit.screen import Images, ImageScreening, Part, PartState, ScreenImage, Screening, ScreenState
from reid_audit.verdict import fold_review

command = sys.modules["reid_audit.cli.review"]  # the room's name is the command's


def _decisions(result: AuditResult) -> dict[str, str]:
    return {each.condition: each.decision.value for each in result.verdict.conditions}


# --- what the verdict makes of it ---


@pytest.mark.parametrize(
    ("answers", "blur", "wipe"),
    [
        ([("p001", "blur", Answer.REMOVED, "a"), ("p002", "blur", Answer.REMOVED, "a")], "PASS", "REVIEW"),
        ([("p001", "blur", Answer.REMOVED, "a")], "REVIEW", "REVIEW"),  # p002 was not looked at
        ([("p003", "wipe", Answer.REMOVED, "a"), ("p004", "wipe", Answer.REMOVED, "a")], "REVIEW", "REVIEW"),
        ([("p009", "wipe", Answer.FACE, "a")], "REVIEW", "FAIL"),
        ([("p001", "blur", Answer.REMOVED, "a"), ("p001", "blur", Answer.FACE, "b")], "FAIL", "REVIEW"),
        ([("p001", "blur", Answer.REMOVED, "a"), ("p001", "blur", Answer.NOT_HEAD, "b")], "REVIEW", "REVIEW"),
        (
            [("p001", "blur", Answer.REMOVED, "a"), ("p002", "blur", Answer.UNSURE, "a")],
            "REVIEW",
            "REVIEW",
        ),
    ],
)
def test_a_face_fails_and_removed_clears_what_asked_for_a_look(
    result: AuditResult, answers: list[tuple[str, str, Answer, str]], blur: str, wipe: str
) -> None:
    folded = fold_review(result, make_review(result, answers))
    assert _decisions(folded) == {"blur": blur, "wipe": wipe}
    assert folded.review is not None
    assert len(folded.review.readings) == len(answers)


def test_one_image_of_a_session_does_not_answer_for_another(result: AuditResult, tmp_path: Path) -> None:
    """A session has two images; who looked at T1w has said nothing of T2w."""
    cohort = cohort_of(result)
    images = ("T1w", "T2w")
    rows = tuple(
        replace(row, session=f"{row.session}/{image}", image_sha256=row.image_sha256 and f"{row.image_sha256} {image}")
        for row in result.scans
        for image in images
    )
    scans = tuple(replace(scan, image=image) for scan in cohort.scans for image in images)
    several = replace(result, scans=rows)
    cases = list_cases(several, replace(cohort, scans=scans))
    assert [case.scan.visit for case in cases if case.scan.subject == "p003"] == ["1/T1w", "1/T2w"]
    progress = Progress.start(tmp_path / "review.json", several.cohort, several.created_utc, cases, "a")
    for number, case in enumerate(cases):
        if case.scan.subject == "p003" and case.scan.image == "T1w":
            progress.answer(number, Answer.REMOVED, "", "seen")
    assert len(progress.mine()) == 1
    assert _decisions(fold_review(several, progress.review))["wipe"] == "REVIEW"


def test_removed_never_clears_a_fail(result: AuditResult) -> None:
    actual = Check("unaltered", Decision.FAIL, "Not altered.", condition="blur", subjects=("p001",))
    linked = Check("exposed", Decision.FAIL, "Linked.", condition="blur", subjects=("p001",))
    for check in (actual, linked):
        (blur, wipe) = sorted(result.verdict.conditions, key=lambda each: each.condition)
        worse = replace(result.verdict, conditions=(replace(blur, checks=(check,)), wipe))
        folded = fold_review(
            replace(result, verdict=worse), make_review(result, [("p001", "blur", Answer.REMOVED, "a")])
        )
        assert _decisions(folded)["blur"] == "FAIL"


def test_answers_on_other_images_do_not_count(result: AuditResult) -> None:
    review = make_review(result, [("p001", "blur", Answer.REMOVED, "a"), ("p002", "blur", Answer.REMOVED, "a")])
    stale = replace(review, readings=(review.readings[0], replace(review.readings[1], image_sha256="another")))
    folded = fold_review(result, stale)
    assert _decisions(folded)["blur"] == "REVIEW"
    assert "1 of 2 answers of the review are about other images and do not count." in folded.notices
    with pytest.raises(InputError, match="none of its 1 answers"):
        fold_review(result, replace(stale, readings=stale.readings[1:]))
    with pytest.raises(InputError, match="holds a review already"):
        fold_review(folded, review)
    with pytest.raises(InputError, match="is about other"):
        fold_review(result, replace(review, cohort="other"))


def test_the_report_takes_a_review_into_the_verdict(result: AuditResult, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(result_to_json(result))
    answers = [("p009", "wipe", Answer.FACE, "Reader <b>")]
    (tmp_path / "review.json").write_text(_to_json(make_review(result, answers)))
    argv = ["report", str(tmp_path), "--review", str(tmp_path / "review.json"), "--format", "json"]
    assert main([*argv, "-o", str(tmp_path / "folded.json")]) == 0
    folded = json.loads((tmp_path / "folded.json").read_text())
    assert folded["verdict"]["decision"] == "FAIL"
    assert folded["review"]["readings"][0]["answer"] == "face visible"


def _to_json(review: Review) -> str:
    from reid_audit.records import to_json

    return to_json(review)


# --- who must be looked at ---


def test_the_cases_are_those_whom_a_rule_names(result: AuditResult) -> None:
    cases = list_cases(result, cohort_of(result))
    assert {(case.scan.subject, case.scan.condition) for case in cases} == {
        ("p001", "blur"),
        ("p002", "blur"),
        ("p003", "wipe"),
        ("p004", "wipe"),
    }
    assert all(case.before is not None and case.before.session == case.scan.session for case in cases)
    every = list_cases(result, cohort_of(result), every=True)
    assert len(every) == 24
    assert every[:4] == cases
    with pytest.raises(InputError, match=r"lacks p00\d/1/"):
        list_cases(result, replace(cohort_of(result), scans=cohort_of(result).scans[:2]))
    bare = replace(result, scans=tuple(replace(row, image_sha256="") for row in result.scans))
    with pytest.raises(InputError, match="knows no image by its digest"):
        list_cases(bare, cohort_of(result))


# --- what is kept ---


def test_answers_are_kept_at_once_undone_and_gone_on_with(
    result: AuditResult, cases: list[ReviewCase], tmp_path: Path
) -> None:
    path = tmp_path / "review.json"
    first = Progress.start(path, result.cohort, result.created_utc, cases, "ann")
    first.answer(0, Answer.REMOVED, " a note ", "seen")
    first.answer(1, Answer.FACE, "", "seen")
    assert [reading.answer for reading in read_review(path).readings] == [Answer.REMOVED, Answer.FACE]
    assert path.stat().st_mode & 0o777 == 0o600
    first.answer(1, Answer.UNSURE, "", "seen")  # instead of the earlier one
    assert len(read_review(path).readings) == 2
    assert first.undo()
    assert read_review(path).readings[1].answer is Answer.FACE
    again = Progress.start(path, result.cohort, result.created_utc, cases, "ann")
    assert {number: reading.note for number, reading in again.mine().items()} == {0: "a note", 1: ""}
    assert not again.undo()
    second = Progress.start(path, result.cohort, result.created_utc, cases, "ben")
    assert second.mine() == {}
    second.answer(0, Answer.REMOVED, "", "seen")
    assert read_review(path).readers == ("ann", "ben")
    with pytest.raises(InputError, match="no picture of it was shown"):
        second.answer(2, Answer.REMOVED, "", "")
    with pytest.raises(InputError, match="--reader ' '"):
        Progress.start(path, result.cohort, result.created_utc, cases, " ")
    with pytest.raises(InputError, match="not about this one of 2020"):
        Progress.start(path, result.cohort, "2020", cases, "ann")


def test_two_readers_are_compared_by_cohens_kappa(result: AuditResult, capsys: pytest.CaptureFixture[str]) -> None:
    # 20 scans: both yes 8, both no 6, 6 apart: observed 0.7, expected 0.6 * 0.5 + 0.4 * 0.5 = 0.5, kappa 0.4
    yes, no = Answer.FACE, Answer.REMOVED
    both = [(yes, yes)] * 8 + [(no, no)] * 6 + [(yes, no)] * 4 + [(no, yes)] * 2
    answers = [
        (f"s{k}", "blur", said, who) for k, pair in enumerate(both) for who, said in zip("ab", pair, strict=True)
    ]
    review = make_review(result, answers)
    assert measure_agreement(review) == [("a", "b", 20, pytest.approx(0.4))]
    say_review(review)
    assert "a and b, 20 scans: Cohen's kappa 0.40" in capsys.readouterr().out
    alike = replace(review, readings=review.readings[:16])
    assert measure_agreement(alike)[0][3] != measure_agreement(alike)[0][3]  # NaN: one answer throughout


# --- a screening ---


def _screening() -> Screening:
    """An unknown image, a defacing that left a mouth, a whole face, and a file that gave no volume."""
    left = (Part("eyes", PartState.REMOVED), Part("nose", PartState.REMOVED), Part("mouth", PartState.SEEN))
    images = (
        ImageScreening("whole.nii", ScreenState.FACE, "a face", image_sha256="w"),
        ImageScreening("odd.nii", ScreenState.UNKNOWN, "no head fits", image_sha256="o"),
        ImageScreening("cut.nii", ScreenState.ALTERED, "mouth left", parts=left, image_sha256="c"),
        ImageScreening("broken.nii", ScreenState.UNKNOWN, "cannot be read"),
    )
    return Screening("release", images, (), True, "1", "2026-01-02T00:00:00")


def _images(*names: str) -> Images:
    return Images("release", tuple(ScreenImage(name, Path(name)) for name in names), ())


def test_what_a_screening_doubts_is_looked_at_without_originals() -> None:
    everything = _images("whole.nii", "odd.nii", "cut.nii", "broken.nii")
    cases = list_screened(_screening(), everything)
    assert [(case.name, case.reasons, case.before) for case in cases] == [
        ("odd.nii", ("no head fits",), None),
        ("cut.nii", ("mouth left",), None),
    ]
    assert [case.name for case in list_screened(_screening(), everything, every=True)][2:] == ["whole.nii"]
    with pytest.raises(InputError, match=r"lacks cut\.nii, which was screened"):
        list_screened(_screening(), _images("odd.nii"))


@pytest.mark.parametrize(
    ("answer", "unknown", "cut", "whole"),
    [
        (Answer.FACE, 1, 1, 1),
        (Answer.REMOVED, 0, 0, 1),
        (Answer.NOT_HEAD, 0, 0, 1),
        (Answer.UNSURE, 3, 3, 1),
    ],
)
def test_a_reader_answers_what_a_screening_doubts_and_clears_no_face(
    answer: Answer, unknown: int, cut: int, whole: int
) -> None:
    seen = [replace(image, reviewed=answer) for image in _screening().images[:3]]
    assert [image.decision for image in seen] == [whole, unknown, cut]
    assert replace(_screening(), images=tuple(seen[1:2]), expect_defaced=False).exit_code == (
        3 if answer is Answer.UNSURE else 0
    )


# --- the command, with a reader in place of the page ---


def _read_aloud(monkeypatch: pytest.MonkeyPatch, answers: list[Answer], *, stops: bool = False) -> list[Progress]:
    """Answer the first cases as a reader would on the page, who may leave by Ctrl-C."""
    asked: list[Progress] = []

    def serve(progress: Progress, pictures: object, *, port: int, say: Callable[[str], None]) -> None:
        say("http://127.0.0.1:1/?key=k")
        asked.append(progress)
        for number, answer in enumerate(answers):
            progress.answer(number, answer, "", "seen")
        if stops:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "serve", serve)
    return asked


def test_the_command_leads_from_a_result_to_answers_and_says_where_they_go(
    result: AuditResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "result.json").write_text(result_to_json(result))
    monkeypatch.setattr("reid_audit.read_cohort", lambda *_, **__: cohort_of(result))
    words = ["review", str(tmp_path), "manifest.csv", "--renderer", "raycast", "--reader"]
    asked = _read_aloud(monkeypatch, [Answer.REMOVED, Answer.FACE])
    assert main([*words, "ann"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "4 scans to look at, 0 of them answered by ann" in told
    assert "http://127.0.0.1:1/?key=k" in told
    assert "ann: 1 removed, 1 face" in told
    assert f"reid-audit report {tmp_path / 'result.json'} --review {tmp_path / 'review.json'}" in told
    assert [case.scan.subject for case in asked[0].cases] == ["p001", "p002", "p003", "p004"]
    _read_aloud(monkeypatch, [Answer.REMOVED], stops=True)
    assert main([*words, "ben", "--all"]) == 0
    both = capsys.readouterr()
    assert "Stopped." in both.err
    assert "24 scans to look at, 0 of them answered by ben" in both.out
    assert "ann and ben, 1 scan: Cohen's kappa not defined" in both.out


def test_the_command_shows_what_a_screening_doubts_and_ends_where_nothing_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "screening.json"
    path.write_text(to_json(_screening()))
    monkeypatch.setattr(
        command, "list_images", lambda *_, **__: _images("whole.nii", "odd.nii", "cut.nii", "broken.nii")
    )
    _read_aloud(monkeypatch, [Answer.NOT_HEAD, Answer.REMOVED])
    words = ["review", str(path), "release", "--renderer", "raycast", "--reader", "ann", "-o", str(tmp_path / "a.json")]
    assert main(words) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 file gave no volume and cannot be shown here" in told
    assert f"reid-audit screen release --review {tmp_path / 'a.json'}" in told
    clear = replace(_screening(), images=_screening().images[:1], expect_defaced=False)
    path.write_text(to_json(clear))
    assert main([*words[:-1], str(tmp_path / "b.json")]) == 0
    assert "No scan needs a look; --all shows every other one." in capsys.readouterr().out
    assert not (tmp_path / "b.json").exists()
    path.write_text("{")
    assert main(words) == 2
