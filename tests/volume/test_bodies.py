"""Structure sets and doses as heads: where the surface lies, whose file it is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from rt_files import write_rtdose, write_rtstruct
from trees import write_series

from reid_audit.audit.findings import check_scans
from reid_audit.dataset import Choice, take_inventory
from reid_audit.records import Decision, Face, FaceRecord, InputError, Status
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume
from reid_audit.volume.bodies import body_modality

RADIUS_MM = 40.0


def _circle(radius_mm: float, height_mm: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return np.stack([radius_mm * np.cos(angle), radius_mm * np.sin(angle), np.full(90, height_mm)], axis=1)


def _write_body(path: Path, name: str = "BODY", kind: str = "ORGAN") -> Path:
    """Write a ball, and a smaller structure before it."""
    heights = np.arange(-39, 40, 3.0)
    rings = [_circle(float(np.sqrt(RADIUS_MM**2 - z**2)), z) for z in heights]
    write_rtstruct(path, {"Brain": [_circle(10, 0), _circle(10, 3)], name: rings})
    ds = pydicom.dcmread(path)
    ds.RTROIObservationsSequence[1].RTROIInterpretedType = kind
    ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime = "1.2.1", "20200131", "101500"
    ds.PatientID, ds.SeriesInstanceUID = "SECRET-ID", "1.9.1"
    ds.save_as(path)
    return path


@pytest.mark.parametrize(("name", "kind"), [("BODY", "ORGAN"), ("Haut", ""), ("outline of mine", "EXTERNAL")])
def test_the_skin_lies_at_the_contour_of_the_body(tmp_path: Path, name: str, kind: str) -> None:
    volume = read_volume(_write_body(tmp_path / "RS.dcm", name, kind))
    assert volume.notes == ("the body contour of a structure set",)
    radius_mm = np.linalg.norm(extract_skin(volume).vertices_ras_mm, axis=1)
    assert np.median(radius_mm) == pytest.approx(RADIUS_MM, abs=0.6)
    assert np.percentile(radius_mm, [2, 98]) == pytest.approx([RADIUS_MM, RADIUS_MM], abs=2.5)


def test_the_skin_lies_at_a_low_isodose(tmp_path: Path) -> None:
    place = np.stack(np.meshgrid(*[np.arange(-60, 61, 3.0)] * 3, indexing="ij"))
    dose = 60 / (1 + np.exp((np.linalg.norm(place, axis=0) - RADIUS_MM) / 1.5))
    path = write_rtdose(tmp_path / "RD", dose, spacing=(3.0, 3.0, 3.0), position_lps=(-60.0, -60.0, -60.0))
    assert body_modality(path) == "RTDOSE"
    radius_mm = np.linalg.norm(extract_skin(read_volume(path)).vertices_ras_mm, axis=1)
    assert np.median(radius_mm) == pytest.approx(RADIUS_MM + 1.5 * np.log(49), abs=1.0)  # where 2 % is left


def test_a_set_without_a_body_and_a_dose_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no contour of the body"):
        read_volume(write_rtstruct(tmp_path / "RS.dcm", {"Brain": [_circle(10, 0), _circle(10, 3)]}))
    with pytest.raises(InputError, match="dose is 0 everywhere"):
        read_volume(write_rtdose(tmp_path / "RD.dcm", np.zeros((4, 4, 4))))


def test_an_untouched_structure_set_beside_a_defaced_scan_fails_with_that_sentence(tmp_path: Path) -> None:
    trees = tmp_path / "original", tmp_path / "cut"
    for k, tree in enumerate(trees):
        write_series(tree / "ct", series=f"1.2.1.{k}")
        _write_body(tree / "RS.dcm")
        dose = write_rtdose(tree / "RD.dcm", np.arange(64.0).reshape(4, 4, 4) + k)
        ds = pydicom.dcmread(dose)
        ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime, ds.PatientID = "1.2.1", "20200131", "101500", "SECRET-ID"
        ds.save_as(dose)
    actual = take_inventory(trees[0], choice=Choice(conditions=(("cut", trees[1]),)), salt_file=tmp_path / "salt")
    cohort = actual.cohort
    assert cohort is not None, actual.questions
    assert cohort.images == ("CT", "RTDOSE", "RTSTRUCT")
    assert len(cohort.scans) == 6
    assert all(cohort.partner_of(scan) is not None for scan in cohort.scans)
    records = []
    for scan in cohort.scans:
        digest = scan.image if scan.image == "RTSTRUCT" else scan.key
        grid = read_volume(trees[0] / "RS.dcm").grid
        records.append(FaceRecord(scan, Face(Status.NO_FACE, "toy"), digest=digest, grid=grid))
    checks = [check for check in check_scans(cohort, records) if check.name == "left_beside"]
    assert [check.decision for check in checks] == [Decision.FAIL]
    assert checks[0].condition == "cut"
    assert checks[0].text.startswith("The structure set is that of the original, and shows the face ")
    assert "shows the face that was taken out of the scan beside it" in checks[0].text
