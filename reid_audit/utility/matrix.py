"""Models trained and tested on original and defaced data: Table 2 of Sahlsten 2023, from a table of scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.records import ORIGINAL, InputError, Real, TestResult
from reid_audit.stats import adjust, wilcoxon

if TYPE_CHECKING:
    import pandas as pd

MATRIX_COLUMNS = ("trained_on", "evaluated_on", "subject", "structure", "score")


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """Scores of models trained on one condition and evaluated on another, over subjects and structures together.

    Attributes
    ----------
    trained_on, evaluated_on : str
    mean, sd : float
        NaN without scores.
    scores, undefined : int
        Rows with a score, and rows without (an empty output): left out of the mean as in Sahlsten 2023, and counted.
    mean_with_empty : float
        With 0 for each empty output: what remains of a mean that gains by failing. For scores of which more is better.
    """

    trained_on: str
    evaluated_on: str
    mean: Real
    sd: Real
    scores: int
    undefined: int
    mean_with_empty: Real


@dataclass(frozen=True, slots=True)
class TrainTestMatrix:
    """The matrix, and Wilcoxon tests between its rows.

    Attributes
    ----------
    conditions : tuple of str
        Rows and columns, ``"original"`` first.
    cells : tuple of MatrixCell
        Row by row; combinations without a row in the table have 0 scores.
    tests : tuple of TestResult
        Every two training conditions within one evaluation condition (``condition``), paired by subject and
        structure; Benjamini-Hochberg within the evaluation condition.
    """

    conditions: tuple[str, ...]
    cells: tuple[MatrixCell, ...]
    tests: tuple[TestResult, ...]

    def cell(self, trained_on: str, evaluated_on: str) -> MatrixCell:
        """Return one cell. KeyError where there is none."""
        return {(cell.trained_on, cell.evaluated_on): cell for cell in self.cells}[trained_on, evaluated_on]


def read_model_scores(path: Path) -> pd.DataFrame:
    """Read scores of models: a CSV with `MATRIX_COLUMNS`; an empty score = an empty output.

    Raises
    ------
    InputError
        The file is absent or no table, a column is missing, a score is no number, or a combination occurs twice.
    """
    import pandas as pd

    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(MATRIX_COLUMNS[:-1], str), encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path.name}: cannot be read as a table of model scores; give a CSV") from error
    missing = [column for column in MATRIX_COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{path.name}: lacks the column {', '.join(missing)}; it needs {', '.join(MATRIX_COLUMNS)}")
    scores = pd.to_numeric(table["score"], errors="coerce")
    wrong = table["score"][scores.isna() & table["score"].notna()]
    if len(wrong):
        raise InputError(f"{path.name}, line {wrong.index[0] + 2}: score {wrong.iloc[0]!r} is no number")
    table = table.assign(score=scores.astype(float))[list(MATRIX_COLUMNS)]
    table = table.fillna(dict.fromkeys(MATRIX_COLUMNS[:-1], ""))
    keys = table[list(MATRIX_COLUMNS[:-1])]
    if keys.duplicated().any():
        row = keys[keys.duplicated()].iloc[0]
        raise InputError(f"{path.name}: {', '.join(row)} occurs twice; keep one score of each")
    return table


def _conditions(table: pd.DataFrame) -> tuple[str, ...]:
    conditions = dict.fromkeys([*table["trained_on"], *table["evaluated_on"]])
    return tuple(sorted(conditions, key=lambda c: c != ORIGINAL))


def _tests(table: pd.DataFrame, evaluated_on: str, conditions: Iterable[str]) -> tuple[TestResult, ...]:
    wide = table[table["evaluated_on"] == evaluated_on].pivot(
        index=["subject", "structure"], columns="trained_on", values="score"
    )
    people = len(set(wide.index.get_level_values("subject")))
    tests = [
        replace(wilcoxon(wide[a], wide[b], compared=f"trained on {a} vs {b}", subjects=people), condition=evaluated_on)
        for a, b in combinations([c for c in conditions if c in wide.columns], 2)
    ]
    return adjust(tests)


def cross_conditions(table: pd.DataFrame) -> TrainTestMatrix:
    """Build the train x test matrix.

    Parameters
    ----------
    table : pandas.DataFrame
        As `read_model_scores` returns it.
    """
    conditions = _conditions(table)
    cells = []
    for trained in conditions:
        for evaluated in conditions:
            inside = (table["trained_on"] == trained) & (table["evaluated_on"] == evaluated)
            scores = table.loc[inside, "score"].to_numpy()
            known = scores[~np.isnan(scores)]
            mean = float(known.mean()) if len(known) else math.nan
            sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
            with_empty = float(known.sum()) / len(scores) if len(scores) else math.nan
            lost = len(scores) - len(known)
            cells.append(MatrixCell(trained, evaluated, mean, sd, len(known), lost, with_empty))
    tests = [test for evaluated in conditions for test in _tests(table, evaluated, conditions)]
    return TrainTestMatrix(conditions, tuple(cells), tuple(tests))
