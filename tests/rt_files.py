"""RT doses and RT structure sets written from plain arrays, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def _file(kind: str, uid: str) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = uid
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.Modality = kind
    header.PatientID = header.PatientName = "phantom"
    header.FrameOfReferenceUID = "1.2.3"
    return header


def write_rtdose(
    path: Path,
    values: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (2.0, 2.0, 3.0),
    position_lps: tuple[float, float, float] = (0.0, 0.0, 0.0),
    offsets: list[float] | None = None,
    orientation: tuple[int, ...] = (1, 0, 0, 0, 1, 0),
    units: str = "GY",
) -> Path:
    """Write a dose of (column, row, plane) values in Gy."""
    header = _file("RTDOSE", "1.2.840.10008.5.1.4.1.1.481.2")
    scale = float(values.max()) / 60000 or 1.0
    stored = np.round(values / scale).astype(np.uint16).transpose(2, 1, 0)
    header.NumberOfFrames, header.Rows, header.Columns = stored.shape
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 0, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.DoseUnits, header.DoseType, header.DoseSummationType = units, "PHYSICAL", "PLAN"
    header.DoseGridScaling = f"{scale:.9g}"
    header.PixelSpacing = [spacing[1], spacing[0]]
    header.ImagePositionPatient = list(position_lps)
    header.ImageOrientationPatient = list(orientation)
    header.GridFrameOffsetVector = offsets or [spacing[2] * k for k in range(len(stored))]
    header.FrameIncrementPointer = 0x3004000C
    header.PixelData = stored.tobytes()
    header.save_as(path, enforce_file_format=True)
    return path


def write_rtstruct(path: Path, contours: dict[str, list[np.ndarray]], *, kind: str = "CLOSED_PLANAR") -> Path:
    """Write contours of (n, 3) LPS corners in mm."""
    header = _file("RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3")
    header.StructureSetLabel = "phantom"
    header.StructureSetROISequence, header.ROIContourSequence = Sequence(), Sequence()
    header.RTROIObservationsSequence = Sequence()
    for number, (name, loops) in enumerate(contours.items(), start=1):
        roi, item, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, "1.2.3"
        item.ReferencedROINumber, item.ROIDisplayColor = number, [255, 0, 0]
        item.ContourSequence = Sequence()
        for loop in loops:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = kind, len(loop)
            contour.ContourData = [f"{x:.4f}" for x in np.asarray(loop).ravel()]
            item.ContourSequence.append(contour)
        observed.ObservationNumber = observed.ReferencedROINumber = number
        observed.RTROIInterpretedType = "ORGAN"
        header.StructureSetROISequence.append(roi)
        header.ROIContourSequence.append(item)
        header.RTROIObservationsSequence.append(observed)
    header.save_as(path, enforce_file_format=True)
    return path
