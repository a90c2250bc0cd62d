"""What the DICOM files of a phantom have in common: headers, pixels, the order of voxels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.scan import PhantomScan

POSITIONS = {  # direction cosines (LPS) of a row and of a column, as scanners write them
    "HFS": ((1, 0, 0), (0, 1, 0)),
    "HFP": ((-1, 0, 0), (0, -1, 0)),
    "FFS": ((-1, 0, 0), (0, 1, 0)),
    "FFP": ((1, 0, 0), (0, -1, 0)),
}
CT_CLASS, STRUCTURES_CLASS, DOSE_CLASS = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "481.3", "481.2"))


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """How the voxels (i, j, k) of a RAS grid stand in images: (slice, row, column) = transposed and flipped."""

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    step: float  # +1: slices follow each other towards the head

    def stack(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return (slice, row, column)."""
        # +x in LPS is -i, +y is -j.
        flip_i, flip_j, flip_k = self.row[0] > 0, self.column[1] > 0, self.step < 0
        out = values.transpose(2, 1, 0)
        return out[:: -1 if flip_k else 1, :: -1 if flip_j else 1, :: -1 if flip_i else 1]

    def first_voxel(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return i, j, k of what became slice 0, row 0, column 0."""
        flips = (self.row[0] > 0, self.column[1] > 0, self.step < 0)
        return np.array([n - 1 if flip else 0 for n, flip in zip(shape, flips, strict=True)], dtype=float)


def storage_of(position: str, order: int) -> Storage:
    """Return the storage of a position; `order` +1 puts the slice next to the feet first."""
    row, column = (np.array(v, dtype=float) for v in POSITIONS[position])
    return Storage(row, column, float(order))


def lps(ras: NDArray[np.float64]) -> list[float]:
    """Return a RAS point as DICOM writes it: LPS, to a micrometre."""
    return [round(float(v), 4) + 0.0 for v in ras * (-1, -1, 1)]


class Headers:
    """Makes data sets that share patient, study and frame of reference."""

    def __init__(self, scan: PhantomScan, seed: int, position: str, order: int) -> None:
        self.words = ("reid-audit phantom", str(seed), str(scan.identity), str(scan.visit), position, str(order))
        self.scan, self.seed, self.position = scan, seed, position
        self.study, self.frame = self.uid("study"), self.uid("frame")

    def uid(self, *what: str) -> str:
        """Return the UID of a thing: the same words, the same UID."""
        from pydicom.uid import generate_uid

        return str(generate_uid(entropy_srcs=[*self.words, *what]))

    def new(self, modality: str, sop_class: str, name: str) -> Any:
        """Return a data set with the modules that all three kinds share."""
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian

        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = self.uid(modality, name)
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.StudyDate = ds.SeriesDate = "20000101"
        ds.StudyTime = ds.SeriesTime = "120000"
        ds.AccessionNumber = ds.ReferringPhysicianName = ds.StudyID = ""
        ds.Modality = modality
        ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "reid-audit", "phantom", "1"
        ds.DeviceSerialNumber = "0"
        ds.StudyDescription, ds.SeriesDescription = "synthetic head", f"synthetic {modality}"
        ds.PatientName = f"Synthetic^Head{self.scan.identity:03d}"
        ds.PatientID = f"PHANTOM-{self.seed}-{self.scan.identity:03d}"
        ds.PatientBirthDate, ds.PatientSex = "", "O"
        ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "synthetic: nobody's data"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, self.uid(modality, "series")
        ds.SeriesNumber = {"CT": 1, "RTSTRUCT": 2, "RTDOSE": 3}[modality]
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = self.frame, ""
        return ds


def save(ds: Any, path: Path) -> None:
    """Write a data set with its file header."""
    ds.save_as(path, enforce_file_format=True)


def add_pixels(ds: Any, pixels: NDArray[np.unsignedinteger[Any]]) -> None:
    """Set the pixels, (row, column) or (frame, row, column), and what describes them."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"


def reference(sop_class: str, instance: str) -> Any:
    """Return an item that points at another file."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item
