"""Downloading model files. The only place in the package that opens a connection, and only when it is asked to.

A download grows beside its place as ``FILE.part`` and gets its name when it is complete and checked. One that broke off
is continued, if the server vouches that the file is still the same (a strong ETag, kept in ``FILE.part.json``);
otherwise it begins anew.
"""

from __future__ import annotations

import bz2
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reid_audit.records import InputError, WeightsError
from reid_audit.weights import local, store
from reid_audit.weights.catalogue import ModelFile

Progress = Callable[[int, int | None], None]
"""Told after every piece: bytes so far, and of the whole where the server says so."""

_SCHEMES = ("https",)
_TIMEOUT_S = 30
_PIECE_BYTES = 1 << 18
_AGENT = "reid-audit"


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in _SCHEMES:
        raise WeightsError(f"{url} is not fetched: only https addresses are")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses to be led away from https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read_state(path: Path) -> Mapping[str, str]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a download that cannot be continued begins anew
    return state if isinstance(state, dict) else {}


def _open(url: str, headers: Mapping[str, str]) -> Any:
    # Built anew so that nothing that a program installed globally (urllib.request.install_opener) gets in between.
    opener = urllib.request.build_opener(_SafeRedirects())
    return opener.open(urllib.request.Request(url, headers={"User-Agent": _AGENT, **headers}), timeout=_TIMEOUT_S)


def _download(url: str, part: Path, progress: Progress | None) -> None:
    """Bring ``part`` to the whole content of an address."""
    _check_address(url)
    state_path = part.with_name(part.name + ".json")
    state = _read_state(state_path)
    have = part.stat().st_size if part.is_file() else 0
    etag = state.get("etag", "") if state.get("url") == url else ""
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have and etag else {}
    try:
        answer = _open(url, headers)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
            raise
        headers = {}  # nothing was left to continue with
        answer = _open(url, headers)
    with answer as response:
        if "text/html" in response.headers.get("Content-Type", ""):
            raise WeightsError("the server answered with a web page")
        continues = response.status == http.HTTPStatus.PARTIAL_CONTENT and bool(headers)
        done = have if continues else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdecimal() else None
        etag = response.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        store.write_atomically(state_path, json.dumps({"url": url, "etag": strong}).encode())
        with part.open("ab" if continues else "wb") as stream:
            if progress is not None:
                progress(done, total)
            while piece := response.read(_PIECE_BYTES):
                stream.write(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, total)
    if total is not None and done != total:
        raise WeightsError(f"the connection broke after {done} of {total} bytes; fetch it again to continue")
    state_path.unlink(missing_ok=True)


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
    reason = getattr(error, "reason", None) or error
    code = f"HTTP {error.code}: " if isinstance(error, urllib.error.HTTPError) else ""
    return code + " ".join(str(reason).split())


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
        except (WeightsError, OSError, http.client.HTTPException) as error:
            failures.append(f"{urlsplit(url).hostname}: {_one_line(error)}")
    raise WeightsError(
        f"{record.file_name} of {name} could not be fetched ({'; '.join(failures)}): try again, or get it on another "
        f"machine from {' or '.join(record.urls)} and reid-audit weights import {record.file_name}"
    )
