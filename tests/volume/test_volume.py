"""Reading and writing scans: every format gives the same head, every bad file a clear refusal."""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nibabel.orientations import apply_orientation, inv_ornt_aff, ornt_transform
from places import SHARED
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTDoseStorage, generate_uid

from reid_audit.records import InputError, Modality, Volume
from reid_audit.volume import check_same_grid, read_labels, read_volume, write_labels, write_volume
from reid_audit.volume.dicom import find_stack

DATA = SHARED / "data"

AFFINE = np.array([[1.0, 0, 0, -10], [0, 2, 0, -20], [0, 0, 3, -30], [0, 0, 0, 1]])


def head(shape: tuple[int, int, int] = (5, 6, 7)) -> np.ndarray:
    """An asymmetrical CT: air, a block of tissue, and every voxel of the block different."""
    values = np.full(shape, -1000, np.int16)
    block = values[1:-1, 1:-2, 2:-1]
    block[:] = np.arange(block.size).reshape(block.shape)
    return values


def nifti(path: Path, values: np.ndarray | None = None, affine: np.ndarray = AFFINE, **codes: int) -> Path:
    image = nib.Nifti1Image(head() if values is None else values, affine)
    for form, code in codes.items():
        getattr(image, f"set_{form}")(affine, code=code)
    image.to_filename(path)
    return path


def volume(values: Any = None, affine: np.ndarray = AFFINE, modality: Modality = Modality.CT) -> Volume:
    return Volume(np.asarray(head() if values is None else values, np.float32), affine, modality, "made.nii.gz")


# --- the same head from every format and orientation ---


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product([1, -1], repeat=3)))
def test_all_48_orientations_give_the_same_head(tmp_path, order, signs):
    ornt = ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), np.array(list(zip(order, signs, strict=True))))
    stored = apply_orientation(head(), ornt)
    affine = AFFINE @ inv_ornt_aff(ornt, head().shape)
    got = read_volume(nifti(tmp_path / "a.nii", stored, affine))
    np.testing.assert_array_equal(got.intensity, head())
    np.testing.assert_allclose(got.voxel_to_ras_mm, AFFINE)
    assert got.intensity.dtype == np.float32
    assert got.intensity.flags.f_contiguous


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ", ".mgz", ".mgh"])
def test_nibabel_formats(tmp_path, ending):
    kind = nib.MGHImage if "mg" in ending else nib.Nifti1Image
    made = tmp_path / f"a{ending.lower()}"
    kind(head(), AFFINE).to_filename(made)
    got = read_volume(made.rename(tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(got.intensity, head())
    np.testing.assert_allclose(got.voxel_to_ras_mm, AFFINE, atol=1e-5)
    assert got.spacing_mm == pytest.approx((1, 2, 3))
    assert got.source == f"a{ending}"


def test_nifti2_and_big_endian(tmp_path):
    nib.Nifti2Image(head(), AFFINE).to_filename(tmp_path / "two.nii")
    big = nib.Nifti1Image(head().astype(">i2"), AFFINE, nib.Nifti1Header(endianness=">"))
    big.to_filename(tmp_path / "big.nii.gz")
    for name in ("two.nii", "big.nii.gz"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).intensity, head())


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_itk_formats_are_turned_from_lps(tmp_path, ending):
    image = sitk.GetImageFromArray(head()[::-1, ::-1].T)  # stored to the left and to the back
    image.SetSpacing((1, 2, 3))
    image.SetOrigin((-(-10 + 4 * 1), -(-20 + 5 * 2), -30))
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    got = read_volume(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(got.intensity, head())
    np.testing.assert_allclose(got.voxel_to_ras_mm, AFFINE)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rotation_keeps_every_voxel_in_its_place(tmp_path, quaternion):
    affine = AFFINE.copy()
    affine[:3, :3] = nib.quaternions.quat2mat(np.array(quaternion)) @ affine[:3, :3]
    got = read_volume(nifti(tmp_path / "a.nii", affine=affine))
    assert (np.diag(got.voxel_to_ras_mm) > 0).all()
    bright = np.argwhere(got.intensity == head().max())[0]
    np.testing.assert_allclose(
        nib.affines.apply_affine(got.voxel_to_ras_mm, bright),
        nib.affines.apply_affine(affine, np.argwhere(head() == head().max())[0]),
        atol=1e-3,
    )


def test_slope_and_intercept_are_applied(tmp_path):
    image = nib.Nifti1Image(head(), AFFINE)
    image.header.set_slope_inter(0.5, 7)
    path = tmp_path / "a.nii"
    image.to_filename(path)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, 7], "<f4").tobytes()  # scl_slope, scl_inter: nibabel rescales what it writes
    stored = np.frombuffer(bytes(raw[352:]), "<i2").reshape(head().shape, order="F")
    path.write_bytes(raw)
    np.testing.assert_allclose(read_volume(path, modality=Modality.MR).intensity, stored * 0.5 + 7)


def test_a_trailing_axis_of_length_one_is_dropped(tmp_path):
    got = read_volume(nifti(tmp_path / "a.nii", head()[..., None, None]))
    np.testing.assert_array_equal(got.intensity, head())


# --- modality and values ---


def test_modality_is_told_from_values_and_noted(tmp_path):
    ct = read_volume(nifti(tmp_path / "ct.nii"))
    mr = read_volume(nifti(tmp_path / "mr.nii", head().clip(0)))
    assert (ct.modality, mr.modality) == (Modality.CT, Modality.MR)
    assert "CT told from the values" in ct.notes[0]
    assert "MR told from the values" in mr.notes[0]
    assert read_volume(tmp_path / "ct.nii", modality=Modality.CT).notes == ()
    assert "look like HU" in read_volume(tmp_path / "ct.nii", modality=Modality.MR).notes[0]


def test_a_windowed_ct_is_not_hu(tmp_path):
    with pytest.raises(InputError, match=r"a\.nii: intensities are not HU \(0 to 35, no air.*give modality MR"):
        read_volume(nifti(tmp_path / "a.nii", head().clip(0)), modality=Modality.CT)


def test_ct_padding_and_metal_are_clipped(tmp_path):
    values = head()
    values[0], values[-1, -1, -1] = -3024, 9000
    got = read_volume(nifti(tmp_path / "a.nii", values), modality=Modality.CT)
    assert (got.intensity[0] == -1024).all()
    assert got.intensity[-1, -1, -1] == 3071
    assert got.notes == ("padding below -1024 HU (down to -3024) became air",)


@pytest.mark.parametrize(("modality", "air"), [(Modality.CT, -1024), (Modality.MR, -1000)])
def test_a_few_nan_become_air_and_are_noted(tmp_path, modality, air):
    values = head().astype(np.float32)
    values[2, 2, 3], values[2, 2, 4] = np.nan, np.inf
    got = read_volume(nifti(tmp_path / "a.nii", values), modality=modality)
    assert got.intensity[2, 2, 3] == got.intensity[2, 2, 4] == air
    assert any("0.95% of the values are not finite" in note for note in got.notes)


def test_half_nan_is_refused(tmp_path):
    values = head((4, 6, 7)).astype(np.float32)
    values[:2] = np.nan
    with pytest.raises(InputError, match=r"50% of its values are not finite"):
        read_volume(nifti(tmp_path / "a.nii", values))


# --- affines ---


def test_a_mirrored_affine_is_ordinary(tmp_path):
    affine = AFFINE @ np.diag([-1, 1, 1, 1])
    got = read_volume(nifti(tmp_path / "a.nii", affine=affine), modality=Modality.CT)
    np.testing.assert_array_equal(got.intensity, head()[::-1])
    assert got.notes == ()


def test_shear_is_kept_and_named(tmp_path):
    affine = AFFINE.copy()
    affine[1, 2] = 3 * np.tan(np.radians(20))
    got = read_volume(nifti(tmp_path / "a.nii", affine=affine), modality=Modality.CT)
    assert got.notes == ("sheared by 20.0 deg (gantry tilt?)",)
    np.testing.assert_allclose(got.voxel_to_ras_mm, affine, atol=1e-5)
    write_volume(got, tmp_path / "b.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "b.nii.gz").voxel_to_ras_mm, affine, atol=1e-5)


def test_no_orientation_is_noted(tmp_path):
    got = read_volume(nifti(tmp_path / "a.nii", qform=0, sform=0), modality=Modality.CT)
    assert "no orientation in the header" in got.notes[0]


@pytest.mark.parametrize(
    ("q_affine", "note"),
    [
        (AFFINE + np.eye(4)[:, [3, 3, 3, 0]] * [0, 0, 0, 5], "differ by up to 5.0 mm: the s-form"),
        (AFFINE @ np.diag([-1, 1, 1, 1]), "mirror images"),
    ],
)
def test_disagreeing_forms_are_noted_and_the_s_form_used(tmp_path, q_affine, note):
    image = nib.Nifti1Image(head(), AFFINE)
    image.set_sform(AFFINE, code=1)
    image.set_qform(q_affine, code=1)
    image.to_filename(tmp_path / "a.nii")
    got = read_volume(tmp_path / "a.nii", modality=Modality.CT)
    assert note in got.notes[0]
    np.testing.assert_allclose(got.voxel_to_ras_mm, AFFINE)


def test_a_form_alone_is_enough(tmp_path):
    for codes in ({"qform": 1, "sform": 0}, {"qform": 0, "sform": 1}):
        got = read_volume(nifti(tmp_path / "a.nii", **codes), modality=Modality.CT)
        assert got.notes == ()
        np.testing.assert_allclose(got.voxel_to_ras_mm, AFFINE, atol=1e-5)


def test_nrrd_without_a_space_is_noted(tmp_path):
    header = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 5 6 7\nencoding: raw\nendian: little\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + head().tobytes(order="F"))
    assert "no space in the header" in read_volume(tmp_path / "a.nrrd", modality=Modality.CT).notes[0]


# --- refusals ---


def singular(tmp_path: Path) -> Path:
    path = nifti(tmp_path / "a.nii", sform=1, qform=0)
    raw = bytearray(path.read_bytes())
    raw[280:328] = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], "<f4").tobytes()
    path.write_bytes(raw)
    return path


def zero_spacing(tmp_path: Path) -> Path:
    path = nifti(tmp_path / "a.nii", sform=0, qform=1)
    raw = bytearray(path.read_bytes())
    raw[84:88] = bytes(4)
    path.write_bytes(raw)
    return path


def huge(tmp_path: Path) -> Path:
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    return tmp_path / "a.nii.gz"


def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "a.nii")
    return tmp_path / "a.nii"


def colour(tmp_path: Path) -> Path:
    return nifti(tmp_path / "a.nii", np.zeros((5, 6, 7), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


def itk_colour(tmp_path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), str(tmp_path / "a.nrrd"))
    return tmp_path / "a.nrrd"


def made(name: str, content: bytes):
    def make(tmp_path: Path) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return make


def wrong_checksum(tmp_path: Path) -> Path:
    path = nifti(tmp_path / "a.nii.gz")
    raw = bytearray(path.read_bytes())
    raw[-8] ^= 1
    path.write_bytes(raw)
    return path


def cut_short(ending: str):
    def make(tmp_path: Path) -> Path:
        path = tmp_path / f"a{ending}"
        if "nii" in ending:
            nifti(path)
        else:
            sitk.WriteImage(sitk.GetImageFromArray(head()), str(path))
        path.write_bytes(path.read_bytes()[:-60])
        return path

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d / "none.nii.gz", r"none\.nii\.gz: there is no such file"),
        (lambda d: d / ("long" * 100 + ".nii"), r"there is no such file"),
        (pipe, r"neither a file nor a folder"),
        (made("a.nii.gz", b""), r"is an empty file"),
        (made("a.nii.gz", b"just text, renamed"), r"is no \.nii\.gz image"),
        (made("a.nii", b"just text, renamed" * 40), r"is no \.nii image"),
        (made("a.mgz", gzip.compress(b"just text")), r"is no \.mgz image"),
        (made("a.nrrd", b"just text"), r"is not a readable \.nrrd image"),
        (made("a.mha", b"ObjectType = Image\nNDims = 3\n"), r"is not a readable \.mha image"),
        (made("a.mhd", b"NDims = 3\nDimSize = 4 5 6\nElementType = MET_SHORT\nElementDataFile = no.raw\n"), r"damaged"),
        (made("a.txt", b"text"), r"its ending is not one of \.nii"),
        (made("a.dcm", b"x"), r"is one DICOM file; give the folder"),
        (cut_short(".nii"), r"breaks off"),
        (cut_short(".nii.gz"), r"breaks off"),
        (cut_short(".nrrd"), r"breaks off"),
        (cut_short(".mha"), r"breaks off"),
        (wrong_checksum, r"is damaged"),
        (huge, r"declares 2000 x 2000 x 2000 voxels of 4 bytes, over the limit of 4 GiB"),
        (colour, r"holds colour"),
        (itk_colour, r"holds colour"),
        (lambda d: nifti(d / "a.nii", np.ones((5, 6, 7), np.complex64)), r"holds complex numbers"),
        (lambda d: nifti(d / "a.nii", np.ones((5, 6, 7, 3), np.int16)), r"holds 3 volumes \(5 x 6 x 7 x 3\)"),
        (lambda d: nifti(d / "a.nii", np.ones((5, 6, 1), np.int16)), r"single slice \(5 x 6 x 1\)"),
        (lambda d: nifti(d / "a.nii", np.ones((5, 6), np.int16)), r"single slice \(5 x 6\)"),
        (lambda d: nifti(d / "a.nii", np.full((5, 6, 7), 3, np.int16)), r"every voxel has the value 3"),
        (lambda d: nifti(d / "a.nii", np.full((5, 6, 7), np.nan, np.float32)), r"100% of its values are not finite"),
        (singular, r"affine is singular"),
        (zero_spacing, r"spacing in its header is 1 x 0 x 3 mm"),
        (lambda d: nifti(d / "a.nii", affine=np.diag([0.001, 0.001, 0.001, 1])), r"0\.001 x 0\.001 x 0\.001 mm.*unit"),
        (lambda d: nifti(d / "a.nii", affine=np.diag([1.0, 1, 25, 1])), r"1 x 1 x 25 mm, outside \[0\.05, 20\] mm"),
        (lambda d: d, r"holds no DICOM image"),
    ],
)
def test_bad_files_are_refused_by_name_and_in_silence(tmp_path, capfd, make, message):
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_volume(path)
    assert str(caught.value).startswith(f"{path.name}: ")
    assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_reading_leaves_every_switch_as_it_was(tmp_path, capfd):
    loggers = [logging.getLogger(name) for name in ("nibabel.global", "pydicom")]
    before = list(warnings.filters), np.geterr(), [logger.disabled for logger in loggers]
    for make in (zero_spacing, made("b.mha", b"ObjectType = Image\nNDims = 3\n")):
        with pytest.raises(InputError):
            read_volume(make(tmp_path))
    assert before == (list(warnings.filters), np.geterr(), [logger.disabled for logger in loggers])
    capfd.readouterr()
    with pytest.raises(RuntimeError):
        sitk.ReadImage(str(tmp_path / "b.mha"))
    assert capfd.readouterr().err  # ITK may speak again


@given(st.binary(min_size=1, max_size=8), st.integers(0, 360), st.sampled_from([".nii", ".nii.gz", ".mgh", ".nrrd"]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_headers_give_a_volume_or_an_input_error(tmp_path, junk, at, ending):
    path = tmp_path / f"a{ending}"
    if ending == ".nrrd":
        sitk.WriteImage(sitk.GetImageFromArray(head()), str(path))
    else:
        (nib.MGHImage if ending == ".mgh" else nib.Nifti1Image)(head(), AFFINE).to_filename(path)
    raw = bytearray(gzip.decompress(path.read_bytes()) if ending.endswith("gz") else path.read_bytes())
    raw[at : at + len(junk)] = junk
    path.write_bytes(gzip.compress(raw) if ending.endswith("gz") else raw)
    try:
        got = read_volume(path)
    except InputError:
        return
    assert np.isfinite(got.intensity).all()


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
    got = read_volume(dicom_series(tmp_path / "ge", stored, PixelPaddingValue=-2000))
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
        one = np.stack([plane / slope]).astype(np.int16)
        dicom_series(folder, one, positions_mm=[3.0 * k], seed=k, RescaleSlope=slope)
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
        (lambda d: dicom_series(d, stored_head(), Modality="US"), r"lacks a readable modality \(CT or MR\)"),
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


# --- writing ---


@given(hnp.arrays(np.int16, (3, 4, 5), elements=st.integers(-1024, 3071)), st.sampled_from([".nii", ".nii.gz"]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ct_survives_writing_and_reading(tmp_path, values, ending):
    values[0, 0, :2] = -1024, 40
    path = tmp_path / f"a{ending}"
    write_volume(volume(values), path)
    got = read_volume(path, modality=Modality.CT)
    np.testing.assert_array_equal(got.intensity, values)
    np.testing.assert_allclose(got.voxel_to_ras_mm, AFFINE)
    assert got.notes == ()
    assert nib.load(path).get_data_dtype() == np.int16


@given(hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(-1e6, 1e6, width=32)), st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mr_survives_exactly(tmp_path, values, whole):
    values = np.rint(values % 30000) if whole else values
    values[0, 0, :2] = 0, 1 if whole else 0.5
    write_volume(volume(values, modality=Modality.MR), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz", modality=Modality.MR).intensity, values)
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == (np.int16 if whole else np.float32)


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    write_volume(volume(), tmp_path / "a.nii.gz")
    write_volume(volume(), tmp_path / "b.nii.gz")
    written = (tmp_path / "a.nii.gz").read_bytes()
    assert written == (tmp_path / "b.nii.gz").read_bytes()
    assert written[3:8] == bytes(5)  # no name, no time
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.nii.gz", "b.nii.gz"]


@pytest.mark.parametrize(("highest", "dtype"), [(0, np.uint8), (255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_labels_survive(tmp_path, highest, dtype):
    labels = np.zeros((3, 4, 5), np.int64)
    labels[1, 2, 3] = highest
    write_labels(labels, AFFINE, tmp_path / "a.nii.gz")
    got, affine = read_labels(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(got, labels)
    np.testing.assert_allclose(affine, AFFINE)
    assert got.dtype == np.int32
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == dtype


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.mgz: volumes are written as \.nii or \.nii\.gz"):
        write_volume(volume(), tmp_path / "a.mgz")
    with pytest.raises(InputError, match=r"a\.nii: cannot be written"):
        write_volume(volume(), tmp_path / "none" / "a.nii")
    with pytest.raises(InputError, match="not finite"):
        write_volume(volume(np.full((3, 3, 3), np.nan)), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"within \[0, 65535\], not -1 to 0"):
        write_labels(np.full((3, 3, 3), -1), AFFINE, tmp_path / "a.nii")
    with pytest.raises(InputError, match="not float64 on 2"):
        write_labels(np.zeros((3, 3)), AFFINE, tmp_path / "a.nii")


def test_labels_are_whole_numbers(tmp_path):
    with pytest.raises(InputError, match="not a label map"):
        read_labels(nifti(tmp_path / "a.nii", head().astype(np.float32) + 0.5))
    with pytest.raises(InputError, match="not a label map"):
        read_labels(nifti(tmp_path / "b.nii", np.full((3, 3, 3), np.nan, np.float32)))
    labels, _ = read_labels(nifti(tmp_path / "c.nii", np.full((3, 3, 3), 7.0, np.float32)))
    assert (labels == 7).all()


# --- grids ---


def test_the_same_grid_is_accepted():
    check_same_grid(volume(), volume(head() * 0))
    check_same_grid(volume().grid, volume().grid)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (volume(head((5, 6, 8))), r"differ in voxels, 5 x 6 x 8 against 5 x 6 x 7; resample"),
        (volume(affine=AFFINE + np.eye(4)[:, [3, 3, 3, 0]] * [0, 0, 0, 0.5]), r"up to 0\.50 mm apart \(limit 0\.1\)"),
        (volume(affine=AFFINE * [1.05, 1, 1, 1]), r"up to 0\.20 mm apart"),
        (volume(modality=Modality.MR), r"one is MR, the other CT"),
    ],
)
def test_another_grid_is_refused(other, message):
    with pytest.raises(InputError, match=message):
        check_same_grid(volume(), other)


# --- real scans, where they are at hand ---


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{name}")
    return path


def tissue(got: Volume) -> np.ndarray:
    return got.intensity > np.percentile(got.intensity, 99) / 5


@pytest.mark.parametrize("name", ["mr_dicom_philips", "mr_dicom_decubitus/HFS", "mr_dicom_decubitus/HFP"])
def test_a_real_mr_stands_upright_and_looks_forward(name):
    got = read_volume(real(name))
    assert got.modality is Modality.MR
    assert got.notes == ()
    inside = tissue(got)
    assert inside[:, :, -3:].mean() < 0.02  # above the vertex
    assert inside[:, :, :3].mean() > 0.1  # the neck leaves the picture
    if name == "mr_dicom_philips":  # the nose is narrow, the back of the head is broad
        across = inside[:, :, inside.shape[2] // 3 : inside.shape[2] // 2].any(axis=2).sum(axis=0)
        lying = np.flatnonzero(across > 3)
        assert across[lying[-1] - 8] < 0.7 * across[lying[0] + 8]


def test_a_real_ct_is_told_from_its_values():
    got = read_volume(real("misc/ct_partial_fov.nii.gz"))
    assert got.modality is Modality.CT
    assert got.intensity.min() == -1024


def test_a_real_windowed_ct_is_not_hu():
    with pytest.raises(InputError, match="not HU"):
        read_volume(real("misc/CT_pitch.nii.gz"), modality=Modality.CT)


def test_a_real_label_map_is_read_in_its_own_numbers():
    labels, affine = read_labels(real("synthseg_labels/training_seg_02.nii.gz"))
    assert labels.shape == (256, 256, 256)
    assert (labels.min(), labels.max()) == (0, 530)
    assert (np.diag(affine) > 0).all()
    assert (labels[:, :, -20:] > 0).sum() < (labels[:, :, :20] > 0).sum()  # the neck is below, the air above


def test_a_real_claim_of_refacing_is_noted():
    assert "claims that the face was removed" in read_volume(real("dicom_tagged_refaced")).notes[0]
