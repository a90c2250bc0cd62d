"""How long and how much memory a search takes: people x people vectors, nearest five and all group statistics.

Run: ``python tests/benchmarks/bench_gallery.py [--people 20000] [--length 512] [--faiss]``. Prints the rate at a
quarter, half and the whole of the people, which shows that time is linear in pairs, and the peak memory of the process;
with ``--faiss`` also how long faiss takes for the nearest five alone, and how many of them it finds. Status 1 where the
peak exceeds 3 GB or the rate falls by more than half from the smallest to the largest.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_audit.match import search_gallery
from reid_audit.match.gallery import summarise_pairs

MOST_GB = 3.0


def make_visits(people: int, length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two visits of people who resemble themselves."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((people, length), dtype=np.float32)
    first, second = (base + 1.5 * rng.standard_normal(base.shape, dtype=np.float32) for _ in range(2))
    return first, second


def time_faiss(first: NDArray[np.float32], second: NDArray[np.float32], nearest: NDArray[np.int64]) -> None:
    """Time the two indices that would be candidates: the exact one, and the usual approximate one."""
    import faiss

    length = first.shape[1]
    x, y = (np.ascontiguousarray(v / np.linalg.norm(v, axis=1, keepdims=True)) for v in (first, second))
    for name, index in (
        ("IndexFlatIP (exact, float32)", faiss.IndexFlatIP(length)),
        ("IndexHNSWFlat (approximate)", faiss.IndexHNSWFlat(length, 32, faiss.METRIC_INNER_PRODUCT)),
    ):
        began = time.perf_counter()
        index.add(y)
        built = time.perf_counter()
        _, actual = index.search(x, nearest.shape[1])
        ended = time.perf_counter()
        agree = np.mean([np.isin(a, b).mean() for a, b in zip(nearest, actual, strict=True)])
        print(f"faiss {name}: {built - began:.1f} s to build, {ended - built:.1f} s to search, {agree:.2%} of the five")


def main(argv: Sequence[str] | None = None) -> int:
    """Time the search; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--faiss", action="store_true")
    options = parser.parse_args(argv)
    first, second = make_visits(options.people, options.length)
    rates, peak = [], 0.0
    for people in (options.people // 4, options.people // 2, options.people):
        names = [str(i) for i in range(people)]
        began = time.perf_counter()
        actual = search_gallery(
            first[:people], second[:people], probe_people=names, reference_people=names, k=5, thresholds=(0.5,)
        )
        spent = time.perf_counter() - began
        rates.append(people * people / spent)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{people} x {people} vectors of {options.length}: {spent:.1f} s, {rates[-1] / 1e6:.1f} million pairs per "
            f"second, peak {peak:.2f} GB; AUC {actual.auc:.4f}, rank-1 {np.mean(actual.mate_ranks == 1):.3f}"
        )
    began = time.perf_counter()
    summary = summarise_pairs(first, thresholds=(0.5,))
    print(f"different: {summary.pairs} pairs in {time.perf_counter() - began:.1f} s, mean {summary.mean:.3f}")
    if options.faiss:
        time_faiss(first, second, actual.nearest)
    slower = options.people >= 10_000 and rates[-1] < rates[0] / 2
    return int(peak > MOST_GB or slower)


if __name__ == "__main__":
    sys.exit(main())
