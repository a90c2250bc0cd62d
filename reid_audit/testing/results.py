"""Results without a scan: vectors of made-up people go through the real comparisons, evidence and verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reid_audit.attack import BASELINE, find_attack
from reid_audit.audit import assess_scores, describe_scans
from reid_audit.dataset import Cohort
from reid_audit.match import compare_faces, merge_scores
from reid_audit.records import (
    AuditResult,
    DefaceRun,
    DefaceStatus,
    Face,
    FaceRecord,
    Finding,
    Fingerprint,
    ScanRef,
    ScoreTable,
    Status,
    UtilityValue,
)

nan = math.nan
FINGERPRINT = Fingerprint("toy", "0123456789abcdef", "toy", "raycast 0123", "faced 4567", "89ab", "CT")
DEFACERS = {"none": 0.0, "blur": 0.9, "wipe": 60.0}


def make_faces(
    people: Sequence[str],
    defacers: Mapping[str, float],
    *,
    attack: str = BASELINE.name,
    faceless: float = 0.0,
    seed: int = 0,
) -> list[FaceRecord]:
    """Two visits of each person, the first defaced: defacers add noise, which stronger attackers halve."""
    rng = np.random.default_rng(seed)
    made: list[FaceRecord] = []
    for name in people:
        person = rng.normal(size=48)
        for visit in ("1", "2"):
            original = person + 0.6 * rng.normal(size=48)
            for condition, noise in {"original": 0.0, **(defacers if visit == "1" else {})}.items():
                own = np.random.default_rng([seed, len(made), len(attack)])
                part = 0.5 if attack != BASELINE.name else 1.0
                vector = original + part * noise * own.normal(size=48)
                lost = condition != "original" and attack == BASELINE.name and own.random() < faceless
                face = Face(
                    Status.NO_FACE if lost else Status.OK,
                    "toy",
                    vector=None if lost else (vector / np.linalg.norm(vector)).astype(np.float32),
                    confidence=nan if lost else 0.9,
                    reason="the detector saw no face" if lost else "",
                )
                findings = (Finding("reader", "info", "mirrored affine"),) if rng.random() < 0.1 else ()
                scan = ScanRef(name, visit, condition, Path(f"/data/private/{condition}/{name}_{visit}.nii.gz"))
                made.append(FaceRecord(scan, face, skin_level=-300.0, findings=findings, seconds={"read": 1.5}))
    return made


def make_scores(
    people: int | Sequence[str] = 30,
    defacers: Mapping[str, float] = DEFACERS,
    *,
    attacks: Sequence[str] = (BASELINE.name, "registered"),
    faceless: float = 0.1,
    seed: int = 0,
) -> tuple[ScoreTable, list[FaceRecord]]:
    """Compare made-up people under each attacker."""
    names = [f"p{i + 1:03d}" for i in range(people)] if isinstance(people, int) else list(people)
    first = make_faces(names, defacers, faceless=faceless, seed=seed)
    tables = [compare_faces(first)]
    for attack in attacks[1:]:
        table = compare_faces(make_faces(names, defacers, attack=attack, seed=seed), attack=find_attack(attack))
        tables.append(ScoreTable(table.frame[~table.frame["group"].isin(["same", "different"])]))
    return merge_scores(tables), first


def make_result(
    people: int | Sequence[str] = 30,
    defacers: Mapping[str, float] = DEFACERS,
    *,
    attacks: Sequence[str] = (BASELINE.name, "registered"),
    faceless: float = 0.1,
    cost: bool = False,
    seed: int = 0,
    draws: int = 200,
    source: str = "manifest.csv",
) -> tuple[AuditResult, ScoreTable]:
    """Judge made-up people; the whole record is filled as an audit of scans fills it."""
    scores, faces = make_scores(people, defacers, attacks=attacks, faceless=faceless, seed=seed)
    names = list(dict.fromkeys(record.scan.subject for record in faces))
    strata = pd.DataFrame(
        {"sex": ["F" if i % 2 else "M" for i in range(len(names))]}, index=pd.Index(names, name="subject")
    )
    cohort = Cohort(tuple(record.scan for record in faces), strata, source)
    result = assess_scores(scores, source=source, fingerprints=[FINGERPRINT], strata=strata, seed=seed, draws=draws)
    runs = [
        DefaceRun(r.scan.condition, "1.0", r.scan.subject, r.scan.session, DefaceStatus.OK, seconds=10.0 + i % 5)
        for i, r in enumerate(faces)
        if r.scan.condition != "original"
    ]
    lost = [DefaceRun(c, "1.0", "p999", "1", DefaceStatus.FAILED, "it said so") for c in list(defacers)[:1]]
    values = [
        UtilityValue(
            c, "dice", "", "brain", "elsewhere", 20, 1, 1 - 0.1 * i, 1 - 0.1 * i, 0.9 - 0.1 * i, 1.0, nan, nan, True
        )
        for i, c in enumerate(defacers)
    ]
    return (
        replace(
            result,
            created_utc="2026-01-02T03:04:05+00:00",
            settings={"encoder": "toy", "detector": "toy", "renderer": "raycast", "seed": str(seed)},
            weights={"toy": {"toy.onnx": "sha256 0123456789abcdef"}},
            software={"reid-audit": "0.2.0", "numpy": "2.0"},
            scans=describe_scans(faces),
            pairs=cohort.pair_accounting(),
            defacing=tuple(runs + lost) if cost else (),
            utility=tuple(values) if cost else (),
        ),
        scores,
    )
