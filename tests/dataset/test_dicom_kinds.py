"""The kinds of DICOM images: what the tree takes for a scan the reader reads, to the same voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from trees import write_series

from reid_audit import Volume, read_volume
from reid_audit.dataset import Inventory, take_inventory

STORED = np.arange(10 * 12, dtype=np.int16).reshape(10, 3, 4)


@pytest.fixture(autouse=True)
def _own_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def plain(folder: Path) -> Path:
    write_series(folder, stored=STORED)
    return folder


def change(folder: Path, kept: int | None = None, **tags: object) -> Path:
    """Write other values into the files, or into those from the `kept` one on."""
    for path in sorted(folder.iterdir())[kept or 0 :]:
        data = pydicom.dcmread(path)
        for name, value in tags.items():
            setattr(data, name, value() if callable(value) else value)
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.save_as(path, enforce_file_format=True)
    return folder


def without_preamble(folder: Path, kept: int = 0) -> Path:
    """Leave preamble and file meta out, as files of the last century do."""
    for path in sorted(folder.iterdir())[kept:]:
        data = pydicom.dcmread(path)
        del data.file_meta
        data.save_as(path, enforce_file_format=False, implicit_vr=path.name.endswith("3"), little_endian=True)
    return folder


def in_groups(folder: Path, sop_class: str, *, slopes: bool = False, stacks: int = 1, one_file: bool = True) -> Path:
    """Write a series as enhanced or legacy-converted files, whose places stand in functional groups."""
    paths = sorted(folder.iterdir())
    slices = [pydicom.dcmread(path) for path in paths]
    groups = []
    for k, data in enumerate(slices):
        group, place, values, content = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = data.ImagePositionPatient
        slope = 2.0 if slopes and k % 2 else 1.0
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, -1024, "HU"
        data.PixelData = (np.frombuffer(data.PixelData, "<i2") / slope).astype("<i2").tobytes()
        content.StackID = str(1 + k * stacks // len(slices))
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [values]
        group.FrameContentSequence = [content]
        groups.append(group)
    shared, spacing, turn = Dataset(), Dataset(), Dataset()
    spacing.PixelSpacing, turn.ImageOrientationPatient = slices[0].PixelSpacing, slices[0].ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [spacing], [turn]
    for path in paths:
        path.unlink()
    for k, part in enumerate([range(len(slices))] if one_file else [[k] for k in range(len(slices))]):
        data = slices[part[0]]
        for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope"):
            delattr(data, name)
        del data.RescaleIntercept
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = sop_class
        data.NumberOfFrames = len(part)
        data.SharedFunctionalGroupsSequence = [shared]
        data.PerFrameFunctionalGroupsSequence = [groups[i] for i in part]
        data.PixelData = b"".join(slices[i].PixelData for i in part)
        data.save_as(paths[k], enforce_file_format=True)
    return folder


def both_doors(folder: Path) -> tuple[Inventory, list[Volume]]:
    got = take_inventory(folder)
    assert got.cohort is not None, got.questions
    scans = got.cohort.scans
    return got, [read_volume(scan.path, series=scan.series, modality=scan.modality) for scan in scans]


CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
KINDS = {
    "secondary capture with a place": lambda d: change(plain(d), SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
    "legacy class, plain files": lambda d: change(plain(d), SOPClassUID=f"{CT}.2"),
    "legacy-converted": lambda d: in_groups(plain(d), f"{CT}.2"),
    "enhanced": lambda d: in_groups(plain(d), f"{CT}.1"),
    "enhanced, a frame per file": lambda d: in_groups(plain(d), f"{CT}.1", one_file=False),
    "enhanced, slopes by frame": lambda d: in_groups(plain(d), f"{CT}.1", slopes=True),
    "enhanced MR": lambda d: in_groups(change(plain(d), Modality="MR"), f"{MR}.1"),
    "no preamble": lambda d: without_preamble(plain(d)),
    "no preamble from the fifth file on": lambda d: without_preamble(plain(d), 5),
    "a study per slice": lambda d: change(plain(d), StudyInstanceUID=generate_uid),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_scan_at_both_doors(tmp_path: Path, kind: str) -> None:
    folder = KINDS[kind](tmp_path / "tree")
    _, (volume,) = both_doors(folder)
    expected = read_volume(plain(tmp_path / "plain"))
    factor = np.where(np.arange(10) % 2, 2, 1) if "slopes" in kind else 1
    stored = STORED // np.reshape(factor, (-1, 1, 1)) * np.reshape(factor, (-1, 1, 1)) - 1024.0
    np.testing.assert_array_equal(volume.intensity, np.clip(stored.T[::-1, ::-1], -1024, None))
    np.testing.assert_allclose(volume.voxel_to_ras_mm, expected.voxel_to_ras_mm)
    np.testing.assert_array_equal(read_volume(folder).intensity, volume.intensity)


def test_a_study_per_slice_of_two_days_is_no_series(tmp_path: Path) -> None:
    folder = change(plain(tmp_path / "tree"), kept=5, StudyInstanceUID="1.9", StudyDate="20210101")
    write_series(tmp_path / "tree" / "good", series="1.8", study="1.8", patient="other")
    got = take_inventory(folder)
    assert {entry.reason for entry in got.aside} == {"its files disagree about patient, study or modality"}
