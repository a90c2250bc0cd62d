"""Kinds of people: which cells of sex, age, site and scanner the rules look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.strata import band_ages

if TYPE_CHECKING:
    import pandas as pd

MINIMUM = 10
"""People from which on a cell carries a number; of smaller cells only clear findings are told."""
_MOST = 8
"""Values of one column that are looked at one by one; the rest together."""


class Cell(NamedTuple):
    """People with one value of one column."""

    column: str
    value: str
    members: NDArray[np.intp]

    def __str__(self) -> str:
        return f"{self.column} {self.value}"


def cells_of(strata: pd.DataFrame) -> list[Cell]:
    """Return the cells of at least two people, of each column with several values.

    Ages in years are banded. Of a column with more than eight values the eight most frequent are looked at one by one
    and the others together, under a name that says so. People without a value are in no cell.
    """
    banded = band_ages(strata)
    return [cell for column in banded for cell in _cells_of_column(str(column), banded[column])]


def _cells_of_column(column: str, values: pd.Series) -> Iterator[Cell]:
    texts = values.map(str, na_action="ignore")
    counts = texts.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if len(counts) < 2:
        return
    separate = counts.index[: _MOST if len(counts) > _MOST else len(counts)]
    for value in sorted(separate):
        members = np.flatnonzero((texts == value).to_numpy())
        if len(members) > 1:
            yield Cell(column, str(value), members)
    rest = np.flatnonzero((texts.notna() & ~texts.isin(separate)).to_numpy())
    if len(rest) > 1:
        yield Cell(column, f"(the other {len(counts) - len(separate)} values together)", rest)
