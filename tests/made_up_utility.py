"""Heads of boxes under two defacers with everything that `measure_utility` makes of them, without a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from reid_audit import ScanRef, Volume
from reid_audit.records import Modality
from reid_audit.utility import Dose, Utility, UtilitySettings
from reid_audit.utility.case import measure_scan
from reid_audit.utility.compare import compare_defacers
from reid_audit.utility.exclusion import count_available
from reid_audit.utility.places import summarize_places
from reid_audit.utility.structures import structures_from_labels
from reid_audit.utility.summarize import summarize_cases, summarize_volumes

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
NAMES = {1: "eye", 2: "brain", 3: "cord"}


def make_head(person: int) -> tuple[Volume, np.ndarray]:
    """Make a box of flesh with an eye, a brain and a cord, and their labels."""
    rng = np.random.default_rng(person)
    intensity = np.full((20, 22, 18), -1000, dtype=np.float32)
    intensity[3:17, 3:19, 2:16] = np.rint(rng.normal(40, 10, (14, 16, 14)))
    labels = np.zeros(intensity.shape, dtype=np.uint8)
    labels[6:9, 15:18, 9:11] = 1
    labels[5 : 14 + person % 3, 5:11, 9:14] = 2
    labels[9:11, 5:7, 2:8] = 3
    return Volume(intensity, AFFINE, Modality.CT), labels


def make_utility(people: int = 4) -> Utility:
    """``cut`` takes half of the eye and, in the last person, some brain; of ``cover`` there is no segmentation."""
    cases = []
    for person in range(people):
        volume, labels = make_head(person)
        before = structures_from_labels(labels, AFFINE, names=NAMES)
        cut, cover, after = volume.intensity.copy(), volume.intensity.copy(), labels.copy()
        first = 16 if person < people - 1 else 10
        cut[:, first:, 9:] = -1000
        after[:, first:, 9:] = 0
        cover[:, 17:, 4:] = 90
        dose = np.broadcast_to(np.linspace(0, 66, 22, dtype=np.float32)[None, :, None], labels.shape).copy()
        for condition, values, actual in (
            ("cut", cut, structures_from_labels(after, AFFINE, names=NAMES)),
            ("cover", cover, None),
        ):
            cases.append(
                measure_scan(
                    ScanRef(f"p{person}", "1", condition, Path(f"p{person}.nii.gz")),
                    volume,
                    replace(volume, intensity=values),
                    before=before,
                    after=actual,
                    dose_before=Dose(dose, AFFINE),
                    settings=UtilitySettings(brain=("brain",)),
                )
            )
    return Utility(
        "cohort.csv",
        *(2.0, 5.0),
        tuple(cases),
        summarize_cases(cases),
        summarize_volumes(cases),
        compare_defacers(cases),
        summarize_places(cases),
        available=count_available(cases, ()),
    )
