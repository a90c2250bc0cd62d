"""Match rates of one kind of subjects, with small cells suppressed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.accuracy.attempts import measure_matches, offered
from reid_audit.accuracy.compared import Attempt
from reid_audit.accuracy.pairs import find_subjects
from reid_audit.records import Calibration, StratumEvidence
from reid_audit.stats import subject_rate

if TYPE_CHECKING:
    import pandas as pd


_BANDS = (18, 40, 60, 80)
_BAND_NAMES = ("under 18", "18-39", "40-59", "60-79", "80 and over")


def band_ages(strata: pd.DataFrame) -> pd.DataFrame:
    """Return the strata with ages in years as bands, so that a year is not a stratum.

    A column is taken for ages if ``age`` is a word of its name (``age``, ``age_years``, ``Age-at-scan``) and all that
    it holds are numbers. An empty text is a missing value.
    """
    return strata.apply(_band)


def _band(values: pd.Series) -> pd.Series:
    import pandas as pd

    known = values.astype(object).where(values.notna() & (values != ""))
    years = pd.to_numeric(known, errors="coerce")
    if "age" not in re.split(r"[^a-z]+", str(values.name).lower()) or not years.notna().sum() == known.count() > 0:
        return known
    band = np.array(_BAND_NAMES, dtype=object)[np.searchsorted(_BANDS, years.fillna(0), side="right")]
    return pd.Series(band, index=values.index, name=values.name).where(known.notna())


def suppress(sizes: Mapping[str, int], minimum: int) -> frozenset[str]:
    """Name the cells to hide: those under the minimum, and a second one where one could be had by subtraction."""
    hidden = {value for value, size in sizes.items() if size < minimum}
    rest = sorted((size, value) for value, size in sizes.items() if value not in hidden)
    if len(hidden) == 1 and rest:
        hidden.add(rest[0][1])
    return frozenset(hidden)


def assess_strata(
    attempt: Attempt,
    calibration: Calibration,
    strata: pd.DataFrame,
    subjects: list[str],
    *,
    minimum: int,
    confidence: float,
) -> list[StratumEvidence]:
    """Measure each value of each column; a stratum's searches run against everybody's references.

    Ages in years are banded. Subjects without a value form no stratum, and then the others cannot be had by subtraction
    either.
    """
    cells = []
    strata = band_ages(strata)
    there = find_subjects(attempt.mated.probe)
    for column in strata.columns:
        known = strata[column].dropna()
        label = dict(zip(known.index.astype(str), known.astype(str).str.strip(), strict=True))
        kind = np.array([label.get(s, "") for s in subjects] + [""], dtype=object)  # the last is code -1: unknown
        sizes = {value: int((kind[there] == value).sum()) for value in sorted(set(kind[there]) - {""})}
        hidden = suppress(sizes, minimum)
        for value, size in sizes.items():
            where = (str(column), value, attempt.condition, attempt.attack)
            if value in hidden:
                cells.append(StratumEvidence(*where, True, None, None, (), None))
                continue
            inside = kind == value
            rows, scans = inside[attempt.mated.probe], inside[attempt.acquired.key // attempt.sessions]
            part = replace(
                attempt,
                mated=attempt.mated.keep(rows),
                non_mated=attempt.non_mated.keep(inside[attempt.non_mated.probe]),
                before=attempt.before[rows],
                filled=attempt.filled[rows],
            )
            searched = inside[attempt.searches.subject]
            cells.append(
                StratumEvidence(
                    *where,
                    suppressed=False,
                    subjects=size,
                    fta=subject_rate(
                        ~attempt.acquired.seen[scans],
                        attempt.acquired.key[scans] // attempt.sessions,
                        confidence=confidence,
                    )[0],
                    matches=tuple(measure_matches(part, t, confidence=confidence) for t in offered(calibration)),
                    rank1=subject_rate(
                        attempt.searches.rank[searched] <= 1, attempt.searches.subject[searched], confidence=confidence
                    )[0],
                )
            )
    return cells
