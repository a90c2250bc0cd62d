"""Further images of a study are cut where the planning scan is, whatever their frame of reference says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from reid_audit import InputError, read_volume
from reid_audit.cli import main
from reid_audit.deface import StudySettings, deface_study, find_study
from reid_audit.phantom import make_phantom, write_rt_set

REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
ANGLE = np.deg2rad(9.0)
TURN = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]])
SHIFT_MM = np.array([12.5, -30.0, 44.0])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_rt_set(make_phantom(4, 1, spacing_mm=5.0), folder / "study")
    return folder / "study"


@pytest.fixture
def study(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "study"))


def _height(path: Path) -> float:
    return float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])


def _add_series(study: Path, name: str, *, frame: str = "", every: int = 1) -> None:
    """Write the planning CT again as another series; in a frame of its own it lies turned and shifted."""
    (study / name).mkdir()
    series = generate_uid()
    for n, path in enumerate(sorted((study / "CT").iterdir(), key=_height)):
        if n % every:
            continue
        ds = pydicom.dcmread(path)
        ds.SeriesInstanceUID, ds.SOPInstanceUID = series, generate_uid()
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        if frame:
            ds.FrameOfReferenceUID = frame
            along, down = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3) @ TURN.T
            ds.ImageOrientationPatient = [f"{v:.10f}" for v in (*along, *down)]
            ds.ImagePositionPatient = [f"{v:.6f}" for v in TURN @ np.array(ds.ImagePositionPatient, float) + SHIFT_MM]
        ds.save_as(study / name / path.name)


def _register(study: Path, frame: str, *, matrices: int = 1) -> None:
    """Tie a frame to the scan's: what lies at T x + s there lies at x here."""
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = TURN.T, -TURN.T @ SHIFT_MM
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = REGISTRATION
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality = "REG"
    scan_frame = str(pydicom.dcmread(next((study / "CT").iterdir())).FrameOfReferenceUID)
    ds.FrameOfReferenceUID = scan_frame
    ds.RegistrationSequence = []
    for uid, matrix in ((scan_frame, np.eye(4)), (frame, back)):
        item, registration = Dataset(), Dataset()
        registration.MatrixSequence = []
        for _ in range(matrices):
            entry = Dataset()
            entry.FrameOfReferenceTransformationMatrixType = "RIGID"
            entry.FrameOfReferenceTransformationMatrix = [f"{v:.10f}" for v in matrix.ravel()]
            registration.MatrixSequence.append(entry)
        item.FrameOfReferenceUID, item.MatrixRegistrationSequence = uid, [registration]
        ds.RegistrationSequence.append(item)
    ds.save_as(study / "REG.dcm", enforce_file_format=True)


def _slices(folder: Path) -> np.ndarray:
    return np.stack([pydicom.dcmread(path).pixel_array for path in sorted(folder.glob("CT*.dcm"), key=_height)])


def test_a_registered_image_loses_the_same_voxels(study: Path, tmp_path: Path) -> None:
    frame = generate_uid()
    _add_series(study, "CBCT", frame=frame)
    _register(study, frame)
    done = deface_study(find_study(study), tmp_path / "out", settings=StudySettings(salt="test", registered=True))
    ((folder, voxels, by),) = done.registered
    assert (folder, voxels, by) == ("registered1", int(done.removed.sum()), "REG.dcm")
    np.testing.assert_array_equal(_slices(tmp_path / "out" / folder), _slices(tmp_path / "out"))
    files = list((tmp_path / "out" / folder).iterdir())
    assert {pydicom.dcmread(path).FrameOfReferenceUID for path in files} == {frame}
    assert len({str(pydicom.dcmread(p).SeriesInstanceUID) for p in (files[0], tmp_path / "out" / "CT0001.dcm")}) == 2
    assert read_volume(tmp_path / "out").intensity.shape == read_volume(study / "CT").intensity.shape


@pytest.mark.slow
def test_an_image_of_the_same_frame_needs_no_registration(study: Path, tmp_path: Path) -> None:
    _add_series(study, "CT2", every=2)
    done = deface_study(find_study(study), tmp_path / "out", settings=StudySettings(salt="test", registered=True))
    ((folder, _, by),) = done.registered
    assert by == "the scan's own frame of reference"
    np.testing.assert_array_equal(_slices(tmp_path / "out" / folder), _slices(tmp_path / "out")[::2])


@pytest.mark.slow
def test_what_nothing_ties_to_the_scan_is_left_out_and_said(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _add_series(study, "CBCT", frame=generate_uid())
    assert main(["deface", str(study), "-o", str(tmp_path / "out"), "--registered"]) == 0
    assert "no registration ties their frame to the scan" in " ".join(capsys.readouterr().out.split())
    assert not any(path.is_dir() for path in (tmp_path / "out").iterdir())
    assert main(["deface", str(study), "-o", str(tmp_path / "plain")]) == 0
    assert "--registered cuts them too" in " ".join(capsys.readouterr().out.split())


def test_registrations_that_carry_no_plane_are_refused(study: Path, tmp_path: Path) -> None:
    frame = generate_uid()
    _add_series(study, "CBCT", frame=frame)
    _register(study, frame, matrices=2)
    with pytest.raises(InputError, match=r"REG\.dcm: holds 2 matrices"):
        deface_study(find_study(study), tmp_path / "out", settings=StudySettings(registered=True))
    ds = pydicom.dcmread(study / "REG.dcm")
    del ds.RegistrationSequence
    ds.save_as(study / "REG.dcm")
    with pytest.raises(InputError, match=r"REG\.dcm: holds no rigid registration"):
        deface_study(find_study(study), tmp_path / "out", settings=StudySettings(registered=True))
    assert not (tmp_path / "out").exists()
