"""Rates per stratum, and how far they lie from the others'."""

from __future__ import annotations

import numpy as np
import pytest

from reid_audit.records import InputError
from reid_audit.stats import measure_differentials


def test_rates_and_gaps_by_hand() -> None:
    """Of twenty F half match themselves, of twenty M all; F match other F, nobody else matches anybody."""
    block = np.full((40, 40), 0.9)
    block[:20, :20] = 0.1
    np.fill_diagonal(block, [0.1] * 10 + [0.9] * 10 + [0.1] * 20)
    women, men = measure_differentials([block], ["F"] * 20 + ["M"] * 20, 0.5)
    assert (women.stratum, women.subjects, men.stratum, men.subjects) == ("F", 20, "M", 20)
    assert (women.tmr.value, women.fmr.value, men.tmr.value, men.fmr.value) == (0.5, 1.0, 1.0, 0.0)
    assert (women.tmr_gap.value, women.fmr_gap.value) == (-0.5, 1.0)
    assert men.tmr_gap.value == 0.5
    assert women.tmr_gap.high < 0  # shown to differ
    assert women.fmr.low == pytest.approx(0.025 ** (1 / 20))  # all of twenty
    assert women.tmr_gap.confidence == pytest.approx(0.975)  # two strata, jointly 95 %


def test_small_cells_are_hidden_and_cannot_be_had_by_subtraction() -> None:
    block = np.full((40, 40), 0.9)
    cells = measure_differentials([block], ["A"] * 3 + ["B"] * 12 + ["C"] * 25, 0.5)
    assert [cell.suppressed for cell in cells] == [True, True, False]
    assert [cell.subjects for cell in cells] == [0, 0, 25]
    unknown = measure_differentials([block], ["A"] * 3 + ["B"] * 12 + [""] * 25, 0.5)
    assert [(cell.stratum, cell.suppressed) for cell in unknown] == [("A", True), ("B", True)]


def test_a_probe_without_a_face_does_not_match() -> None:
    block = np.full((20, 20), 0.1)
    block[:5] = np.nan
    (cell,) = measure_differentials([block], ["A"] * 20, 0.5)
    assert (cell.tmr.value, cell.fmr.value) == (0.75, 1.0)
    assert np.isnan(cell.tmr_gap.value)  # nobody is outside
    assert cell.tmr_gap.reason


def test_each_subject_has_a_label() -> None:
    with pytest.raises(InputError, match="each of the 2 subjects"):
        measure_differentials([np.zeros((2, 2))], ["A"], 0.5)
