"""Reading and writing scans: every format gives the same head."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nibabel.orientations import apply_orientation, inv_ornt_aff, ornt_transform
from places import SHARED
from small_heads import AFFINE, head, nifti, volume

from reid_audit.records import InputError, Modality, Volume
from reid_audit.volume import check_same_grid, clip_volume, read_labels, read_volume, write_labels, write_volume

DATA = SHARED / "data"


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


def test_nibabel_gets_its_pydicom_when_it_asks_for_it(tmp_path):
    program = f"""
import sys
from pathlib import Path
from reid_audit.volume import read_volume
read_volume(Path({str(nifti(tmp_path / "a.nii", head(), AFFINE))!r}))
assert "nibabel" in sys.modules and "pydicom" not in sys.modules
from nibabel.nifti1 import Nifti1DicomExtension
header = Nifti1DicomExtension(2, b"").get_content()
import pydicom
assert type(header) is pydicom.Dataset
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


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
    whole = read_volume(tmp_path / "a.nii", modality=Modality.CT, clip_hu=False)
    assert ((whole.intensity[0] == -3024).all(), whole.intensity[-1, -1, -1], whole.notes) == (True, 9000, ())
    np.testing.assert_array_equal(clip_volume(whole).intensity, got.intensity)


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
