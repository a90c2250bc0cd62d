"""Trees and files that were made to hang, to fill memory or to lead astray."""

from __future__ import annotations

import gzip
import io
import os
import struct
import time
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from test_inventory import aside, keys
from trees import write_bids, write_image, write_series

from reid_audit import InputError, ScanRef, read_cohort, read_volume
from reid_audit.cli import main
from reid_audit.dataset import read_manifest, take_inventory, write_manifest


@pytest.fixture(autouse=True)
def _own_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_links_in_a_circle_and_out_of_the_tree(tmp_path):
    root = tmp_path / "tree"
    write_series(root / "a")
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    (root / "self").symlink_to(root / "self")
    (root / "again").symlink_to(root / "a", target_is_directory=True)
    write_series(tmp_path / "outside", series="1.9", study="1.9", patient="other")
    (root / "b").symlink_to(tmp_path / "outside", target_is_directory=True)
    got = take_inventory(root)
    assert len(got.cohort.scans) == 1
    assert aside(got) == {
        "was searched already: a link leads back to it": 2,
        "leads nowhere: fetch its content first (git annex, datalad?)": 1,
        "leads out of the tree; allow it with --allow-outside": 1,
    }
    assert len(take_inventory(root, allow_outside=True).cohort.scans) == 2


def test_links_in_bids(tmp_path):
    root = write_bids(tmp_path / "raw", people=2)
    image = root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii"
    content = write_image(root / ".git" / "annex" / "content", image.read_bytes())
    image.unlink()
    image.symlink_to(content)  # as git-annex keeps it
    (root / "sub-01" / "ses-1" / "loop").symlink_to(root, target_is_directory=True)
    gone = root / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_T1w.nii"
    gone.unlink()
    gone.symlink_to(root / ".git" / "annex" / "not fetched")
    got = take_inventory(root)
    assert keys(got) == ["01/1/original", "01/2/original", "02/2/original"]
    assert aside(got)["leads nowhere: fetch its content first (git annex, datalad?)"] == 1


def test_ten_thousand_files_that_are_no_images(tmp_path):
    root = tmp_path / "tree"
    write_series(root / "scan")
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(5000))
    for k in range(100):
        folder = root / f"{k:02d}"
        folder.mkdir()
        for n in range(100):
            os.link(blank, folder / f"{n:02d}.txt")
    began = time.process_time()
    got = take_inventory(root)
    assert time.process_time() - began < 5
    assert len(got.cohort.scans) == 1
    assert aside(got) == {"no DICOM file": 10_000}


def test_files_that_cannot_be_opened(tmp_path, monkeypatch):
    root = tmp_path / "tree"
    write_series(root / "a")
    for path in write_series(root / "b", series="1.9", study="1.9"):
        path.chmod(0)
    os.mkfifo(root / "a" / "pipe")  # to open it would wait for ever
    opened = Path.open

    def refuse(path, *args, **kwargs):  # the superuser may open everything
        if path.parent.name == "b":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    got = take_inventory(root)
    assert len(got.cohort.scans) == 1
    assert aside(got) == {"cannot be opened (Permission denied)": 10, "is neither a file nor a folder": 1}


def test_folders_that_cannot_be_listed(tmp_path, monkeypatch):
    root = tmp_path / "tree"
    write_series(root / "a")
    (root / "b").mkdir()
    listed = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert aside(take_inventory(root)) == {"cannot be listed (Permission denied)": 1}


NAMES = [
    "a b",
    'it\'s "so"',
    "Köln 頭部",
    "new\nline",
    " outer space ",
    "comma,semi;tab\t",
    "[red]x[!red]",
    "-o",
    "cr\rx",
]


def test_names_of_every_kind_survive_a_manifest(tmp_path, capsys):
    root = tmp_path / "tree"
    for k, name in enumerate(NAMES):
        write_series(root / name, patient=f"p{k}", study=f"1.{k}", series=f"1.{k}.1")
        (root / name / f"{name} note").write_text("no image")
    os.mkdir(os.fsencode(root) + b"/not \xff text")
    cohort = read_cohort(root)
    assert {scan.path.name for scan in cohort.scans} == set(NAMES)
    for name in ("m.csv", "m.tsv"):
        write_manifest(root / name, cohort.scans, cohort.strata)
        got = read_manifest(root / name)
        assert [os.path.normpath(scan.path) for scan in got.scans] == [str(scan.path) for scan in cohort.scans]
        assert all(scan.path.is_dir() for scan in got.scans)
    assert aside(take_inventory(root))["its name is not UTF-8 text; rename it"] == 1
    assert main(["inventory", str(root), "-o", str(tmp_path / "m.csv")]) == 0
    assert len(read_manifest(tmp_path / "m.csv", allow_outside=True).scans) == len(NAMES)
    capsys.readouterr()


def test_names_of_every_kind_in_bids(tmp_path, capsys):
    root = write_bids(tmp_path / "raw", people=1)
    for name in NAMES:
        write_image(root / "sub-01" / "ses-1" / "anat" / f"{name}_T1w.nii")
    write_image(root / "derivatives" / "[bold]x\x1b[31m" / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii")
    with pytest.raises(InputError, match="is no name for a defacer"):
        take_inventory(root)
    assert main(["inventory", str(root), "--derivative", "none"]) == 2
    (root / "derivatives").rename(root / "elsewhere")
    assert aside(take_inventory(root))["its name is not BIDS"] == len(NAMES)
    assert main(["inventory", str(root)]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\r" not in said.out


def test_a_name_that_no_manifest_can_hold(tmp_path):
    scan = ScanRef("a", "1", "original", Path(os.fsdecode(b"/x/\xff.nii")))
    with pytest.raises(InputError, match=r"m\.csv: the name of a scan is not UTF-8 text"):
        write_manifest(tmp_path / "m.csv", [scan])
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_leads_out_is_refused_unless_asked_for(tmp_path, capsys):
    write_image(tmp_path / "secret.nii")
    folder = tmp_path / "study"
    folder.mkdir()
    manifest = folder / "m.csv"
    manifest.write_text("subject,session,condition,path\na,1,original,../secret.nii\n")
    assert main(["inventory", str(manifest)]) == 2
    assert "leads out of the manifest's folder" in capsys.readouterr().err
    assert main(["inventory", str(manifest), "--allow-outside"]) == 0


# --- bombs ---


def header(shape: tuple[int, ...], *, offset: int = 352, dtype: type = np.int16) -> bytes:
    made = nib.Nifti1Header()
    made.set_data_dtype(dtype)
    made.set_data_shape(shape)
    made["vox_offset"], made["magic"] = offset, b"n+1\0"
    made.set_sform(np.eye(4), 1)
    return made.binaryblock + bytes(4)


def zeros(n_bytes: int, start: bytes) -> bytes:
    """Pack a start and then zeros, without ever holding them."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as stream:
        stream.write(start)
        for _ in range(n_bytes >> 20):
            stream.write(bytes(2**20))
    return out.getvalue()


def test_a_bomb_that_declares_its_size(tmp_path):
    path = write_image(tmp_path / "bomb.nii.gz", gzip.compress(header((30_000, 30_000, 30_000))))
    with pytest.raises(InputError, match=r"bomb\.nii\.gz: declares .* over the limit of 4 GiB.*REID_AUDIT_MAX_GIB"):
        read_volume(path)


def test_a_bomb_that_hides_behind_its_offset(tmp_path, monkeypatch):
    monkeypatch.setenv("REID_AUDIT_MAX_GIB", "0.001")
    path = write_image(tmp_path / "bomb.nii.gz", zeros(200 * 2**20, header((4, 4, 4), offset=190 * 2**20)))
    began = time.process_time()
    with pytest.raises(InputError, match=r"bomb\.nii\.gz: unpacks to more than 0.001 GiB.*REID_AUDIT_MAX_GIB"):
        read_volume(path)
    assert time.process_time() - began < 1


def test_a_bomb_in_the_extensions_of_a_header(tmp_path, monkeypatch):
    monkeypatch.setenv("REID_AUDIT_MAX_GIB", "0.001")
    start = header((4, 4, 4), offset=150 * 2**20)[:-4] + b"\1\0\0\0" + struct.pack("<ii", 149 * 2**20, 6)
    path = write_image(tmp_path / "bomb.nii.gz", zeros(150 * 2**20, start))
    with pytest.raises(InputError, match=r"bomb\.nii\.gz: unpacks to more than"):
        read_volume(path)


def test_what_follows_the_voxels_is_not_unpacked(tmp_path):
    values = np.full((4, 4, 4), -1000, np.int16)
    values[2:] = 40
    path = write_image(tmp_path / "tail.nii.gz", zeros(100 * 2**20, header((4, 4, 4)) + values.tobytes(order="F")))
    began = time.process_time()
    assert read_volume(path).intensity.shape == (4, 4, 4)
    assert time.process_time() - began < 1


def test_the_limit_can_be_raised_and_must_be_a_number(tmp_path, monkeypatch):
    path = write_image(tmp_path / "a.nii.gz", gzip.compress(header((200, 200, 200)) + bytes(2**24)))
    monkeypatch.setenv("REID_AUDIT_MAX_GIB", "0.01")
    with pytest.raises(InputError, match=r"over the limit of 0\.01 GiB"):
        read_volume(path)
    monkeypatch.setenv("REID_AUDIT_MAX_GIB", "0.1")
    with pytest.raises(InputError, match="every voxel has the value 0"):  # it was read
        read_volume(path)
    for wrong in ("many", "-1", "nan", "inf"):
        monkeypatch.setenv("REID_AUDIT_MAX_GIB", wrong)
        with pytest.raises(InputError, match="must be a positive number of GiB"):
            read_volume(path)


def test_a_deflated_dicom_bomb_is_not_unpacked(tmp_path):
    root = tmp_path / "tree"
    first = write_series(root / "a")[0].read_bytes()
    at = first.index(b"1.2.840.10008.1.2.1\0")
    group_end = 144 + int.from_bytes(first[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    meta = bytearray(first[:group_end])
    meta[at : at + 20] = b"1.2.840.10008.1.2.1.99"
    length = int.from_bytes(meta[at - 2 : at], "little") + 2
    meta[at - 2 : at] = length.to_bytes(2, "little")
    meta[140:144] = (int.from_bytes(meta[140:144], "little") + 2).to_bytes(4, "little")
    (root / "a" / "bomb").write_bytes(bytes(meta) + body)
    began = time.process_time()
    got = take_inventory(root)
    assert time.process_time() - began < 1
    assert aside(got) == {"its header is damaged, or packed (deflated)": 1}
    scan = got.cohort.scans[0]
    assert "damaged headers" in " ".join(read_volume(scan.path, series=scan.series).notes)
    with pytest.raises(InputError, match="deflated DICOM is not read"):
        read_volume(scan.path)


def test_archives_are_not_opened(tmp_path):
    root = write_bids(tmp_path / "raw", people=1)
    with zipfile.ZipFile(root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.zip", "w", 8) as archive:
        archive.writestr("zeros", bytes(2**24))
    got = take_inventory(root)
    assert keys(got) == ["01/1/original", "01/2/original"]
    assert ("archive", "is not looked into (among the originals)") in {
        (entry.what, entry.reason) for entry in got.aside
    }
    with pytest.raises(InputError, match="its ending is not one of"):
        read_volume(root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.zip")
