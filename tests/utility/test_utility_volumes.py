"""Volumes that other programs measured, in the forms in which they write them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from reid_audit import InputError, ScanRef
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.testing import make_tiny_head
from reid_audit.utility import measure_utility
from reid_audit.utility.volumes import find_volumes, read_aseg, read_statistics, read_volume_table, replace_volumes
from reid_audit.volume import write_volume

ASEG = """# Title Segmentation Statistics
# Measure BrainSeg, BrainSegVol, Brain Segmentation Volume, 1100000.000000, mm^3
# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, 1500000.500000, mm^3
# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean normStdDev
  1   4      7500     {ventricle}  Left-Lateral-Ventricle    30.1  12.0
  2  17      4000     4000.0  Left-Hippocampus    70.0  8.0
"""


def test_aseg_stats(tmp_path: Path) -> None:
    path = tmp_path / "aseg.stats"
    path.write_text(ASEG.format(ventricle="7512.3"))
    expected = {"intracranial": 1500000.5, "Left-Lateral-Ventricle": 7512.3, "Left-Hippocampus": 4000.0}
    assert read_aseg(path) == expected
    path.write_text("# ColHeaders Index SegId\n 1 4\n")
    with pytest.raises(InputError, match=r"aseg\.stats.*Volume_mm3"):
        read_aseg(path)


def test_totalsegmentator_statistics(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps({"brain": {"volume": 1.2e6, "intensity": 30.0}}))
    assert read_statistics(path) == {"brain": 1.2e6}
    path.write_text("{}]")
    with pytest.raises(InputError, match=r"statistics\.json.*TotalSegmentator"):
        read_statistics(path)


@pytest.mark.parametrize("sign", [",", "\t"])
def test_tables(sign: str, tmp_path: Path) -> None:
    path = tmp_path / "volumes.csv"
    lines = ["subject,total intracranial,left thalamus", "p0_1_original,1500000,7000.5", "p0_1_cut.nii.gz,1490000,7001"]
    path.write_text("\n".join(lines).replace(",", sign))
    assert read_volume_table(path)["p0_1_original"] == {"total intracranial": 1.5e6, "left thalamus": 7000.5}
    source = find_volumes(path)
    assert source.of(ScanRef("p0", "1", "cut", Path("p0_1_cut.nii.gz"))) == {
        "total intracranial": 1.49e6,
        "left thalamus": 7001.0,
    }
    assert source.of(ScanRef("p9", "1", "cut", Path("p9.nii.gz"))) is None
    path.write_text("subject,a\np0,1\np0,2\n")
    with pytest.raises(InputError, match="'p0' occurs twice"):
        read_volume_table(path)
    path.write_text("subject,a\np0,large\n")
    with pytest.raises(InputError, match=r"volumes\.csv: is no table of volumes"):
        read_volume_table(path)


def test_volumes_reach_repeatability(tmp_path: Path) -> None:
    head = make_tiny_head(80.0)
    scans = []
    for condition, level in (("original", 0), ("cut", -900)):
        values = head.intensity.copy()
        values[:, values.shape[1] * 3 // 4 :] += level
        path = tmp_path / f"p0_1_{condition}.nii.gz"
        write_volume(replace(head, intensity=values), path)
        scans.append(ScanRef("p0", "1", condition, path, head.modality))
        folder = tmp_path / "stats" / f"p0_1_{condition}" / "stats"
        folder.mkdir(parents=True)
        (folder / "aseg.stats").write_text(ASEG.format(ventricle=7500 if condition == "original" else 7000))
    write_manifest(tmp_path / "manifest.csv", scans)
    cohort = read_manifest(tmp_path / "manifest.csv")
    actual = measure_utility(cohort, volumes=tmp_path / "stats")
    rows = {row.structure: row for row in actual.volumes}
    assert rows["Left-Lateral-Ventricle"].bias == pytest.approx(-0.5)
    assert rows["Left-Lateral-Ventricle"].cr == pytest.approx(1.96 * 0.5)
    assert rows["Left-Hippocampus"].cr == 0
    assert "ncr" in {value.metric for value in actual.values}
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="other: holds no scan's volumes"):
        measure_utility(cohort, volumes=tmp_path / "other")
    with pytest.raises(InputError, match="--volumes"):
        find_volumes(tmp_path / "nothing")
    case = replace_volumes(actual.cases[0], {"a": 1000.0}, None)
    assert case.findings[-1].text.startswith("no volumes of the defaced scan")
    halves = replace_volumes(actual.cases[0], {"a": 1000.0}, {"b": 2000.0})
    numbers = {m.structure: (m.before, m.after) for m in halves.measures if m.metric == "volume_difference"}
    assert numbers["a"][0] == 1.0
    assert math.isnan(numbers["a"][1])
    assert numbers["b"][1] == 2.0
