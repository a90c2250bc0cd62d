import bz2
import hashlib
import json
import os
import socket
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reid_audit import weights
from reid_audit.records import InputError, WeightsError
from reid_audit.weights import fetch, local, store


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty weights home; model files that packages carry are out of sight."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    monkeypatch.setattr(local, "_in_package", lambda record: None)
    return tmp_path / ".deepface" / "weights"


def put(home: Path, name: str, content: bytes) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / weights.MODEL_FILES[name].file_name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("value", [None, ""])
def test_weights_home_is_the_users_home_unless_told_otherwise(value, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("DEEPFACE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("DEEPFACE_HOME", value)
    assert weights.weights_home() == tmp_path / ".deepface" / "weights"
    assert not (tmp_path / ".deepface").exists()


def test_every_record_is_complete():
    for name, record in weights.MODEL_FILES.items():
        assert record.name == name
        assert Path(record.file_name).name == record.file_name
        assert record.licence
        assert record.source.startswith("https://")
        assert record.sha256 is None or len(bytes.fromhex(record.sha256)) == 32


@pytest.mark.parametrize("name", ["dlib-recogniser", "dlib-landmarks"])
def test_dlib_files_come_with_a_package_that_is_never_imported(name):
    record = weights.MODEL_FILES[name]
    path = weights.find_weights(name)
    assert path.name == record.file_name
    assert weights.verify(name) == record.sha256
    assert "face_recognition_models" not in sys.modules


def test_missing_files_are_named_together_with_folder_and_remedy(home):
    with pytest.raises(WeightsError) as caught:
        weights.require(["RetinaFace", "Facenet512"])
    for part in ("retinaface.onnx", "facenet512_weights.onnx", str(home), "--encoder dlib"):
        assert part in str(caught.value)
    with pytest.raises(WeightsError, match=r"arcface_weights\.onnx"):
        weights.find_weights("ArcFace")
    with pytest.raises(WeightsError, match="pip install face_recognition_models"):
        weights.verify("dlib-landmarks")
    assert not home.exists()


def test_missing_tells_only_what_is_not_there(home):
    put(home, "RetinaFace", b"x")
    assert [record.name for record in weights.missing(["RetinaFace", "ArcFace"])] == ["ArcFace"]
    weights.require(["RetinaFace"])


def test_unknown_name_is_an_input_error(home):
    for ask in (weights.find_weights, weights.verify):
        with pytest.raises(InputError, match="facenet9000"):
            ask("facenet9000")


def test_unpinned_file_passes_with_its_digest(home):
    put(home, "ArcFace", b"any content")
    assert weights.verify("ArcFace") == hashlib.sha256(b"any content").hexdigest()


def test_empty_file_is_refused(home):
    put(home, "ArcFace", b"")
    with pytest.raises(WeightsError, match=r"arcface_weights\.onnx .*empty"):
        weights.verify("ArcFace")


def test_pinned_file_of_another_size_is_refused_without_reading_it(home, monkeypatch):
    put(home, "dlib-landmarks", b"truncated")
    monkeypatch.setattr(local, "sha256_of", lambda path: pytest.fail("was read"))
    with pytest.raises(WeightsError, match="9 bytes instead of 9150489"):
        weights.verify("dlib-landmarks")


def test_pinned_file_of_the_right_size_and_wrong_content_is_refused(home):
    path = put(home, "dlib-landmarks", b"")
    os.truncate(path, weights.MODEL_FILES["dlib-landmarks"].size_bytes)
    with pytest.raises(WeightsError, match="not the pinned file"):
        weights.verify("dlib-landmarks")


def test_digest_is_computed_once_and_again_after_a_change(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"one")
    reads = []
    original = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: reads.append(1) or original(*given))
    assert weights.sha256_of(path) == weights.sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 1
    path.write_bytes(b"another")
    assert weights.sha256_of(path) == hashlib.sha256(b"another").hexdigest()


def test_unreadable_file_is_a_weights_error(tmp_path):
    with pytest.raises(WeightsError, match="nothing cannot be read"):
        weights.sha256_of(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.sha256_of(tmp_path)


# --- listing and verifying ---


@pytest.fixture
def catalogue(home, monkeypatch):
    """Two model files: one pinned, one not, with addresses on a server of this machine."""
    records = {
        "pinned": weights.ModelFile(
            name="pinned",
            file_name="pinned.onnx",
            licence="none",
            source="https://example.org/pinned",
            size_bytes=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            urls=("https://example.org/pinned.onnx",),
        ),
        "loose": weights.ModelFile(
            name="loose",
            file_name="loose.onnx",
            licence="none",
            source="https://example.org/loose",
            folder="below",
            urls=("https://example.org/loose.onnx",),
        ),
    }
    for module in (local, store):
        monkeypatch.setattr(module, "MODEL_FILES", records)
    return records


CONTENT = bytes(range(256)) * 4096  # 1 MiB


def states():
    return {actual.name: actual.state.value for actual in weights.list_weights()}


def test_list_tells_present_absent_and_wrong(catalogue, home):
    assert states() == {"pinned": "absent", "loose": "absent"}
    assert not home.exists()
    home.joinpath("below").mkdir(parents=True)
    (home / "pinned.onnx").write_bytes(b"short")
    (home / "below" / "loose.onnx").write_bytes(b"any")
    assert states() == {"pinned": "wrong", "loose": "present"}
    pinned, loose = weights.list_weights()
    assert "5 bytes instead of" in pinned.reason
    assert (pinned.pinned, loose.pinned, loose.sha256, loose.size_bytes) == (True, False, None, 3)


def test_verify_records_what_is_not_pinned_and_notices_a_change(catalogue, home):
    home.joinpath("below").mkdir(parents=True)
    loose = home / "below" / "loose.onnx"
    loose.write_bytes(b"any")
    assert weights.verify_weights(["loose"], record=False)[0].sha256 is None
    assert not (home / local.LEDGER).exists()
    (actual,) = weights.verify_weights(["loose"])
    assert (actual.state, actual.sha256) == ("present", hashlib.sha256(b"any").hexdigest())
    loose.write_bytes(b"other")
    assert weights.verify_weights()[1].state == "wrong"
    with pytest.raises(WeightsError, match="not the file that was recorded"):
        weights.verify("loose")
    with pytest.raises(InputError, match="nothing"):
        weights.verify_weights(["nothing"])


def test_ledger_that_cannot_be_read_is_told(catalogue, home):
    home.mkdir(parents=True)
    for content in ("{", "[]", '{"loose.onnx": 1}'):
        (home / local.LEDGER).write_text(content)
        with pytest.raises(WeightsError, match=local.LEDGER):
            weights.list_weights()


def test_real_catalogue_can_be_listed(home):
    listed = weights.list_weights()
    assert [actual.name for actual in listed] == list(weights.MODEL_FILES)
    assert {actual.state for actual in listed} == {"absent"}


# --- importing ---


def test_import_takes_a_file_or_what_a_folder_holds(catalogue, home, tmp_path):
    stick = tmp_path / "stick" / "models"
    stick.mkdir(parents=True)
    (stick / "pinned.onnx").write_bytes(CONTENT)
    (stick / "loose.onnx").write_bytes(b"any")
    (stick / "photo.jpg").write_bytes(b"mine")
    assert weights.import_weights(stick / "pinned.onnx") == (home / "pinned.onnx",)
    assert sorted(weights.import_weights(stick.parent)) == [home / "below" / "loose.onnx", home / "pinned.onnx"]
    assert states() == {"pinned": "present", "loose": "present"}
    assert weights.verify("loose") == hashlib.sha256(b"any").hexdigest()
    assert left_over(home) == []


def left_over(home):
    known = {"pinned.onnx", "loose.onnx", local.LEDGER}
    return [path.name for path in home.rglob("*") if path.is_file() and path.name not in known]


def test_import_refuses_another_content(catalogue, home, tmp_path):
    wrong = tmp_path / "pinned.onnx"
    wrong.write_bytes(CONTENT[:-1] + b"x")
    for override in (False, True):
        with pytest.raises(WeightsError, match="not the pinned file"):
            weights.import_weights(wrong, override=override)
    loose = tmp_path / "loose.onnx"
    loose.write_bytes(b"any")
    weights.import_weights(loose)
    loose.write_bytes(b"other")
    with pytest.raises(WeightsError, match="recorded"):
        weights.import_weights(loose)
    assert (home / "below" / "loose.onnx").read_bytes() == b"any"
    weights.import_weights(loose, override=True)
    assert weights.verify("loose") == hashlib.sha256(b"other").hexdigest()
    assert not (home / "pinned.onnx").exists()
    assert left_over(home) == []


def test_import_of_an_onnx_file_takes_its_settings_along(catalogue, home, tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"graph")
    (tmp_path / "mine.toml").write_text("flip = true")
    assert weights.import_weights(tmp_path / "mine.onnx") == (home / "mine.onnx", home / "mine.toml")
    (tmp_path / "mine.onnx").write_bytes(b"another")
    with pytest.raises(InputError, match=r"another mine\.onnx"):
        weights.import_weights(tmp_path / "mine.onnx")
    weights.import_weights(tmp_path / "mine.onnx", override=True)
    assert (home / "mine.onnx").read_bytes() == b"another"


def test_nothing_to_import_is_an_input_error(catalogue, home, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    for path, message in (("empty", "no model file"), ("notes.txt", "no known"), ("nowhere", "no file and no folder")):
        with pytest.raises(InputError, match=message):
            weights.import_weights(tmp_path / path)
    (tmp_path / "loose.onnx").write_bytes(b"any")
    (inside,) = weights.import_weights(tmp_path / "loose.onnx")
    with pytest.raises(InputError, match="already in the weights home"):
        weights.import_weights(inside)


# --- fetching, from a server on this machine ---


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        answer = server.answers[self.path]
        status, headers, body = answer(self.headers) if callable(answer) else answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(catalogue, monkeypatch):
    """A server whose answers are (status, headers, body) by path; https is not asked of it."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.asked, httpd.answers = [], {}
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    httpd.base = f"http://127.0.0.1:{httpd.server_port}"
    monkeypatch.setattr(fetch, "_SCHEMES", ("https", "http"))
    for name, record in list(catalogue.items()):
        catalogue[name] = replace(record, urls=(f"{httpd.base}/{name}", f"{httpd.base}/backup"))
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_fetch_downloads_checks_and_reports_progress(server, home):
    server.answers["/pinned"] = (200, {}, CONTENT)
    told = []
    path = weights.fetch_weights("pinned", progress=lambda done, total: told.append((done, total)))
    assert path == home / "pinned.onnx"
    assert path.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert left_over(home) == []
    weights.fetch_weights("pinned")
    assert len(server.asked) == 1  # the right file is there


def test_fetch_takes_the_backup_and_records_the_digest(server, home):
    server.answers["/loose"] = (404, {}, b"")
    server.answers["/backup"] = (200, {}, b"any")
    weights.fetch_weights("loose")
    assert weights.verify("loose") == hashlib.sha256(b"any").hexdigest()
    assert json.loads((home / local.LEDGER).read_text()) == {"below/loose.onnx": hashlib.sha256(b"any").hexdigest()}
    server.answers["/loose"] = (200, {}, b"other")
    server.answers["/backup"] = (404, {}, b"")
    (home / "below" / "loose.onnx").unlink()
    with pytest.raises(WeightsError, match="recorded"):  # checked ever after
        weights.fetch_weights("loose")
    weights.fetch_weights("loose", override=True)
    assert weights.verify("loose") == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {}, CONTENT[:-1] + b"x"), "not the pinned file"),
        ((200, {}, CONTENT[:-1]), "bytes instead of"),
        ((200, {}, b""), "empty"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>sign in"), "web page"),
        ((503, {}, b""), "HTTP 503"),
        ((302, {"Location": "ftp://example.org/x"}, b""), "https"),
    ],
)
def test_fetch_never_leaves_a_wrong_file_under_the_final_name(answer, reason, server, home):
    server.answers["/pinned"] = server.answers["/backup"] = answer
    with pytest.raises(WeightsError, match=reason) as caught:
        weights.fetch_weights("pinned")
    assert "reid-audit weights import pinned.onnx" in str(caught.value)
    assert not (home / "pinned.onnx").exists()


def broken_then_whole(headers):
    """Breaks off in the middle; continues what it is asked to continue."""
    if headers.get("Range"):
        start = int(headers["Range"].removeprefix("bytes=").rstrip("-"))
        return 206, {"ETag": '"v1"'}, CONTENT[start:]
    return 200, {"ETag": '"v1"', "Content-Length": str(len(CONTENT))}, CONTENT[:300_000]


def test_broken_download_is_continued(server, home):
    server.answers["/pinned"] = broken_then_whole
    server.answers["/backup"] = (404, {}, b"")
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.fetch_weights("pinned")
    have = (home / "pinned.onnx.part").stat().st_size
    assert 300_000 - fetch._PIECE_BYTES < have <= 300_000  # whole pieces are kept
    assert not (home / "pinned.onnx").exists()
    told = []
    weights.fetch_weights("pinned", progress=lambda done, total: told.append((done, total)))
    assert server.asked[-1] == ("/pinned", f"bytes={have}-", '"v1"')
    assert told[0] == (have, len(CONTENT))
    assert (home / "pinned.onnx").read_bytes() == CONTENT
    assert left_over(home) == []


def test_download_begins_anew_where_the_server_vouches_for_nothing(server, home):
    server.answers["/pinned"] = (200, {"ETag": 'W/"weak"', "Content-Length": str(len(CONTENT))}, CONTENT[:300_000])
    server.answers["/backup"] = (404, {}, b"")
    with pytest.raises(WeightsError):
        weights.fetch_weights("pinned")
    server.answers["/pinned"] = (200, {}, CONTENT)
    weights.fetch_weights("pinned")
    assert server.asked[-1] == ("/pinned", None, None)


def test_a_break_is_told_in_plain_words(server, home):
    server.answers["/pinned"] = server.answers["/backup"] = broken_then_whole
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1: Connection broken: IncompleteRead\(300000 bytes read"):
        weights.fetch_weights("pinned")


def test_a_continuation_at_another_place_is_refused(server, home):
    server.answers["/pinned"] = broken_then_whole
    server.answers["/backup"] = (404, {}, b"")
    with pytest.raises(WeightsError):
        weights.fetch_weights("pinned")
    server.answers["/pinned"] = (206, {"ETag": '"v1"', "Content-Range": "bytes 7-9/1048576"}, b"abc")
    with pytest.raises(WeightsError, match="at another place"):
        weights.fetch_weights("pinned")
    assert not (home / "pinned.onnx").exists()


def test_whole_answer_to_a_continuation_replaces_what_came_before(server, home):
    server.answers["/pinned"] = broken_then_whole
    server.answers["/backup"] = (404, {}, b"")
    with pytest.raises(WeightsError):
        weights.fetch_weights("pinned")
    server.answers["/pinned"] = (200, {"ETag": '"v2"'}, CONTENT)
    assert weights.fetch_weights("pinned").read_bytes() == CONTENT


def test_a_download_goes_through_pooch_and_asks_for_no_encoding(server, home, monkeypatch):
    import pooch

    made = []
    downloader = pooch.HTTPDownloader
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **given: made.append(given) or downloader(**given))
    server.answers["/pinned"] = (200, {}, CONTENT)
    weights.fetch_weights("pinned")
    assert [given["headers"]["Accept-Encoding"] for given in made] == ["identity"]


def test_part_that_was_complete_begins_anew(server, home):
    home.mkdir(parents=True)
    (home / "pinned.onnx.part").write_bytes(CONTENT)
    state = {"url": f"{server.base}/pinned", "etag": '"v1"'}
    (home / "pinned.onnx.part.json").write_text(json.dumps(state))
    server.answers["/pinned"] = lambda headers: (416, {}, b"") if headers.get("Range") else (200, {}, CONTENT)
    assert weights.fetch_weights("pinned").read_bytes() == CONTENT


def test_bzip2_is_unpacked(server, catalogue, home):
    catalogue["pinned"] = replace(catalogue["pinned"], urls=(f"{server.base}/pinned.bz2",))
    server.answers["/pinned.bz2"] = (200, {}, bz2.compress(CONTENT))
    assert weights.fetch_weights("pinned").read_bytes() == CONTENT
    (home / "pinned.onnx").unlink()
    server.answers["/pinned.bz2"] = (200, {}, b"no archive")
    with pytest.raises(WeightsError, match="bzip2"):
        weights.fetch_weights("pinned")
    assert left_over(home) == []


def test_addresses_without_encryption_are_refused(catalogue, home):
    catalogue["pinned"] = replace(catalogue["pinned"], urls=("http://example.org/pinned.onnx",))
    with pytest.raises(WeightsError, match="only https"):
        weights.fetch_weights("pinned")
    catalogue["pinned"] = replace(catalogue["pinned"], urls=())
    with pytest.raises(InputError, match="weights import"):
        weights.fetch_weights("pinned")


def test_every_address_is_https():
    for record in weights.MODEL_FILES.values():
        assert record.urls
        assert all(url.startswith("https://") for url in record.urls)


def test_nothing_but_fetch_connects(catalogue, home, tmp_path, monkeypatch):
    def refuse(*given, **_):
        raise AssertionError("connects")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "loose.onnx").write_bytes(b"any")
    weights.import_weights(tmp_path / "loose.onnx")
    weights.list_weights()
    weights.verify_weights()
    weights.missing(["pinned"])
    with pytest.raises(WeightsError):
        weights.require(["pinned"])
    with pytest.raises(AssertionError, match="connects"):
        weights.fetch_weights("pinned")
