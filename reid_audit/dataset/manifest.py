"""The manifest: a table of scans, read with every doubt named, and written."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reid_audit.dataset.cohort import Cohort, check_unlike
from reid_audit.records import (
    ORIGINAL,
    InputError,
    Modality,
    ScanRef,
    listed,
    looks_rounded,
    natural_key,
    read_cells,
    write_private,
)

if TYPE_CHECKING:
    import pandas as pd

_REQUIRED = ("subject", "session", "condition", "path")
_KNOWN = (*_REQUIRED, "modality", "series", "image")
_LABELS = ("subject", "session", "condition", "image")
_HEADER_HINT = "the first line should read: subject,session,condition,path"


def _read_table(path: Path) -> tuple[pd.DataFrame, list[int]]:
    """Read the cells as stripped text, and the line number of each row."""
    if not path.is_file():
        raise InputError(f"{path.name}: there is no such manifest; give a CSV or TSV file")
    return read_cells(path, known=_KNOWN, hint=_HEADER_HINT)


def _check_columns(name: str, table: pd.DataFrame) -> None:
    columns = list(table.columns)
    missing = [column for column in _REQUIRED if column not in columns]
    if missing:
        raise InputError(
            f"{name}: lacks the column {listed(missing)}; found {listed(columns, most=10)}; {_HEADER_HINT}"
        )
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise InputError(f"{name}: column {listed(repr(c) for c in repeated)} occurs twice; give each column one name")
    if "" in columns:
        raise InputError(f"{name}: column {columns.index('') + 1} has no name; name or remove it")
    if table.empty:
        raise InputError(f"{name}: holds no scan, only a header; add one line per scan")


def _check_cells(name: str, table: pd.DataFrame, lines: list[int]) -> None:
    """Check every cell that names a scan; what a later room could mistake for something else is refused."""
    for column in _REQUIRED:
        empty = [str(line) for line, cell in zip(lines, table[column], strict=True) if not cell]
        if empty:
            raise InputError(f"{name}: the cell of {column} is empty in line {listed(empty)}; fill it in")
    for column in (column for column in _LABELS if column in table):
        for line, cell in zip(lines, table[column], strict=True):
            if "/" in cell or "\\" in cell or not cell.isprintable():
                raise InputError(f"{name}, line {line}: {column} {cell!r} must not hold slashes or control characters")
            if looks_rounded(cell):
                raise InputError(
                    f"{name}, line {line}: {column} {cell!r} is a number that a spreadsheet rounded, so that two may "
                    "have become one; write it as text"
                )
    conditions = sorted(set(table["condition"]))
    alike = [c for c in conditions if c != ORIGINAL and c.lower() == ORIGINAL]
    if alike:
        raise InputError(f"{name}: condition {alike[0]!r} must be spelled {ORIGINAL!r}")
    if ORIGINAL not in conditions:
        known = listed(conditions)
        raise InputError(f"{name}: no scan has the condition {ORIGINAL!r} (found {known}); originals are the control")
    for line, cell in zip(lines, table.get("modality", [""] * len(lines)), strict=True):
        if cell and cell.upper() not in set(Modality):
            raise InputError(f"{name}, line {line}: modality {cell!r} must be CT, MR or PT (PET), or empty")


def _check_unique(name: str, what: str, keys: Sequence[str], lines: list[int]) -> None:
    seen: dict[str, list[int]] = {}
    for line, key in zip(lines, keys, strict=True):
        seen.setdefault(key, []).append(line)
    twice = [f"{key} in lines {listed(map(str, where))}" for key, where in seen.items() if len(where) > 1]
    if twice:
        raise InputError(f"{name}: {what} occurs twice: {listed(twice, most=3)}; keep one line of each")


def _spell_as_on_disk(folder: Path, cell: str) -> str:
    """Spell a path as the file is called: with another form of its accents, or with the slashes of Windows."""
    spellings = [cell, *(unicodedata.normalize(form, cell) for form in ("NFC", "NFD")), cell.replace("\\", "/")]
    return next((each for each in spellings if os.path.exists(folder / each)), cell)


def _place(name: str, line: int, folder: Path, cell: str, allow_outside: bool) -> str:
    """Give the path of a cell in its shortest form, relative to the manifest unless it may lie outside."""
    path = os.path.normpath(_spell_as_on_disk(folder, cell))
    if not allow_outside and (os.path.isabs(path) or Path(path).parts[:1] == ("..",)):
        raise InputError(
            f"{name}, line {line}: the path leads out of the manifest's folder; "
            "move the scan or the manifest, or allow it: --allow-outside, in Python allow_outside=True"
        )
    return path


def _gather_strata(name: str, table: pd.DataFrame) -> pd.DataFrame:
    columns = [column for column in table.columns if column not in _KNOWN]
    for column in columns:
        given = table[table[column] != ""].groupby("subject")[column].unique()
        unlike = given[given.map(len) > 1]
        if len(unlike):
            who = min(unlike.index, key=natural_key)
            values = listed(repr(str(value)) for value in unlike[who])
            raise InputError(f"{name}: {column} of subject {who} differs between lines ({values}); give one value")
    # The largest text of a subject is its only one, or "" where nothing was given.
    strata = table.groupby("subject")[columns].max() if columns else table[["subject"]].groupby("subject").first()
    return strata.loc[sorted(strata.index, key=natural_key)]


def read_manifest(path: Path, *, allow_outside: bool = False) -> Cohort:
    """Read a table of scans. Whether the scans exist is not asked: see `Cohort.find_absent_files`.

    Parameters
    ----------
    path : Path
        CSV or TSV as `reid_audit.records.read_cells` takes it. Columns: see the module docstring. Space around a cell
        is dropped, and accents are composed (NFC). ``image`` names the images of a session where it has several; a
        defaced scan is compared with the original of the same image as the scan that it was made from.
    allow_outside : bool
        Whether a scan may lie outside the manifest's folder (an absolute path, or one that starts with ``..``).

    Returns
    -------
    Cohort
        Each path joined to the manifest's folder.

    Raises
    ------
    InputError
        The manifest is absent, unreadable or empty; a column or cell is missing; a subject, session, image and
        condition or a path occurs twice; two labels read alike (see `check_unlike`), or a spreadsheet rounded one;
        nothing is ``"original"``; a modality is unknown; a path leads outside; or a stratum differs within a subject.
        One subject only, or no second visit, is no error here: see `Cohort.pair_accounting`.
    """
    path = Path(path)
    name = path.name
    table, lines = _read_table(path)
    _check_columns(name, table)
    labels = [column for column in _LABELS if column in table]
    for column in labels:
        table[column] = [unicodedata.normalize("NFC", cell) for cell in table[column]]
    _check_cells(name, table, lines)
    for column in labels:
        check_unlike(name, column, table[column])
    _check_unique(name, "a scan", ["/".join(row) for row in table[labels].to_numpy()], lines)
    cells = zip(lines, table["path"], strict=True)
    places = [_place(name, line, path.parent, cell, allow_outside) for line, cell in cells]
    series = [str(cell) for cell in table.get("series", [""] * len(lines))]
    files = [f"{place}, series {uid}" if uid else place for place, uid in zip(places, series, strict=True)]
    _check_unique(name, "a path", files, lines)
    modalities = [Modality(cell.upper()) if cell else None for cell in table.get("modality", [""] * len(lines))]
    images = [str(cell) for cell in table.get("image", [""] * len(lines))]
    scans = tuple(
        ScanRef(str(row.subject), str(row.session), str(row.condition), path.parent / place, modality, uid, image)
        for row, place, modality, uid, image in zip(table.itertuples(), places, modalities, series, images, strict=True)
    )
    return Cohort(scans, _gather_strata(name, table), name)


def _cell_of(place: Path, folder: Path) -> str:
    """Write a path for a cell, whose outer space `read_manifest` drops."""
    place = place.absolute()
    text = (place.relative_to(folder) if place.is_relative_to(folder) else place).as_posix()
    return text if text == text.strip() else f"./{text}/" if not text.startswith("/") else f"{text}/"


def write_manifest(path: Path, scans: Iterable[ScanRef], strata: pd.DataFrame | None = None) -> None:
    """Write a manifest that `read_manifest` reads back: TSV where the ending is ``.tsv``, else CSV.

    Only its owner may read it (mode 0600): its paths may tell whose scans they are.

    Parameters
    ----------
    path : Path
        Scans inside its folder are written relative to it, others with their absolute path.
    scans : iterable of ScanRef
    strata : pandas.DataFrame, optional
        Indexed by subject, as `Cohort.strata`. Subjects that it lacks get empty cells.

    Raises
    ------
    InputError
        Where a stratum has the name of a manifest column, or the file cannot be written.
    """
    import pandas as pd

    path = Path(path)
    folder = path.parent.absolute()
    rows = [
        (
            *(scan.subject, scan.session, scan.condition, _cell_of(scan.path, folder)),
            *(str(scan.modality or ""), scan.series, scan.image),
        )
        for scan in scans
    ]
    table = pd.DataFrame(rows, columns=list(_KNOWN), dtype=str)
    table = table.drop(columns=[column for column in _KNOWN[len(_REQUIRED) :] if not (table[column] != "").any()])
    if strata is not None:
        clash = sorted(set(map(str, strata.columns)) & set(_KNOWN))
        if clash:
            raise InputError(f"{path.name}: stratum {listed(clash)} has the name of a manifest column; rename it")
        table = table.join(strata.astype(str), on="subject").fillna("")
    # A lone carriage return ends a line for pandas, but is not quoted by it.
    quoting = csv.QUOTE_ALL if table["path"].str.contains("\r", regex=False).any() else csv.QUOTE_MINIMAL
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        write_private(path, table.to_csv(index=False, sep=separator, lineterminator="\n", quoting=quoting))
    except UnicodeEncodeError as error:
        raise InputError(f"{path.name}: the name of a scan is not UTF-8 text; rename it") from error
