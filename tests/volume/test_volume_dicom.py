"""DICOM series: sorted by place, rescaled, padding as air, whole or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTDoseStorage, generate_uid
from small_heads import head

from reid_audit.records import InputError, Modality
from reid_audit.volume import read_volume
from reid_audit.volume.dicom import find_stack

# --- DICOM ---


def dicom_series(
    folder: Path,
    stored: np.ndarray,
    *,
    positions_mm: Sequence[float] | None = None,
    tilt_mm: float = 0.0,
    series: str = "1.2.3",
    number: int = 7,
    seed: int = 0,
    **tags: Any,
) -> Path:
    """Write stored values (slice, row, column) as CT, head first and supine, in files and numbers without order."""
    folder.mkdir(exist_ok=True)
    positions_mm = [3.0 * k for k in range(len(stored))] if positions_mm is None else positions_mm
    shuffled = np.random.default_rng(seed).permutation(len(stored))
    for k, (z_mm, plane) in enumerate(zip(positions_mm, stored, strict=True)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = Dataset()
        data.file_meta = meta
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.PatientName, data.PatientID, data.Modality = "Secret^Name", "SECRET-ID", "CT"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SeriesNumber = "1.2", series, number
        data.InstanceNumber = int(shuffled[k]) + 1
        data.Rows, data.Columns = plane.shape
        data.PixelSpacing, data.SliceThickness = [2.0, 1.0], 3.0
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [-5.0, -8.0 + k * tilt_mm, z_mm]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.PixelData = plane.astype("<i2").tobytes()
        for name, value in tags.items():
            setattr(data, name, value)
        data.save_as(folder / f"{series}-{shuffled[k]:03d}", enforce_file_format=True)
    return folder


CLEANED = Dataset()
CLEANED.CodeValue, CLEANED.CodingSchemeDesignator = "113102", "DCM"


def stored_head(shape: tuple[int, int, int] = (5, 6, 7)) -> np.ndarray:
    """The values of `head` as a scanner stores them: (slice, row, column), rows to the back, columns to the left."""
    return (head(shape) + 1024)[::-1, ::-1].T


def test_dicom_slices_are_sorted_by_position_and_rescaled(tmp_path):
    got = read_volume(dicom_series(tmp_path / "ct", stored_head()))
    np.testing.assert_array_equal(got.intensity, head())
    # Column 0 lies at LPS x = -5, which is +5 to the right; 5 columns of 1 mm end at +1. Rows: +8 to 8 - 5 * 2 mm.
    expected = [[1, 0, 0, 1], [0, 2, 0, -2], [0, 0, 3, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(got.voxel_to_ras_mm, expected)
    assert (got.modality, got.source, got.notes) == (Modality.CT, "ct", ())


def test_dicom_may_run_downwards_and_be_rescaled_by_any_slope(tmp_path):
    folder = dicom_series(tmp_path / "ct", stored_head()[::-1], positions_mm=[18 - 3 * k for k in range(7)])
    np.testing.assert_array_equal(read_volume(folder).intensity, head())
    other = dicom_series(tmp_path / "half", 2 * stored_head(), RescaleSlope=0.5)
    np.testing.assert_array_equal(read_volume(other).intensity, head())


def test_dicom_padding_becomes_air_even_where_its_value_looks_like_tissue(tmp_path):
    stored = stored_head()
    stored[:, 0] = 1064  # 40 HU
    got = read_volume(dicom_series(tmp_path / "ct", stored, PixelPaddingValue=1064))
    assert (got.intensity[:, -1] == -1024).all()
    assert "padding set to air" in got.notes[0]
    stored[:, 0] = -2000
    for clip_hu in (True, False):
        got = read_volume(dicom_series(tmp_path / f"ge{clip_hu}", stored, PixelPaddingValue=-2000), clip_hu=clip_hu)
        assert (got.intensity[:, -1] == -1024).all()


@pytest.mark.parametrize(
    "positions_mm", [[0, 3, 6, 9, 13, 17, 21], [0, 3, 6, 9, 15, 21, 27]], ids=["a little", "twice as wide above"]
)
@pytest.mark.parametrize("tilt_mm", [0.0, 0.5])
def test_uneven_gaps_are_resampled_and_named(tmp_path, positions_mm, tilt_mm):
    """A stack whose values grow with the height of the slice: wherever it is sampled, they still do."""
    stored = np.broadcast_to(np.array(positions_mm)[:, None, None] * 10 + 1000, (7, 6, 7)).copy()
    stored[:, 0] = 0
    folder = tmp_path / "ct"
    for k, z_mm in enumerate(positions_mm):
        at = [-5.0, -8.0 + z_mm * tilt_mm, z_mm]
        dicom_series(folder, stored[k : k + 1], positions_mm=[z_mm], number=7, seed=k, ImagePositionPatient=at)
        (folder / "1.2.3-000").rename(folder / f"slice-{k}")
    got = read_volume(folder)
    n = round(positions_mm[-1] / 3) + 1
    assert got.intensity.shape == (7, 6, n)
    np.testing.assert_allclose(got.intensity[2, 2], np.linspace(-24, positions_mm[-1] * 10 - 24, n), atol=1e-3)
    assert got.voxel_to_ras_mm[2, 2] == pytest.approx(3.0)
    step_mm, widest_mm = (gap * np.hypot(1, tilt_mm) for gap in (3, max(np.diff(positions_mm))))
    text = f"uneven slice gaps, from {step_mm:.2f} to {widest_mm:.2f} mm: resampled to even ones of {step_mm:.2f} mm"
    assert text in got.notes
    with pytest.raises(InputError, match="are uneven"):
        find_stack(sorted(folder.iterdir()), "ct")


def test_gantry_tilt_is_kept_and_named(tmp_path):
    got = read_volume(dicom_series(tmp_path / "ct", stored_head(), tilt_mm=1.0))
    assert got.notes == ("sheared by 18.4 deg (gantry tilt?)",)
    assert got.voxel_to_ras_mm[1, 2] == pytest.approx(-1.0)


def test_files_that_are_no_images_are_left_out_and_counted(tmp_path):
    folder = dicom_series(tmp_path / "ct", stored_head())
    (folder / "readme.txt").write_text("text")
    dicom_series(folder, stored_head()[:1], series="9", Modality="RTDOSE")
    dose = next(folder.glob("9-*"))
    data = pydicom.dcmread(dose)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = RTDoseStorage
    data.save_as(dose)
    got = read_volume(folder)
    np.testing.assert_array_equal(got.intensity, head())
    assert got.notes == ("2 files of the folder are not images and were left out",)


@pytest.mark.parametrize(
    "tags",
    [
        {"DeidentificationMethod": ["mri_reface 0.3.4", "PS 3.15"]},
        {"RecognizableVisualFeatures": "NO"},
        {"DeidentificationMethodCodeSequence": [CLEANED]},
    ],
)
def test_a_claim_in_the_header_is_noted_as_a_claim(tmp_path, tags):
    got = read_volume(dicom_series(tmp_path / "ct", stored_head(), **tags))
    assert got.notes == ("the header claims that the face was removed: a claim, not a measurement",)


def test_each_slice_has_its_own_rescale_slope(tmp_path):
    folder = tmp_path / "ct"
    for k, plane in enumerate(stored_head()):
        slope = 0.5 if k % 2 else 1
        each = np.stack([plane / slope]).astype(np.int16)
        dicom_series(folder, each, positions_mm=[3.0 * k], seed=k, RescaleSlope=slope)
        next(folder.glob("1.2.3-000")).rename(folder / f"slice{k}")
    np.testing.assert_array_equal(read_volume(folder).intensity, head())


def test_dicom_modality_against_the_manifest(tmp_path):
    folder = dicom_series(tmp_path / "ct", stored_head())
    with pytest.raises(InputError, match=r"ct: modality MR was asked for, its header says CT"):
        read_volume(folder, modality=Modality.MR)


def two_series(folder: Path) -> Path:
    dicom_series(folder, stored_head(), series="1.2.3", number=3)
    return dicom_series(folder, stored_head()[:4], series="1.2.4", number=5)


def without_slices(*gone: int):
    def make(folder: Path) -> Path:
        kept = [k for k in range(7) if k not in gone]
        return dicom_series(folder, stored_head()[kept], positions_mm=[3.0 * k for k in kept])

    return make


def two_orientations(folder: Path) -> Path:
    dicom_series(folder, stored_head())
    return dicom_series(folder, stored_head()[:1], seed=99, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], Rows=6)


def torn_pixels(folder: Path) -> Path:
    dicom_series(folder, stored_head())
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-40])
    return folder


def torn_header(folder: Path) -> Path:
    dicom_series(folder, stored_head())
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:500])
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_series, r"holds 2 DICOM series: 3 \(CT, 7 slices\), 5 \(CT, 4 slices\); put each"),
        (without_slices(3), r"about 1 of 7 slices are missing"),
        (without_slices(2, 3), r"about 2 of 7 slices are missing"),
        (lambda d: dicom_series(d, stored_head(), positions_mm=[0, 3, 3, 6, 9, 12, 15]), r"lie at one position"),
        (lambda d: dicom_series(d, stored_head(), positions_mm=[0] * 7), r"lie at one position"),
        (lambda d: dicom_series(d, stored_head(), positions_mm=[0, 3, 6, 9, 15, 18, 21]), r"about 1 of 8 slices are m"),
        (lambda d: dicom_series(d, stored_head()[:1]), r"holds a single slice"),
        (lambda d: dicom_series(d, stored_head(), NumberOfFrames=4), r"multi-frame DICOM.*dcm2niix"),
        (lambda d: dicom_series(d, stored_head(), PhotometricInterpretation="MONOCHROME1"), r"colour or inverted"),
        (lambda d: dicom_series(d, stored_head(), ImagePositionPatient=None), r"lacks a readable modality"),
        (lambda d: dicom_series(d, stored_head(), Modality="US"), r"lacks a readable modality \(CT, MR or PT\)"),
        (two_orientations, r"differ in orientation|differ in size"),
        (torn_pixels, r"pixels of a DICOM file are damaged"),
        (torn_header, r"lacks a readable"),
    ],
)
def test_bad_dicom_is_refused_without_identifiers(tmp_path, capfd, make, message):
    folder = make(tmp_path / "ct")
    with pytest.raises(InputError, match=message) as caught:
        read_volume(folder)
    text = str(caught.value)
    assert text.startswith("ct: ")
    assert not any(secret in text for secret in ("Secret", "SECRET", "1.2.3", str(tmp_path)))
    assert capfd.readouterr() == ("", "")
