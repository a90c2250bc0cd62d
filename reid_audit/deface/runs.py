"""What the defacers took on a dataset: written and read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from reid_audit.records import DefaceRun, InputError

DEFACING_FILE = "defacing.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Defacing:
    """The file."""

    schema_version: int
    runs: tuple[DefaceRun, ...]


def write_defacing(runs: Iterable[DefaceRun], path: Path) -> None:
    """Write the runs as JSON. An existing file is replaced.

    Raises
    ------
    InputError
        Where the file cannot be written.
    """
    content = TypeAdapter(_Defacing).dump_json(_Defacing(SCHEMA_VERSION, tuple(runs)), indent=2)
    try:
        path.write_bytes(content + b"\n")
    except OSError as error:
        raise InputError(f"{path.name}: cannot be written ({error.strerror}); check its folder") from error


def read_defacing(path: Path) -> tuple[DefaceRun, ...]:
    """Read what `write_defacing` wrote, equal to it.

    Raises
    ------
    InputError
        Where there is no such file, or it is not of this kind or of another schema.
    """
    try:
        held = TypeAdapter(_Defacing).validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror}); `reid-audit deface` writes it") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path.name}: is not a list of defacer runs ({where}: {first['msg']})") from error
    if held.schema_version != SCHEMA_VERSION:
        raise InputError(f"{path.name}: has schema {held.schema_version}, this version reads {SCHEMA_VERSION}")
    return held.runs
