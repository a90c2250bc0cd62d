"""Tables of distances on disk: ours, and those that another laboratory made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import (
    IMAGE_COLUMNS,
    ORIGINAL,
    SCORE_COLUMNS,
    Group,
    InputError,
    ScoreTable,
    natural_key,
    read_cells,
)

if TYPE_CHECKING:
    import pandas as pd


_NAMES = (*SCORE_COLUMNS, *IMAGE_COLUMNS, "cosine_distance", "subject", "index", "sex")
_HINT = "it needs the columns group and distance (or cosine_distance)"
_ROUNDING = 1e-6  # of distances that were computed in single precision


def read_scores(path: Path) -> ScoreTable:
    """Read distances that were made elsewhere.

    Parameters
    ----------
    path : Path
        A table as `reid_audit.records.read_cells` takes it, numbers with a point or a comma. Columns: ``group`` (a
        `Group` value), ``distance`` or ``cosine_distance`` (empty or NaN = not acquired; what lies outside [0, 2] by
        rounding is clipped, with a note); optionally ``condition`` ("original" for same and
        different, else "defaced"), ``attack`` ("naive"), ``encoder`` ("": one that is not named),
        ``probe_subject`` and ``reference_subject`` or, for mated pairs, ``subject``; ``probe_session``,
        ``reference_session`` ("1" and "2"), ``probe_image`` and ``reference_image`` (none).
        Without subject columns an ``index`` names the subject of same and defaced_same rows, together with a ``sex``
        column if there is one; non-mated pairs then stay without names, and no interval can be given for their rates.

    Returns
    -------
    ScoreTable
        Rows in the order of the file.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, names an unknown group, holds a distance that is not a number in
        [0, 2].
    """
    import pandas as pd

    raw, lines = read_cells(path, known=_NAMES, hint=_HINT)
    name = next((c for c in ("distance", "cosine_distance") if c in raw), None)
    if name is None or "group" not in raw:
        raise InputError(f"{path.name} needs the columns group and distance (or cosine_distance); has {list(raw)}")
    raw["group"] = raw["group"].str.lower()
    unknown = sorted(set(raw["group"]) - set(Group))
    if unknown:
        raise InputError(f"{path.name}: unknown group {unknown[0]!r}; use one of {', '.join(Group)}")
    text = raw[name]
    point = text.str.replace(",", ".", regex=False)  # a decimal comma
    distance = pd.to_numeric(point, errors="coerce").to_numpy(np.float64)
    absent = text.str.lower().isin(["", "nan", "na", "null", "none"]).to_numpy()
    rounded = ((distance < 0) & (distance > -_ROUNDING)) | ((distance > 2) & (distance < 2 + _ROUNDING))
    distance = np.where(rounded, np.clip(distance, 0, 2), distance)
    bad = (np.isnan(distance) & ~absent) | (distance < 0) | (distance > 2)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{path.name} row {lines[row]}: distance must be a number in [0, 2]; got {text.iloc[row]!r}")
    notes = (f"{rounded.sum()} distances lay outside [0, 2] by rounding and were clipped.",) if rounded.any() else ()
    return replace(_complete(raw, distance), notes=notes)


_ONE_PERSON = (Group.SAME, Group.DEFACED_SAME, Group.DEFACED_SAME_SCAN, Group.DEFACED_DEFACED_SAME)


def _complete(raw: pd.DataFrame, distance: NDArray[np.float64]) -> ScoreTable:
    """Fill in the columns that a table of scores may leave out."""
    import pandas as pd

    group = raw["group"].to_numpy(object)
    own = np.isin(group, [g.value for g in _ONE_PERSON])
    original = np.isin(group, [Group.SAME.value, Group.DIFFERENT.value])

    def column(label: str, default: object) -> NDArray[np.object_]:
        if label not in raw:
            return np.broadcast_to(np.asarray(default, dtype=object), len(raw)).copy()
        values = raw[label].to_numpy(object)
        return np.where(values == "", np.asarray(default, dtype=object), values)

    def in_order(labels: NDArray[np.object_]) -> pd.Categorical:
        return pd.Categorical(labels, categories=list(dict.fromkeys(labels)))

    person: object = None
    if "subject" in raw:
        person = np.where(own, raw["subject"].to_numpy(object), None)
    elif "index" in raw and "probe_subject" not in raw:
        prefix = raw["sex"].to_numpy(object) if "sex" in raw else ""
        person = np.where(own, prefix + raw["index"].to_numpy(object), None)
    subjects = [column("probe_subject", person), column("reference_subject", person)]
    named = sorted({str(s) for side in subjects for s in side if s is not None}, key=natural_key)
    same_scan = group == Group.DEFACED_SAME_SCAN.value
    later = np.where((group == Group.DIFFERENT.value) | same_scan, "1", "2")
    columns = {
        "group": pd.Categorical(group, categories=[g.value for g in Group]),
        "condition": pd.Categorical(column("condition", np.where(original, ORIGINAL, "defaced"))),
        "attack": in_order(column("attack", "naive")),
        "encoder": in_order(column("encoder", "")),
        "probe_subject": pd.Categorical(subjects[0], categories=named),
        "probe_session": pd.Categorical(column("probe_session", "1")),
        "reference_subject": pd.Categorical(subjects[1], categories=named),
        "reference_session": pd.Categorical(column("reference_session", later)),
        "distance": distance,
    }
    columns |= {name: in_order(column(name, "")) for name in IMAGE_COLUMNS if name in raw}
    return ScoreTable(pd.DataFrame(columns))


_NOT_STRATA = {*SCORE_COLUMNS, *IMAGE_COLUMNS, "cosine_distance", "subject", "index"}


def read_score_strata(path: Path) -> pd.DataFrame:
    """Read what a table of distances says about its subjects: the columns that `read_scores` has no use for.

    Parameters
    ----------
    path : Path
        As for `read_scores`. A column such as ``sex`` holds one value per subject, in the rows of mated pairs.

    Returns
    -------
    pandas.DataFrame
        Index = subjects, one column of text per stratum ("" = unknown). No rows where the table names nobody.

    Raises
    ------
    InputError
        See `read_scores`; also where a column has two values for one subject.
    """
    scores = read_scores(path).frame
    raw, _ = read_cells(path, known=_NAMES, hint=_HINT)
    people = scores["probe_subject"].astype(object)
    own = (scores["probe_subject"].astype(object) == scores["reference_subject"].astype(object)) & people.notna()
    cells = raw.loc[own.to_numpy(), [column for column in raw if column not in _NOT_STRATA]]
    grouped = cells.groupby(people[own].to_numpy())
    several = grouped.nunique().gt(1)
    if several.to_numpy().any():
        subject, column = several.stack().idxmax()
        raise InputError(f"{path.name}: {column} has several values for the subject {subject!r}; give each person one")
    strata = grouped.first()
    return strata.rename_axis("subject")


def write_scores(table: ScoreTable, path: Path) -> None:
    """Write every comparison as CSV, columns `SCORE_COLUMNS` and `IMAGE_COLUMNS`, if it has them.

    NaN distances are empty. `read_scores` reads it back.
    """
    columns = [name for name in (*SCORE_COLUMNS, *IMAGE_COLUMNS) if name in table.frame]
    table.frame.to_csv(path, index=False, columns=columns)
