"""Score files as bob.measure and bob.bio.base read them, for whoever has biometric tools of their own.

Four columns, separated by one space: claimed identity, real identity, probe, score. Five columns have the reference's
label after the claimed identity. A comparison is of one person where the two identities are equal. A score is
``-distance``: larger = more alike, as these tools expect. ``nan`` = the probe or the reference was not acquired.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reid_audit.records import ORIGINAL, Group, ScoreTable, write_private

if TYPE_CHECKING:
    import pandas as pd

_FILES = {
    "originals": (Group.SAME, Group.DIFFERENT),
    "defaced": (Group.DEFACED_SAME, Group.DEFACED_DIFFERENT),
    "same_scan": (Group.DEFACED_SAME_SCAN,),
    "both_defaced": (Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT),
}
_OWN = (Group.SAME.value, Group.DEFACED_SAME.value, Group.DEFACED_SAME_SCAN.value, Group.DEFACED_DEFACED_SAME.value)


def _token(label: str) -> str:
    """Return a label as one word: other characters than letters, digits and ``._-`` as %XX, so no two become one."""
    kept = (
        c if c.isascii() and (c.isalnum() or c in "._-") else "".join(f"%{b:02X}" for b in _bytes(c)) for c in label
    )
    return "".join(kept) or "%"


def _bytes(character: str) -> bytes:
    return character.encode("utf-8", "surrogatepass")


def _lines(part: pd.DataFrame, columns: int) -> Iterator[str]:
    own = part["group"].astype(str).isin(_OWN).to_numpy()
    sides: list[list[str | None]] = []
    for side in ("probe", "reference"):
        names = part[f"{side}_subject"].astype(object)
        tokens = {label: _token(str(label)) for label in names.dropna().unique()}
        sides.append([tokens.get(label) for label in names])
    probe_condition = [_token(str(c)) for c in part["condition"]]
    both = part["group"].astype(str).str.startswith("defaced_defaced").to_numpy()
    probe_session = [_token(str(s)) for s in part["probe_session"]]
    reference_session = [_token(str(s)) for s in part["reference_session"]]
    for row, distance in enumerate(part["distance"].to_numpy(float)):
        nobody = f"%unnamed{row}"  # the table names nobody: only the group tells whether two are one
        real = sides[0][row] or nobody
        claimed = sides[1][row] or (nobody if own[row] else f"{nobody}b")
        condition = probe_condition[row]
        words = [claimed, real, f"{real}/{probe_session[row]}/{condition}"]
        if columns == 5:
            words.insert(1, f"{claimed}/{reference_session[row]}/{condition if both[row] else ORIGINAL}")
        yield " ".join([*words, f"{0.0 - distance:.17g}" if distance == distance else "nan"])


def _free(stem: str, taken: Container[str]) -> str:
    """Return a file name that no other file has and that every file system takes."""
    short, again = stem[:200], 1
    name = f"{short}.scores"
    while name in taken:
        again += 1
        name = f"{short}-{again}.scores"
    return name


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
