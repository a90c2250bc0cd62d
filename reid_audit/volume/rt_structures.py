"""A DICOM RT structure set as voxels of the scan: the only reader and rasteriser of one.

Words
-----
plane
    The closed planar contours of one structure at one height. They are filled together by the even-odd rule
    (`reid_audit.volume.contours`), whether they are written as CLOSED_PLANAR, as CLOSEDPLANAR_XOR or as a keyhole.
boundary
    A voxel belongs to a structure where its centre lies inside; a centre on an edge belongs to the loop on the low
    side.
slab
    Each plane stands for the slices up to half-way to the next one, and as far beyond the first and the last: a
    structure that was drawn on every third slice is filled on all of them. Where planes are farther apart than is usual
    in the structure, what lies between them stays empty: two parts, no sparse drawing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, group_by
from reid_audit.volume.contours import Loop, fill_loops

CONTOUR_DATA = 0x30060050
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_FLAT = 0.5  # of a slice: a contour that spans more does not lie in a plane of the scan
_SLACK = 1e-3  # of a slice: heights are written with few digits


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One contour.

    Attributes
    ----------
    item : pydicom.Dataset
        Of the file's contour sequence.
    voxels : (n, 3) float64
        Its corners; where nothing was drawn a single one far outside.
    closed : bool
        Whether it encloses an area in a plane of the scan.
    tilted : bool
        Whether it is closed and runs through several slices.
    """

    item: Any
    voxels: NDArray[np.float64]
    closed: bool
    tilted: bool = False

    @property
    def k(self) -> float:
        """Height of its plane, in slices."""
        return float(self.voxels[:, 2].mean())

    @property
    def loop(self) -> Loop:
        """Its corners along i and j."""
        return self.voxels[:, :2]


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """One structure of a set.

    Attributes
    ----------
    number : int
    name : str
    kind : str
        RT ROI interpreted type, e.g. ``"PTV"``, ``"EXTERNAL"``; ``""`` where the set does not say.
    drawn : pydicom.Dataset or None
        Its item of the ROI contour sequence; None where nothing was drawn.
    contours : tuple of Contour
    """

    number: int
    name: str
    kind: str
    drawn: Any
    contours: tuple[Contour, ...]

    def planes(self) -> list[list[Contour]]:
        """Return its closed planar contours by height, from below."""
        closed = (contour for contour in self.contours if contour.closed)
        by_height = group_by(closed, lambda contour: round(contour.k * 100))
        return [by_height[key] for key in sorted(by_height)]


def _corners(item: Any, source: str) -> NDArray[np.float64]:
    """Return the corners (n, 3), LPS mm. From the bytes: pydicom takes seconds to turn them into its own numbers."""
    element = item.get_item(CONTOUR_DATA)
    value = None if element is None else element.value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    try:
        parts = text.split("\\") if isinstance(text, str) else list(text or ())
        return np.array([p for p in parts if str(p).strip(" \0")], dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise InputError(f"{source}: the contour data of a structure are not triples of numbers") from error


def _read_contour(item: Any, lps_to_voxel: NDArray[np.floating], source: str) -> Contour:
    corners = _corners(item, source)
    voxels = corners @ lps_to_voxel[:3, :3].T + lps_to_voxel[:3, 3]
    if not len(voxels):
        return Contour(item, np.full((1, 3), -1e6), closed=False)
    closes = item.get("ContourGeometricType") in _CLOSED and len(voxels) > 2
    flat = float(np.ptp(voxels[:, 2])) <= _FLAT
    return Contour(item, voxels, closed=closes and flat, tilted=closes and not flat)


def read_rois(ds: Any, lps_to_voxel: NDArray[np.floating], source: str, *, frame_uid: str = "") -> list[Roi]:
    """Return the structures of a set with their contours in voxels of the scan.

    Parameters
    ----------
    ds : pydicom.Dataset
    lps_to_voxel : (4, 4) float
        Of the scan; its third axis runs along the normal of the contours.
    source : str
        File name, for messages.
    frame_uid : str
        Frame of reference of the scan; empty = not known.

    Raises
    ------
    InputError
        The file is no structure set, belongs to another frame of reference, or its contours cannot be read.
    """
    if ds.get("Modality") != "RTSTRUCT":
        raise InputError(f"{source}: is {ds.get('Modality') or 'of no modality'}, not an RT structure set")
    kinds = {
        int(item.ReferencedROINumber): str(item.get("RTROIInterpretedType") or "")
        for item in ds.get("RTROIObservationsSequence") or ()
        if item.get("ReferencedROINumber") is not None
    }
    drawn = {int(item.ReferencedROINumber): item for item in ds.get("ROIContourSequence") or ()}
    rois = []
    for item in ds.get("StructureSetROISequence") or ():
        frame = str(item.get("ReferencedFrameOfReferenceUID") or "")
        if frame and frame_uid and frame != frame_uid:
            raise InputError(f"{source}: belongs to another frame of reference than the scan; give the set drawn on it")
        number = int(item.ROINumber)
        shapes = (drawn[number].get("ContourSequence") or ()) if number in drawn else ()
        contours = tuple(_read_contour(shape, lps_to_voxel, source) for shape in shapes)
        name = str(item.get("ROIName") or f"ROI {number}")
        rois.append(Roi(number, name, kinds.get(number, ""), drawn.get(number), contours))
    return rois


def _fill_plane(plane: Iterable[Contour], low: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill a plane in a box. One too small to hold a voxel's centre gets the voxel that it lies in."""
    loops = [contour.loop - low for contour in plane]
    filled = fill_loops(loops, size)
    if not filled.any():
        i, j = np.rint(np.concatenate(loops).mean(axis=0)).astype(int)
        if 0 <= i < size[0] and 0 <= j < size[1]:
            filled[i, j] = True
    return filled


def fill_roi(roi: Roi, shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], tuple[int, int, int]]:
    """Return the voxels of a structure, in a box that holds them all.

    Parameters
    ----------
    roi : Roi
    shape : (3,) tuple of int
        Of the scan. What lies outside is left out.

    Returns
    -------
    mask : (i, j, k) bool
        Of the box; empty, shape (0, 0, 0), where the structure has no closed planar contour.
    origin : (3,) tuple of int
        Where the box begins in the scan.
    """
    planes = roi.planes()
    if not planes:
        return np.zeros((0, 0, 0), dtype=bool), (0, 0, 0)
    corners = np.concatenate([contour.loop for plane in planes for contour in plane])
    low = np.clip(np.floor(corners.min(axis=0)).astype(np.int64), 0, shape[:2])
    high = np.clip(np.ceil(corners.max(axis=0)).astype(np.int64) + 1, 0, shape[:2])
    size = (int(max(high[0] - low[0], 0)), int(max(high[1] - low[1], 0)))
    heights = np.array([plane[0].k for plane in planes])
    usual = float(np.median(np.diff(heights))) if len(heights) > 1 else 1.0
    reach = max(usual, 1.0) / 2 + _SLACK
    first, last = max(0, int(np.ceil(heights[0] - reach))), min(shape[2] - 1, int(np.floor(heights[-1] + reach)))
    mask = np.zeros((*size, max(0, last - first + 1)), dtype=bool)
    filled: dict[int, NDArray[np.bool_]] = {}
    for k in range(first, last + 1):
        nearest = int(np.argmin(np.abs(heights - k)))
        if abs(heights[nearest] - k) <= reach:
            if nearest not in filled:
                filled = {nearest: _fill_plane(planes[nearest], low, size)}
            mask[:, :, k - first] = filled[nearest]
    return mask, (int(low[0]), int(low[1]), first)


def fill_rois(rois: Iterable[Roi], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the union of structures on the scan's grid; see `fill_roi`."""
    union = np.zeros(shape, dtype=bool)
    for roi in rois:
        mask, origin = fill_roi(roi, shape)
        union[tuple(slice(o, o + n) for o, n in zip(origin, mask.shape, strict=True))] |= mask
    return union
