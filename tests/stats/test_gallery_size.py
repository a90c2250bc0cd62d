"""Searches in galleries larger than the cohort."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from reid_audit.records import InputError
from reid_audit.stats import extrapolate_fpir, extrapolate_rank1


def test_mates_at_every_rank_alike_give_chance() -> None:
    """Subject i's mate has i non-mated nearer: ranks 1 to n once each, p uniform, a = b = 1, and rank-1 = 1 / N."""
    n = 60
    block = np.full((n, n), 0.9)
    for i in range(n):
        block[i, [j for j in range(n) if j != i][:i]] = 0.1
    np.fill_diagonal(block, 0.5)
    for point in extrapolate_rank1([block]):
        assert point.chance == 1 / point.size
        assert point.rate.value == pytest.approx(point.chance, rel=0.5)
        assert point.rate.low <= point.chance <= point.rate.high


def test_all_mates_first_is_nearly_all_and_not_certain() -> None:
    points = extrapolate_rank1([np.where(np.eye(50, dtype=bool), 0.1, 0.9)], sizes=[50, 1_000_000])
    assert points[0].rate.value > 0.97
    assert points[1].rate.value < points[0].rate.value
    assert points[1].rate.low < points[1].rate.value < 1


def test_scans_that_were_not_acquired_find_nobody() -> None:
    block = np.where(np.eye(40, dtype=bool), 0.1, 0.9)
    whole = extrapolate_rank1([block], sizes=[100])[0].rate.value
    block[::2] = np.nan
    assert extrapolate_rank1([block], sizes=[100])[0].rate.value == pytest.approx(whole / 2, abs=0.02)
    block[:] = np.nan
    (lost,) = extrapolate_rank1([block], sizes=[100])
    assert math.isnan(lost.rate.value)
    assert lost.rate.reason


def _normal_world(subjects: int, shift: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Scores whose truth is known: mates N(-shift, 1), non-mated N(0, 1), brought into [0, 2]."""
    block = rng.normal(size=(subjects, subjects)) - shift * np.eye(subjects)
    return np.asarray(1 + block / 10)


@pytest.mark.parametrize("shift", [0.0, 1.5, 3.0])
def test_a_gallery_of_a_thousand_is_foretold_from_seventy(shift: float) -> None:
    x = np.linspace(-9, 9, 20001) - shift
    density = norm.pdf(x + shift)
    truth = float((density * norm.sf(x) ** 999).sum() / density.sum())
    values = [
        extrapolate_rank1([_normal_world(70, shift, np.random.default_rng(seed))], sizes=[1000])[0].rate
        for seed in range(12)
    ]
    assert sum(v.low <= truth <= v.high for v in values) >= 10
    assert 0.8 * truth - 0.002 <= np.median([v.value for v in values]) <= 1.7 * truth + 0.002


def test_fpir_of_probes_that_are_alike_is_one_minus_the_power() -> None:
    rng = np.random.default_rng(0)
    block = np.where(rng.random((70, 70)) < 0.02, 0.1, 0.9)
    fmr = float((block[~np.eye(70, dtype=bool)] < 0.5).mean())
    (point,) = extrapolate_fpir([block], 0.5, sizes=[100])
    assert point.rate.value == pytest.approx(1 - (1 - fmr) ** 100, abs=0.06)
    assert math.isnan(point.chance)


def test_one_wolf_does_not_make_every_search_return_somebody() -> None:
    """One probe of fifty matches everybody: FMR 2 %. 2 % of searches return somebody, not 1 - 0.98^1000."""
    block = np.full((50, 50), 0.9)
    block[0] = 0.1
    (point,) = extrapolate_fpir([block], 0.5, sizes=[1000])
    assert point.rate.value < 0.1


def test_sizes_are_checked() -> None:
    with pytest.raises(InputError, match="at least 1; got 0"):
        extrapolate_rank1([np.zeros((3, 3))], sizes=[0])
    assert all(math.isnan(p.rate.value) for p in extrapolate_rank1([]))
