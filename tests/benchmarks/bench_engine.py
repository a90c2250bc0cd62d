"""What a run costs beside its scans: do workers wait for the parent or the store, does the cost grow with the cohort?

Run: ``python tests/benchmarks/bench_engine.py [--scans 2000] [--seconds 0.1] [--workers 2]``. Half of the scans are
originals, half what a defacer made of them. A scan is simulated: its worker sleeps and sends back a record as large
as a real one; everything else (digests, attackers' hints, store, processes) is what `audit` does. Prints for the first
and the last tenth of the originals and of the defaced scans how long a worker waited between two scans and what the
parent spent; the memory of both; the size of the store; and how many defaced scans one more original has done again.
Status 1 where a worker waits for more than a twentieth of a scan of 0.5 s (then a second worker gives 1.9 times one at
best), where time or memory per scan grows by more than a quarter, or where one more original voids everything.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil

from reid_audit import Cohort, ScanRef, Settings, local_executor
from reid_audit.attack import choose_attacks
from reid_audit.audit import FaceCache, acquire, acquire_faces, start_engines
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.records import (
    ORIGINAL,
    Face,
    FaceRecord,
    Grid,
    Lattice,
    Lines,
    Modality,
    OriginalSummary,
    Relief,
    Status,
    View,
)
from reid_audit.work import Store

REAL_SCAN_S = 0.5
MOST_WAIT = 0.05
MOST_GROWTH = 1.25
_LINES = 3000
"""On a scan of 2 mm: what an original hands on then takes 0.5 MB."""


def make_summary(rng: np.random.Generator, grid: Grid) -> OriginalSummary:
    """Make up what an original hands on: numbers without meaning, of the true size."""

    def lines(count: int) -> Lines:
        points, normals = rng.normal(size=(2, count, 3)).astype(np.float32)
        return Lines(points, normals, rng.normal(size=(count, 13)).astype(np.float32))

    lattice = Lattice(rng.normal(size=(36, 38, 39)).astype(np.float16), np.eye(4))
    return OriginalSummary(grid, 0.0, -1000.0, 1000.0, lines(_LINES), lines(1600), np.zeros(_LINES, np.int8), lattice)


def sleep_over(scan: ScanRef, knowledge: Mapping[str, object], *, seconds: float, **_: object) -> list[FaceRecord]:
    """Stand in for one scan, in a worker."""
    began = time.time()
    time.sleep(seconds)
    rng = np.random.default_rng(zlib.crc32(scan.key.encode()))
    vector = rng.normal(size=128).astype(np.float32)
    face = Face(
        Status.OK,
        "dlib",
        vector=vector / np.linalg.norm(vector),
        box_px=(100.0, 120.0, 400.0, 420.0),
        landmarks_px=rng.normal(250, 20, size=(5, 2)),
        eyes_px=rng.normal(250, 20, size=(2, 2)),
        layout="dlib-5",
        confidence=1.0 + rng.random(),
    )
    record = FaceRecord(scan, face, digest=rng.bytes(32).hex())
    if scan.condition == ORIGINAL:
        grid = Grid((128, 128, 128), np.eye(4), Modality.CT)
        relief = Relief(rng.normal(size=(100, 100)).astype(np.float32), (0.0, 0.0), 0.0)
        record = replace(record, view=View(), grid=grid, relief=relief, summary=make_summary(rng, grid), skin_level=0.0)
    else:
        record = replace(record, looks=dict.fromkeys(("aligned", "crossed", "registered"), (face,)))
    memory = psutil.Process().memory_info().rss
    return [replace(record, seconds={"began": began, "ended": time.time(), "process": os.getpid(), "bytes": memory})]


@dataclass(frozen=True, slots=True)
class Part:
    """Some consecutive scans of a run, per scan."""

    waited_s: float
    parent_s: float
    worker_bytes: int
    parent_bytes: int


def write_cohort(folder: Path, people: int) -> Cohort:
    """Write small files that differ, an original and a defaced scan for each person."""
    refs = []
    for i in range(people):
        for condition in (ORIGINAL, "defacer"):
            path = folder / f"{condition}{i}.nii.gz"
            path.write_text(path.name)
            refs.append(ScanRef(f"p{i}", "1", condition, path, Modality.CT))
    write_manifest(folder / "manifest.csv", refs)
    return read_manifest(folder / "manifest.csv")


def first_people(cohort: Cohort, people: int) -> Cohort:
    """Take the first people of a cohort."""
    return replace(cohort, scans=cohort.scans[: 2 * people], strata=cohort.strata.iloc[:people])


def time_run(cohort: Cohort, store: Store, workers: int) -> list[Part]:
    """Run a cohort; return its parts: first and last tenth of the originals, then of the defaced scans."""
    parent, marks = psutil.Process(), []
    engines = start_engines(Settings(encoders=("dlib",)))

    def note(stage: str, done: int, total: int) -> None:
        if done and not stage.startswith("scan files"):
            spent = parent.cpu_times()
            marks.append((spent.user + spent.system, parent.memory_info().rss))

    with local_executor(workers) as executor:
        records = acquire_faces(
            cohort,
            engines,
            attacks=choose_attacks(None),
            executor=executor,
            progress=note,
            cache=FaceCache(store, engines),
        )
    parts, half, tenth = [], len(records) // 2, max(len(records) // 20, workers + 1)
    for of_stage in (True, False):
        stage = [r for r in records if (r.scan.condition == ORIGINAL) is of_stage]
        stage.sort(key=lambda record: record.seconds["began"])
        base = 0 if of_stage else half
        for at in (slice(workers, workers + tenth), slice(half - tenth, half)):
            some, spent = stage[at], marks[base + at.start : base + at.stop]
            busy: dict[float, list[FaceRecord]] = {}
            for record in some:
                busy.setdefault(record.seconds["process"], []).append(record)
            gaps = [
                later.seconds["began"] - earlier.seconds["ended"]
                for done in busy.values()
                for earlier, later in pairwise(done)
            ]
            parts.append(
                Part(
                    float(np.mean(gaps)),
                    (spent[-1][0] - spent[0][0]) / (len(spent) - 1),
                    int(max(record.seconds["bytes"] for record in some)),
                    spent[-1][1],
                )
            )
    return parts


def count_redone(cohort: Cohort, store: Store, people: int) -> int:
    """Run a part of a cohort, then one person more; count the defaced scans of the part that are done again."""
    engines, told = start_engines(Settings(encoders=("dlib",))), {}

    def note(stage: str, done: int, total: int) -> None:
        if stage.startswith("defaced"):
            told["defaced"] = total

    for some in (people, people + 1):
        told["defaced"] = 0
        cache = FaceCache(store, engines)
        acquire_faces(first_people(cohort, some), engines, attacks=choose_attacks(None), progress=note, cache=cache)
    return told["defaced"] - 1  # the new person's own


def main(argv: Sequence[str] | None = None) -> int:
    """Time the runs; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    people, failures = options.scans // 2, []
    acquire._examine = partial(sleep_over, seconds=options.seconds)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cohort, store = write_cohort(folder, people), Store(folder / "store")
        parts = time_run(cohort, store, options.workers)
        names = ("first originals", "last originals", "first defaced", "last defaced")
        for name, part in zip(names, parts, strict=True):
            print(
                f"{name:16}{1000 * part.waited_s:6.1f} ms waited between two scans, "
                f"{1000 * part.parent_s:6.1f} ms of the parent's CPU per scan; "
                f"{part.worker_bytes / 1e6:.0f} MB in a worker, {part.parent_bytes / 1e6:.0f} MB in the parent"
            )
        waited = max(part.waited_s for part in parts)
        print(
            f"at {REAL_SCAN_S} s per scan {options.workers} workers give "
            f"{options.workers / (1 + waited / REAL_SCAN_S):.2f} times one, as far as parent and store are concerned"
        )
        failures += ["waiting"] if waited > MOST_WAIT * REAL_SCAN_S else []
        for early, late in (parts[:2], parts[2:]):
            failures += ["time"] if late.parent_s > MOST_GROWTH * max(early.parent_s, 0.002) else []
            failures += ["memory"] if late.worker_bytes > MOST_GROWTH * early.worker_bytes else []
        grown = (parts[1].parent_bytes - parts[0].parent_bytes) / max(people * 0.9, 1)
        print(f"the parent grows by {grown / 1e3:.0f} kB per original")
        size = store.info()
        print(f"store: {size.entries} entries, {size.size_bytes / options.scans / 1e3:.0f} kB per scan")
        acquire._examine = partial(sleep_over, seconds=0.0)
        for some in (10, 50, 200):
            if some < people:
                redone = count_redone(cohort, Store(folder / f"store{some}"), some)
                print(f"one more original beside {some} people: {redone} of {some} defaced scans are done again")
                failures += ["redone"] if redone == some > 20 else []
    print(f"missed: {', '.join(failures)}" if failures else "all bounds kept")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
