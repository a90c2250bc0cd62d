"""How long and how much memory the evidence takes, and what share of a run that is.

Run: ``python tests/benchmarks/bench_evidence.py [--people 50 100 200] [--defacers 3] [--encoders 1] [--draws 2000]``.
Random vectors and depth maps stand for the faces of people x 2 visits x (1 + defacers), seen by the default attackers.
From them to the verdict everything is what `audit` does in one process: distances, thresholds with their bootstrap,
permutation tests, rules.
Prints for each number of people the CPU time of the distances without those of shape (which compares depth maps), of
those, and of the rest; the peak memory of the process, the share of a run whose scans take 0.5 s of CPU each (what
`bench_cohort.py` prints for 1 mm heads), and the power of the number of people with which the time grows. Status 1
where the share exceeds a tenth at 200 people or fewer.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from reid_audit import assess_scores
from reid_audit.attack import Shape, choose_attacks
from reid_audit.match import compare_attacks
from reid_audit.records import ORIGINAL, Face, FaceRecord, ScanRef, Status

SCAN_S = 0.5
MOST_SHARE = 0.1
JUDGED_PEOPLE = 200
ATTACKS = ("naive", "aligned", "registered", "shape", "fusion", "learned")
SHAPE = Shape()
MAPS = 40
"""Depth maps that all others are mixed of: to make each by itself would take longer than what is measured."""


def make_faces(people: int, defacers: int, encoders: int, *, length: int = 128) -> Iterator[FaceRecord]:
    """Yield people whose two visits resemble each other, and defaced scans that do so less and less."""
    rng = np.random.default_rng(0)

    reliefs_mm = gaussian_filter(rng.normal(size=(MAPS, *SHAPE.region.shape)), (0, 4, 4))
    reliefs_mm = (3 / reliefs_mm.std() * reliefs_mm).astype(np.float32).reshape(MAPS, -1)

    def face(vector: np.ndarray, encoder: str) -> Face:
        return Face(Status.OK, encoder, vector=(vector / np.linalg.norm(vector)).astype(np.float32))

    def look(vector: np.ndarray) -> tuple[Face, ...]:
        mixed = vector[:MAPS].astype(np.float32) / np.linalg.norm(vector[:MAPS])
        return (Face(Status.OK, SHAPE.encoder, vector=60 + mixed @ reliefs_mm),)

    for encoder in (f"random{k}" for k in range(encoders)):
        for i in range(people):
            person = rng.normal(size=length)
            for visit in ("1", "2"):
                original = person + 1.5 * rng.normal(size=length)
                vectors = {ORIGINAL: original}
                for k in range(defacers):
                    vectors[f"defacer{k + 1}"] = original + (k + 1) * 3 * rng.normal(size=length)
                for condition, vector in vectors.items():
                    scan = ScanRef(f"p{i:05d}", visit, condition, Path(f"{i}.nii.gz"))
                    looks = {SHAPE.name: look(vector)}
                    if condition != ORIGINAL:
                        others = vector + rng.normal(size=(2, length))
                        looks |= {
                            name: (face(other, encoder),)
                            for name, other in zip(("aligned", "registered"), others, strict=True)
                        }
                    yield FaceRecord(scan, face(vector, encoder), looks=looks)


def main(argv: Sequence[str] | None = None) -> int:
    """Time each number of people; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--defacers", type=int, default=3)
    parser.add_argument("--encoders", type=int, default=1)
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args(argv)
    attacks, rows, missed = choose_attacks(ATTACKS), [], False
    for people in sorted(options.people):
        faces = list(make_faces(people, options.defacers, options.encoders))
        began = time.process_time()
        compare_attacks(faces, [attack for attack in attacks if not attack.costly])
        others = time.process_time()
        scores = compare_attacks(faces, attacks)
        compared = time.process_time()
        shape_s, others_s = compared - others - (others - began), others - began
        result = assess_scores(scores, source="random", draws=options.draws)
        ended = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        scans = len(faces) // options.encoders
        share = (ended - others) / (ended - others + SCAN_S * scans)
        rows.append((people, ended - others, peak))
        print(
            f"{people} people, {scans} scans, {len(scores.frame):,} comparisons: distances {others_s:.1f} s, those of "
            f"shape {shape_s:.1f} s, evidence and verdict ({result.verdict.decision}) {ended - compared:.1f} s, "
            f"{share:.1%} of the run; peak {peak:.2f} GB",
            flush=True,
        )
        missed |= share > MOST_SHARE and people <= JUDGED_PEOPLE
    for (fewer, before, _), (more, after, _) in list(pairwise(rows))[-1:]:
        print(f"time grows with people to the power of {math.log(after / before) / math.log(more / fewer):.2f}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
