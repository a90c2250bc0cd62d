"""Takes a small cohort of synthetic heads from files to faces, in a process of its own that a test may kill.

Run: ``python tests/resumed_run.py MANIFEST STORE [--workers N] [--scheduler ADDRESS] [--log FILE]``. Prints a line of
JSON: what each scan's face comes to, and how many were computed and how many came from the store.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from reid_audit import ScanRef, Settings, cluster_executor, local_executor
from reid_audit.attack import choose_attacks
from reid_audit.audit import FaceCache, acquire_faces, start_engines
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.phantom import make_phantom
from reid_audit.records import ORIGINAL, FaceRecord, Modality
from reid_audit.surface import SurfaceSettings
from reid_audit.volume import write_volume
from reid_audit.work import Store, digest_of

COARSE = Settings(encoders=("dlib",), renderer="raycast", surface=SurfaceSettings(voxel_mm=3.0))


def write_small_cohort(folder: Path, *, people: int, visits: int = 2) -> Path:
    """Write coarse heads whose first visit a defacer cut below the eyes."""
    scans = []
    for person in range(people):
        for visit in range(1, visits + 1):
            volume = make_phantom(person, visit, spacing_mm=3.0).volume
            made = {ORIGINAL: volume}
            if visit == 1:
                cut = volume.intensity.copy()
                cut[:, cut.shape[1] * 3 // 4 :, : cut.shape[2] // 2] = -1000
                made["cut"] = replace(volume, intensity=cut)
            for condition, each in made.items():
                path = folder / f"p{person}_{visit}_{condition}.nii.gz"
                write_volume(each, path)
                scans.append(ScanRef(f"p{person}", str(visit), condition, path, Modality.CT))
    write_manifest(folder / "manifest.csv", scans)
    return folder / "manifest.csv"


def describe(records: list[FaceRecord]) -> dict[str, str]:
    """Everything about each scan but how long it took."""
    nowhere = Path()
    return {r.scan.key: digest_of(replace(r, seconds={}, scan=replace(r.scan, path=nowhere))) for r in records}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scheduler")
    options = parser.parse_args()
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    per_scan = logging.getLogger("reid_audit.audit.acquire")
    per_scan.addHandler(handler)
    per_scan.setLevel(logging.INFO)
    engines = start_engines(COARSE)
    where: AbstractContextManager[Executor] = (
        cluster_executor(options.scheduler) if options.scheduler else local_executor(options.workers)
    )
    with where as executor:
        records = acquire_faces(
            read_manifest(options.manifest),
            engines,
            attacks=choose_attacks(["naive"]),
            executor=executor,
            cache=FaceCache(Store(options.store), engines),
        )
    kept = sum(line.endswith("from the store") for line in lines)
    sys.stdout.write(json.dumps({"faces": describe(records), "computed": len(lines) - kept, "kept": kept}) + "\n")


if __name__ == "__main__":
    main()
