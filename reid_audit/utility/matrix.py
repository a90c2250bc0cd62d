"""Models trained and tested on original and defaced data: Table 2 of Sahlsten 2023, from a table of scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
class StructureScore:
    """Scores of one structure by one model on one condition: a bar of Figure 3 or 4 of Sahlsten 2023.

    Attributes
    ----------
    structure, trained_on, evaluated_on : str
    mean, sd : float
    scores, undefined : int
    test : TestResult or None
        Wilcoxon against training and evaluation on originals, paired by subject; None for those themselves.
    """

    structure: str
    trained_on: str
    evaluated_on: str
    mean: Real
    sd: Real
    scores: int
    undefined: int
    test: TestResult | None = None


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
    training : tuple of StructureScore
        What training on defaced data costs: models of each condition on the originals, structure by structure.
        Benjamini-Hochberg over all structures and models.
    testing : tuple of StructureScore
        What defaced data costs a model that was trained on originals; corrected alike.
    """

    conditions: tuple[str, ...]
    cells: tuple[MatrixCell, ...]
    tests: tuple[TestResult, ...]
    training: tuple[StructureScore, ...] = ()
    testing: tuple[StructureScore, ...] = ()

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


def _summarize(values: NDArray[np.float64]) -> tuple[float, float, int, int]:
    """Mean and standard deviation of the scores, their number, and how many are empty."""
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else math.nan
    sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
    return mean, sd, len(known), len(values) - len(known)


def _score_structures(table: pd.DataFrame, conditions: Iterable[str], varies: str) -> tuple[StructureScore, ...]:
    """Score each structure with one of training and evaluation on originals while the other (``varies``) goes round."""
    fixed = "evaluated_on" if varies == "trained_on" else "trained_on"
    rows: list[StructureScore] = []
    tests: dict[int, TestResult] = {}
    for structure, own in table[table[fixed] == ORIGINAL].groupby("structure", sort=False):
        wide = own.pivot(index="subject", columns=varies, values="score")
        for condition in [c for c in conditions if c in wide.columns]:
            on = {fixed: ORIGINAL, varies: condition}
            summary = _summarize(own.loc[own[varies] == condition, "score"].to_numpy(np.float64))
            if condition != ORIGINAL and ORIGINAL in wide.columns:
                text = f"{structure}, {varies.replace('_', ' ')} {ORIGINAL} vs {condition}"
                tests[len(rows)] = wilcoxon(wide[ORIGINAL], wide[condition], compared=text)
            rows.append(StructureScore(str(structure), on["trained_on"], on["evaluated_on"], *summary))
    for index, test in zip(tests, adjust(tests.values()), strict=True):
        rows[index] = replace(rows[index], test=test)
    return tuple(rows)


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
            with_empty = float(np.nansum(scores)) / len(scores) if len(scores) else math.nan
            cells.append(MatrixCell(trained, evaluated, *_summarize(scores), with_empty))
    tests = [test for evaluated in conditions for test in _tests(table, evaluated, conditions)]
    training, testing = (_score_structures(table, conditions, varies) for varies in MATRIX_COLUMNS[:2])
    return TrainTestMatrix(conditions, tuple(cells), tuple(tests), training, testing)
