"""A utility result on disk: JSON first; the two tables are views of it."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from reid_audit.records import UtilityValue, prepare_folder, read_json, to_json, write_private
from reid_audit.utility.measures import Measure
from reid_audit.utility.run import Utility

UTILITY_FILE = "utility.json"
VALUES_FILE = "utility.csv"
CASES_FILE = "utility_cases.csv"


def _table(kind: type, rows: Iterable[Any]) -> str:
    import pandas as pd

    names = [field.name for field in fields(kind)]
    table = pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=names)
    return str(table.to_csv(index=False, float_format="%.9g", lineterminator="\n"))


def write_utility(utility: Utility, folder: Path, *, overwrite: bool = False) -> Path:
    """Write ``utility.json``, ``utility.csv`` (a row per value) and ``utility_cases.csv`` (a row per measure).

    Numbers per person are personal: the files are for their owner alone (mode 0600).

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    InputError
        ``folder`` is a file, cannot be made, or holds one and ``overwrite`` is False.
    """
    prepare_folder(folder, UTILITY_FILE, overwrite=overwrite)
    measures: Sequence[Measure] = [m for case in utility.cases for m in case.measures]
    write_private(folder / VALUES_FILE, _table(UtilityValue, utility.values))
    write_private(folder / CASES_FILE, _table(Measure, measures))
    write_private(folder / UTILITY_FILE, to_json(utility))
    return folder / UTILITY_FILE


def read_utility(path: Path) -> Utility:
    """Read what `write_utility` wrote; ``path`` is the JSON file or its folder.

    Raises
    ------
    InputError
        There is no such file, or it is not a result of this version.
    """
    return read_json(path / UTILITY_FILE if path.is_dir() else path, Utility, made_by="reid-audit utility")
