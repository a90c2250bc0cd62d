"""Synthetic radiotherapy studies: what is written is what the phantom is, however the patient lies."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest

from reid_audit import InputError, read_volume
from reid_audit.cli import main
from reid_audit.dataset import read_manifest
from reid_audit.phantom import PhantomScan, make_phantom, write_rt_cohort, write_rt_set
from reid_audit.phantom.organs import draw_organs, target_centre
from reid_audit.volume.contours import clip_loop, fill_loops, trace_mask

POSITIONS = ("HFS", "HFP", "FFS", "FFP")


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    """4 mm voxels, every second row left out: 4 x 8 x 4 mm."""
    made = make_phantom(2, 1, spacing_mm=4.0)
    matrix = made.volume.voxel_to_ras_mm @ np.diag([1.0, 2.0, 1.0, 1.0])
    thin = np.ascontiguousarray(made.volume.intensity[:, ::2])
    return replace(
        made, volume=replace(made.volume, intensity=thin, voxel_to_ras_mm=matrix), labels=made.labels[:, ::2]
    )


@pytest.mark.parametrize(("position", "order"), list(product(POSITIONS, (1, -1))))
def test_every_position_gives_the_same_scan_structures_and_dose(
    scan: PhantomScan, tmp_path: Path, position: str, order: int
) -> None:
    made = write_rt_set(
        scan,
        tmp_path,
        position=position,
        slice_order=order,
        dose_position=POSITIONS[(POSITIONS.index(position) + 1) % 4],
        dose_order=-order,
        dose_shift_mm=(1.3, -2.1, 0.9),
        dose_spacing_mm=(5.0, 6.0, 7.0),
    )
    back = read_volume(made.ct)
    np.testing.assert_array_equal(back.intensity, scan.volume.intensity)
    np.testing.assert_allclose(back.voxel_to_ras_mm, scan.volume.voxel_to_ras_mm, atol=1e-3)

    structures = pydicom.dcmread(made.structures)
    for organ, drawn in zip(draw_organs(scan, ["oropharynx"]), structures.ROIContourSequence, strict=True):
        actual = np.zeros_like(organ.mask)
        for contour in drawn.get("ContourSequence", []):
            lps = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            ras = np.column_stack([lps * (-1, -1, 1), np.ones(len(lps))])
            voxels = ras @ np.linalg.inv(scan.volume.voxel_to_ras_mm).T
            actual[:, :, round(voxels[0, 2])] ^= fill_loops([voxels[:, :2]], scan.labels.shape[:2])
        np.testing.assert_array_equal(actual, organ.mask, err_msg=organ.name)

    dose = pydicom.dcmread(made.dose)
    gy = dose.pixel_array * float(dose.DoseGridScaling)
    frame, row, column = (where[:, None] for where in np.nonzero(gy > 69.9))
    along, down = np.array(dose.ImageOrientationPatient, dtype=float).reshape(2, 3)
    lps = np.array(dose.ImagePositionPatient, dtype=float) + along * column * float(dose.PixelSpacing[1])
    offsets = np.array(dose.GridFrameOffsetVector, dtype=float)
    lps = lps + down * row * float(dose.PixelSpacing[0]) + np.cross(along, down) * offsets[frame]
    centre, _ = target_centre(scan, "oropharynx")
    assert gy.max() == pytest.approx(70, abs=0.01)
    np.testing.assert_allclose(lps.mean(axis=0) * (-1, -1, 1), centre, atol=2.0)


def test_the_same_arguments_give_the_same_bytes(scan: PhantomScan, tmp_path: Path) -> None:
    first, _ = (write_rt_set(scan, tmp_path / name, ptv=["nose", "sinus"], holes="xor") for name in "ab")
    for file in (first.structures, first.dose, first.ct / "CT0003.dcm"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_absolute_offsets_are_coordinates(scan: PhantomScan, tmp_path: Path) -> None:
    made = write_rt_set(scan, tmp_path, dose_offsets="absolute", dose_order=-1)
    dose = pydicom.dcmread(made.dose)
    assert dose.GridFrameOffsetVector[0] == pytest.approx(dose.ImagePositionPatient[2], abs=1e-3)
    assert dose.GridFrameOffsetVector[1] == pytest.approx(dose.ImagePositionPatient[2] - 3, abs=1e-3)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize("position", POSITIONS)
def test_the_files_are_valid_dicom(scan: PhantomScan, tmp_path: Path, position: str) -> None:
    made = write_rt_set(scan, tmp_path, position=position, ptv=["oropharynx", "nose"])
    for file in (made.ct / "CT0001.dcm", made.structures, made.dose):
        said = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, text=True, check=False).stderr
        assert "Error" not in said, f"{file.name}: {said}"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"position": "LFS"}, "position"), ({"slice_order": 0}, "slice_order"), ({"ptv": ["heel"]}, "heel")],
)
def test_wrong_arguments_are_named(scan: PhantomScan, tmp_path: Path, wrong: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        write_rt_set(scan, tmp_path, **wrong)  # type: ignore[arg-type]


def test_a_cohort_of_studies_has_a_manifest_that_the_audit_takes(tmp_path: Path) -> None:
    manifest = write_rt_cohort(tmp_path, subjects=1, visits=2, spacing_mm=6.0)
    cohort = read_manifest(manifest)
    assert [scan.session for scan in cohort.scans] == ["1", "2"]
    assert read_volume(cohort.scans[1].path).is_hu


def test_mr_is_no_planning_scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom", "--dicom", "--modality", "MR", "--out", str(tmp_path / "out")]) == 2
    assert "--modality MR" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_masks_survive_as_loops() -> None:
    rng = np.random.default_rng(0)
    from scipy import ndimage

    for width in (0.3, 1.0, 2.5):
        mask = ndimage.gaussian_filter(rng.standard_normal((50, 37)), width) > 0  # islets in holes in islets
        for keyholes in (True, False):
            loops = trace_mask(mask, keyholes=keyholes)
            np.testing.assert_array_equal(fill_loops(loops, (50, 37)), mask)
            expected = mask.copy()
            expected[:, 19:] = False
            np.testing.assert_array_equal(fill_loops([clip_loop(loop, 18.5) for loop in loops], (50, 37)), expected)
        # With keyholes each loop is filled by itself: their union is the mask too.
        alone = [fill_loops([loop], (50, 37)) for loop in trace_mask(mask)]
        np.testing.assert_array_equal(np.any(alone, axis=0), mask)


def test_loops_without_pixels_are_nothing() -> None:
    assert trace_mask(np.zeros((4, 4), bool)) == []
    assert not fill_loops([], (4, 4)).any()
    assert not fill_loops([np.array([[0.0, 0.0], [3.0, 3.0]])], (4, 4)).any()
    assert not fill_loops([np.array([[9.0, 9.0], [12.0, 9.0], [12.0, 12.0]])], (4, 4)).any()
    assert clip_loop(np.array([[0.0, 5.0], [1.0, 5.0], [1.0, 6.0]]), 4.0).shape == (0, 2)
