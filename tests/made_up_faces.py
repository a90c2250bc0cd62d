"""Made-up faces of several people, tables written by hand, and their evidence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from reid_audit.accuracy import (
    assess,
    calibrate_scores,
)
from reid_audit.records import (
    SCORE_COLUMNS,
    Calibration,
    Evidence,
    Face,
    FaceRecord,
    Fingerprint,
    ScanRef,
    ScoreTable,
    Status,
)

nan = math.nan
FINGERPRINT = Fingerprint("toy", "0" * 64, "toy", "raycast", "frontal", "default", "CT")


def make_faces(
    people: int,
    defacers: Mapping[str, float | None],
    *,
    visits: Iterable[str] = ("1", "2"),
    noise: float = 0.6,
    seed: int = 0,
    faceless: Iterable[str] = (),
) -> list[FaceRecord]:
    """Make a cohort of vectors. Each defacer adds noise of its size to the original; None finds no face at all.

    ``faceless`` names scans (``"p3/1/cut"``) that give no vector.
    """
    rng = np.random.default_rng(seed)
    lost, faces = set(faceless), []
    for i in range(people):
        person = rng.normal(size=32)
        for visit in visits:
            original = person + noise * rng.normal(size=32)
            scans: dict[str, np.ndarray | None] = {"original": original}
            for name, size in defacers.items():
                scans[name] = None if size is None else original + size * rng.normal(size=32)
            for condition, vector in scans.items():
                scan = ScanRef(f"p{i}", visit, condition, Path("scan.nii.gz"))
                face = Face(Status.NO_FACE, "toy")
                if vector is not None and scan.key not in lost:
                    face = Face(Status.OK, "toy", vector=(vector / np.linalg.norm(vector)).astype(np.float32))
                faces.append(FaceRecord(scan, face))
    return faces


def make_evidence(table: ScoreTable, **options: object) -> tuple[Evidence, Calibration]:
    calibration = calibrate_scores(table, fingerprint=FINGERPRINT, seed=1, draws=50)
    return assess(table, calibration, seed=1, permutations=199, **options), calibration  # type: ignore[arg-type]


def make_table(rows: Iterable[tuple[object, ...]]) -> ScoreTable:
    """Make a table from (group, probe, reference, distance); visits 1 -> 2, defacer "cut"."""
    full = []
    for group, probe, reference, distance in rows:
        original = group in ("same", "different")
        second = "1" if group in ("different", "defaced_same_scan") else "2"
        full.append((group, "original" if original else "cut", "naive", "toy", probe, "1", reference, second, distance))
    return ScoreTable(pd.DataFrame(full, columns=list(SCORE_COLUMNS)))
