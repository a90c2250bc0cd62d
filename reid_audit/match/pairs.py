"""Every comparison that a cohort allows, by the table at the top of `reid_audit.match`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack import BASELINE, Attack
from reid_audit.records import (
    IMAGE_COLUMNS,
    ORIGINAL,
    SCORE_COLUMNS,
    Face,
    FaceRecord,
    Group,
    InputError,
    ScanRef,
    ScoreTable,
    Status,
    group_by,
    natural_key,
)
from reid_audit.work import Progress, SerialExecutor, free_memory_bytes, run_all

if TYPE_CHECKING:
    import pandas as pd

_ROW_BYTES = 48
"""What a comparison takes while the table is made."""

JUDGED_ROW_BYTES = 90
"""What it takes until it is judged, at its most: `tests/benchmarks/bench_evidence.py` prints the peak."""

_TILE_ROWS, _TILE_COLUMNS = 64, 128
"""Probes and references of a costly attacker's task: a second or two, and 5 MB on their way to a worker."""

_SPARSE_ROWS = 8
"""Probes of a task where few pairs are wanted: of the tiles on a diagonal all but that is for nothing."""

MOST_BOTH_DEFACED = 64
"""People of a part, within which a costly attacker compares defaced scans with each other."""

_WINDOW = 128
"""Such tasks that an executor holds at once: a scheduler keeps what it was sent."""


class _Visit(NamedTuple):
    """A session and, where it has several, one of its images."""

    session: str
    image: str


class _Scans(NamedTuple):
    """The scans of one condition in one visit: one per subject code."""

    subject: NDArray[np.intp]
    records: list[FaceRecord]


class _Square(NamedTuple):
    """The scans of one condition in one visit against those of originals, or of the condition, in one visit."""

    condition: str
    probe_visit: _Visit
    reference_visit: _Visit
    probe: _Scans
    reference: _Scans
    wanted: dict[Group, NDArray[np.bool_]]


class _Block(NamedTuple):
    """A run of rows that share group, condition and visits."""

    group: Group
    condition: str
    probe_visit: _Visit
    reference_visit: _Visit
    probe: NDArray[np.intp]
    reference: NDArray[np.intp]
    distance: NDArray[np.float64]


_ByVisit = dict[tuple[str, _Visit], _Scans]
"""By condition and visit."""
_VisitPairs = list[tuple[_Visit, _Visit]]


class _Cohort(NamedTuple):
    """The faces of one encoder."""

    subjects: list[str]
    scans: _ByVisit


def _cross(
    groups: tuple[Group | None, Group | None],
    condition: str,
    scans: _ByVisit,
    visits: _VisitPairs,
    *,
    parts: int = 1,
) -> Iterator[_Square]:
    """Yield the pairs of one subject under groups[0] and those of two subjects of a part under groups[1]."""
    of_reference = condition if groups[0] in (Group.SAME, Group.DEFACED_DEFACED_SAME) else ORIGINAL
    for a, b in visits:
        probe, reference = scans[condition, a], scans[of_reference, b]
        apart = probe.subject[:, None] - reference.subject[None, :]
        own, others = apart == 0, (apart != 0) & (apart % parts == 0)
        wanted = {group: pairs for group, pairs in zip(groups, (own, others), strict=True) if group is not None}
        yield _Square(condition, a, b, probe, reference, wanted)


def _apart(scans: _ByVisit, condition: str, other: str, *, ordered: bool) -> _VisitPairs:
    """Return the pairs of visits of two sessions; where nobody has both, those of two images of one session.

    With ``ordered`` each two visits make one pair, the earlier session (or image) first.
    """
    probes, references = (_visits_of(scans, name) for name in (condition, other))
    for place in range(len(_Visit._fields)):
        pairs = [
            (a, b)
            for a in probes
            for b in references
            if a[place] != b[place] and a[:place] == b[:place] and (not ordered or _before(a[place], b[place]))
        ]
        if any(np.intersect1d(scans[condition, a].subject, scans[other, b].subject).size for a, b in pairs):
            return pairs
    return [(a, b) for a in probes for b in references if ordered and _before(a.session, b.session)]


def _before(a: str, b: str) -> bool:
    return natural_key(a) < natural_key(b)


def _visits_of(scans: _ByVisit, condition: str) -> list[_Visit]:
    return sorted((visit for name, visit in scans if name == condition), key=lambda v: tuple(map(natural_key, v)))


def _pair_up(scans: _ByVisit, *, parts: int = 1) -> Iterator[_Square]:
    """Yield what is compared, both sides defaced within each of so many parts of the people."""
    conditions = sorted({condition for condition, _ in scans} - {ORIGINAL}, key=natural_key)
    visits = _visits_of(scans, ORIGINAL)
    yield from _cross((Group.SAME, None), ORIGINAL, scans, _apart(scans, ORIGINAL, ORIGINAL, ordered=True))
    for a, b in _first_visits(scans):
        probe, reference = scans[ORIGINAL, a], scans[ORIGINAL, b]
        before = probe.subject[:, None] < reference.subject[None, :]
        yield _Square(ORIGINAL, a, b, probe, reference, {Group.DIFFERENT: before})
    for condition in conditions:
        across = _apart(scans, condition, ORIGINAL, ordered=False)
        within = [(visit, visit) for visit in _visits_of(scans, condition) if visit in visits]
        yield from _cross((Group.DEFACED_SAME, Group.DEFACED_DIFFERENT), condition, scans, across)
        same_scan = Group.DEFACED_SAME_SCAN, None if across else Group.DEFACED_DIFFERENT
        yield from _cross(same_scan, condition, scans, within)
        both = Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT
        yield from _cross(both, condition, scans, _apart(scans, condition, condition, ordered=True), parts=parts)


def _compare(cohort: _Cohort, attack: Attack, executor: Executor, progress: Progress | None) -> Iterator[_Block]:
    """Compare what `_pair_up` pairs."""
    if attack.costly:
        squares = _pair_up(cohort.scans, parts=math.ceil(len(cohort.subjects) / MOST_BOTH_DEFACED))
        scored = _score_tiles(list(squares), attack, executor, progress)
    else:
        squares = _pair_up(cohort.scans)
        scored = ((square, attack.score(square.probe.records, square.reference.records)) for square in squares)
    for (condition, a, b, probe, reference, wanted), distance in scored:
        for group, pairs in wanted.items():
            p, r = np.nonzero(pairs)
            yield _Block(group, condition, a, b, probe.subject[p], reference.subject[r], distance[p, r])


def _score_tiles(
    squares: list[_Square], attack: Attack, executor: Executor, progress: Progress | None
) -> Iterator[tuple[_Square, NDArray[np.float64]]]:
    """Let workers score the pairs that are wanted, and few others: theirs are NaN."""
    tiles = [_cut(np.any(list(square.wanted.values()), axis=0)) for square in squares]
    calls = [
        ([square.probe.records[i] for i in rows], [square.reference.records[j] for j in columns])
        for square, cut in zip(squares, tiles, strict=True)
        for rows, columns in cut
    ]
    stage = f"comparisons by {attack.name}"
    scores = iter(
        run_all(executor, attack.score, calls, lost=attack.score, progress=progress, stage=stage, window=_WINDOW)
    )
    for square, cut in zip(squares, tiles, strict=True):
        distance = np.full((len(square.probe.records), len(square.reference.records)), np.nan)
        for rows, columns in cut:
            distance[np.ix_(rows, columns)] = next(scores)
        yield square, distance


def _cut(wanted: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return rows and columns of tiles that hold all wanted pairs."""
    tiles, step = [], _TILE_ROWS if wanted.mean() > 0.9 else _SPARSE_ROWS
    (order,) = np.nonzero(wanted.any(axis=1))
    order = order[np.argsort(wanted[order].argmax(axis=1), kind="stable")]  # those of one part together
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        columns = np.nonzero(wanted[rows].any(axis=0))[0]
        tiles += [(rows, columns[k : k + _TILE_COLUMNS]) for k in range(0, len(columns), _TILE_COLUMNS)]
    return tiles


def _first_visits(scans: _ByVisit) -> _VisitPairs:
    """Return every pair of images of the first session with originals: as many as two sessions of one person have.

    Where images stand for sessions, those pairs that are mated ones too: the nearest of more pairs would be nearer.
    """
    same = _apart(scans, ORIGINAL, ORIGINAL, ordered=True)
    if any(a.session == b.session for a, b in same):
        return [(a, b) for a, b in same if a.session == same[0][0].session]
    visits = _visits_of(scans, ORIGINAL)
    images = [visit for visit in visits if visit.session == visits[0].session]
    return [(a, b) for a in images for b in images]


def _count_rows(scans: _ByVisit) -> int:
    """Count the comparisons that `_pair_up` can give at most."""
    people = {where: len(part.subject) for where, part in scans.items()}
    originals = {visit: n for (condition, visit), n in people.items() if condition == ORIGINAL}
    rows = sum(people[ORIGINAL, a] * people[ORIGINAL, b] for a, b in _first_visits(scans)) // 2
    for (condition, visit), n in people.items():
        if condition != ORIGINAL:
            others = [m for (other, at), m in people.items() if other == condition and at != visit]
            rows += n * sum(m for at, m in originals.items() if at != visit) + n * sum(others) // 2
    return rows


def _refuse_beyond_memory(cohorts: Iterable[_Cohort], row_bytes: int) -> None:
    """Raise before the table is begun where it would not fit into memory."""
    rows = sum(_count_rows(cohort.scans) for cohort in cohorts)
    free, needed = free_memory_bytes(), rows * row_bytes
    if needed > free:
        raise InputError(
            f"a table of {rows:,} comparisons takes {needed / 1e9:.0f} GB and {free / 1e9:.0f} GB are free; "
            "give fewer people with --limit, split the manifest by site or defacer, or search block by block with "
            "reid_audit.match.search_gallery"
        )


def _gather(faces: Iterable[FaceRecord], attack: Attack) -> _Cohort:
    records: dict[str, FaceRecord] = {}
    for record in faces:
        key = record.scan.key
        if key in records:
            raise InputError(
                f"scan {key} occurs twice; each subject, session, image and condition must be there once for an encoder"
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
    code = {subject: i for i, subject in enumerate(subjects)}
    grouped: dict[tuple[str, _Visit], list[FaceRecord]] = {}
    for record in records.values():
        visit = _Visit(record.scan.session, record.scan.image)
        grouped.setdefault((record.scan.condition, visit), []).append(record)
    scans = {}
    for where, part in grouped.items():
        part.sort(key=lambda record: code[record.scan.subject])
        scans[where] = _Scans(np.array([code[record.scan.subject] for record in part]), part)
    return _Cohort(subjects, scans)


def _tabulate(
    cohort: _Cohort, attack: Attack, encoder: str, executor: Executor | None = None, progress: Progress | None = None
) -> ScoreTable:
    import pandas as pd

    subjects, scans = cohort
    compared = _compare(cohort, attack, executor or SerialExecutor(), progress)
    blocks = [block for block in compared if len(block.distance)]
    sessions, images = (
        sorted({visit[place] for _, visit in scans}, key=natural_key) for place in range(len(_Visit._fields))
    )
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
        "probe_session": repeat([b.probe_visit.session for b in blocks], sessions),
        "reference_subject": people([b.reference for b in blocks]),
        "reference_session": repeat([b.reference_visit.session for b in blocks], sessions),
        "distance": np.concatenate([b.distance for b in blocks]) if blocks else np.zeros(0),
    }
    frame = pd.DataFrame(columns, columns=list(SCORE_COLUMNS), copy=False)
    if any(images):
        visits = [[b.probe_visit for b in blocks], [b.reference_visit for b in blocks]]
        for name, side in zip(IMAGE_COLUMNS, visits, strict=True):
            frame[name] = repeat([visit.image for visit in side], images)
    return ScoreTable(frame)


def judged_row_bytes(attacks: Iterable[Attack]) -> int:
    """Memory that a comparison of the baseline takes until it is judged, those of these attackers beside it."""
    return (1 + sum(not attack.baseline for attack in attacks)) * JUDGED_ROW_BYTES


def check_room(scans: Iterable[ScanRef], attacks: Iterable[Attack], *, encoders: int = 1) -> None:
    """Check that the comparisons of a cohort will fit into memory, before a scan of it is opened.

    Parameters
    ----------
    scans : iterable of ScanRef
        One per subject, session, image and condition.
    attacks : iterable of Attack
    encoders : int

    Raises
    ------
    InputError
        They will not; says what to do. Or a scan occurs twice.
    """
    unseen = [FaceRecord(scan, Face(Status.NO_SKIN, "")) for scan in scans]
    _refuse_beyond_memory([_gather(unseen, BASELINE)] * encoders, judged_row_bytes(attacks))


def compare_faces(
    faces: Iterable[FaceRecord],
    *,
    attack: Attack = BASELINE,
    row_bytes: int = _ROW_BYTES,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Compare every two faces that the module's table of pairs names.

    Parameters
    ----------
    faces : iterable of FaceRecord
        One per subject, session, image, condition and encoder, in any order; unacquired ones too.
    attack : Attack
        Whose looks are compared, by its own measure; its name is written into every row.
    row_bytes : int
        Memory that must be free for each comparison: more than the table takes, where others will follow.
    executor : concurrent.futures.Executor, optional
        Where a costly attacker's comparisons are made; in this process by default.
    progress : callable, optional
        Told of a costly attacker's comparisons.

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
    by_encoder = group_by(faces, lambda record: record.face.encoder)
    cohorts = {encoder: _gather(records, attack) for encoder, records in by_encoder.items()}
    _refuse_beyond_memory(cohorts.values(), row_bytes)
    return merge_scores([_tabulate(cohort, attack, encoder, executor, progress) for encoder, cohort in cohorts.items()])


def _no_image(frame: pd.DataFrame) -> pd.Series:
    """Return the column of a table whose sessions have one image each."""
    import pandas as pd

    return pd.Series("", index=frame.index, dtype=object)


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
        return _tabulate(_Cohort([], {}), BASELINE, "")
    joined = {
        column: np.concatenate([f[column].to_numpy(np.float64) for f in frames])
        if column == "distance"
        else union_categoricals([f.get(column, _no_image(f)).astype("category") for f in frames])
        for column in (*SCORE_COLUMNS, *(name for name in IMAGE_COLUMNS if any(name in f for f in frames)))
    }
    return ScoreTable(pd.DataFrame(joined, copy=False))
