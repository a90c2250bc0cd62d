"""Where model files lie, and whether they are the ones they claim to be. Reads; writes nothing.

See `reid_audit.weights` for the words.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from reid_audit.records import InputError, WeightsError
from reid_audit.weights.catalogue import MODEL_FILES, ModelFile

LEDGER = "reid-audit-sha256.json"
"""Name of the file in the weights home that holds the recorded digests, by file name."""


def model_file(name: str) -> ModelFile:
    """Record of a model file; an unknown name is an `InputError`."""
    try:
        return MODEL_FILES[name]
    except KeyError:
        raise InputError(f"no model file is called {name!r}; known: {', '.join(MODEL_FILES)}") from None


def weights_home() -> Path:
    """Folder in which model files are looked for. It need not exist and is not made.

    Returns
    -------
    Path
        ``$DEEPFACE_HOME/.deepface/weights``; an unset or empty ``DEEPFACE_HOME`` means the user's home.
    """
    return Path(os.environ.get("DEEPFACE_HOME") or Path.home()) / ".deepface" / "weights"


def _in_package(record: ModelFile) -> Path | None:
    # find_spec locates a top-level package without executing it: face_recognition_models cannot be
    # imported where setuptools no longer ships pkg_resources.
    spec = importlib.util.find_spec(record.package) if record.package else None
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / record.package_folder / record.file_name
        if path.is_file():
            return path
    return None


def home_path(record: ModelFile) -> Path:
    """Where the weights home keeps a model file."""
    return weights_home() / record.folder / record.file_name


def path_of(record: ModelFile) -> Path:
    """Where a model file is looked for: in a package that carries it, else in the weights home."""
    return _in_package(record) or home_path(record)


def ledger_key(record: ModelFile) -> str:
    """Name of a file in the ledger, with its folder below the home."""
    return f"{record.folder}/{record.file_name}".lstrip("/")


def read_ledger() -> Mapping[str, str]:
    """Read the recorded digests by file name (with the folder below the home); empty without a ledger.

    Raises
    ------
    WeightsError
        If the ledger cannot be read.
    """
    path = weights_home() / LEDGER
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WeightsError(f"{LEDGER} in {path.parent} cannot be read: {error}; remove it to record anew") from error
    if not isinstance(table, dict) or not all(isinstance(digest, str) for digest in table.values()):
        raise WeightsError(f"{LEDGER} in {path.parent} is no table of digests; remove it to record anew")
    return table


def recorded_sha256(record: ModelFile) -> str | None:
    """Digest that was recorded when the file came into the weights home, or None."""
    return read_ledger().get(ledger_key(record))


def find_weights(name: str) -> Path:
    """Locate a model file, without reading it.

    A file that an installed package carries is taken before one in the weights home.

    Parameters
    ----------
    name : str
        A key of `MODEL_FILES`.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    WeightsError
        If there is none. The message names the file and the folder where it must lie.
    InputError
        If no model file has that name.
    """
    require((name,))
    return path_of(model_file(name))


def missing(names: Iterable[str]) -> tuple[ModelFile, ...]:
    """Those of the named model files that are nowhere, in the order of ``names``; reads none of them."""
    records = [model_file(name) for name in names]
    return tuple(record for record in records if not path_of(record).is_file())


def require(names: Iterable[str]) -> None:
    """Fail at once, and with all their names, if model files are missing; see `find_weights`."""
    absent = missing(names)
    if not absent:
        return
    package = next((record.package for record in absent if record.package == "face_recognition_models"), "")
    names = " ".join(record.name for record in absent)
    mend = f"pip install {package}" if package else f"reid-audit weights fetch {names}"
    instead = "" if package else ", or choose --encoder dlib and --detector dlib, which need no file"
    sources = " and ".join(dict.fromkeys(record.source for record in absent))
    raise WeightsError(
        f"{' and '.join(record.file_name for record in absent)} (model {', '.join(record.name for record in absent)}) "
        f"not found in {weights_home()}: {mend}; without a network, reid-audit weights import FILE with the file "
        f"published at {sources}{instead}"
    )


@lru_cache(maxsize=64)
def _digest(path: Path, size_bytes: int, mtime_ns: int) -> str:
    # Size and time are there for the cache: a file that changed is read again.
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, computed once per (path, size, time of change) and process.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    try:
        state = path.stat()
        return _digest(path.resolve(), state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error


def verify(name: str) -> str:
    """Check a model file against its record.

    Parameters
    ----------
    name : str
        A key of `MODEL_FILES`.

    Returns
    -------
    str
        Its SHA-256. A file that is neither pinned nor recorded passes with whatever digest it has, unless it is empty.

    Raises
    ------
    WeightsError
        If the file is missing, empty, or differs from its pinned size or its pinned or recorded digest.
    """
    record, path = model_file(name), find_weights(name)
    return check_file(record, path, replace=f"replace it: reid-audit weights fetch {name} --replace")


def check_file(record: ModelFile, path: Path, *, replace: str, recorded: bool = True) -> str:
    """Check any file against a record; see `verify`.

    Parameters
    ----------
    record : ModelFile
    path : Path
    replace : str
        What to do if it is not the right one, for the message.
    recorded : bool
        Whether a recorded digest counts.
    """
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{record.file_name} cannot be read: {error.strerror or type(error).__name__}") from error

    def wrong(what: str) -> WeightsError:
        return WeightsError(f"{record.file_name} of {record.name} {what}: {replace} (published at {record.source})")

    if size_bytes == 0:
        raise wrong("is empty")
    if record.size_bytes is not None and size_bytes != record.size_bytes:
        raise wrong(f"has {size_bytes} bytes instead of {record.size_bytes}")
    digest = sha256_of(path)
    if record.sha256 is not None and digest != record.sha256:
        raise wrong(f"is not the pinned file (SHA-256 {digest} instead of {record.sha256})")
    known = recorded_sha256(record) if recorded and record.sha256 is None else None
    if known is not None and digest != known:
        raise wrong(f"is not the file that was recorded (SHA-256 {digest} instead of {known})")
    return digest
