"""Names of structures: how they are compared, and what the values of a label map are called."""

import csv
import re
from pathlib import Path

from reid_audit.records import InputError


def plain_name(name: str) -> str:
    """Spell a name as it is compared: small letters, everything but letters and digits a single underscore.

    >>> plain_name(" Parotid-R "), plain_name("EYE_L")
    ('parotid_r', 'eye_l')
    """
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def read_label_names(path: Path) -> dict[int, str]:
    """Read the names of label values from a CSV or TSV table.

    Parameters
    ----------
    path : Path
        Columns ``index`` (or ``value``, ``label``) and ``name``, as in a BIDS ``dseg.tsv``. Several values may share a
        name: they are one structure. The background, 0, is none.

    Raises
    ------
    InputError
        The table is absent, lacks a column, or a value is not a whole number or occurs twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read; give a table with the columns index and name") from error
    lines = [line for line in text.splitlines() if line.strip()]
    separator = max("\t,;", key=lines[0].count) if lines else ","
    rows = list(csv.DictReader(lines, delimiter=separator))
    columns = {column.strip().lower(): column for column in (rows[0] if rows else ())}
    key = next((columns[c] for c in ("index", "value", "label") if c in columns), None)
    if key is None or "name" not in columns:
        raise InputError(f"{path.name}: must have the columns index and name, and one line per label value")
    names: dict[int, str] = {}
    for row in rows:
        cell, name = (row[key] or "").strip(), (row[columns["name"]] or "").strip()
        if not cell.isdecimal() or not name:
            raise InputError(f"{path.name}: each line needs a whole number and a name; got {cell!r}, {name!r}")
        if int(cell) in names:
            raise InputError(f"{path.name}: value {cell} occurs twice; keep one line of each")
        if int(cell) != 0:
            names[int(cell)] = name
    return names


def read_label_values(path: Path) -> dict[str, int]:
    """Read the value of each name from a table as `read_label_names` takes it.

    Raises
    ------
    InputError
        As `read_label_names`, and where two values share a name: a defacer would spare the brain by half.
    """
    values: dict[str, int] = {}
    for value, name in read_label_names(path).items():
        if name in values:
            raise InputError(f"{path.name}: values {values[name]} and {value} share the name {name!r}; name each apart")
        values[name] = value
    return values
