"""Score files as bob.measure and bob.bio.base read them, for whoever has biometric tools of their own.

Four columns, separated by one space: claimed identity, real identity, probe, score. Five columns have the reference's
label after the claimed identity. A comparison is of one person where the two identities are equal. A score is
``-distance``: larger = more alike, as these tools expect. ``nan`` = the probe or the reference was not acquired.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from reid_audit.records import IMAGE_COLUMNS, ORIGINAL, Group, ScoreTable, write_private

if TYPE_CHECKING:
    import pandas as pd

_FILES = {
    "originals": (Group.SAME, Group.DIFFERENT),
    "defaced": (Group.DEFACED_SAME, Group.DEFACED_DIFFERENT),
    "same_scan": (Group.DEFACED_SAME_SCAN,),
    "both_defaced": (Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT),
}
_OWN = (Group.SAME.value, Group.DEFACED_SAME.value, Group.DEFACED_SAME_SCAN.value, Group.DEFACED_DEFACED_SAME.value)


def _token(label: object) -> str:
    """Return a label as one word: other characters than letters, digits and ``._-`` as %XX, so no two become one."""
    return (
        "".join(
            c
            if c.isascii() and (c.isalnum() or c in "._-")
            else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogatepass"))
            for c in str(label)
        )
        or "%"
    )


def _lines(part: pd.DataFrame, columns: int) -> Iterator[str]:
    condition, group = _token(part["condition"].iloc[0]), part["group"].astype(str)
    both_defaced = group.str.startswith("defaced_defaced").to_numpy()
    own = group.isin(_OWN).to_numpy()
    sides = ("probe_subject", "reference_subject", "probe_session", "reference_session")
    labels = [part[side].astype(object).map(_token, na_action="ignore").to_numpy() for side in sides]
    for place, column in enumerate(IMAGE_COLUMNS, start=2):
        if column in part:  # a session that holds several images is no model: each image is
            labels[place] = labels[place] + "-" + part[column].astype(object).map(_token).to_numpy()
    for row, distance in enumerate(part["distance"].to_numpy(float)):
        real, claimed, probe_session, reference_session = (column[row] for column in labels)
        nobody = f"%unnamed{row}"  # the table names nobody: only the group tells whether two are one
        real = real if isinstance(real, str) else nobody
        claimed = claimed if isinstance(claimed, str) else nobody if own[row] else f"{nobody}b"
        words = [claimed, real, f"{real}/{probe_session}/{condition}"]
        if columns == 5:
            words.insert(1, f"{claimed}/{reference_session}/{condition if both_defaced[row] else ORIGINAL}")
        yield " ".join([*words, f"{0.0 - distance:.17g}" if distance == distance else "nan"])


def _free(stem: str, taken: Container[str]) -> str:
    """Return a file name that no other file has and that every file system takes."""
    names = (f"{stem[:200]}{again}.scores" for again in chain([""], (f"-{n}" for n in count(2))))
    return next(name for name in names if name not in taken)


def format_bob(scores: ScoreTable, *, columns: int = 4) -> dict[str, str]:
    """Write every comparison as score files, one per kind of comparison, encoder, defacer and attacker.

    Parameters
    ----------
    scores : ScoreTable
    columns : int
        4 or 5.

    Returns
    -------
    dict of str to str
        File name to text. Files of original scans are ``originals-ATTACK.scores``.

    Raises
    ------
    ValueError
        Where ``columns`` is neither 4 nor 5.
    """
    if columns not in (4, 5):
        raise ValueError(f"score files have 4 or 5 columns; got {columns}")
    frame = scores.frame
    several = ["encoder"] if frame["encoder"].nunique() > 1 else []  # their distances are never pooled
    keys = [*several, "condition", "attack"]
    files: dict[str, str] = {}
    for name, groups in _FILES.items():
        rows = frame[frame["group"].isin([group.value for group in groups])]
        for key, part in rows.groupby(keys, observed=True, sort=True):
            words = [_token(str(word)) for word in key]
            if name == "originals":
                words.pop(-2)
            files[_free("-".join([name, *words]), files)] = "\n".join([*_lines(part, columns), ""])
    return files


def write_bob(scores: ScoreTable, folder: Path, *, columns: int = 4) -> list[Path]:
    """Write `format_bob` into a folder that is there, each file for its owner alone."""
    written = []
    for name, text in format_bob(scores, columns=columns).items():
        write_private(folder / name, text)
        written.append(folder / name)
    return written
