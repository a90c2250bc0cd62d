"""Names of structures: of label values, under other spellings, and missing from one of two sets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from reid_audit.records import Finding, InputError
from reid_audit.utility.structures import Structure, StructureSet


def read_label_names(path: Path) -> dict[int, str]:
    """Read the names of label values from a CSV or TSV table.

    Parameters
    ----------
    path : Path
        Columns ``index`` (or ``value``, ``label``) and ``name``, as in a BIDS ``dseg.tsv``. Several values may share a
        name: they are one structure.

    Raises
    ------
    InputError
        The table is absent, lacks a column, or a value is not a whole number or occurs twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read as a table of label names; give --names FILE") from error
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
        if int(cell) != 0:  # the background is no structure
            names[int(cell)] = name
    return names


def plain_name(name: str) -> str:
    """Spell a name as it is compared: small letters and single underscores, ``"Parotid-R "`` = ``"parotid_r"``."""
    return re.sub(r"[^0-9a-z]+", "_", name.casefold()).strip("_")


def rename_structures(found: StructureSet, aliases: Mapping[str, str]) -> StructureSet:
    """Give structures other names: ``aliases`` maps a name in the file to the name to use, compared by `plain_name`.

    Raises
    ------
    InputError
        Two structures would have one name.
    """
    wanted = {plain_name(old): new for old, new in aliases.items()}

    def renamed(names: Iterable[str]) -> Iterator[tuple[str, str]]:
        return ((name, wanted.get(plain_name(name), name)) for name in names)

    structures: dict[str, Structure] = {}
    spelled: set[str] = set()
    for old, new in renamed(found.structures):
        if plain_name(new) in spelled:
            raise InputError(f"{found.source}: two structures are called {new!r}; rename one of them")
        spelled.add(plain_name(new))
        structures[new] = replace(found.structures[old], name=new)
    return replace(found, structures=structures, empty=tuple(new for _, new in renamed(found.empty)))


def pair_names(before: StructureSet, after: StructureSet | None) -> tuple[list[tuple[str, str | None]], list[Finding]]:
    """Pair the names of two sets, whatever their spelling, and note those that only one of them has.

    Returns
    -------
    pairs : list of (str, str or None)
        Name before and name after; names that are only after stand with themselves. None = no set after.
    findings : list of Finding
        ``"missing_after"``, ``"missing_before"``, ``"spelled_otherwise"``.
    """
    import difflib

    if after is None:
        return [(name, None) for name in before.names], []
    spelled = {plain_name(name): name for name in after.names}
    pairs: list[tuple[str, str | None]] = []
    findings, lacking = [], []
    for name in before.names:
        other = spelled.pop(plain_name(name), None)
        pairs.append((name, name if other is None else other))
        if other is None:
            lacking.append(name)
        elif other != name:
            findings.append(Finding("spelled_otherwise", "info", f"{name!r} is spelled {other!r} afterwards"))
    for name in lacking:
        near = difflib.get_close_matches(plain_name(name), list(spelled), n=1, cutoff=0.6)
        hint = f"; is it {spelled[near[0]]!r}? then --alias '{spelled[near[0]]}={name}'" if near else ""
        findings.append(Finding("missing_after", "warning", f"{name!r} is not among the structures afterwards{hint}"))
    for other in spelled.values():
        findings.append(Finding("missing_before", "warning", f"{other!r} is not among the structures before"))
        pairs.append((other, other))
    return pairs, findings
