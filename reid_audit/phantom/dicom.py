"""A synthetic scan as radiotherapy keeps it: a CT series, a structure set and a dose, in DICOM.

Words
-----
position
    How the patient lies in the scanner: head or feet first, on the back (supine) or on the front (prone). It turns the
    rows, columns and slices of the images; the patient's own frame (LPS) stays.
dose grid
    Has an origin, spacing and direction of its own. Its planes stand at ``GridFrameOffsetVector`` along the normal of
    its rows and columns.

Nobody's data: names, numbers and dates in the headers are made up, and UIDs come from the seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reid_audit.phantom.headers import (
    CT_CLASS,
    DOSE_CLASS,
    POSITIONS,
    STRUCTURES_CLASS,
    Headers,
    Storage,
    add_pixels,
    lps,
    reference,
    save,
    storage_of,
)
from reid_audit.phantom.organs import Organ, Target, dose_at, draw_organs, target_centre
from reid_audit.phantom.scan import PhantomScan
from reid_audit.records import InputError, Modality
from reid_audit.volume.contours import trace_mask

_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"  # retired, and what the standard still asks for here
_PLAN_CLASS = "1.2.840.10008.5.1.4.1.1.481.5"
_INTERCEPT = -1024
_DOSE_STEP_GY = 0.002
_DVH_BIN_GY = 0.5


@dataclass(frozen=True, slots=True)
class RtSet:
    """What `write_rt_set` wrote: the folder of the CT series, the structure set, and the dose."""

    ct: Path
    structures: Path
    dose: Path


def _write_ct(headers: Headers, scan: PhantomScan, storage: Storage, out_dir: Path) -> list[str]:
    """Write one file per slice and return their SOP instances by k, from the feet to the head."""
    volume = scan.volume
    stored = storage.stack(np.clip(np.rint(volume.intensity) - _INTERCEPT, 0, 65535).astype(np.uint16))
    origin = storage.first_voxel(volume.intensity.shape)
    x_mm, y_mm, z_mm = volume.spacing_mm
    uids = []
    for n, pixels in enumerate(stored):
        ds = headers.new("CT", CT_CLASS, str(n))
        ds.ImageType, ds.BodyPartExamined = ["ORIGINAL", "PRIMARY", "AXIAL"], "HEAD"
        ds.AcquisitionNumber, ds.InstanceNumber = 1, n + 1
        ds.PatientPosition, ds.KVP, ds.SliceThickness = headers.position, "120", f"{z_mm:.6g}"
        at = volume.voxel_to_ras_mm @ [*(origin + np.array([0, 0, n * storage.step])), 1]
        ds.ImagePositionPatient = lps(at[:3])
        ds.ImageOrientationPatient = [*storage.row, *storage.column]
        ds.PixelSpacing = [f"{y_mm:.8g}", f"{x_mm:.8g}"]
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(_INTERCEPT), "1", "HU"
        add_pixels(ds, np.ascontiguousarray(pixels))
        save(ds, out_dir / f"CT{n + 1:04d}.dcm")
        uids.append(str(ds.SOPInstanceUID))
    return uids if storage.step > 0 else uids[::-1]


def _contours(organ: Organ, scan: PhantomScan, uids: Sequence[str], holes: str) -> list[Any]:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    items = []
    for k in np.flatnonzero(organ.mask.any(axis=(0, 1))).tolist():
        loops = trace_mask(organ.mask[:, :, k], keyholes=holes == "keyhole")
        xor = holes == "xor" and len(loops) > 1
        for loop in loops:
            voxels = np.column_stack([loop, np.full(len(loop), k), np.ones(len(loop))])
            ras = (voxels @ scan.volume.voxel_to_ras_mm.T)[:, :3]
            item = Dataset()
            item.ContourImageSequence = [reference(CT_CLASS, uids[k])]
            item.ContourGeometricType = "CLOSEDPLANAR_XOR" if xor else "CLOSED_PLANAR"
            item.NumberOfContourPoints = len(loop)
            text = "\\".join(f"{v:.3f}" for v in (ras * (-1, -1, 1)).ravel())
            # As text: pydicom checks number by number what it is given as numbers, for seconds.
            item.add(DataElement(0x30060050, "DS", text, already_converted=True))
            items.append(item)
    return items


def _write_structures(
    headers: Headers, scan: PhantomScan, organs: Sequence[Organ], uids: Sequence[str], holes: str, path: Path
) -> str:
    """Write the structure set and return its SOP instance."""
    from pydicom.dataset import Dataset

    ds = headers.new("RTSTRUCT", STRUCTURES_CLASS, "structures")
    ds.OperatorsName = ""
    ds.InstanceNumber = 1
    ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "Synthetic", "20000101", "120000"
    ds.ApprovalStatus = "UNAPPROVED"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = headers.uid("CT", "series")
    series.ContourImageSequence = [reference(CT_CLASS, uid) for uid in uids]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, headers.study
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = headers.frame, [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    for number, organ in enumerate(organs, 1):
        roi, drawn, seen = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ReferencedFrameOfReferenceUID = number, headers.frame
        roi.ROIName, roi.ROIGenerationAlgorithm = organ.name, "AUTOMATIC"
        drawn.ROIDisplayColor = [(53 * number) % 256, (97 * number) % 256, (151 * number) % 256]
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = _contours(organ, scan, uids, holes)
        if not drawn.ContourSequence:
            del drawn.ContourSequence  # an empty sequence is not allowed, an absent one is
        seen.ObservationNumber = seen.ReferencedROINumber = number
        seen.RTROIInterpretedType, seen.ROIInterpreter = organ.kind, ""
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(drawn)
        ds.RTROIObservationsSequence.append(seen)
    save(ds, path)
    return str(ds.SOPInstanceUID)


def _histogram(organ: Organ, number: int, scan: PhantomScan, targets: Sequence[Target]) -> Any:
    """Return a cumulative dose-volume histogram of one structure, in cm3."""
    from pydicom.dataset import Dataset

    i, j, k = np.nonzero(organ.mask)
    matrix = scan.volume.voxel_to_ras_mm
    points = matrix[:3, :3] @ np.stack([i, j, k]) + matrix[:3, 3:]
    gy = dose_at(points, np.ones(len(i)), targets)
    bins = np.arange(0, gy.max(initial=0) + _DVH_BIN_GY, _DVH_BIN_GY)
    cm3 = float(np.prod(scan.volume.spacing_mm)) / 1000
    item, who = Dataset(), Dataset()
    who.DVHROIContributionType, who.ReferencedROINumber = "INCLUDED", number
    item.DVHReferencedROISequence = [who]
    item.DVHType, item.DoseUnits, item.DoseType, item.DVHVolumeUnits = "CUMULATIVE", "GY", "PHYSICAL", "CM3"
    item.DVHDoseScaling, item.DVHNumberOfBins = "1", len(bins)
    item.DVHData = [v for dose in bins for v in (str(_DVH_BIN_GY), f"{(gy >= dose).sum() * cm3:.6g}")]
    return item


def _write_dose(
    headers: Headers,
    scan: PhantomScan,
    organs: Sequence[Organ],
    targets: Sequence[Target],
    structures: str,
    storage: Storage,
    spacing_mm: tuple[float, float, float],
    shift_mm: tuple[float, float, float],
    offsets: str,
    path: Path,
) -> None:
    from scipy import ndimage

    matrix = scan.volume.voxel_to_ras_mm
    corner = matrix[:3, 3]
    reach = np.diag(matrix[:3, :3]) * (np.array(scan.labels.shape) - 1)
    n = tuple(int(v) for v in np.ceil(reach / spacing_mm).astype(int) + 1)
    grid_to_ras = np.diag([*spacing_mm, 1.0])
    grid_to_ras[:3, 3] = corner + shift_mm
    at = [spacing_mm[a] * np.arange(n[a]) + grid_to_ras[a, 3] for a in range(3)]
    points = np.stack(np.meshgrid(*at, indexing="ij"))
    voxels = [(points[a] - corner[a]) / matrix[a, a] for a in range(3)]
    inside = ndimage.map_coordinates((scan.labels > 0).astype(np.float32), voxels, order=1, mode="constant")
    gy = dose_at(points, inside.astype(np.float64), targets)

    ds = headers.new("RTDOSE", DOSE_CLASS, "dose")
    ds.OperatorsName, ds.InstanceNumber = "", 1
    ds.SliceThickness = f"{spacing_mm[2]:.6g}"
    ds.ImagePositionPatient = lps((grid_to_ras @ [*storage.first_voxel(n), 1])[:3])
    ds.ImageOrientationPatient = [*storage.row, *storage.column]
    ds.PixelSpacing = [f"{spacing_mm[1]:.8g}", f"{spacing_mm[0]:.8g}"]
    stored = storage.stack(np.rint(gy / _DOSE_STEP_GY).astype(np.uint16))
    add_pixels(ds, np.ascontiguousarray(stored))
    ds.NumberOfFrames, ds.FrameIncrementPointer = len(stored), 0x3004000C
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType, ds.DoseGridScaling = "GY", "PHYSICAL", "PLAN", str(_DOSE_STEP_GY)
    steps = storage.step * spacing_mm[2] * np.arange(len(stored))
    # Along the normal of the plane, or (rows and columns along the axes) the coordinate z itself.
    normal_z = float(np.cross(storage.row, storage.column)[2])
    vector = steps * normal_z if offsets == "relative" else steps + float(ds.ImagePositionPatient[2])
    ds.GridFrameOffsetVector = [f"{v:.4f}" for v in vector]
    ds.ReferencedRTPlanSequence = [reference(_PLAN_CLASS, headers.uid("RTPLAN", "plan"))]
    ds.ReferencedStructureSetSequence = [reference(STRUCTURES_CLASS, structures)]
    ds.DVHSequence = [_histogram(organ, n, scan, targets) for n, organ in enumerate(organs, 1) if organ.mask.any()]
    ds.TissueHeterogeneityCorrection = "IMAGE"
    save(ds, path)


def write_rt_set(
    scan: PhantomScan,
    out_dir: Path,
    *,
    position: str = "HFS",
    slice_order: int = 1,
    ptv: Sequence[str] = ("oropharynx",),
    holes: str = "keyhole",
    dose_spacing_mm: tuple[float, float, float] = (2.5, 2.5, 3.0),
    dose_shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    dose_position: str | None = None,
    dose_order: int = 1,
    dose_offsets: str = "relative",
    seed: int = 0,
) -> RtSet:
    """Write a synthetic CT as a radiotherapy study. The same arguments give the same bytes.

    Parameters
    ----------
    scan : PhantomScan
        CT whose axes lie along RAS. Its voxels need not be cubes.
    out_dir : Path
        Made if absent. Gets ``CT/CT0001.dcm`` and so on, ``RS.dcm`` and ``RD.dcm``.
    position : {"HFS", "HFP", "FFS", "FFP"}
    slice_order : {1, -1}
        Whether instance numbers grow towards the head or away from it.
    ptv : sequence of str
        Sites of the targets: ``"oropharynx"`` (below the eyes), ``"nose"``, ``"sinus"`` and ``"scalp"`` (in front of
        them). With one site they are called GTVp, CTVp and PTVp, else GTV_1, CTV_1, PTV_1, GTV_2 and so on. None: no
        target.
    holes : {"keyhole", "xor"}
        How the rind ``Skin``, the one structure with holes, is written.
    dose_spacing_mm : (3,) tuple of float
        Along x, y, z.
    dose_shift_mm : (3,) tuple of float
        From the first voxel of the scan to that of the dose grid, RAS; need not be whole voxels.
    dose_position : {"HFS", "HFP", "FFS", "FFP"}, optional
        Directions of the rows and columns of the dose; as the CT if left out.
    dose_order : {1, -1}
        Whether its planes follow each other towards the head.
    dose_offsets : {"relative", "absolute"}
        Which of its two forms ``GridFrameOffsetVector`` has.
    seed : int
        That of `make_phantom`; goes into UIDs and the patient's number.

    Raises
    ------
    InputError
        An argument is not one of those named, or the scan is not a CT, oblique, or without eyes.
    """
    dose_position = position if dose_position is None else dose_position
    choices: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("position", position, tuple(POSITIONS)),
        ("dose_position", dose_position, tuple(POSITIONS)),
        ("slice_order", slice_order, (1, -1)),
        ("dose_order", dose_order, (1, -1)),
        ("holes", holes, ("keyhole", "xor")),
        ("dose_offsets", dose_offsets, ("relative", "absolute")),
    ]
    for name, value, allowed in choices:
        if value not in allowed:
            raise InputError(f"{name} must be one of {', '.join(map(str, allowed))}; got {value}.")
    matrix = scan.volume.voxel_to_ras_mm[:3, :3]
    if scan.volume.modality is not Modality.CT or not np.allclose(matrix, np.diag(np.diag(matrix)), atol=1e-6):
        raise InputError("scan: a radiotherapy study is written of CT with its axes along RAS; this one is not")
    if min(dose_spacing_mm) <= 0:
        raise InputError(f"dose_spacing_mm must be above 0; got {dose_spacing_mm}.")
    organs = draw_organs(scan, ptv)
    made = RtSet(out_dir / "CT", out_dir / "RS.dcm", out_dir / "RD.dcm")
    made.ct.mkdir(parents=True, exist_ok=True)
    headers = Headers(scan, seed, position, slice_order)
    uids = _write_ct(headers, scan, storage_of(position, slice_order), made.ct)
    structures = _write_structures(headers, scan, organs, uids, holes, made.structures)
    targets = [target_centre(scan, site) for site in ptv]
    grid = dose_spacing_mm, dose_shift_mm, dose_offsets
    _write_dose(headers, scan, organs, targets, structures, storage_of(dose_position, dose_order), *grid, made.dose)
    return made
