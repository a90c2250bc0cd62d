"""Every comparison that a cohort allows, by the table at the top of `reid_audit.match`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack import BASELINE, Attack
from reid_audit.records import (
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

_ROW_BYTES = 48
"""What a comparison takes while the table is made."""


class _Scans(NamedTuple):
    """The scans of one condition in one session: one per subject code."""

    subject: NDArray[np.intp]
    records: list[FaceRecord]


class _Block(NamedTuple):
    """A run of rows that share group, condition and sessions."""

    group: Group
    condition: str
    probe_session: str
    reference_session: str
    probe: NDArray[np.intp]
    reference: NDArray[np.intp]
    distance: NDArray[np.float64]


def _cross(
    attack: Attack,
    groups: tuple[Group | None, Group | None],
    condition: str,
    sessions: tuple[str, str],
    probe: _Scans,
    ref: _Scans,
) -> Iterator[_Block]:
    """Yield the pairs of one subject under groups[0] and those of two subjects under groups[1]."""
    distance = attack.score(probe.records, ref.records)
    own = probe.subject[:, None] == ref.subject[None, :]
    for group, wanted in zip(groups, (own, ~own), strict=True):
        if group is not None:
            p, r = np.nonzero(wanted)
            yield _Block(group, condition, *sessions, probe.subject[p], ref.subject[r], distance[p, r])


def _pair_up(scans: dict[tuple[str, str], _Scans], sessions: Sequence[str], attack: Attack) -> Iterator[_Block]:
    conditions = sorted({condition for condition, _ in scans} - {ORIGINAL}, key=natural_key)
    visits = [s for s in sessions if (ORIGINAL, s) in scans]
    for a, b in combinations(visits, 2):
        yield from _cross(attack, (Group.SAME, None), ORIGINAL, (a, b), scans[ORIGINAL, a], scans[ORIGINAL, b])
    for first in visits[:1]:
        one = scans[ORIGINAL, first]
        distance = attack.score(one.records, one.records)
        i, j = np.triu_indices(len(one.subject), 1)
        yield _Block(Group.DIFFERENT, ORIGINAL, first, first, one.subject[i], one.subject[j], distance[i, j])
    for condition in conditions:
        mine = [s for s in sessions if (condition, s) in scans]
        across = [(a, b) for a in mine for b in visits if a != b]
        paired = [np.intersect1d(scans[condition, a].subject, scans[ORIGINAL, b].subject).size for a, b in across]
        for a, b in across if any(paired) else ():
            groups = Group.DEFACED_SAME, Group.DEFACED_DIFFERENT
            yield from _cross(attack, groups, condition, (a, b), scans[condition, a], scans[ORIGINAL, b])
        for a in (a for a in mine if a in visits):
            within = Group.DEFACED_SAME_SCAN, None if any(paired) else Group.DEFACED_DIFFERENT
            yield from _cross(attack, within, condition, (a, a), scans[condition, a], scans[ORIGINAL, a])
        for a, b in combinations(mine, 2):
            both = Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT
            yield from _cross(attack, both, condition, (a, b), scans[condition, a], scans[condition, b])


def _count_rows(scans: dict[tuple[str, str], _Scans]) -> int:
    """Count the comparisons that `_pair_up` can give at most."""
    people = {where: len(part.subject) for where, part in scans.items()}
    originals = {session: n for (condition, session), n in people.items() if condition == ORIGINAL}
    rows = max(originals.values(), default=0) ** 2 // 2
    for (condition, session), n in people.items():
        if condition != ORIGINAL:
            others = [m for (other, at), m in people.items() if other == condition and at != session]
            rows += n * sum(m for at, m in originals.items() if at != session) + n * sum(others) // 2
    return rows


def _check_room(rows: int) -> None:
    """Raise before the table is begun where it would not fit into memory."""
    import psutil

    free = psutil.virtual_memory().available
    if rows * _ROW_BYTES > free:
        raise InputError(
            f"a table of {rows:,} comparisons takes {rows * _ROW_BYTES / 1e9:.0f} GB and {free / 1e9:.0f} GB are free; "
            "give fewer people with --limit, split the manifest by site or defacer, or search block by block with "
            "reid_audit.match.search_gallery"
        )


class _Cohort(NamedTuple):
    """The faces of one encoder."""

    subjects: list[str]
    sessions: list[str]
    scans: dict[tuple[str, str], _Scans]


def _gather(faces: Iterable[FaceRecord], attack: Attack) -> _Cohort:
    records: dict[str, FaceRecord] = {}
    for record in faces:
        key = record.scan.key
        if key in records:
            raise InputError(
                f"scan {key} occurs twice; each subject/session/condition must be there once for an encoder"
            )
        records[key] = record
    for record in records.values():
        for face in attack.looks_of(record):
            if face.vector is not None and not (np.isfinite(face.vector).all() and face.vector.any()):
                raise InputError(f"scan {record.scan.key}: its vector must be finite and not zero")
    lengths = sorted({len(f.vector) for r in records.values() for f in attack.looks_of(r) if f.vector is not None})
    if len(lengths) > 1:
        raise InputError(f"vectors must be equally long; got {lengths} numbers")
    subjects = sorted({r.scan.subject for r in records.values()}, key=natural_key)
    sessions = sorted({r.scan.session for r in records.values()}, key=natural_key)
    code = {subject: i for i, subject in enumerate(subjects)}
    grouped: dict[tuple[str, str], list[FaceRecord]] = {}
    for record in records.values():
        grouped.setdefault((record.scan.condition, record.scan.session), []).append(record)
    scans = {}
    for where, part in grouped.items():
        part.sort(key=lambda record: code[record.scan.subject])
        scans[where] = _Scans(np.array([code[record.scan.subject] for record in part]), part)
    return _Cohort(subjects, sessions, scans)


def _tabulate(cohort: _Cohort, attack: Attack, encoder: str) -> ScoreTable:
    import pandas as pd

    subjects, sessions, scans = cohort
    blocks = [block for block in _pair_up(scans, sessions, attack) if len(block.distance)]
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
        "attack": repeat([attack.name] * len(blocks), [attack.name]),
        "encoder": repeat([encoder] * len(blocks), [encoder]),
        "probe_subject": people([b.probe for b in blocks]),
        "probe_session": repeat([b.probe_session for b in blocks], sessions),
        "reference_subject": people([b.reference for b in blocks]),
        "reference_session": repeat([b.reference_session for b in blocks], sessions),
        "distance": np.concatenate([b.distance for b in blocks]) if blocks else np.zeros(0),
    }
    return ScoreTable(pd.DataFrame(columns, columns=list(SCORE_COLUMNS), copy=False))


def compare_faces(faces: Iterable[FaceRecord], *, attack: Attack = BASELINE) -> ScoreTable:
    """Compare every two faces that the module's table of pairs names.

    Parameters
    ----------
    faces : iterable of FaceRecord
        One per subject, session, condition and encoder, in any order; unacquired ones too.
    attack : Attack
        Whose looks are compared, by its own measure; its name is written into every row.

    Returns
    -------
    ScoreTable
        No rows where the faces allow no pair. Encoders follow each other as they first occur in ``faces``, whose order
        does not matter else; faces of two encoders are never compared.

    Raises
    ------
    InputError
        A scan occurs twice for an encoder, whose vectors differ in length; a vector is zero or not finite; or the
        table would not fit into memory.
    """
    by_encoder: dict[str, list[FaceRecord]] = {}
    for record in faces:
        by_encoder.setdefault(record.face.encoder, []).append(record)
    cohorts = {encoder: _gather(records, attack) for encoder, records in by_encoder.items()}
    _check_room(sum(_count_rows(cohort.scans) for cohort in cohorts.values()))
    return merge_scores([_tabulate(cohort, attack, encoder) for encoder, cohort in cohorts.items()])


def merge_scores(tables: Iterable[ScoreTable]) -> ScoreTable:
    """Join the tables of several attackers, defacers or encoders into one. No row is dropped or made one with another.

    Comparisons of originals under an attacker that leaves originals as they are (aligned, fill-in) may be left out
    of that attacker's table: the evidence falls back on those of ``"naive"``.
    """
    import pandas as pd
    from pandas.api.types import union_categoricals

    frames = [table.frame for table in tables]
    if len(frames) == 1:
        return ScoreTable(frames[0])
    if not frames:
        return _tabulate(_Cohort([], [], {}), BASELINE, "")
    joined = {
        column: np.concatenate([f[column].to_numpy(np.float64) for f in frames])
        if column == "distance"
        else union_categoricals([f[column].astype("category") for f in frames])
        for column in SCORE_COLUMNS
    }
    return ScoreTable(pd.DataFrame(joined, copy=False))
