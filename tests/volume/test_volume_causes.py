"""Files that are not what their names say, and headers that other programs write: each read, or its cause named."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from small_heads import head

from reid_audit.records import InputError
from reid_audit.volume import read_volume
from reid_audit.volume.cause import name_cause

IMAGE = nib.Nifti1Image(head(), np.diag([1.0, 2.0, 3.0, 1.0]))
IMAGE.set_qform(IMAGE.affine, 1)
IMAGE.set_sform(IMAGE.affine, 1)
BYTES = IMAGE.to_bytes()


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.nii.gz", b"/annex/objects/MD5E-s1--d41d.nii.gz\n", "git-annex pointer.*git annex get"),
        ("a.nii", b"../../.git/annex/objects/a/b/MD5E-s1--d41d/MD5E-s1--d41d.nii", "git-annex pointer"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS pointer.*git lfs pull"),
        ("a.nrrd", b"\n <!DOCTYPE html><html>404</html>", "web page"),
        ("a.mgz", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        ("a.nii", b'{"message": "not found"}', "JSON"),
        ("a.nii", gzip.compress(BYTES), r"packed with gzip.*rename it to \.nii\.gz"),
        ("a.nii.gz", BYTES, r"not packed.*rename it to \.nii"),
        ("a.nii", b"PK\x03\x04" + bytes(30), "ZIP archive"),
        ("a.nii.gz", bytes(128) + b"DICM" + bytes(30), "one DICOM file"),
    ],
)
def test_the_cause_is_named(tmp_path: Path, name: str, content: bytes, cause: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^{name}: .*{cause}"):
        read_volume(tmp_path / name)


def write(folder: Path, at: int, change: bytes, *more: tuple[int, bytes]) -> Path:
    raw = bytearray(BYTES)
    for place, content in ((at, change), *more):
        raw[place : place + len(content)] = content
    (folder / "a.nii").write_bytes(raw)
    return folder / "a.nii"


LONG = struct.pack("<3f", 0.7071072, 0.7071072, 0.0)  # a quaternion whose length is 1 + 7e-7


def test_a_q_form_that_cannot_be_read_yields_to_the_s_form(tmp_path: Path) -> None:
    got = read_volume(write(tmp_path, 256, LONG))
    np.testing.assert_array_equal(got.intensity, head())
    assert got.notes[0] == "the q-form cannot be read: the s-form is used"
    with pytest.raises(InputError, match=r"a\.nii: "):
        read_volume(write(tmp_path, 256, LONG, (254, struct.pack("<h", 0))))


def test_voxels_never_begin_within_the_header(tmp_path: Path) -> None:
    got = read_volume(write(tmp_path, 108, struct.pack("<f", 0.0)))
    np.testing.assert_array_equal(got.intensity, head())
    assert got.notes[0] == "the header says that voxels begin at byte 0: read from 352"


@pytest.mark.parametrize(
    ("space", "signs", "noted"),
    [
        ("left-posterior-superior", (1, 1), False),
        ("RAS", (-1, -1), False),
        ("left-anterior-superior", (1, -1), False),
        ("scanner-xyz", (1, 1), True),
    ],
)
def test_spaces_of_nrrd(tmp_path: Path, space: str, signs: tuple[int, int], noted: bool) -> None:
    text = (
        f"NRRD0004\ntype: float\ndimension: 3\nspace: {space}\nsizes: 5 6 7\nencoding: raw\nendian: little\n"
        f"space directions: ({signs[0]},0,0) (0,{2 * signs[1]},0) (0,0,3)\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(text.encode() + head().astype("<f4").tobytes(order="F"))
    got = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(got.intensity, head()[::-1, ::-1])  # stored to the left and back
    assert any("left and right may be swapped" in note for note in got.notes) == noted


def test_bytes_behind_the_packed_content_are_named(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(head(), np.eye(4)), tmp_path / "a.nii.gz")
    packed = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(packed + b"junk" * 100)
    assert name_cause(tmp_path / "b.nii.gz").startswith("has 400 bytes behind the end of its packed content")
    (tmp_path / "d.nii.gz").write_bytes(packed + packed)  # two members: as gzip allows
    assert name_cause(tmp_path / "d.nii.gz") == name_cause(tmp_path / "a.nii.gz") == ""
    (tmp_path / "c.nii.gz").write_bytes(packed[:-20])
    with pytest.raises(InputError, match="breaks off"):
        read_volume(tmp_path / "c.nii.gz")


def test_tissue_values_outside_of_a_round_field_of_view_become_air(tmp_path: Path) -> None:
    values = np.zeros((20, 20, 4), np.float32)
    x, y = np.meshgrid(np.arange(20) - 9.5, np.arange(20) - 9.5, indexing="ij")
    values[np.hypot(x, y) < 9.5] = -1000.0
    values[8:12, 8:12, 1:3] = 0.0  # as high as what lies outside, and not connected with it
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    got = read_volume(tmp_path / "a.nii")
    outside = int((np.hypot(x, y) >= 9.5).sum()) * 4
    assert int((got.intensity == -1024).sum()) == outside
    assert int((got.intensity == 0).sum()) == 32
    assert f"0 HU outside of the field of view became air ({outside / values.size:.1%})" in got.notes
