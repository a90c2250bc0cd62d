"""Runs of defacers on a dataset (time, memory, status): written and read back."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reid_audit.records import DefaceRun, read_json, to_json, write_private

DEFACING_FILE = "defacing.json"


@dataclass(frozen=True, slots=True)
class _Defacing:
    """The file."""

    runs: tuple[DefaceRun, ...]
    schema_version: int = 1


def write_defacing(runs: Iterable[DefaceRun], path: Path) -> None:
    """Write the runs as JSON. An existing file is replaced; InputError where it cannot be written."""
    write_private(path, to_json(_Defacing(tuple(runs))))


def read_defacing(path: Path) -> tuple[DefaceRun, ...]:
    """Read what `write_defacing` wrote, equal to it. InputError where it is no such file, or of another schema."""
    return read_json(path, _Defacing, made_by="reid-audit deface").runs
