"""Bits of identity and the anonymity set."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reid_audit.records import InputError
from reid_audit.stats import measure_information


def test_nearest_mates_give_all_bits_and_a_set_of_one() -> None:
    blocks = [np.where(np.eye(32, dtype=bool), 0.1, 0.9)]
    actual = measure_information(blocks, rng=np.random.default_rng(0))
    assert actual.possible_bits == 5  # log2 32
    assert actual.bits.value == pytest.approx(5, abs=0.05)
    assert actual.anonymity_set.value == pytest.approx(1, abs=0.05)


def test_no_more_bits_than_there_are() -> None:
    """Half of 256 subjects are at 0 from themselves, all else is 1: 8 bits on the half, and 1 on the rest, not they."""
    block = np.ones((256, 256))
    half = np.arange(128)
    block[half, half] = 0
    actual = measure_information([block], rng=np.random.default_rng(0))
    assert 4.3 < actual.bits.value <= 4.5
    assert actual.anonymity_set.value == pytest.approx(256 / 2**actual.bits.value)
    assert actual.bits_by_subject[half].min() > 7.5
    assert actual.bits_by_subject[128:] == pytest.approx(1, abs=0.1)


def test_nothing_left_gives_no_bits_on_average() -> None:
    values = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        block = rng.normal(0.8, 0.1, (30, 30)) + rng.normal(0, 0.1, (30, 1)) + rng.normal(0, 0.1, 30)
        actual = measure_information([block], rng=rng)
        values.append((actual.bits.value, actual.anonymity_set.value, actual.bits.at_most))
        assert actual.bits.low <= 0.02
    bits, sizes, at_most = np.mean(values, axis=0)
    assert bits < 0.03
    assert sizes > 29.4
    assert 0.05 < at_most < 0.5  # thirty subjects cannot show that nothing at all is left


def test_a_probe_without_a_distance_is_anyone() -> None:
    rng = np.random.default_rng(1)
    block = np.where(np.eye(20, dtype=bool), 0.1, 0.9) + rng.normal(0, 0.01, (20, 20))
    block[7] = np.nan
    actual = measure_information([block], rng=rng)
    assert actual.bits_by_subject[7] == pytest.approx(0)
    assert measure_information([np.full((20, 20), np.nan)], rng=rng).bits.value == 0


def test_every_end_of_the_set_is_that_of_the_bits() -> None:
    rng = np.random.default_rng(2)
    actual = measure_information([rng.normal(0.8, 0.1, (40, 40)) - 0.15 * np.eye(40)], rng=rng)
    bits, size = actual.bits, actual.anonymity_set
    assert bits.low < bits.at_least < bits.value < bits.at_most < bits.high
    assert [size.low, size.at_least, size.at_most, size.high] == pytest.approx(
        [40 / 2**x for x in (bits.high, bits.at_most, bits.at_least, bits.low)]
    )


def test_too_few_subjects_and_blocks_of_other_shapes() -> None:
    rng = np.random.default_rng(0)
    assert math.isnan(measure_information([], rng=rng).bits.value)
    few = measure_information([np.zeros((9, 9))], rng=rng)
    assert "10 subjects" in few.bits.reason
    with pytest.raises(InputError, match=r"\(12, 12\)"):
        measure_information([np.zeros((12, 12)), np.zeros((12, 11))], rng=rng)
