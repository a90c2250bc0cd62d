"""What the defacers took on a dataset: written, read back, and summed up per tool."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter, ValidationError

from reid_audit.records import DefaceRun, DefaceStatus, InputError

DEFACING_FILE = "defacing.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Defacing:
    """The file."""

    schema_version: int
    runs: tuple[DefaceRun, ...]


@dataclass(frozen=True, slots=True)
class DefacingSummary:
    """The runs of one defacer.

    Attributes
    ----------
    condition, version : str
        The version is ``""`` where it is not known, and several are joined by commas.
    runs, ok : int
    failures : tuple of (DefaceStatus, int)
        How often each other status occurred; those that did not are left out.
    median_seconds : float
        Over the runs that were timed, failed ones too; NaN where none was.
    peak_memory_mb : float
        The largest; NaN where none was measured.
    """

    condition: str
    version: str
    runs: int
    ok: int
    failures: tuple[tuple[DefaceStatus, int], ...]
    median_seconds: float
    peak_memory_mb: float


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


def summarise_defacing(runs: Iterable[DefaceRun]) -> tuple[DefacingSummary, ...]:
    """Sum up the runs per defacer, in the order in which the defacers first occur. Empty for no runs."""
    by_condition: dict[str, list[DefaceRun]] = {}
    for run in runs:
        by_condition.setdefault(run.condition, []).append(run)
    return tuple(_sum_up(condition, rows) for condition, rows in by_condition.items())


def _sum_up(condition: str, rows: list[DefaceRun]) -> DefacingSummary:
    counts = {status: sum(row.status is status for row in rows) for status in DefaceStatus}
    ok = counts.pop(DefaceStatus.OK)
    seconds = [row.seconds for row in rows if row.seconds == row.seconds]
    peaks = [row.peak_memory_mb for row in rows if row.peak_memory_mb == row.peak_memory_mb]
    return DefacingSummary(
        condition=condition,
        version=", ".join(dict.fromkeys(row.version for row in rows if row.version)),
        runs=len(rows),
        ok=ok,
        failures=tuple((status, count) for status, count in counts.items() if count),
        median_seconds=median(seconds) if seconds else float("nan"),
        peak_memory_mb=max(peaks, default=float("nan")),
    )
