"""A BIDS tree with several images per session: one audit, pairs across images, and no more time per scan."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path

import pytest

from reid_audit import Settings, audit
from reid_audit.audit import settings as settings_room
from reid_audit.dataset import Choice, read_cohort
from reid_audit.records import AuditResult, Group
from reid_audit.render import Lighting
from reid_audit.surface import SurfaceSettings
from reid_audit.testing import FakeEncoder, make_tiny_head
from reid_audit.volume import write_volume

SETTINGS = Settings(
    renderer="raycast",
    surface=SurfaceSettings(voxel_mm=8.0, head_volume_cm3=500.0),
    lighting=Lighting(supersampling=1),
)
IMAGES = ("run-1_T1w", "run-2_T1w", "T2w", "FLAIR")


def _write_tree(root: Path, people: int) -> Path:
    for person, (number, image), dent_mm in product(range(people), enumerate(IMAGES), (0.0, 15.0)):
        shape = {"radius_mm": 70.0 + 4 * person, "stretch": 1.0 + 0.06 * (person % 2), "shift_mm": 1.0 + number}
        who = f"sub-{person + 1:02d}"
        folder = root / ("derivatives/dent" if dent_mm else ".") / who / "anat"
        folder.mkdir(parents=True, exist_ok=True)
        head = make_tiny_head(**shape, dent_mm=dent_mm)
        write_volume(head, folder / f"{who}_{image}.nii.gz")
    return root


@pytest.mark.slow
def test_three_suffixes_and_two_runs_of_six_people_take_no_more_time_per_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_room._load_encoders.cache_clear()
    monkeypatch.setattr(settings_room, "check_encoders", lambda names, **_: None)
    monkeypatch.setattr(settings_room, "make_encoder", lambda name, **_: FakeEncoder())

    def run(people: int, choice: Choice) -> tuple[AuditResult, float]:
        root = _write_tree(tmp_path / f"study of {people}", people)
        cohort = read_cohort(root, choice=choice)
        began = time.process_time()
        result = audit(cohort, settings=SETTINGS, attacks=("naive",), canaries=0, draws=50)
        return result, (time.process_time() - began) / len(cohort.scans)

    _, alone_s = run(2, Choice(suffix="T1w"))
    result, together_s = run(6, Choice())
    settings_room._load_encoders.cache_clear()
    assert len(result.scans) == 6 * len(IMAGES) * 2
    frame = result.scores.frame
    mated = frame[frame["group"] == Group.DEFACED_SAME.value]
    across = set(zip(mated["probe_image"].astype(str), mated["reference_image"].astype(str), strict=True))
    names = ("T1w run-1", "T1w run-2", "T2w", "FLAIR")
    assert across == {(probe, reference) for probe, reference in product(names, names) if probe != reference}
    assert together_s < 1.5 * alone_s, f"{together_s / alone_s:.2f} times the seconds per scan of T1w alone"
