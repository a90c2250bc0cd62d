"""Tables that people write by hand or with a spreadsheet: their cells as text, whatever program saved them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reid_audit.records.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # what some spreadsheets write first
_NOT_TEXT = "cannot be read as a table, is not UTF-8 text; save it as CSV UTF-8"
_SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d+)?E\+\d+")  # 100000 after a spreadsheet has rounded it


def format_csv(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a table as CSV text, lines ended as on Linux."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def _read_text(path: Path) -> str:
    name = path.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read as a table: {error.strerror}") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") and not len(content) % 2 else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: {_NOT_TEXT}") from error
    if encoding == "utf-16" and "\n" not in text:
        raise InputError(f"{name}: {_NOT_TEXT}")
    if "\0" in text:
        raise InputError(f"{name}: is not a text table; save it as CSV UTF-8")
    return text


def read_cells(path: Path, *, known: Collection[str], hint: str) -> tuple[pd.DataFrame, list[int]]:
    """Read a table with a header as text, and the line number of each row.

    Parameters
    ----------
    path : Path
        CSV or TSV in UTF-8 or UTF-16, with or without a byte-order mark or a first line ``sep=;``; comma, semicolon or
        tab. Blank lines are left out.
    known : collection of str
        Names of columns that are written in small letters here, however the table writes them.
    hint : str
        What the header should be, for the message of an empty table.

    Raises
    ------
    InputError
        The file cannot be read, is empty, or is no table.
    """
    import pandas as pd

    name, text = path.name, _read_text(path)
    stated = _SEPARATOR_LINE.match(text)
    body = text[stated.end() :] if stated else text
    header = next((line for line in body.splitlines() if line.strip()), "")
    if not header:
        raise InputError(f"{name} cannot be read as a table: is empty; {hint}")
    tab_first = "\t,;" if path.suffix.lower() == ".tsv" else ",;\t"
    separator = stated[1] if stated else max(tab_first, key=header.count)  # the first of equals
    try:
        cells = pd.read_csv(
            io.StringIO(body), sep=separator, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False
        )
    except (pd.errors.ParserError, csv.Error) as error:
        raise InputError(
            f"{name}: is not a table ({str(error).splitlines()[0]}); quote cells that hold a comma"
        ) from error
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    filled = cells[(cells != "").any(axis=1)]
    labels = [str(label) for label in filled.iloc[0]]
    labels = [label.lower() if label.lower() in known else label for label in labels]
    rows = filled.iloc[1:].set_axis(labels, axis=1)
    return rows.reset_index(drop=True), [int(i) + 1 + bool(stated) for i in filled.index[1:]]


def looks_rounded(label: str) -> bool:
    """Whether a spreadsheet has made a number with an exponent of a label: others may have become the same."""
    return bool(_SCIENTIFIC.fullmatch(label))
