"""Faces become distances: every comparison that a cohort allows, and tables of distances made elsewhere.

Words
-----
probe, reference
    The scan that is looked up, and the scan that it is compared with. Each comparison is probe -> reference.
distance
    Cosine distance of unit vectors, ``1 - cos``, float64 in [0, 2]; exactly 0 for equal vectors. NaN = the probe or
    the reference was not acquired (no face, unreadable, render failed ...). The row stays: what was not seen is
    counted, never dropped. A scan that is *missing* from the cohort makes no row; the cohort's accounting names it.

Which pairs
-----------
Subjects and sessions are put in natural order (``"2"`` before ``"10"``).

========================== =============================================================================
same                       original(i, a) -> original(i, b), for every two sessions a before b
different                  original(i) -> original(j), i before j, both in the cohort's first session. Who has
                           no original in that session takes no part in this group, and in every other still does
defaced_same               defaced(i, a) -> original(i, b), b != a
defaced_different          defaced(i, a) -> original(j, b), j != i, b != a: the session structure of defaced_same.
                           Where a condition has no defaced_same pair at all (cohorts with one visit) b = a
                           instead: the structure of defaced_same_scan
defaced_same_scan          defaced(i, a) -> original(i, a)
defaced_defaced_same       defaced(i, a) -> defaced(i, b), a before b, one condition
defaced_defaced_different  defaced(i, a) -> defaced(j, b), j != i, a before b, one condition
========================== =============================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import (
    ENCODER_COLUMN,
    ORIGINAL,
    SCORE_COLUMNS,
    FaceRecord,
    Group,
    InputError,
    ScoreTable,
    natural_key,
)

if TYPE_CHECKING:
    import pandas as pd

_NEAR = 1e-4
"""Below this distance 1 - cos loses digits to cancellation; it is computed from the difference vector instead."""

_ROWS_AT_ONCE = 1 << 16


# --- distances ---


def _unit(vectors: ArrayLike, name: str) -> NDArray[np.float64]:
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    if rows.ndim != 2:
        raise InputError(f"{name} must have the shape (n, d); got {rows.shape}")
    if not np.isfinite(rows).all():
        raise InputError(f"{name} must be finite; row {int(np.nonzero(~np.isfinite(rows).all(axis=1))[0][0])} is not")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if (length == 0).any():
        raise InputError(f"{name} must not hold zero vectors; row {int(np.nonzero(length == 0)[0][0])} is one")
    return np.asarray(rows / length)


def cosine_distances(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Cosine distance of every row of ``a`` from every row of ``b``.

    Parameters
    ----------
    a, b : (n, d), (m, d) array-like
        Vectors of any length but zero; they are normalised in float64.

    Returns
    -------
    (n, m) float64
        ``1 - cos`` in [0, 2], exactly 0 where the vectors are equal. Empty where n or m is 0.

    Raises
    ------
    InputError
        Zero or non-finite vectors, or lengths d that differ.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.size == 0 or b.size == 0:
        return np.zeros((len(a), len(b)))
    x, y = _unit(a, "a"), _unit(b, "b")
    if x.shape[1] != y.shape[1]:
        raise InputError(f"vectors must be equally long; got {x.shape[1]} and {y.shape[1]} numbers")
    distance = np.clip(1.0 - x @ y.T, 0.0, 2.0)
    rows, columns = np.nonzero(distance < _NEAR)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        r, c = rows[start : start + _ROWS_AT_ONCE], columns[start : start + _ROWS_AT_ONCE]
        distance[r, c] = 0.5 * ((x[r] - y[c]) ** 2).sum(axis=1)  # |x - y|^2 = 2 (1 - cos) for unit vectors
    return distance


# --- faces to scores ---


class _Scans(NamedTuple):
    """The faces of one condition in one session: one row per subject code, NaN where not acquired."""

    subject: NDArray[np.intp]
    vectors: NDArray[np.float64]


class _Block(NamedTuple):
    """A run of rows that share group, condition and sessions."""

    group: Group
    condition: str
    probe_session: str
    reference_session: str
    probe: NDArray[np.intp]
    reference: NDArray[np.intp]
    distance: NDArray[np.float64]


def _measure(probe: _Scans, reference: _Scans) -> NDArray[np.float64]:
    full = np.full((len(probe.subject), len(reference.subject)), np.nan)
    seen_p, seen_r = (np.flatnonzero(~np.isnan(s.vectors[:, 0])) for s in (probe, reference))
    full[np.ix_(seen_p, seen_r)] = cosine_distances(probe.vectors[seen_p], reference.vectors[seen_r])
    return full


def _cross(
    groups: tuple[Group | None, Group | None], condition: str, sessions: tuple[str, str], probe: _Scans, ref: _Scans
) -> Iterator[_Block]:
    """Yield the pairs of one person under groups[0] and those of two people under groups[1]."""
    distance = _measure(probe, ref)
    own = probe.subject[:, None] == ref.subject[None, :]
    for group, wanted in zip(groups, (own, ~own), strict=True):
        if group is not None:
            p, r = np.nonzero(wanted)
            yield _Block(group, condition, *sessions, probe.subject[p], ref.subject[r], distance[p, r])


def _pair_up(scans: dict[tuple[str, str], _Scans], sessions: Sequence[str]) -> Iterator[_Block]:
    conditions = sorted({condition for condition, _ in scans} - {ORIGINAL}, key=natural_key)
    visits = [s for s in sessions if (ORIGINAL, s) in scans]
    for a, b in combinations(visits, 2):
        yield from _cross((Group.SAME, None), ORIGINAL, (a, b), scans[ORIGINAL, a], scans[ORIGINAL, b])
    for first in visits[:1]:
        one = scans[ORIGINAL, first]
        distance = _measure(one, one)
        i, j = np.triu_indices(len(one.subject), 1)
        yield _Block(Group.DIFFERENT, ORIGINAL, first, first, one.subject[i], one.subject[j], distance[i, j])
    for condition in conditions:
        mine = [s for s in sessions if (condition, s) in scans]
        across = [(a, b) for a in mine for b in visits if a != b]
        paired = [np.intersect1d(scans[condition, a].subject, scans[ORIGINAL, b].subject).size for a, b in across]
        for a, b in across if any(paired) else ():
            groups = Group.DEFACED_SAME, Group.DEFACED_DIFFERENT
            yield from _cross(groups, condition, (a, b), scans[condition, a], scans[ORIGINAL, b])
        for a in (a for a in mine if a in visits):
            within = Group.DEFACED_SAME_SCAN, None if any(paired) else Group.DEFACED_DIFFERENT
            yield from _cross(within, condition, (a, a), scans[condition, a], scans[ORIGINAL, a])
        for a, b in combinations(mine, 2):
            both = Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT
            yield from _cross(both, condition, (a, b), scans[condition, a], scans[condition, b])


def _gather(faces: Iterable[FaceRecord]) -> tuple[list[str], list[str], dict[tuple[str, str], _Scans]]:
    records: dict[str, FaceRecord] = {}
    for record in faces:
        key = record.scan.key
        if key in records:
            raise InputError(f"scan {key} occurs twice; each subject/session/condition must be there once")
        records[key] = record
    encoders = sorted({r.face.encoder for r in records.values() if r.face.acquired})
    if len(encoders) > 1:
        raise InputError(f"faces of one table must come from one encoder; got {', '.join(encoders)}")
    lengths = sorted({len(r.face.vector) for r in records.values() if r.face.vector is not None})
    if len(lengths) > 1:
        raise InputError(f"vectors must be equally long; got {lengths} numbers")
    subjects = sorted({r.scan.subject for r in records.values()}, key=natural_key)
    sessions = sorted({r.scan.session for r in records.values()}, key=natural_key)
    code = {subject: i for i, subject in enumerate(subjects)}
    nothing = np.full(lengths[0] if lengths else 1, np.nan)
    grouped: dict[tuple[str, str], list[tuple[int, NDArray[np.float64]]]] = {}
    for r in records.values():
        vector = nothing if r.face.vector is None else np.asarray(r.face.vector, dtype=np.float64)
        if r.face.vector is not None and not (np.isfinite(vector).all() and vector.any()):
            raise InputError(f"scan {r.scan.key}: its vector must be finite and not zero")
        grouped.setdefault((r.scan.condition, r.scan.session), []).append((code[r.scan.subject], vector))
    scans = {}
    for where, rows in grouped.items():
        rows.sort(key=lambda row: row[0])
        scans[where] = _Scans(np.array([s for s, _ in rows]), np.stack([v for _, v in rows]))
    return subjects, sessions, scans


def _tabulate(blocks: list[_Block], subjects: list[str], sessions: list[str], attack: str) -> ScoreTable:
    import pandas as pd

    length = [len(b.distance) for b in blocks]

    def repeat(labels: list[str], categories: Sequence[str]) -> pd.Categorical:
        code = {label: i for i, label in enumerate(categories)}
        small = np.min_scalar_type(-max(len(categories), 1))
        codes = np.repeat(np.array([code[label] for label in labels], dtype=small), length)
        return pd.Categorical.from_codes(codes, categories=list(categories))

    def people(parts: list[NDArray[np.intp]]) -> pd.Categorical:
        small = np.min_scalar_type(-max(len(subjects), 1))
        codes = np.concatenate([p.astype(small) for p in parts]) if parts else np.zeros(0, dtype=small)
        return pd.Categorical.from_codes(codes, categories=subjects)

    conditions = sorted({b.condition for b in blocks} | {ORIGINAL}, key=lambda c: (c != ORIGINAL, natural_key(c)))
    columns = {
        "group": repeat([b.group.value for b in blocks], [g.value for g in Group]),
        "condition": repeat([b.condition for b in blocks], conditions),
        "attack": repeat([attack] * len(blocks), [attack]),
        "probe_subject": people([b.probe for b in blocks]),
        "probe_session": repeat([b.probe_session for b in blocks], sessions),
        "reference_subject": people([b.reference for b in blocks]),
        "reference_session": repeat([b.reference_session for b in blocks], sessions),
        "distance": np.concatenate([b.distance for b in blocks]) if blocks else np.zeros(0),
    }
    return ScoreTable(pd.DataFrame(columns, columns=list(SCORE_COLUMNS), copy=False))


def compare(faces: Iterable[FaceRecord], *, attack: str = "naive") -> ScoreTable:
    """Compare every two faces that the module's table of pairs names.

    Parameters
    ----------
    faces : iterable of FaceRecord
        One per subject, session and condition, in any order; unacquired ones too. One encoder.
    attack : str
        Name of the attacker whose faces these are; written into every row.

    Returns
    -------
    ScoreTable
        No rows where the faces allow no pair. The order of ``faces`` does not matter.

    Raises
    ------
    InputError
        A scan occurs twice, encoders or vector lengths are mixed, or a vector is zero or not finite.
    """
    subjects, sessions, scans = _gather(faces)
    blocks = [block for block in _pair_up(scans, sessions) if len(block.distance)]
    return _tabulate(blocks, subjects, sessions, attack)


def merge_scores(tables: Iterable[ScoreTable]) -> ScoreTable:
    """Join the tables of several attackers or defacers into one. No row is dropped or made one with another.

    Comparisons of originals under an attacker that leaves originals as they are (aligned, fill-in) may be left out
    of that attacker's table: the evidence falls back on those of ``"naive"``.
    """
    import pandas as pd
    from pandas.api.types import union_categoricals

    frames = [table.frame for table in tables]
    if not frames:
        return _tabulate([], [], [], "naive")
    joined = {
        column: np.concatenate([f[column].to_numpy(np.float64) for f in frames])
        if column == "distance"
        else union_categoricals([f[column] for f in frames])
        for column in SCORE_COLUMNS
    }
    return ScoreTable(pd.DataFrame(joined, copy=False))


# --- tables on disk ---


def _read_cells(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read as a table of scores: {error.strerror}") from error
    except ValueError as error:  # pandas' own parser errors are ValueErrors
        raise InputError(f"{path.name} cannot be read as a table of scores: {error}") from error


def read_scores(path: Path) -> ScoreTable:
    """Read distances that were made elsewhere.

    Parameters
    ----------
    path : Path
        CSV (or TSV by its ending) with a header. Columns: ``group`` (a `Group` value), ``distance`` or
        ``cosine_distance`` (empty or NaN = not acquired); optionally ``condition`` ("original" for same and
        different, else "defaced"), ``attack`` ("naive"), ``probe_subject`` and ``reference_subject`` or, for pairs
        of one person, ``subject``; ``probe_session``, ``reference_session`` ("1" and "2"). Without subject columns
        an ``index`` names the person of same and defaced_same rows, together with a ``sex`` column if there is
        one; pairs of two people then stay without names, and no interval can be given for their rates.

    Returns
    -------
    ScoreTable
        Rows in the order of the file.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, names an unknown group, holds a distance that is not a number in
        [0, 2], or distances of several recognisers.
    """
    import pandas as pd

    raw = _read_cells(path)
    if ENCODER_COLUMN in raw and raw[ENCODER_COLUMN].nunique() > 1:
        names = ", ".join(raw[ENCODER_COLUMN].unique())
        raise InputError(
            f"{path.name} holds the distances of several recognisers ({names}), which are not judged as one: keep the "
            f"rows of one value of the column {ENCODER_COLUMN}"
        )
    name = next((c for c in ("distance", "cosine_distance") if c in raw), None)
    if name is None or "group" not in raw:
        raise InputError(f"{path.name} needs the columns group and distance (or cosine_distance); has {list(raw)}")
    unknown = sorted(set(raw["group"]) - set(Group))
    if unknown:
        raise InputError(f"{path.name}: unknown group {unknown[0]!r}; use one of {', '.join(Group)}")
    text = raw[name].str.strip()
    distance = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    absent = text.str.lower().isin(["", "nan", "na", "null", "none"]).to_numpy()
    bad = (np.isnan(distance) & ~absent) | (distance < 0) | (distance > 2)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{path.name} row {row + 2}: distance must be a number in [0, 2]; got {text.iloc[row]!r}")
    return _complete(raw, distance)


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
        "attack": pd.Categorical(column("attack", "naive")),
        "probe_subject": pd.Categorical(subjects[0], categories=named),
        "probe_session": pd.Categorical(column("probe_session", "1")),
        "reference_subject": pd.Categorical(subjects[1], categories=named),
        "reference_session": pd.Categorical(column("reference_session", later)),
        "distance": distance,
    }
    return ScoreTable(pd.DataFrame(columns, columns=list(SCORE_COLUMNS)))


_NOT_STRATA = {*SCORE_COLUMNS, ENCODER_COLUMN, "cosine_distance", "subject", "index"}


def read_score_strata(path: Path) -> pd.DataFrame:
    """Read what a table of distances says about its people: the columns that `read_scores` has no use for.

    Parameters
    ----------
    path : Path
        As for `read_scores`. A column such as ``sex`` holds one value per person, in the rows of own pairs.

    Returns
    -------
    pandas.DataFrame
        Index = subjects, one column of text per stratum ("" = unknown). No rows where the table names nobody.

    Raises
    ------
    InputError
        See `read_scores`; also where a column has two values for one person.
    """
    scores = read_scores(path).frame
    raw = _read_cells(path)
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
    """Write every comparison as CSV, columns `SCORE_COLUMNS`; NaN distances are empty. `read_scores` reads it back.

    A table of several recognisers begins with `ENCODER_COLUMN`.
    """
    first = [ENCODER_COLUMN] if ENCODER_COLUMN in table.frame else []
    table.frame.to_csv(path, index=False, columns=[*first, *SCORE_COLUMNS])
