"""Match rates of one kind of subjects, with small cells suppressed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.attempts import measure_matches, offered
from reid_audit.accuracy.compared import Attempt, Originals
from reid_audit.accuracy.pairs import Pairs, arrange_blocks, find_subjects
from reid_audit.records import ORIGINAL, Calibration, Differential, StratumEvidence
from reid_audit.stats import measure_differentials, subject_rate, suppress

if TYPE_CHECKING:
    import pandas as pd


_BANDS = (18, 40, 60, 80)
_BAND_NAMES = ("under 18", "18-39", "40-59", "60-79", "80 and over")


def band_ages(strata: pd.DataFrame) -> pd.DataFrame:
    """Return the strata with ages in years as bands, so that a year is not a stratum.

    A column is taken for ages if ``age`` is a word of its name (``age``, ``age_years``, ``Age-at-scan``) and all that
    it holds are numbers. An empty text is a missing value.
    """
    return strata.apply(_band) if len(strata.columns) else strata


def _band(values: pd.Series) -> pd.Series:
    import pandas as pd

    known = values.astype(object).where(values.notna() & (values != ""))
    years = pd.to_numeric(known, errors="coerce")
    if "age" not in re.split(r"[^a-z]+", str(values.name).lower()) or not years.notna().sum() == known.count() > 0:
        return known
    band = np.array(_BAND_NAMES, dtype=object)[np.searchsorted(_BANDS, years.fillna(0), side="right")]
    return pd.Series(band, index=values.index, name=values.name).where(known.notna())


def _label_subjects(strata: pd.DataFrame, subjects: list[str]) -> Iterator[tuple[str, NDArray[np.object_]]]:
    """Yield each column with the stratum of every subject; the last, for the code -1, and unknown values are empty."""
    for column, values in band_ages(strata).items():
        known = values.dropna()
        label = dict(zip(known.index.astype(str), known.astype(str).str.strip(), strict=True))
        yield str(column), np.array([label.get(s, "") for s in subjects] + [""], dtype=object)


def _find_differentials(
    mated: Pairs, non_mated: Pairs, kind: NDArray[np.object_], distance: float, *, minimum: int, confidence: float
) -> dict[str, Differential]:
    everybody = find_subjects(mated.probe)
    blocks = arrange_blocks(mated, non_mated, everybody)
    if not blocks or math.isnan(distance):
        return {}
    labels = [str(label) for label in kind[everybody]]
    cells = measure_differentials(blocks, labels, distance, minimum=minimum, confidence=confidence)
    return {cell.stratum: cell for cell in cells if not cell.suppressed}


def assess_original_strata(
    originals: Originals,
    calibration: Calibration,
    strata: pd.DataFrame,
    subjects: list[str],
    attack: str,
    *,
    threshold: str,
    minimum: int,
    confidence: float,
) -> list[StratumEvidence]:
    """Measure the differentials of the control: whether the recogniser sees one kind of subjects better than others."""
    distance, both = calibration.distance_at(threshold), originals.different.joined(originals.different.flipped())
    return [
        StratumEvidence(column, value, ORIGINAL, attack, False, cell.subjects, None, (), None, originals.encoder, cell)
        for column, kind in _label_subjects(strata, subjects)
        for value, cell in _find_differentials(
            originals.same, both, kind, distance, minimum=minimum, confidence=confidence
        ).items()
    ]


def assess_strata(
    attempt: Attempt,
    calibration: Calibration,
    strata: pd.DataFrame,
    subjects: list[str],
    *,
    threshold: str,
    minimum: int,
    confidence: float,
) -> list[StratumEvidence]:
    """Measure each value of each column; a stratum's searches run against everybody's references.

    Ages in years are banded. Differentials are at ``threshold``.
    """
    cells = []
    there = find_subjects(attempt.mated.probe)
    distance = calibration.distance_at(threshold)
    for column, kind in _label_subjects(strata, subjects):
        differentials = _find_differentials(
            attempt.mated, attempt.non_mated, kind, distance, minimum=minimum, confidence=confidence
        )
        sizes = {value: int((kind[there] == value).sum()) for value in sorted(set(kind[there]) - {""})}
        hidden = suppress(sizes, minimum)
        for value, size in sizes.items():
            where = (column, value, attempt.condition, attempt.attack)
            if value in hidden:
                cells.append(StratumEvidence(*where, True, None, None, (), None, attempt.encoder))
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
                    encoder=attempt.encoder,
                    differential=differentials.get(value),
                )
            )
    return cells
