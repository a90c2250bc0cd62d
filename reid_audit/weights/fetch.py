"""Downloading model files by pooch. The only place in the package that opens a connection, and only when asked to.

A download grows beside its place as ``FILE.part`` and gets its name when it is complete and checked. One that broke off
is continued, if the server vouches that the file is still the same (a strong ETag, kept in ``FILE.part.json``);
otherwise it begins anew.
"""

import bz2
import json
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urljoin, urlsplit

from reid_audit.records import InputError, WeightsError, write_private
from reid_audit.weights import local, store
from reid_audit.weights.catalogue import ModelFile

Progress = Callable[[int, int | None], None]
"""Told after every piece: bytes so far, and of the whole where the server says so."""

_SCHEMES = ("https",)
_TIMEOUT_S = 30
_PIECE_BYTES = 1 << 16  # also what is lost at most where a connection breaks
# Without an encoding of its own, so that bytes on the way are bytes of the file, and can be continued and counted.
_HEADERS = {"User-Agent": "reid-audit", "Accept-Encoding": "identity"}


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in _SCHEMES:
        raise WeightsError(f"{url} is not fetched: only https addresses are")


def _read_state(path: Path) -> Mapping[str, str]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a download that cannot be continued begins anew
    return state if isinstance(state, dict) else {}


class _Part:
    """A growing ``FILE.part``: the file that pooch writes to, and the hook that sees each answer before its body."""

    def __init__(self, url: str, path: Path, progress: Progress | None) -> None:
        self._url, self._path, self._progress = url, path, progress
        self._state_path = path.with_name(path.name + ".json")
        self._stream: IO[bytes] | None = None
        self._response: Any = None
        self._done = 0
        self._total: int | None = None
        state = _read_state(self._state_path)
        have = path.stat().st_size if path.is_file() else 0
        etag = state.get("etag", "") if state.get("url") == url else ""
        self._have = have if etag else 0
        self.headers = {"Range": f"bytes={have}-", "If-Range": etag} if self._have else {}

    def begin_anew(self) -> None:
        """Ask for the whole."""
        self._have, self.headers = 0, {}

    def see(self, response: Any, **_: object) -> None:
        """Refuse what is no model file, and decide whether the answer continues the file or begins it anew."""
        self._response = response
        if response.is_redirect:
            _check_address(urljoin(response.url, response.headers["Location"]))
            return
        if not response.ok:
            return  # pooch raises
        if "text/html" in response.headers.get("Content-Type", ""):
            raise WeightsError("the server answered with a web page")
        continues = response.status_code == HTTPStatus.PARTIAL_CONTENT and self._have > 0
        there = response.headers.get("Content-Range", f"bytes {self._have}-")
        if continues and not there.startswith(f"bytes {self._have}-"):
            raise WeightsError(f"the server continued at another place ({there})")
        self._done = self._have if continues else 0
        length = response.headers.get("Content-Length", "")
        self._total = self._done + int(length) if length.isdecimal() else None
        etag = response.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        write_private(self._state_path, json.dumps({"url": self._url, "etag": strong}))
        self._stream = self._path.open("ab" if continues else "wb")
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)

    def write(self, piece: bytes) -> int:
        """Take the next piece of the body."""
        if self._stream is None:
            raise WeightsError("the server answered with nothing")
        self._done += self._stream.write(piece)
        self._tell()
        return len(piece)

    def flush(self) -> None:
        """Do nothing: what counts is on disk when the file is closed."""

    def finish(self) -> None:
        """Check that all of it came."""
        if self._stream is None:
            raise WeightsError("the server answered with nothing")
        if self._total is not None and self._done != self._total:
            raise WeightsError(f"the connection broke after {self._done} of {self._total} bytes")
        self._state_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._response is not None:
            self._response.close()


def _download(url: str, path: Path, progress: Progress | None) -> None:
    """Bring ``FILE.part`` to the whole content of an address."""
    import pooch
    import requests

    _check_address(url)
    with _Part(url, path, progress) as part:

        def fetch() -> None:
            load = pooch.HTTPDownloader(
                chunk_size=_PIECE_BYTES,
                timeout=_TIMEOUT_S,
                headers={**_HEADERS, **part.headers},
                hooks={"response": part.see},
            )
            load(url, part, None)

        try:
            fetch()
        except requests.HTTPError as error:
            refused = (
                error.response is not None and error.response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            )
            if not refused or not part.headers:
                raise
            part.begin_anew()  # nothing was left to continue with
            fetch()
        part.finish()


def _unpack(part: Path) -> None:
    """Replace a bzip2 file by what it holds."""
    unpacked = part.with_name(part.name + ".unpacked")
    try:
        with bz2.open(part) as packed, unpacked.open("wb") as stream:
            while piece := packed.read(_PIECE_BYTES):
                stream.write(piece)
        os.replace(unpacked, part)
    except (OSError, EOFError) as error:
        unpacked.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
        raise WeightsError(f"what came is no bzip2 file ({error})") from error


def _fetch_from(url: str, record: ModelFile, *, override: bool, progress: Progress | None) -> Path:
    final = local.home_path(record)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(final.name + ".part")
    _download(url, part, progress)
    if url.endswith(".bz2"):
        _unpack(part)
    return store.install(record, part, override=override, mend="it was not kept; the publisher may have changed it")


def _one_line(error: Exception) -> str:
    """Reason of a failure in one line, without the layers that requests and urllib3 wrap it in."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}: {response.reason}"
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    reason = getattr(inner, "reason", None) or next((part for part in inner.args if isinstance(part, str)), inner)
    return " ".join(str(reason).split())


def fetch_weights(name: str, *, progress: Progress | None = None, override: bool = False) -> Path:
    """Download a model file into the weights home, unless the right one is there.

    Parameters
    ----------
    name : str
        A key of `MODEL_FILES`.
    progress : callable, optional
        Called with the bytes so far and the bytes of the whole (None if unknown).
    override : bool
        Download even if a file is there, and record the new digest of a file that is not pinned. A pinned file is never
        kept with another digest.

    Returns
    -------
    Path
        The checked file. Its addresses are tried in order.

    Raises
    ------
    InputError
        If no model file has that name, or it has no address.
    WeightsError
        If no address gave the file, with the reason of each, or what came is not the pinned or recorded file.
    """
    record = local.model_file(name)
    if not override and local.path_of(record).is_file():
        local.verify(name)
        return local.path_of(record)
    if not record.urls:
        raise InputError(f"{name} cannot be fetched: see {record.source}, then reid-audit weights import FILE")
    failures = []
    for url in record.urls:
        try:
            return _fetch_from(url, record, override=override, progress=progress)
        except (WeightsError, InputError, OSError, ValueError) as error:  # what requests raises is an OSError
            failures.append(f"{urlsplit(url).hostname}: {_one_line(error)}")
    raise WeightsError(
        f"{record.file_name} of {name} could not be fetched ({'; '.join(failures)}): try again (what came is kept, "
        "where the server can go on with it), or get it on another machine from "
        f"{' or '.join(record.urls)} and reid-audit weights import {record.file_name}"
    )
