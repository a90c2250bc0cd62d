"""A radiotherapy study as another reader sees it: SimpleITK and matplotlib, and nothing of the package under test."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from matplotlib.path import Path as Polygon


def read_ct(folder: Path) -> sitk.Image:
    """Read the one CT series of a folder, in HU, with its axes turned along RAS."""
    files = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm")}
    (series,) = {ds.SeriesInstanceUID for ds in files.values() if ds.Modality == "CT"}
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
    return sitk.DICOMOrient(sitk.ReadImage(names, sitk.sitkFloat32), "RAS")


def read_dose(path: Path) -> sitk.Image:
    """Read a dose, in Gy.

    ITK takes the steps of `GridFrameOffsetVector` as along the normal of rows and columns. Where the vector holds the
    coordinate z of each plane instead, its second form, the steps are along z.
    """
    image = sitk.ReadImage(str(path), sitk.sitkFloat64)
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    first, second = (float(v) for v in ds.GridFrameOffsetVector[:2])
    if first:
        direction = list(image.GetDirection())
        direction[8] = float(np.sign(second - first))
        image.SetDirection(direction)
    return image * float(ds.DoseGridScaling)


def place_dose(dose: sitk.Image, ct: sitk.Image) -> np.ndarray:
    """Return the dose at the voxels of a CT, (i, j, k) Gy, interpolated linearly; 0 outside its grid."""
    placed = sitk.Resample(dose, ct, sitk.Transform(), sitk.sitkLinear, 0.0)
    return sitk.GetArrayFromImage(placed).T


def name_rois(structures: pydicom.Dataset) -> dict[int, str]:
    """Return the names of the structures by their number."""
    return {int(item.ROINumber): str(item.ROIName) for item in structures.StructureSetROISequence}


def draw_rois(structures: pydicom.Dataset, names: Collection[str], ct: sitk.Image) -> dict[str, np.ndarray]:
    """Return, by name, the voxels (i, j, k) of a CT whose centres lie in an odd number of a structure's contours.

    Fails where a contour lies between the slices.
    """
    named = name_rois(structures)
    to_voxels = np.linalg.inv(np.reshape(ct.GetDirection(), (3, 3)) * ct.GetSpacing())
    columns, rows, _ = ct.GetSize()
    centres = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), axis=-1).reshape(-1, 2)
    masks = {name: np.zeros(ct.GetSize(), dtype=bool) for name in names}
    for drawn in structures.ROIContourSequence:
        name = named[int(drawn.ReferencedROINumber)]
        for contour in drawn.get("ContourSequence", []) if name in masks else []:
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            voxels = (points - ct.GetOrigin()) @ to_voxels.T
            k = round(voxels[0, 2])
            assert np.allclose(voxels[:, 2], k, atol=2e-3), f"{name}: a contour beside the slices"
            polygon = Polygon(np.vstack([voxels[:, :2], voxels[:1, :2]]), closed=True)
            masks[name][:, :, k] ^= polygon.contains_points(centres).reshape(columns, rows)
    return masks
