"""Bad files: each a clear refusal by name, in silence."""

from __future__ import annotations

import gzip
import logging
import os
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_heads import AFFINE, head, nifti

from reid_audit.records import InputError
from reid_audit.volume import read_volume

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
