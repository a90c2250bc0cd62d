"""Digests of what a result depends on: values and files."""

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.work.packing import plain

_SETTLED_NS = 2 * 10**9  # coarse clocks: a file that changed within this time may change again unseen
_HEADER_BYTES = 1 << 16
_DATA_ELSEWHERE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file\s*:)\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)


def digest_of(*values: object) -> str:
    """Return the SHA-256 of records and plain values: equal for equal ones (1 and 1.0 are), arrays by their bytes."""

    def mark(array: NDArray[Any]) -> object:
        whole = np.ascontiguousarray(array)
        return {"array": [whole.dtype.str, list(whole.shape), hashlib.sha256(whole.data).hexdigest()]}

    def as_number(value: float) -> object:
        return int(value) if value.is_integer() else value

    text = json.dumps([plain(value, mark, as_number) for value in values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def files_of(path: Path) -> list[Path] | None:
    """List what makes up a scan: the file, what its header points at, or the files of a DICOM folder. None = unsure.

    OSError where it cannot be looked at.
    """
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    if path.suffix.lower() not in (".mhd", ".mha", ".nrrd"):
        return [path]
    with path.open("rb") as stream:
        named = _DATA_ELSEWHERE.search(stream.read(_HEADER_BYTES).split(b"\n\n", 1)[0])
    if named is None or named[1].upper() == b"LOCAL":
        return [path]
    data = path.parent / os.fsdecode(named[1])
    return [path, data] if data.is_file() else None  # a list or a pattern of files


def digest_files(path: Path) -> str | None:
    """Return the SHA-256 of a scan's bytes.

    Parameters
    ----------
    path : Path
        A file, or a folder that holds one DICOM series: then of all its files, with their names.

    Returns
    -------
    str or None
        None where it cannot be read, or does not say plainly which files belong to it.
    """
    try:
        files = files_of(path)
        if not files:
            return None
        parts = []
        for file in files:
            with file.open("rb") as stream:
                parts.append([file.name, hashlib.file_digest(stream, "sha256").hexdigest()])
    except OSError:
        return None
    return digest_of([digest for _, digest in parts] if len(parts) == 1 else parts)


@dataclass(frozen=True, slots=True)
class FileState:
    """What the file system says of a scan without its being read.

    Attributes
    ----------
    digest : str
        Of place, sizes, times and inodes: the same while nobody touches the files.
    settled : bool
        False for files that changed a moment ago: a further change could leave the same times.
    """

    digest: str
    settled: bool


def digest_of_state(path: Path) -> FileState | None:
    """Return what the file system says of a scan; None where it cannot be seen from here."""
    try:
        files = files_of(path)
        if not files:
            return None
        rows = [(str(file.absolute()), file.stat()) for file in files]
    except OSError:
        return None
    # The time of change beside that of modification: copying tools set the latter back.
    latest = max(max(s.st_mtime_ns, s.st_ctime_ns) for _, s in rows)
    state = [[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev] for name, s in rows]
    return FileState(digest_of(state), time.time_ns() - latest > _SETTLED_NS)
