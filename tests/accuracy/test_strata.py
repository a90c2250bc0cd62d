"""Strata of subjects."""

from __future__ import annotations

import pandas as pd

from reid_audit.accuracy.strata import band_ages


def test_ages_in_years_are_banded_and_other_columns_are_not() -> None:
    ages = ["17", "18", "39.5", "40", "60", "80", ""]
    strata = pd.DataFrame({"age": ages, "Age-at-scan": [5, 18, 40, 59, 79, 99, None], "dosage": ages, "site": "A"})
    banded = band_ages(strata)
    assert banded["age"].tolist()[:-1] == ["under 18", "18-39", "18-39", "40-59", "60-79", "80 and over"]
    assert banded["Age-at-scan"].tolist()[:-1] == ["under 18", "18-39", "40-59", "40-59", "60-79", "80 and over"]
    assert banded[["age", "Age-at-scan"]].iloc[-1].isna().all()
    assert banded["dosage"].tolist()[:2] == ["17", "18"]
    assert set(banded["site"]) == {"A"}


def test_ages_that_are_bands_already_stay() -> None:
    assert band_ages(pd.DataFrame({"age": ["20-29", "30-39"]}))["age"].tolist() == ["20-29", "30-39"]
    assert band_ages(pd.DataFrame(index=["p01"])).empty
