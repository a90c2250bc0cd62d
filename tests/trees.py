"""Trees of tiny scans for the tests of inventories: BIDS datasets and DICOM studies of nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    generate_uid,
)

CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "RTSTRUCT": RTStructureSetStorage,
    "RTDOSE": RTDoseStorage,
}

TINY = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4)).to_bytes()


def write_image(path: Path, content: bytes = TINY) -> Path:
    """Write the bytes of a NIfTI image, by default one of eight voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_bids(
    root: Path,
    *,
    people: int = 3,
    sessions: int = 2,
    derivatives: tuple[str, ...] = (),
    suffixes: tuple[str, ...] = ("T1w",),
    runs: tuple[str, ...] = ("",),
) -> Path:
    """Write a BIDS dataset of tiny images, defaced by tools that add ``desc-defaced``."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "Tiny", "BIDSVersion": "1.10.0", "DatasetType": "raw"}')
    rows = ["participant_id\tsex\tage\thandedness"]
    for k in range(1, people + 1):
        who = f"sub-{k:02d}"
        rows.append(f"{who}\t{'FM'[k % 2]}\t{20 + k}\tn/a")
        for session in range(1, sessions + 1):
            for suffix in suffixes:
                for run in runs:
                    stem = f"{who}_ses-{session}" + (f"_run-{run}" if run else "")
                    place = Path(who, f"ses-{session}", "anat")
                    write_image(root / place / f"{stem}_{suffix}.nii")
                    (root / place / f"{stem}_{suffix}.json").write_text("{}")
                    for tool in derivatives:
                        write_image(root / "derivatives" / tool / place / f"{stem}_desc-defaced_{suffix}.nii")
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    return root


def write_series(
    folder: Path,
    *,
    patient: str = "SECRET-ID",
    study: str = "1.2.1",
    date: str = "20200131",
    series: str = "1.2.1.1",
    number: int = 2,
    modality: str = "CT",
    stored: np.ndarray | None = None,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 2.0),
    slices: int = 10,
    first_name: int = 0,
    **tags: Any,
) -> list[Path]:
    """Write a series of axial slices (slice, row, column), one file each; a plan's file is one without an image."""
    folder.mkdir(parents=True, exist_ok=True)
    if stored is None:
        stored = np.arange(slices * 12, dtype=np.int16).reshape(slices, 3, 4)
    paths = []
    for k, plane in enumerate(stored):
        data, meta = Dataset(), FileMetaDataset()
        meta.MediaStorageSOPClassUID = CLASSES[modality]
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta = meta
        data.SOPClassUID, data.SOPInstanceUID = CLASSES[modality], meta.MediaStorageSOPInstanceUID
        data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = (
            "Secret^Name",
            patient,
            "19500101",
            "O",
        )
        data.StudyInstanceUID, data.StudyDate, data.StudyTime = study, date, "101500"
        data.SeriesInstanceUID, data.SeriesNumber, data.Modality = series, number, modality
        data.SeriesDescription = "HEAD of Secret"
        if modality in ("CT", "MR"):
            data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            data.Rows, data.Columns = plane.shape
            data.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
            data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            data.ImagePositionPatient = [0.0, 0.0, k * spacing_mm[2]]
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
            data.RescaleSlope, data.RescaleIntercept = 1, -1024
            data.PixelData = plane.astype("<i2").tobytes()
        for name, value in tags.items():
            setattr(data, name, value)
        paths.append(folder / f"I{first_name + k:05d}")
        data.save_as(paths[-1], enforce_file_format=True)
        if modality not in ("CT", "MR"):
            break
    return paths


def write_study(folder: Path, *, patient: str, visit: int, date: str, **series: Any) -> Path:
    """Write what a radiotherapy study holds, in one flat folder: a scout, a CT, contours and dose."""
    study = f"1.2.{int(patient.removeprefix('SECRET-'))}.{visit}"
    shared = {"patient": patient, "study": study, "date": date}
    scout = {"slices": 1, "number": 1, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_series(folder, series=f"{study}.1", first_name=0, **shared, **scout)
    write_series(folder, series=f"{study}.2", number=2, first_name=10, **shared, **series)
    write_series(folder, series=f"{study}.3", number=3, modality="RTSTRUCT", first_name=5000, **shared)
    write_series(folder, series=f"{study}.4", number=4, modality="RTDOSE", first_name=5001, **shared)
    return folder
