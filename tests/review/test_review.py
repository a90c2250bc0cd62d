"""Reviews: who must be looked at, what is kept, what the verdict makes of it, and who may open the page."""

from __future__ import annotations

import http.client
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from reid_audit import AuditResult, Cohort, Decision, InputError, ScanRef, read_volume
from reid_audit.cli import main
from reid_audit.cli.review import say_review
from reid_audit.phantom import make_phantom
from reid_audit.records import Answer, Check, Modality, Reading, Review
from reid_audit.render import make_renderer
from reid_audit.report import result_to_json
from reid_audit.review import (
    AZIMUTHS_DEG,
    HOST,
    Pictures,
    Progress,
    ReviewCase,
    list_cases,
    measure_agreement,
    read_review,
    serve,
)
from reid_audit.testing import make_result, make_tiny_head
from reid_audit.verdict import fold_review
from reid_audit.volume import digest_image, digest_voxels, write_volume

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


def _digest(subject: str, condition: str) -> str:
    return f"{subject} {condition}"


@pytest.fixture(scope="module")
def result() -> AuditResult:
    """Twelve people, two defacers: what an audit says of them, with checks of a known kind in place of its own."""
    made, _ = make_result(12, {"blur": 0.4, "wipe": 60.0}, draws=20)
    rows = [
        replace(row, image_sha256=_digest(row.subject, row.condition) if row.condition != "original" else "")
        for row in made.scans
    ]
    checks = {
        "blur": (Check("exposed", Decision.REVIEW, "Look.", condition="blur", subjects=("p001", "p002")),),
        "wipe": (
            Check("exposed", Decision.REVIEW, "Look.", condition="wipe", subjects=("p003",)),
            Check("labels", Decision.REVIEW, "Labels.", condition="wipe", subjects=("p004",)),
        ),
    }
    conditions = [
        replace(each, decision=Decision.REVIEW, checks=checks[each.condition]) for each in made.verdict.conditions
    ]
    verdict = replace(made.verdict, decision=Decision.REVIEW, conditions=tuple(conditions), checks=())
    return replace(made, scans=tuple(rows), verdict=verdict, subjects=(), scores=None)


def _cohort(result: AuditResult) -> Cohort:
    keys = dict.fromkeys((row.subject, row.session, row.condition) for row in result.scans)
    scans = tuple(ScanRef(*key, Path("/".join(key)), Modality.CT) for key in keys)
    import pandas as pd

    return Cohort(scans, pd.DataFrame(index=pd.Index(sorted({key[0] for key in keys}), name="subject")), "manifest.csv")


def _review(result: AuditResult, answers: Sequence[tuple[str, str, Answer, str]]) -> Review:
    readings = tuple(
        Reading(subject, "1", condition, _digest(subject, condition), "seen", reader, answer, "", "2026-01-02T00:00:00")
        for subject, condition, answer, reader in answers
    )
    return Review(result.cohort, result.created_utc, "0.1.0", readings)


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
    folded = fold_review(result, _review(result, answers))
    assert _decisions(folded) == {"blur": blur, "wipe": wipe}
    assert folded.review is not None
    assert len(folded.review.readings) == len(answers)


def test_one_image_of_a_session_does_not_answer_for_another(result: AuditResult, tmp_path: Path) -> None:
    """A session has two images; who looked at T1w has said nothing of T2w."""
    cohort = _cohort(result)
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
    progress = Progress.start(tmp_path / "review.json", several, cases, "a")
    for number, case in enumerate(cases):
        if case.scan.subject == "p003" and case.scan.image == "T1w":
            progress.answer(number, Answer.REMOVED, "", "seen")
    assert len(progress.mine()) == 1
    assert _decisions(fold_review(several, progress.review))["wipe"] == "REVIEW"


def test_removed_never_clears_a_fail(result: AuditResult) -> None:
    found = Check("unaltered", Decision.FAIL, "Not altered.", condition="blur", subjects=("p001",))
    linked = Check("exposed", Decision.FAIL, "Linked.", condition="blur", subjects=("p001",))
    for check in (found, linked):
        (blur, wipe) = sorted(result.verdict.conditions, key=lambda each: each.condition)
        worse = replace(result.verdict, conditions=(replace(blur, checks=(check,)), wipe))
        folded = fold_review(replace(result, verdict=worse), _review(result, [("p001", "blur", Answer.REMOVED, "a")]))
        assert _decisions(folded)["blur"] == "FAIL"


def test_answers_on_other_images_do_not_count(result: AuditResult) -> None:
    review = _review(result, [("p001", "blur", Answer.REMOVED, "a"), ("p002", "blur", Answer.REMOVED, "a")])
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
    (tmp_path / "review.json").write_text(_to_json(_review(result, answers)))
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
    cases = list_cases(result, _cohort(result))
    assert {(case.scan.subject, case.scan.condition) for case in cases} == {
        ("p001", "blur"),
        ("p002", "blur"),
        ("p003", "wipe"),
        ("p004", "wipe"),
    }
    assert all(case.before is not None and case.before.session == case.scan.session for case in cases)
    every = list_cases(result, _cohort(result), every=True)
    assert len(every) == 24
    assert every[:4] == cases
    with pytest.raises(InputError, match=r"lacks p00\d/1/"):
        list_cases(result, replace(_cohort(result), scans=_cohort(result).scans[:2]))
    bare = replace(result, scans=tuple(replace(row, image_sha256="") for row in result.scans))
    with pytest.raises(InputError, match="knows no image by its digest"):
        list_cases(bare, _cohort(result))


# --- what is kept ---


@pytest.fixture
def cases(result: AuditResult) -> list[ReviewCase]:
    return list_cases(result, _cohort(result), every=True)[:12]


def test_answers_are_kept_at_once_undone_and_gone_on_with(
    result: AuditResult, cases: list[ReviewCase], tmp_path: Path
) -> None:
    path = tmp_path / "review.json"
    first = Progress.start(path, result, cases, "ann")
    first.answer(0, Answer.REMOVED, " a note ", "seen")
    first.answer(1, Answer.FACE, "", "seen")
    assert [reading.answer for reading in read_review(path).readings] == [Answer.REMOVED, Answer.FACE]
    assert path.stat().st_mode & 0o777 == 0o600
    first.answer(1, Answer.UNSURE, "", "seen")  # instead of the earlier one
    assert len(read_review(path).readings) == 2
    assert first.undo()
    assert read_review(path).readings[1].answer is Answer.FACE
    again = Progress.start(path, result, cases, "ann")
    assert {number: reading.note for number, reading in again.mine().items()} == {0: "a note", 1: ""}
    assert not again.undo()
    second = Progress.start(path, result, cases, "ben")
    assert second.mine() == {}
    second.answer(0, Answer.REMOVED, "", "seen")
    assert read_review(path).readers == ("ann", "ben")
    with pytest.raises(InputError, match="no picture of it was shown"):
        second.answer(2, Answer.REMOVED, "", "")
    with pytest.raises(InputError, match="--reader ' '"):
        Progress.start(path, result, cases, " ")
    with pytest.raises(InputError, match="not about this result"):
        Progress.start(path, replace(result, created_utc="2020"), cases, "ann")


def test_two_readers_are_compared_by_cohens_kappa(result: AuditResult, capsys: pytest.CaptureFixture[str]) -> None:
    # 20 scans: both yes 8, both no 6, 6 apart: observed 0.7, expected 0.6 * 0.5 + 0.4 * 0.5 = 0.5, kappa 0.4
    yes, no = Answer.FACE, Answer.REMOVED
    both = [(yes, yes)] * 8 + [(no, no)] * 6 + [(yes, no)] * 4 + [(no, yes)] * 2
    answers = [
        (f"s{k}", "blur", said, who) for k, pair in enumerate(both) for who, said in zip("ab", pair, strict=True)
    ]
    review = _review(result, answers)
    assert measure_agreement(review) == [("a", "b", 20, pytest.approx(0.4))]
    say_review(review)
    assert "a and b, 20 scans: Cohen's kappa 0.40" in capsys.readouterr().out
    alike = replace(review, readings=review.readings[:16])
    assert measure_agreement(alike)[0][3] != measure_agreement(alike)[0][3]  # NaN: one answer throughout


# --- pictures ---

_written: list[str] = []
_watching = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event == "open" and len(arguments) > 1 and any(c in str(arguments[1]) for c in "wax+"):
        _written.append(str(arguments[0]))


sys.addaudithook(_hook)


@pytest.mark.slow
def test_pictures_are_drawn_in_memory_through_one_camera_and_of_the_judged_image(tmp_path: Path) -> None:
    global _watching
    scans = {}
    for condition, dent_mm in (("original", 0.0), ("dent", 20.0)):
        path = tmp_path / f"{condition}.nii.gz"
        write_volume(make_tiny_head(80.0, dent_mm=dent_mm), path)
        scans[condition] = ScanRef("p1", "1", condition, path, Modality.CT)
    volume = read_volume(scans["dent"].path)
    digest = digest_image(digest_voxels(volume), volume.grid)
    cases = [
        ReviewCase(scans["dent"], scans["original"], digest, ()),
        ReviewCase(scans["dent"], scans["original"], "another", ()),
    ]
    before = sorted(tmp_path.iterdir())
    with make_renderer("raycast") as renderer:
        pictures = Pictures(cases, renderer)
        assert pictures.shown(0) == ""
        _watching = True
        try:
            drawn = {(side, angle): pictures.draw(0, side, angle) for side in ("before", "after") for angle in (0, 60)}
        finally:
            _watching = False
        with pytest.raises(InputError, match="is not the image that was judged"):
            pictures.draw(1, "after", 0)
    assert _written == []
    assert sorted(tmp_path.iterdir()) == before
    assert len(set(drawn.values())) == 4
    sizes = {Image.open(io.BytesIO(content)).size for content in drawn.values()}
    assert len(sizes) == 1
    assert len(pictures.shown(0)) == 64


@pytest.mark.slow
def test_a_head_that_was_turned_is_shown_from_the_front(tmp_path: Path) -> None:
    """The back of a head has no face: a reader would call it removed."""
    head = make_phantom(0, 1, spacing_mm=4.0).volume
    turned = replace(head, intensity=np.ascontiguousarray(head.intensity[::-1, ::-1]))
    scans = {}
    for name, volume in (("original", head), ("turned", turned)):
        write_volume(volume, tmp_path / f"{name}.nii")
        scans[name] = ScanRef("p1", "1", name, tmp_path / f"{name}.nii", Modality.CT)
    volume = read_volume(scans["turned"].path)
    digest = digest_image(digest_voxels(volume), volume.grid)
    with make_renderer("raycast") as renderer:
        pictures = Pictures([ReviewCase(scans["turned"], scans["original"], digest, ())], renderer)
        before, after = (
            np.asarray(Image.open(io.BytesIO(pictures.draw(0, side, 0))), float) for side in ("before", "after")
        )
    assert np.abs(before - after).mean() < 1.0
    assert np.abs(before - before[:, ::-1]).mean() > 1.0  # the measure tells a head from its mirror image


# --- the page ---


class Painted:
    """Pictures of one colour, with which no scan is needed."""

    def __init__(self, *, failing: Sequence[int] = ()) -> None:
        self.failing, self.seen = failing, set()

    def draw(self, number: int, side: str, azimuth_deg: int) -> bytes:
        if number in self.failing:
            raise InputError("the scan gives no picture")
        buffer = io.BytesIO()
        shade = 60 + 10 * number + (40 if side == "after" else 0) + azimuth_deg // 10
        Image.new("L", (32, 32), shade).save(buffer, "PNG")
        if side == "after":
            self.seen.add(number)
        return buffer.getvalue()

    def shown(self, number: int) -> str:
        return "seen" if number in self.seen else ""


@pytest.fixture
def page(
    result: AuditResult, cases: list[ReviewCase], tmp_path: Path
) -> Iterator[tuple[str, Progress, threading.Thread]]:
    """A page that is served: its link, the answers behind it, and the thread that serves."""
    progress = Progress.start(tmp_path / "review.json", result, cases, "ann")
    links: list[str] = []
    pictures: object = Painted(failing=[11])
    thread = threading.Thread(target=serve, args=(progress, pictures), kwargs={"say": links.append}, daemon=True)
    thread.start()
    for _ in range(500):
        if links:
            break
        time.sleep(0.02)
    yield links[0], progress, thread
    if thread.is_alive():
        _ask(links[0], "POST", "/done", cookie=_enter(links[0]), proof=True)
    thread.join(10)


def _ask(
    link: str,
    method: str,
    path: str,
    *,
    cookie: str = "",
    proof: bool = False,
    host: str = "",
    body: object = None,
) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(link)
    connection = http.client.HTTPConnection(HOST, place.port, timeout=10)
    headers = {"Host": host or place.netloc, "Cookie": cookie} | ({"X-Reid-Audit": "page"} if proof else {})
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return told


_sessions: dict[str, str] = {}


def _enter(link: str) -> str:
    """Open the link, once, and return the cookie that it gave."""
    if link not in _sessions:
        place = urlsplit(link)
        _, headers, _ = _ask(link, "GET", f"/?{place.query}")
        _sessions[link] = headers["set-cookie"].split(";")[0]
    return _sessions[link]


def test_only_who_holds_the_link_gets_in_and_only_once(page: tuple[str, Progress, threading.Thread]) -> None:
    link, progress, _ = page
    place = urlsplit(link)
    assert place.hostname == HOST == "127.0.0.1"
    for path in ("/", "/state", "/picture/0/after/0", "/?token=wrong", "/?token="):
        assert _ask(link, "GET", path)[0] == 403
    status, headers, _ = _ask(link, "GET", f"/?{place.query}")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=strict" in headers["set-cookie"]
    _sessions[link] = cookie = headers["set-cookie"].split(";")[0]
    assert _ask(link, "GET", f"/?{place.query}")[0] == 403  # used
    assert _ask(link, "GET", "/state", cookie="reid_audit_review=wrong")[0] == 403
    status, headers, content = _ask(link, "GET", "/picture/0/after/0", cookie=cookie)
    assert (status, content[:4], headers["cache-control"]) == (200, b"\x89PNG", "no-store")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert _ask(link, "GET", "/state", cookie=cookie, host="evil.example")[0] == 400
    body = {"case": 0, "answer": "removed"}
    assert _ask(link, "POST", "/decide", cookie=cookie, body=body)[0] == 403  # another site's page
    assert progress.review.readings == ()
    assert _ask(link, "POST", "/decide", cookie=cookie, body=body, proof=True)[0] == 200
    for wrong in ({"case": 99, "answer": "removed"}, {"case": 0, "answer": "fine"}, [], {}):
        assert _ask(link, "POST", "/decide", cookie=cookie, body=wrong, proof=True)[0] == 404
    unseen = _ask(link, "POST", "/decide", cookie=cookie, body={"case": 5, "answer": "removed"}, proof=True)
    assert unseen[0] == 409
    assert b"no picture of it was shown" in unseen[2]
    for path in ("/picture/0/above/0", f"/picture/0/after/{AZIMUTHS_DEG[0] - 1}", "/picture/99/after/0"):
        assert _ask(link, "GET", path, cookie=cookie)[0] == 404


def test_no_other_address_of_the_machine_answers(page: tuple[str, Progress, threading.Thread]) -> None:
    port = urlsplit(page[0]).port
    socket.create_connection((HOST, port), timeout=2).close()
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {HOST}
    for address in others | {"127.0.0.2"}:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((address, port), timeout=2)


def test_a_second_page_on_one_port_says_what_to_do(
    page: tuple[str, Progress, threading.Thread], result: AuditResult
) -> None:
    pictures: object = Painted()
    with pytest.raises(InputError, match="cannot be listened on"):
        serve(page[1], pictures, port=urlsplit(page[0]).port or 0, say=lambda link: None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_keys_alone_lead_through_twelve_scans(
    page: tuple[str, Progress, threading.Thread], result: AuditResult
) -> None:
    """In a real Chromium: answers, a turn, a note, an undo, a scan without a picture, and the end."""
    import shutil

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium on the PATH")
    from playwright.sync_api import sync_playwright

    link, progress, thread = page
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        messages: list[str] = []
        requests: list[str] = []
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(link)
        keyboard = tab.keyboard

        def wait(number: int, angle: int = 0) -> None:
            tab.wait_for_selector(f'body[data-after="{number}/{angle}"]')

        wait(0)
        assert "token" not in tab.url
        assert "p001" in tab.inner_text("#name")
        keyboard.press("ArrowRight")
        wait(0, 30)
        keyboard.press("c")
        keyboard.type("ear and nose are there; f r n u")
        keyboard.press("Escape")
        keyboard.press("f")
        wait(1)
        assert progress.mine()[0].answer is Answer.FACE
        assert progress.mine()[0].note == "ear and nose are there; f r n u"
        keyboard.press("z")
        tab.wait_for_selector("#count:has-text(', 0 answered')")
        keyboard.press("k")
        wait(0)
        for number, key in enumerate("rfnurrrrrrr"):
            wait(number)
            keyboard.press(key)
        tab.wait_for_selector("#after-text:has-text('gives no picture')")
        keyboard.press("u")
        tab.wait_for_selector("#message:has-text('no picture of it was shown')")
        assert [r.answer.value[0] for _, r in sorted(progress.mine().items())] == list("rfnurrrrrrr")
        keyboard.press("q")
        tab.wait_for_selector("text=Closed. The answers are in review.json")
        assert messages == []
        assert {urlsplit(url).netloc for url in requests} == {urlsplit(link).netloc}
        browser.close()
    thread.join(10)
    assert not thread.is_alive()
    assert [path.name for path in progress.path.parent.iterdir()] == ["review.json"]
    folded = fold_review(result, read_review(progress.path))
    assert folded.verdict.decision is Decision.FAIL
