"""What intervals cover where 95 % is promised, on worlds whose truth is known: the table of docs/evidence.md.

Run: ``python tests/benchmarks/bench_coverage.py [--worlds 200] [--only defaced [--tails light]]``. Subjects are
vectors, a visit adds noise. In ``heavy`` worlds the noise is Student's t with 3 degrees of freedom, of a scale of each
subject's own (goats), and subjects differ in how far they lie from all others (lambs). ``before`` is what 0.1.0 did.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.curves import find_eer, find_fmr, find_youden, measure_roc
from reid_audit.accuracy.pairs import Pairs
from reid_audit.accuracy.threshold_intervals import bound_thresholds
from reid_audit.stats import (
    draw_subjects,
    extrapolate_rank1,
    measure_information,
    rate_of_pairs,
    redraw_curves,
    subject_rate,
)
from reid_audit.stats.auc import auc_bounds, leave_out_auc
from reid_audit.stats.intervals import jackknife_bounds

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Ends = tuple[float, float]
LENGTH = 64


class Tails(NamedTuple):
    noise: float
    spread: float  # sd of the log of each subject's noise; half of it of the log of the subject's own vector
    freedom: float  # of Student's t; inf = normal


TAILS = {"light": Tails(1.0, 0.1, math.inf), "heavy": Tails(0.45, 0.35, 3), "heavy, weak": Tails(0.7, 0.35, 3)}


def unit(x: Array) -> Array:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def draw_faces(n: int, tails: Tails, leak: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Vectors of two visits of n subjects; the first visit has only the share ``leak`` of the subject left."""
    base = np.zeros(LENGTH)
    base[0] = 1.2
    subject = rng.normal(size=(n, LENGTH)) / 8 * rng.lognormal(0, tails.spread / 2, (n, 1))
    scale = tails.noise * rng.lognormal(0, tails.spread, (n, 1))
    noise = rng.normal(size=(2, n, LENGTH)) / 8
    if math.isfinite(tails.freedom):
        noise *= np.sqrt((tails.freedom - 2) / rng.chisquare(tails.freedom, (2, n, 1)))
    new = rng.normal(size=(n, LENGTH)) / 8 if leak < 1 else 0.0
    return unit(base + leak * subject + new + scale * noise[0]), unit(base + subject + scale * noise[1])


def find_truth(tails: Tails) -> dict[str, float]:
    """Numbers of originals in a population: 100 cohorts of 1,000 subjects."""
    rng = np.random.default_rng(1)
    mated, non_mated = [], []
    for _ in range(100):
        a, b = draw_faces(1000, tails, 1, rng)
        mated.append(1 - (a * b).sum(1))
        i, j = rng.integers(0, 1000, (2, 20_000))
        non_mated.append((1 - (a[i] * a[j]).sum(1))[i != j])
    own, other = np.sort(np.concatenate(mated)), np.sort(np.concatenate(non_mated))
    grid = np.linspace(own[0], np.quantile(other, 0.8), 4000)
    tmr, fmr = (np.searchsorted(side, grid) / len(side) for side in (own, other))
    from scipy.ndimage import gaussian_filter1d

    return {
        "auc": 1 - float(np.searchsorted(other, own).mean()) / len(other),
        "youden": float(grid[gaussian_filter1d(tmr - fmr, 40).argmax()]),
        "eer": float(grid[np.abs(fmr - 1 + tmr).argmin()]),
        "fmr10": float(np.quantile(other, 0.1)),
        "fmr1": float(np.quantile(other, 0.01)),
        "match": float(np.searchsorted(own, 0.3) / len(own)),
    }


def percentiles(
    own: Array, other: Array, i: NDArray[np.intp], j: NDArray[np.intp], seed: int, draws: int
) -> dict[str, Ends]:
    """The intervals of the Youden and EER thresholds of 0.1.0."""
    grid = np.unique(np.concatenate([own, other]))
    grid = np.append(grid, np.nextafter(grid[-1], np.inf))
    drawn = defaultdict(list)
    weights = draw_subjects(len(own), draws, rng=np.random.default_rng(seed))
    for tmr, fmr in redraw_curves(own, np.arange(len(own)), other, i, j, grid, weights):
        gain = np.round(tmr - fmr, 9)
        drawn["youden"].append(grid[len(grid) - 1 - int(np.argmax(gain[::-1]))])
        drawn["eer"].append(grid[int(np.argmin(np.abs(fmr - (1 - tmr))))])
    return {name: tuple(np.quantile(values, [0.025, 0.975])) for name, values in drawn.items()}


def measure_originals(n: int, tails: Tails, rng: np.random.Generator, draws: int) -> dict[tuple[str, str], Ends]:
    """Intervals by (number, before or after) on one cohort of originals."""
    a, b = draw_faces(n, tails, 1, rng)
    who, (i, j) = np.arange(n), np.triu_indices(n, 1)
    own, other = 1 - (a * b).sum(1), (1 - a @ a.T)[i, j]
    actual: dict[tuple[str, str], Ends] = {}
    left = leave_out_auc(own, who, other, i, j)
    actual["auc", "before"] = jackknife_bounds(left.value, left.without, 0.95, independent=n)[:2]
    actual["auc", "after"] = auc_bounds(left.value, left.without, 0.95, subjects=n)[:2]
    roc = measure_roc(own, other)
    points = {"youden": find_youden(roc)[0], "eer": find_eer(roc)[1]}
    none = np.zeros(n, dtype=np.intp), np.zeros(len(i), dtype=np.intp)
    same, different = Pairs(who, none[0], who, none[0] + 1, own), Pairs(i, none[1], j, none[1], other)
    after = bound_thresholds(same, different, points, rng=np.random.default_rng(0), draws=draws, confidence=0.95)
    for name, ends in percentiles(own, other, i, j, 0, draws).items():
        actual[name, "before"], actual[name, "after"] = ends, after[name]
    for name, rate in (("fmr10", 0.1), ("fmr1", 0.01)):
        threshold, missing = find_fmr(other, rate)
        if not missing:
            fmr = rate_of_pairs(other < threshold, i, j)
            actual[name, "after"] = tuple(np.quantile(other, [fmr.low, fmr.high], method="inverted_cdf"))
    rate, _, _ = subject_rate(own < 0.3, who)
    actual["match", "after"] = rate.low, rate.high
    return actual


def measure_defaced(n: int, tails: Tails, leak: float, rng: np.random.Generator) -> dict[str, Ends]:
    """Intervals of bits and of rank-1, among n and among 1,000, on one cohort of defaced scans."""
    a, b = draw_faces(n, tails, leak, rng)
    block = 1 - a @ b.T
    bits = measure_information([block], rng=rng).bits
    (larger,) = (point.rate for point in extrapolate_rank1([block], sizes=[1000]))
    rank1, _, _ = subject_rate((np.diag(block)[:, None] <= block).all(1), np.arange(n))
    return {
        "bits": (bits.low, bits.high),
        "rank-1": (rank1.low, rank1.high),
        "rank-1 in 1,000": (larger.low, larger.high),
    }


def find_rank1(n: int, tails: Tails, leak: float) -> float:
    """Rank-1 in a gallery of n, over 20,000 searches."""
    rng = np.random.default_rng(2)
    galleries = (1 - np.matmul(a, b.T) for a, b in (draw_faces(n, tails, leak, rng) for _ in range(20_000 // n)))
    return float(np.mean([(np.diag(d)[:, None] <= d).all(1).mean() for d in galleries]))


def find_bits(n: int, tails: Tails, leak: float) -> float:
    """Bits in galleries of n whose posterior was learned on 400 subjects: what more subjects would have shown."""
    from reid_audit.stats.information import _describe, _fit

    rng = np.random.default_rng(3)
    learn = [
        _describe(1 - np.matmul(a, b.T)) for a, b in (draw_faces(n, tails, leak, rng) for _ in range(400 // n + 1))
    ]
    weights = np.mean([_fit([x]) for x in learn], axis=0) if leak else np.zeros(2)
    bits = []
    for _ in range(100):
        a, b = draw_faces(n, tails, leak, rng)
        score = _describe(1 - a @ b.T) @ weights
        bits.append((np.diag(score) - np.logaddexp.reduce(score, axis=1)).mean() / math.log(2) + math.log2(n))
    return round(float(np.mean(bits)), 6)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--only", choices=["originals", "defaced"])
    parser.add_argument("--tails", nargs="+", choices=TAILS, default=["light", "heavy"], help="of defaced scans")
    options = parser.parse_args()
    sizes = (20, 40, 70)
    print(
        "| world | number | " + " | ".join(f"{n} subjects" for n in sizes) + " |\n|---|---" + "|---" * len(sizes) + "|"
    )
    for name, tails in TAILS.items() if options.only != "defaced" else ():
        truth = find_truth(tails)
        cells = defaultdict(list)
        for n in sizes:
            rng, seen = np.random.default_rng(n), defaultdict(list)
            for _ in range(options.worlds):
                for key, ends in measure_originals(n, tails, rng, options.draws).items():
                    seen[key].append(ends)
            for number, value in truth.items():
                cells[number].append(describe(value, seen[number, "before"], seen[number, "after"]))
        for number, value in truth.items():
            print(f"| {name} | {number} {value:.3f} | " + " | ".join(cells[number]) + " |", flush=True)
    worlds = [(name, leak) for name in options.tails for leak in (0.0, 0.15, 0.4)]
    for name, leak in worlds if options.only != "originals" else ():
        tails = TAILS[name]
        in_1000 = find_rank1(1000, tails, leak) if leak else 1e-3
        cells = defaultdict(list)
        for n in sizes:
            rng, seen = np.random.default_rng(n), defaultdict(list)
            for _ in range(options.worlds):
                for number, ends in measure_defaced(n, tails, leak, rng).items():
                    seen[number].append(ends)
            truth = {
                "bits": find_bits(n, tails, leak),
                "rank-1": find_rank1(n, tails, leak),
                "rank-1 in 1,000": in_1000,
            }
            for number, value in truth.items():
                cells[number].append(describe(value, [], seen[number]) + f", truth {value:.2g}")
        for number, row in cells.items():
            print(f"| {name}, {leak:g} left | {number} | " + " | ".join(row) + " |", flush=True)


def describe(truth: float, before: list[Ends], after: list[Ends]) -> str:
    """Coverage before and now, and the median width now."""

    def cover(ends: list[Ends]) -> str:
        low, high = np.array(ends).T
        return f"{((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean():.0%}"

    if not after:
        return "not offered"
    earlier = f"{cover(before)} -> " if before else ""
    return f"{earlier}{cover(after)} (width {np.median(np.diff(after)):.2g})"


if __name__ == "__main__":
    main()
