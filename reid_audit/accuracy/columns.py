"""The columns of a ScoreTable as arrays of small numbers: a table of many million rows is never copied whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import CANARY, Group

if TYPE_CHECKING:
    import pandas as pd

GROUPS = tuple(Group)
"""What the numbers of `Rows.group` stand for."""


class Rows(NamedTuple):
    """Comparisons as arrays of one length: persons i and j of probe and reference, and their visits a and b."""

    group: NDArray[np.int8]
    i: NDArray[np.int32]
    a: NDArray[np.int32]
    j: NDArray[np.int32]
    b: NDArray[np.int32]
    distance: NDArray[np.float64]

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
        """Return some of them."""
        group, i, a, j, b, distance = self
        return Rows(group[which], i[which], a[which], j[which], b[which], distance[which])

    def of_group(self, group: Group) -> Rows:
        """Return those of one group."""
        return self.take(self.group == GROUPS.index(group))


def codes_of(column: pd.Series, known: Mapping[str, int]) -> NDArray[np.int32]:
    """Return the number of each value; -1 where it is missing or not known."""
    column = column.astype("category")
    table = np.array([*(known.get(str(c), -1) for c in column.cat.categories), -1], dtype=np.int32)
    return np.asarray(table[column.cat.codes])


def find_canaries(frame: pd.DataFrame) -> pd.Series:
    """Tell of each row whether its condition is a canary's, (n,) bool."""
    condition = frame["condition"]
    return condition.isin([name for name in condition.unique() if str(name).startswith(CANARY)])


def split_rows(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[tuple[str, ...], NDArray[np.intp]]]:
    """Yield the values of these columns with their rows: by the first column, then as they first occur together.

    Rows that lack one of the values are left out. Takes 4 bytes a row, where a group-by of pandas sorts and copies the
    table.
    """
    labels = [list(map(str, frame[column].dropna().unique())) for column in columns]
    key = np.zeros(len(frame), np.int32)
    for column, names in zip(columns, labels, strict=True):
        codes = codes_of(frame[column], {name: k for k, name in enumerate(names)})
        key = np.where((key < 0) | (codes < 0), np.int32(-1), key * np.int32(len(names)) + codes)
    there = np.flatnonzero(np.bincount(key[key >= 0]))
    others = math.prod(len(names) for names in labels[1:])
    for number in sorted(there, key=lambda number: (number // others, np.argmax(key == number))):
        where = np.unravel_index(number, [len(names) for names in labels])
        yield tuple(names[k] for names, k in zip(labels, where, strict=True)), np.flatnonzero(key == number)


def number_visits(rows: Rows, n: int, sessions: int) -> NDArray[np.int32]:
    """(n, sessions): number of each person's sessions in their natural order, whatever they are called."""
    there = np.zeros((n, sessions), dtype=bool)
    there[rows.i, rows.a] = there[rows.j, rows.b] = True
    return np.asarray(np.maximum(there.cumsum(axis=1, dtype=np.int32) - 1, 0), np.int32)
