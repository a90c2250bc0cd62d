"""The numbers behind a ScoreTable: groups of pairs as arrays, and which scans were acquired."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.images import pool_images
from reid_audit.attack import BASELINE
from reid_audit.records import ORIGINAL, SCORE_COLUMNS, Group, InputError, ScoreTable


class Pairs(NamedTuple):
    """Comparisons of one group, as arrays of one length. Subject and session codes are shared by a whole table."""

    probe: NDArray[np.intp]
    probe_session: NDArray[np.intp]
    reference: NDArray[np.intp]
    reference_session: NDArray[np.intp]
    distance: NDArray[np.float64]

    def keep(self, mask: NDArray[np.bool_]) -> Pairs:
        """Return the comparisons where ``mask`` is true."""
        return Pairs._make(column[mask] for column in self)

    def flipped(self) -> Pairs:
        """Return the same comparisons with probe and reference changed over."""
        return Pairs(self.reference, self.reference_session, self.probe, self.probe_session, self.distance)

    def joined(self, other: Pairs) -> Pairs:
        """Return the comparisons of both, these first."""
        return Pairs._make(np.concatenate(columns) for columns in zip(self, other, strict=True))

    def acquired(self) -> Pairs:
        """Return the comparisons that have a distance."""
        return self.keep(~np.isnan(self.distance))


def find_subjects(*codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the subject codes that occur, sorted; unknown subjects (-1) are nobody."""
    there = np.zeros(1 + max((int(c.max(initial=-1)) for c in codes), default=-1) + 1, dtype=bool)
    for code in codes:
        there[code] = True
    return np.flatnonzero(there[:-1])  # -1 marked the last


def arrange_blocks(mated: Pairs, non_mated: Pairs, subjects: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    """Return one (n, n) matrix per pair of sessions over these subjects, mated comparisons on the diagonal.

    NaN = no distance. Empty without subjects, mated or non-mated comparisons.
    """
    if not all(map(len, (subjects, mated.distance, non_mated.distance))):
        return []
    size = 1 + int(max(p.max(initial=0) for p in (subjects, mated.probe, non_mated.probe, non_mated.reference)))
    place = np.full(size + 1, -1)  # the last entry answers for unknown subjects, whose code is -1
    place[subjects] = np.arange(len(subjects))
    blocks: dict[tuple[int, int], NDArray[np.float64]] = {}
    for pairs in (mated, non_mated):
        row, column = place[pairs.probe], place[pairs.reference]
        stride = int(pairs.reference_session.max()) + 1
        visits = pairs.probe_session * stride + pairs.reference_session
        for visit in np.flatnonzero(np.bincount(visits)):
            at = (visits == visit) & (row >= 0) & (column >= 0)
            key = int(visit) // stride, int(visit) % stride
            block = blocks.setdefault(key, np.full((len(subjects), len(subjects)), np.nan))
            block[row[at], column[at]] = pairs.distance[at]
    return list(blocks.values())


def split_encoders(table: ScoreTable) -> dict[str, ScoreTable]:
    """Return the comparisons of each encoder, in the order in which they first occur; ``""`` where none is named."""
    frame = table.frame
    if "encoder" not in frame:
        return {"": table}
    encoders = [str(name) for name in frame["encoder"].unique()]
    if len(encoders) < 2:
        return {"".join(encoders): table}
    return {name: ScoreTable(frame[frame["encoder"] == name]) for name in encoders}


class Scores:
    """The comparisons of one encoder, with their labels turned into codes once.

    Raises
    ------
    InputError
        A column is missing, a distance is not NaN and outside [0, 2], or there are several encoders.
    """

    def __init__(self, table: ScoreTable) -> None:
        import pandas as pd

        frame = pool_images(table).frame
        missing = [c for c in SCORE_COLUMNS if c not in frame and c != "encoder"]
        if missing:
            raise InputError(f"a score table needs the column {missing[0]!r}; it has {list(frame.columns)}")
        self.encoder, *others = split_encoders(table)
        if others:
            raise InputError(f"distances of several encoders are never pooled; keep those of {self.encoder!r}")
        try:
            self._distance = frame["distance"].to_numpy(np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"distances must be numbers: {error}") from error
        seen = self._distance[~np.isnan(self._distance)]
        if seen.size and not (seen.min() >= 0 and seen.max() <= 2):
            raise InputError(f"distances must lie in [0, 2]; got {seen.min():g} to {seen.max():g}")

        def codes(column: str) -> tuple[NDArray[np.integer], list[str]]:
            values = frame[column]
            if not isinstance(values.dtype, pd.CategoricalDtype):
                values = values.astype("category")
            return values.cat.codes.to_numpy(), [str(c) for c in values.cat.categories]

        def shared(ends: tuple[str, str]) -> tuple[list[NDArray[np.integer]], list[str]]:
            (a, names_a), (b, names_b) = codes(ends[0]), codes(ends[1])
            names = names_a + sorted(set(names_b) - set(names_a))
            place = {name: i for i, name in enumerate(names)}
            lookup = np.array([place[name] for name in names_b] + [-1])  # -1, the code of NaN, picks the last
            return [a, b if names_a == names_b else lookup[b]], names

        self._group, groups = codes("group")
        self._condition, self.conditions = codes("condition")
        self._attack, self.attacks = codes("attack")
        self._subject, self.subjects = shared(("probe_subject", "reference_subject"))
        self._session, self.sessions = shared(("probe_session", "reference_session"))
        unknown = sorted(set(groups) - set(Group))
        if unknown:
            raise InputError(f"unknown group {unknown[0]!r}; use one of {', '.join(Group)}")
        self._groups = {name: i for i, name in enumerate(groups)}
        self._count = self._count_rows()

    def _count_rows(self) -> NDArray[np.int64]:
        """Count the rows by (group, condition, attack) code.

        Raises InputError for rows that no evidence would count: defaced pairs of originals, or the reverse.
        """
        shape = len(self._groups), len(self.conditions), len(self.attacks)
        known = (self._group >= 0) & (self._condition >= 0) & (self._attack >= 0)
        if not known.all():
            raise InputError(f"group, condition and attack must be in every row; {int((~known).sum())} lack one")
        code = (self._group.astype(np.int32) * shape[1] + self._condition) * shape[2] + self._attack
        count = np.bincount(code, minlength=math.prod(shape)).reshape(shape)
        is_original = np.array([condition == ORIGINAL for condition in self.conditions], dtype=bool)
        for name, place in self._groups.items():
            wrong = ~is_original if name in (Group.SAME, Group.DIFFERENT) else is_original
            if count[place, wrong].any():
                rule = "the condition of same and different rows must be 'original', of all others a defacer's name"
                raise InputError(f"{rule}; {count[place, wrong].sum()} {name} rows break it")
        return count

    def select(self, group: Group, attack: str, condition: str = ORIGINAL) -> Pairs:
        """Return the comparisons of one group, attacker and condition; empty where there are none."""
        wanted = -2  # no code
        code = self._groups.get(group.value, wanted)
        place_c = self.conditions.index(condition) if condition in self.conditions else wanted
        place_a = self.attacks.index(attack) if attack in self.attacks else wanted
        mask = (self._group == code) & (self._condition == place_c) & (self._attack == place_a)
        rows = np.flatnonzero(mask)
        probe, probe_session, reference, reference_session = (
            column[rows].astype(np.intp) for ends in zip(self._subject, self._session, strict=True) for column in ends
        )
        return Pairs(probe, probe_session, reference, reference_session, self._distance[rows])

    def originals(self, group: Group, attack: str) -> Pairs:
        """Return same or different pairs of that attacker, or of the baseline where it leaves originals as they are."""
        own = self.select(group, attack)
        return own if len(own.distance) else self.select(group, BASELINE.name)

    def has_originals(self, attack: str) -> bool:
        """Whether that attacker has comparisons of originals of its own."""
        return any(len(self.select(group, attack).distance) for group in (Group.SAME, Group.DIFFERENT))

    def count_largest(self) -> int:
        """Return how many comparisons the condition and attacker have that have most."""
        return int(self._count.sum(axis=0).max(initial=0))

    def evaluated(self) -> list[tuple[str, str]]:
        """Return each (condition, attack) that has defaced comparisons, in the order of the labels."""
        both = np.argwhere(self._count.sum(axis=0) > 0)
        pairs = [(self.conditions[c], self.attacks[a]) for c, a in both]
        return [(condition, attack) for condition, attack in pairs if condition != ORIGINAL]


def scan_key(subject: NDArray[np.intp], session: NDArray[np.intp], sessions: int) -> NDArray[np.int64]:
    """One whole number per scan of one condition. Unknown subjects get a negative one."""
    key = subject.astype(np.int64) * sessions + session
    return np.where((subject < 0) | (session < 0), -1, key)


def scan_keys(pairs: Pairs, sessions: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Scan keys of the probes and of the references."""
    return (
        scan_key(pairs.probe, pairs.probe_session, sessions),
        scan_key(pairs.reference, pairs.reference_session, sessions),
    )


class Acquisition(NamedTuple):
    """Which scans of one kind gave a vector, by scan key: ``seen`` is sorted like ``key``."""

    key: NDArray[np.int64]
    seen: NDArray[np.bool_]

    def look_up(self, key: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each scan was acquired; scans that are not listed were not."""
        if not len(self.key):
            return np.zeros(len(key), dtype=bool)
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.asarray((self.key[place] == key) & self.seen[place])


def find_acquired(ends: list[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> Acquisition:
    """Tell from (scan key, distance) of every comparison which scans were acquired: those with any distance.

    A scan that meets only unacquired partners counts as unacquired: the doubt never flatters.
    """
    keys = [key[key >= 0] for key, _ in ends]
    size = 1 + max((int(k.max()) for k in keys if k.size), default=-1)
    there, seen = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for (key, distance), known in zip(ends, keys, strict=True):
        there[known] = True
        seen[key[(key >= 0) & ~np.isnan(distance)]] = True
    return Acquisition(np.flatnonzero(there), seen[there])
