"""Model files in the weights home: list, verify and import them.

See `reid_audit.weights` for the words.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from reid_audit.records import InputError, WeightsError, write_private
from reid_audit.weights import local
from reid_audit.weights.catalogue import MODEL_FILES, ModelFile


class State(StrEnum):
    """What is in the place of a model file."""

    PRESENT = "present"
    ABSENT = "absent"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A model file as it is found.

    Attributes
    ----------
    name, file_name, licence, source : str
        As in `reid_audit.weights.ModelFile`.
    state : State
        ``wrong`` = there, but empty, or of another size or digest than it should have.
    path : Path or None
        None where it is absent.
    size_bytes : int or None
        As found; as published where it is absent and that is known.
    sha256 : str or None
        As pinned or recorded; None where the file is neither.
    pinned : bool
        Whether ``sha256`` was published, and not merely recorded.
    reason : str
        What is wrong and how to mend it; empty otherwise.
    """

    name: str
    file_name: str
    licence: str
    source: str
    state: State
    path: Path | None
    size_bytes: int | None
    sha256: str | None
    pinned: bool
    reason: str = ""


def _state(record: ModelFile, *, read: bool) -> WeightsFile:
    path = local.path_of(record)
    file = WeightsFile(
        name=record.name,
        file_name=record.file_name,
        licence=record.licence,
        source=record.source,
        state=State.ABSENT,
        path=None,
        size_bytes=record.size_bytes,
        sha256=record.sha256 or local.recorded_sha256(record),
        pinned=record.sha256 is not None,
    )
    if not path.is_file():
        return file
    file = replace(file, state=State.PRESENT, path=path, size_bytes=path.stat().st_size)
    try:
        if read:
            local.verify(record.name)
        elif file.size_bytes == 0 or (record.size_bytes or file.size_bytes) != file.size_bytes:
            local.verify(record.name)  # fails before it reads the file, with the reason
    except WeightsError as error:
        return replace(file, state=State.WRONG, reason=str(error))
    return file


def list_weights() -> tuple[WeightsFile, ...]:
    """Every model file of `MODEL_FILES`, in its order. Only sizes are looked at; `verify_weights` reads the contents.

    Raises
    ------
    WeightsError
        If the recorded digests cannot be read.
    """
    return tuple(_state(record, read=False) for record in MODEL_FILES.values())


def verify_weights(names: Iterable[str] | None = None, *, record: bool = True) -> tuple[WeightsFile, ...]:
    """Read model files and compare their digests.

    Parameters
    ----------
    names : iterable of str, optional
        Keys of `MODEL_FILES`; all files if left out.
    record : bool
        Write down the digests of files that are neither pinned nor recorded, so that any later change is noticed.

    Returns
    -------
    tuple of WeightsFile
        One per name. A file that is absent is no error.

    Raises
    ------
    InputError
        If no model file has one of the names.
    WeightsError
        If the recorded digests cannot be read or written.
    """
    known = [local.model_file(name) for name in names] if names is not None else list(MODEL_FILES.values())
    files = []
    for model in known:
        now = _state(model, read=True)
        if record and now.state is State.PRESENT and now.sha256 is None and now.path is not None:
            write_digest(model, local.sha256_of(now.path))
            now = _state(model, read=True)
        files.append(now)
    return tuple(files)


# --- putting files in ---


def write_digest(record: ModelFile, sha256: str) -> None:
    """Record the digest of a file that is not pinned.

    Raises
    ------
    WeightsError
        If the record cannot be written.
    """
    if record.sha256 is not None:
        return
    ledger = {**local.read_ledger(), local.ledger_key(record): sha256}
    text = json.dumps(dict(sorted(ledger.items())), indent=2) + "\n"
    try:
        ledger_path = local.weights_home() / local.LEDGER
        ledger_path.parent.mkdir(parents=True, exist_ok=True)
        write_private(ledger_path, text)
    except (OSError, InputError) as error:
        raise WeightsError(f"{local.LEDGER} cannot be written: {error}") from error


def install(record: ModelFile, partial: Path, *, override: bool, mend: str) -> Path:
    """Check a complete file beside its place, record its digest and give it its name. Removes it where it is wrong.

    Parameters
    ----------
    record : ModelFile
    partial : Path
        The complete file, in the folder of its place.
    override : bool
        Take a file whose digest differs from the recorded one.
    mend : str
        What to do where it is wrong, for the message.
    """
    try:
        sha256 = local.check_file(record, partial, replace=mend, recorded=not override)
        final = local.home_path(record)
        os.replace(partial, final)
    except WeightsError:
        partial.unlink(missing_ok=True)
        raise
    write_digest(record, sha256)
    return final


def _by_file_name(file_name: str) -> ModelFile | None:
    return next((record for record in MODEL_FILES.values() if record.file_name == file_name), None)


def _copy(source: Path, target: Path) -> Path:
    """Copy next to the target, under a passing name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out, source.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1 << 20)
        shutil.copymode(source, partial)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return Path(partial)


def _import_file(path: Path, *, override: bool) -> Path:
    record = _by_file_name(path.name)
    target = local.home_path(record) if record else local.weights_home() / path.name
    try:
        if target.exists() and target.samefile(path):
            raise InputError(f"{path.name} is already in the weights home: reid-audit weights verify checks it")
        if record is None and target.exists() and not override:
            same = local.sha256_of(target) == local.sha256_of(path)
            if not same:
                raise InputError(f"another {path.name} is in the weights home: --replace puts this one in its place")
        partial = _copy(path, target)
        if record is None:
            os.replace(partial, target)
            return target
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be imported: {error.strerror or type(error).__name__}") from error
    try:
        return install(record, partial, override=override, mend="import the right one")
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be imported: {error.strerror or type(error).__name__}") from error


def import_weights(path: Path, *, override: bool = False) -> tuple[Path, ...]:
    """Copy model files into the weights home: for machines without a network.

    Parameters
    ----------
    path : Path
        A model file, recognised by its name; or a folder, from which (and from whose folders) every file that
        `MODEL_FILES` knows is taken. A file with the ending ``.onnx`` that is not known is taken as well when it is
        named itself, with the TOML file beside it: ``--encoder onnx:NAME`` finds it.
    override : bool
        Take a file whose digest differs from the recorded one, and record the new one. A pinned file is never taken
        with another digest.

    Returns
    -------
    tuple of Path
        The files in the weights home. Each appeared there whole or not at all.

    Raises
    ------
    InputError
        If there is nothing to import at that path.
    WeightsError
        If a file differs from its pinned or recorded digest, or cannot be copied.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and _by_file_name(file.name))
        if not files:
            raise InputError(f"{path.name} holds no model file; known are the file names of reid-audit weights list")
    elif not path.is_file():
        raise InputError(f"{path.name} is no file and no folder")
    elif _by_file_name(path.name):
        files = [path]
    elif path.suffix.lower() == ".onnx":
        beside = (path.with_name(path.name + ".toml"), path.with_suffix(".toml"))
        files = [path, *(file for file in beside if file.is_file())]
    else:
        raise InputError(f"{path.name} is no known model file (reid-audit weights list) and no .onnx file")
    return tuple(_import_file(file, override=override) for file in files)
