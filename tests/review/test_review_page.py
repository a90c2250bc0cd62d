"""The pictures and the page of a review: drawn in memory, for whoever holds the link, once."""

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

from reid_audit import AuditResult, Decision, InputError, ScanRef, read_volume
from reid_audit.phantom import make_phantom
from reid_audit.records import Answer, Modality
from reid_audit.render import make_renderer
from reid_audit.review import Pictures, Progress, ReviewCase, read_review, serve
from reid_audit.review.pictures import AZIMUTHS_DEG
from reid_audit.review.server import HOST
from reid_audit.testing import make_tiny_head
from reid_audit.verdict import fold_review
from reid_audit.volume import digest_image, digest_voxels, write_volume

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

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
    progress = Progress.start(tmp_path / "review.json", result.cohort, result.created_utc, cases, "ann")
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
    page: tuple[str, Progress, threading.Thread], capfd: pytest.CaptureFixture[str]
) -> None:
    pictures: object = Painted()
    with pytest.raises(InputError, match="cannot be listened on"):
        serve(page[1], pictures, port=urlsplit(page[0]).port or 0, say=lambda link: None)  # type: ignore[arg-type]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_keys_alone_lead_through_twelve_scans(
    page: tuple[str, Progress, threading.Thread], result: AuditResult
) -> None:
    """In a real Chromium: answers, a turn, a note, an undo, a scan without a picture, and the end."""
    import shutil

    actual = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if actual is None:
        pytest.skip("needs Chromium on the PATH")
    from playwright.sync_api import sync_playwright

    link, progress, thread = page
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=actual, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
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
