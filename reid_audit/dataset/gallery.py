"""A gallery: photographs of people, named by the subjects of a cohort."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from reid_audit.dataset.manifest import _place, _read_table
from reid_audit.records import InputError, ScanRef, listed, natural_key

PHOTOGRAPH = "photograph"
"""The condition of a photograph."""

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def _numbered(candidates: Iterable[tuple[str, Path]], known: Collection[str]) -> tuple[ScanRef, ...]:
    """Give each person's photographs the sessions 1, 2, ..., and others a number: a file may bear a real name."""
    count: dict[str, int] = {}
    non_mated: dict[str, str] = {}
    photos = []
    for owner, path in candidates:
        subject = owner if owner in known else non_mated.setdefault(owner, f"other person {len(non_mated) + 1}")
        count[subject] = count.get(subject, 0) + 1
        photos.append(ScanRef(subject, str(count[subject]), PHOTOGRAPH, path))
    return tuple(photos)


def _owner(path: Path, folder: Path, subjects: list[str]) -> str:
    """Tell whose photograph a file is: its folder's name, or the longest label that its own name begins with."""
    inside = path.relative_to(folder).parts
    if len(inside) > 1:
        return inside[0]
    fitting = [s for s in subjects if path.stem == s or (path.stem.startswith(s) and path.stem[len(s)] in "_-. ")]
    return max(fitting, key=len, default=path.stem)


def read_gallery(path: Path, subjects: Iterable[str], *, allow_outside: bool = False) -> tuple[ScanRef, ...]:
    """Read which photographs there are. No pixel is opened.

    Parameters
    ----------
    path : Path
        A folder, with ``p01.jpg`` or ``p01_left.jpg`` or ``p01/left.jpg`` for the subject ``p01``; or a CSV or TSV
        table with the columns ``subject`` and ``path``, paths relative to it.
    subjects : iterable of str
        Of the cohort.
    allow_outside : bool
        Whether a path of the table may lead out of its folder.

    Returns
    -------
    tuple of ScanRef
        Condition ``"photograph"``, the sessions numbered from 1 within each subject. Photographs of nobody in the
        cohort are of subjects of their own, ``"other person 1"`` and so on.

    Raises
    ------
    InputError
        Where there is no such folder or table, the table lacks a column or a cell, or no photograph is of anybody in
        the cohort.
    """
    known = sorted(set(subjects), key=natural_key)
    if path.is_dir():
        files = sorted(
            Path(folder) / name
            for folder, _, names in os.walk(path)
            for name in names
            if Path(name).suffix.lower() in _ENDINGS and not name.startswith(".")
        )
        photos = _numbered(((_owner(file, path, known), file) for file in files), known)
    else:
        table, lines = _read_table(path)
        lacking = [column for column in ("subject", "path") if column not in table]
        if lacking:
            raise InputError(f"{path.name}: a gallery needs the columns subject and path; it lacks {listed(lacking)}")
        rows = list(zip(lines, table["subject"], table["path"], strict=True))
        empty = [str(line) for line, subject, cell in rows if not subject or not cell]
        if empty:
            raise InputError(f"{path.name}: subject or path is empty in line {listed(empty)}; fill it in")
        placed = (
            (s, path.parent / _place(path.name, line, path.parent, cell, allow_outside)) for line, s, cell in rows
        )
        photos = _numbered(placed, known)
    if not {photo.subject for photo in photos} & set(known):
        raise InputError(
            f"--gallery {path.name}: {len(photos)} photographs, none of anybody in the cohort; name each by its "
            f"subject, as {known[0] if known else 'p01'}.jpg, or list them in a CSV with the columns subject and path"
        )
    return photos
