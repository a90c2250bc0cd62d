"""How the work grows: workers, scans, memory.

Run: ``python tests/benchmarks/bench_work.py [--scans 40] [--more 200] [--voxel-mm 1.2] [--pairs 3]``. Synthetic CT
heads go from file to face, without a store. Prints scans per minute with one and with two workers, in turns, seconds
per scan for few and for many scans, and the memory of the workers early and late. Time counts from the first faces to
the last, so that starting the processes is left out; it is told beside it. The gain of the second worker is the median
over the turns: a machine that others share is faster now than then. The CPU time of parent and workers together says
what two workers would give if the machine did nothing else: as they wait for nobody (`bench_engine.py`), what one costs
more than alone is all that is lost. Status 1 where two workers give less than 1.9 times one, or where time per scan or
memory per worker grows by more than a quarter.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from reid_audit import Cohort, ScanRef, Settings, local_executor
from reid_audit.audit import acquire_faces, start_engines
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.phantom import make_phantom
from reid_audit.records import Modality
from reid_audit.surface import SurfaceSettings
from reid_audit.volume import write_volume

LEAST_GAIN = 1.9
MOST_GROWTH = 1.25
HEADS = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """When a run began, when each scan ended, and by then: CPU time of all processes, memory of the largest worker."""

    began: float
    ended: tuple[float, ...]
    cpu_s: tuple[float, ...]
    memory_bytes: tuple[int, ...]
    workers: int

    def seconds_per_scan(self, scans: int) -> float:
        """Over so many scans, from the first faces on: two workers end their first ones together."""
        skip = max(min(self.workers, scans - 2), 0)
        first = self.ended[skip - 1] if skip else self.began
        return (self.ended[scans - 1] - first) / (scans - skip)

    @property
    def cpu_s_per_scan(self) -> float:
        """CPU time of all processes, from the first faces on."""
        skip = min(self.workers, len(self.cpu_s) - 1)
        return (self.cpu_s[-1] - self.cpu_s[skip - 1]) / max(len(self.cpu_s) - skip, 1)


def write_heads(folder: Path, scans: int, spacing_mm: float) -> Cohort:
    """Write a few heads, and name them as often as scans are wanted."""
    paths = []
    for i in range(HEADS):
        paths.append(folder / f"head{i}.nii.gz")
        write_volume(make_phantom(i, spacing_mm=spacing_mm).volume, paths[-1])
    refs = []
    for i in range(scans):
        path = folder / f"scan{i}.nii.gz"
        path.hardlink_to(paths[i % HEADS])
        refs.append(ScanRef(f"p{i}", "1", "original", path, Modality.CT))
    write_manifest(folder / "manifest.csv", refs)
    return read_manifest(folder / "manifest.csv")


def time_run(cohort: Cohort, engines: Settings, workers: int) -> Timing:
    """Take every scan to its face."""
    began, times, spent, memory = time.perf_counter(), [], [], []

    def note(stage: str, done: int, total: int) -> None:
        if done:
            times.append(time.perf_counter())
            me = psutil.Process()
            children = me.children(recursive=True)
            memory.append(max(p.memory_info().rss for p in (children if workers > 1 else [me])))
            spent.append(sum(sum(p.cpu_times()[:2]) for p in (me, *children)))

    # One worker is this process: as in a command, and as in every worker, linear algebra has one thread.
    with contain_side_effects(), local_executor(workers) as executor:
        acquire_faces(cohort, engines, executor=executor, progress=note)
    return Timing(began, tuple(times), tuple(spent), tuple(memory), workers)


def main(argv: Sequence[str] | None = None) -> int:
    """Time the runs; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--more", type=int, default=200)
    parser.add_argument("--voxel-mm", type=float, default=1.2)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args(argv)
    engines = start_engines(Settings(encoders=("dlib",), surface=SurfaceSettings(voxel_mm=options.voxel_mm)))
    failures = []
    with tempfile.TemporaryDirectory() as place:
        cohort = write_heads(Path(place), max(options.scans, options.more), max(1.2, options.voxel_mm))

        def part(count: int) -> Cohort:
            return Cohort(cohort.scans[:count], cohort.strata.iloc[:count], cohort.source)

        gains, by_cpu = [], []
        for _ in range(options.pairs):
            each, two = (time_run(part(options.scans), engines, workers) for workers in (1, 2))
            gains.append(each.seconds_per_scan(options.scans) / two.seconds_per_scan(options.scans))
            known = two.cpu_s_per_scan > 0  # CPU time comes in ticks of the clock: of few scans there may be none
            by_cpu.append(2 * each.cpu_s_per_scan / two.cpu_s_per_scan if known else math.nan)
            for timing in (each, two):
                print(
                    f"{timing.workers} worker(s), {options.scans} scans: "
                    f"{60 / timing.seconds_per_scan(options.scans):.1f} scans per minute; "
                    f"first face after {timing.ended[0] - timing.began:.1f} s; "
                    f"{timing.cpu_s_per_scan:.2f} s of CPU per scan"
                )
        gain = median(gains)
        print(
            f"gain of the second worker: {gain:.2f} (at least {LEAST_GAIN}; {min(gains):.2f} to {max(gains):.2f} in "
            f"{options.pairs} turns); by CPU time {median(by_cpu):.2f}"
        )
        failures += ["gain"] if gain < LEAST_GAIN else []
        many, few = time_run(part(options.more), engines, 2), max(options.more // 10, 1)
        early, all_of_it = many.seconds_per_scan(few), many.seconds_per_scan(options.more)
        growth = all_of_it / early
        print(
            f"{few} and {options.more} scans, 2 workers: {early:.2f} and {all_of_it:.2f} s per scan, "
            f"growth {growth:.2f} (at most {MOST_GROWTH})"
        )
        failures += ["time"] if growth > MOST_GROWTH else []
        quarter = max(len(many.memory_bytes) // 4, 1)
        early, late = max(many.memory_bytes[: quarter + 2]), max(many.memory_bytes[-quarter:])
        print(f"largest worker: {early / 1e9:.2f} GB in the first quarter, {late / 1e9:.2f} GB in the last")
        failures += ["memory"] if late > MOST_GROWTH * early else []
    print(f"missed: {', '.join(failures)}" if failures else "all bounds kept")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
