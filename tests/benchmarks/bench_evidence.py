"""How long and how much memory the evidence takes: people x 2 visits x defacers of random 512-d vectors.

Run: ``python tests/benchmarks/bench_evidence.py [--people 2000] [--defacers 3] [--draws 2000]``. Prints seconds per
step and the peak memory of the process. The aim: 2,000 people with 3 defacers in two minutes and 4 GB on two cores.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from reid_audit.accuracy import assess, calibrate_scores
from reid_audit.match import compare_faces
from reid_audit.records import Face, FaceRecord, Fingerprint, Policy, ScanRef, Status
from reid_audit.verdict import decide


def make_faces(people: int, defacers: int, *, seed: int = 0, length: int = 512) -> Iterator[FaceRecord]:
    """Yield people whose two visits resemble each other, and defaced scans that do so less and less."""
    rng = np.random.default_rng(seed)
    for i in range(people):
        person = rng.normal(size=length)
        for visit in ("1", "2"):
            original = person + 1.5 * rng.normal(size=length)
            conditions = {"original": original}
            for k in range(defacers):
                conditions[f"defacer{k + 1}"] = original + (k + 1) * 3 * rng.normal(size=length)
            for condition, vector in conditions.items():
                unit = (vector / np.linalg.norm(vector)).astype(np.float32)
                scan = ScanRef(f"p{i:05d}", visit, condition, Path(f"{i}.nii.gz"))
                yield FaceRecord(scan, Face(Status.OK, "random", vector=unit))


def main() -> None:
    """Time each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--defacers", type=int, default=3)
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args()
    start = last = time.perf_counter()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def lap(what: str) -> None:
        nonlocal last
        now = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        say(f"{what:<12}{now - last:8.1f} s   peak {peak:5.2f} GB")
        last = now

    faces = list(make_faces(options.people, options.defacers))
    lap("vectors")
    scores = compare_faces(faces)
    lap("compare")
    say(f"{len(scores.frame):,} comparisons")
    fingerprint = Fingerprint("random", "-", "-", "-", "-", "-", "CT")
    calibration = calibrate_scores(scores, fingerprint=fingerprint, seed=0, draws=options.draws)
    lap("calibrate")
    evidence = assess(scores, calibration, seed=0, permutations=options.draws)
    lap("assess")
    spent = time.perf_counter() - start
    say(f"verdict {decide(evidence, Policy()).decision}; {1e9 * spent / len(scores.frame):.0f} ns per comparison")
    say(f"total {spent:.1f} s")


if __name__ == "__main__":
    main()
