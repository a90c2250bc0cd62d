"""Where results are written: into a folder that holds none yet, in files for their owner alone; and their JSON."""

import errno
import json
import os
import stat
import tempfile
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from reid_audit.records.errors import InputError

_Record = TypeVar("_Record")
_BIDS_VERSION = "1.10.0"
_MENDS = {
    errno.ENOSPC: "free some space, or give another place",
    errno.EDQUOT: "free some space, or give another place",
    errno.EACCES: "mend its permissions, or give another place",
    errno.EPERM: "mend its permissions, or give another place",
    errno.EROFS: "it lies on a disk that may only be read; give another place",
    errno.ENOENT: "make it, or correct the path",
}


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return what writes and reads a kind of record."""
    return TypeAdapter(kind)


def to_json(record: Any) -> str:
    """Write a record as JSON text; NaN becomes null. The same record gives the same text."""
    kind: Any = type(record)
    return adapter_of(kind).dump_json(record, indent=1).decode() + "\n"


def describe_dataset(name: str, kind: str, **more: object) -> str:
    """Return the text of a BIDS ``dataset_description.json``; ``kind`` is ``"raw"`` or ``"derivative"``."""
    description = {"Name": name, "BIDSVersion": _BIDS_VERSION, "DatasetType": kind, **more}
    return json.dumps(description, indent=2) + "\n"


def parse_json(text: str | bytes, kind: type[_Record], *, source: str, made_by: str) -> _Record:
    """Read what `to_json` wrote.

    Parameters
    ----------
    text : str or bytes
    kind : type
        A frozen dataclass whose field ``schema_version`` has as its default the version that this program reads.
    source : str
        What to call the text in messages.
    made_by : str
        The command that makes such a file.

    Raises
    ------
    InputError
        The text is not JSON, not such a record, or one of another schema version.
    """
    wanted: Any = kind
    (version,) = (field.default for field in fields(wanted) if field.name == "schema_version")
    try:
        content = from_json(text)
    except ValueError as error:
        raise InputError(f"{source} is not JSON: {error}; make it with `{made_by}`") from error
    written = content.get("schema_version", "none") if isinstance(content, dict) else "none"
    if written != version:
        raise InputError(
            f"{source} has schema version {written}, this program reads {version}; make it anew with `{made_by}`"
        )
    try:
        record: _Record = adapter_of(wanted).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{source} is not what `{made_by}` writes: {place}: {first['msg']}; make it anew") from error
    return record


def read_json(path: Path, kind: type[_Record], *, made_by: str) -> _Record:
    """Read a file of `to_json`, named by its folder and name; see `parse_json`. InputError also where there is none."""
    source = str(Path(*path.parts[-2:]))
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}); `{made_by}` writes it") from error
    return parse_json(text, kind, source=source, made_by=made_by)


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read (mode 0600), by way of a temporary neighbour.

    Whoever reads ``path`` meanwhile, or after a run that was stopped, finds the old content or the new one whole. Text
    becomes UTF-8, its line ends as they are. InputError where it cannot be written, or ``path`` is a link, a device or
    a folder.
    """
    _check_replaceable(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path.name}: cannot be written ({error.strerror}); {mend_of(error)}") from error


def mend_of(error: OSError) -> str:
    """Say what mends that the system refused something."""
    return _MENDS.get(error.errno or 0, "check the path and its folder")


def _check_replaceable(path: Path) -> bool:
    """Tell whether a regular file is there; refuse whatever else is: what is not a file of ours is never replaced."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device, pipe or socket"
        raise InputError(f"{path.name}: is {kind}, which is never replaced; give another name")
    return True


def _check_folder(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise InputError(f"{name}: there is no such folder to write it to; make it, or give another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{name}: its folder may not be written to; mend its permissions, or give another place")


def prepare_file(path: Path, *, mark: bytes = b"", overwrite: bool = True) -> None:
    """Check before the work that a file can be written where it is to be.

    Parameters
    ----------
    path : Path
    mark : bytes
        What every file of this kind has in its first 4 kB; a file without it is not ours and is not replaced.
    overwrite : bool

    Raises
    ------
    InputError
        Where the folder is missing or may not be written to, or ``path`` is no regular file, one of another kind, or
        there already and ``overwrite`` is False.
    """
    _check_folder(path.absolute().parent, path.name)
    if not _check_replaceable(path):
        return
    if not overwrite:
        raise InputError(f"{path.name} is there already; give another file or --overwrite")
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start and mark not in start:
        raise InputError(f"{path.name}: is no file of this kind, which is never replaced; give another name")


def prepare_folder(folder: Path, marker: str, *, overwrite: bool = False) -> None:
    """Make the folder for a result, and refuse one that holds such a result already.

    Parameters
    ----------
    folder : Path
    marker : str
        Name of the file by which a result of this kind is known.
    overwrite : bool

    Raises
    ------
    InputError
        Where ``folder`` is a file, cannot be made or written to, or holds ``marker`` and ``overwrite`` is False.
    """
    if _check_replaceable(folder / marker) and not overwrite:
        raise InputError(f"{folder.name} holds a result already ({marker}); give another folder or --overwrite")
    _make_folder(folder)


def prepare_empty_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Make the folder for many files; refuse one that holds anything unless ``overwrite``.

    Raises
    ------
    InputError
        Where ``folder`` is a file, cannot be made or written to, or is not empty and ``overwrite`` is False.
    """
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else (folder,)) and not overwrite:
        raise InputError(f"{folder.name} is not an empty folder; give another one or --overwrite")
    _make_folder(folder)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.name} cannot be made into a folder for the result: {error.strerror}") from error
    _check_folder(folder, folder.name)
