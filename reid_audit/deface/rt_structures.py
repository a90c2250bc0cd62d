"""A DICOM RT structure set: its contours as voxels of the scan, and the same set after the cut.

Words
-----
plane
    The contours of one structure at one height. Those that are closed and planar are filled together by the even-odd
    rule (`reid_audit.volume.contours`): a contour inside another is a hole, a keyhole too.
islet
    What of a structure stays in front of the cut, because target or brain voxels stay there.

A contour that does not reach beyond the cut keeps every byte. Of one that does, the corners behind the cut stay where
they are, the cut closes it, and islets are traced around the kept voxels. What is no closed planar contour (points,
open lines) is dropped as a whole where it reaches in front.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask
from reid_audit.deface.structures import Role, StructureNames
from reid_audit.records import InputError
from reid_audit.volume.contours import Loop, clip_loop, fill_loops, trace_mask

_CONTOUR_DATA = 0x30060050
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_FLAT = 0.25  # of a slice: a contour that is flatter than this lies in a plane of the scan


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One contour: its item in the file, its corners in voxels (n, 3), and whether it encloses an area in a plane."""

    item: Any
    voxels: NDArray[np.float64]
    closed: bool

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
    """One structure of a set."""

    number: int
    name: str
    role: Role
    drawn: Any  # its item of the ROI contour sequence; None where nothing was drawn
    contours: tuple[Contour, ...]

    def planes(self) -> list[list[Contour]]:
        """Return its closed planar contours by height, from below."""
        found: dict[int, list[Contour]] = {}
        for contour in self.contours:
            if contour.closed:
                found.setdefault(round(contour.k * 100), []).append(contour)
        return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class StructureChanges:
    """Names of the structures that were removed, clipped (a part stays), emptied (nothing stays), and kept whole."""

    removed: tuple[str, ...]
    clipped: tuple[str, ...]
    emptied: tuple[str, ...]
    kept: tuple[str, ...]


def _numbers(item: Any, name: str) -> NDArray[np.float64]:
    """Return the corners (n, 3), LPS mm. From the bytes: pydicom takes seconds to turn them into its own numbers."""
    element = item.get_item(_CONTOUR_DATA)
    value = None if element is None else element.value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    try:
        parts = text.split("\\") if isinstance(text, str) else list(text or ())
        return np.array([p for p in parts if str(p).strip(" \0")], dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise InputError(f"{name}: the contour data of a structure are not triples of numbers") from error


def read_rois(
    ds: Any, lps_to_voxel: NDArray[np.floating], frame_uid: str, names: StructureNames, name: str
) -> list[Roi]:
    """Return the structures of a set with their contours in voxels of the scan.

    Raises
    ------
    InputError
        The file is no structure set, belongs to another frame of reference, or its contours cannot be read.
    """
    if ds.get("Modality") != "RTSTRUCT":
        raise InputError(f"{name}: is {ds.get('Modality') or 'of no modality'}, not an RT structure set")
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
            raise InputError(f"{name}: belongs to another frame of reference than the scan; give the set drawn on it")
        number, roi_name = int(item.ROINumber), str(item.get("ROIName") or "")
        role = names.role_of(roi_name, kinds.get(number, ""))
        shapes = (drawn[number].get("ContourSequence") or ()) if number in drawn else ()
        contours = tuple(_contour(shape, lps_to_voxel, name) for shape in shapes)
        rois.append(Roi(number, roi_name, role, drawn.get(number), contours))
    return rois


def _contour(item: Any, lps_to_voxel: NDArray[np.floating], name: str) -> Contour:
    corners = _numbers(item, name)
    voxels = corners @ lps_to_voxel[:3, :3].T + lps_to_voxel[:3, 3]
    if not len(voxels):
        return Contour(item, np.full((1, 3), -1e6), closed=False)  # nothing drawn: nowhere
    flat = float(np.ptp(voxels[:, 2])) <= _FLAT
    return Contour(item, voxels, flat and item.get("ContourGeometricType") in _CLOSED)


def fill_roi(rois: Iterable[Roi], shape: tuple[int, ...]) -> Mask:
    """Return the voxels of structures, their union. What lies outside the grid is left out.

    Slices between two planes that are farther apart than the scan's slices (a structure drawn on every second or third
    one) get both. A plane too small to hold a voxel's centre gets the voxel that it lies in.
    """
    mask = np.zeros(shape, dtype=bool)
    for roi in rois:
        planes = [(plane[0].k, _fill(plane, shape)) for plane in roi.planes()]
        steps = np.diff([k for k, _ in planes])
        usual = float(np.median(steps)) if len(steps) else 1.0
        for k, filled in planes:
            if 0 <= np.rint(k) < shape[2]:
                mask[:, :, int(np.rint(k))] |= filled
        for (low, below), (high, above), step in zip(planes, planes[1:], steps, strict=False):
            if step <= 1.6 * usual:  # a wider gap is no sparse drawing but two parts
                between = np.arange(int(np.rint(low)) + 1, int(np.rint(high)))
                between = between[(between >= 0) & (between < shape[2])]
                mask[:, :, between] |= (below | above)[:, :, None]
    return mask


def _fill(plane: Sequence[Contour], shape: tuple[int, ...]) -> Mask:
    filled = fill_loops([contour.loop for contour in plane], (shape[0], shape[1]))
    if not filled.any():
        i, j = np.rint(np.concatenate([c.loop for c in plane]).mean(axis=0)).astype(int)
        if 0 <= i < shape[0] and 0 <= j < shape[1]:
            filled[i, j] = True
    return filled


def is_taken(cut: EyeCut, kept: Mask, voxels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points (..., 3), in voxels, lie beyond the cut and not in a kept voxel. They may be outside the grid."""
    taken = cut.beyond(voxels[..., 1], voxels[..., 2])
    nearest = np.rint(voxels[taken]).astype(np.int64)
    inside = ((nearest >= 0) & (nearest < kept.shape)).all(axis=-1)
    stays = np.zeros(len(nearest), dtype=bool)
    stays[inside] = kept[tuple(nearest[inside].T)]
    taken[taken] = ~stays
    return taken


def _set_corners(item: Any, voxels: NDArray[np.float64], voxel_to_lps: NDArray[np.float64]) -> None:
    from pydicom.dataelem import DataElement

    corners = voxels @ voxel_to_lps[:3, :3].T + voxel_to_lps[:3, 3]
    text = "\\".join(f"{v:.4f}" for v in (np.round(corners, 4) + 0.0).ravel())
    item.add(DataElement(_CONTOUR_DATA, "DS", text, already_converted=True))
    item.NumberOfContourPoints = len(corners)


def _clip_plane(
    plane: Sequence[Contour], cut: EyeCut, kept: Mask, voxel_to_lps: NDArray[np.float64]
) -> list[list[Any]]:
    """Return what each contour of a plane that reaches beyond the cut leaves; the islets stand with the last."""
    items: list[list[Any]] = [[] for _ in plane]
    k = plane[0].k
    limit = cut.front + 0.5
    for contour, left in zip(plane, items, strict=True):
        loop = clip_loop(contour.loop, limit)
        if len(loop) > 2 and np.ptp(loop[:, 1]) > 0:
            if len(loop) != len(contour.loop) or not np.array_equal(loop, contour.loop):
                _set_corners(contour.item, np.column_stack([loop, np.full(len(loop), k)]), voxel_to_lps)
            left.append(contour.item)
    slice_k = int(np.rint(k))
    if 0 <= slice_k < kept.shape[2]:
        stays = fill_loops([contour.loop for contour in plane], kept.shape[:2]) & kept[:, :, slice_k]
        stays[:, : cut.front + 1] = False
        for loop in trace_mask(stays):
            item = copy.deepcopy(plane[0].item)
            _set_corners(item, np.column_stack([loop, np.full(len(loop), k)]), voxel_to_lps)
            items[-1].append(item)
    return items


def _clip_roi(roi: Roi, cut: EyeCut, kept: Mask, voxel_to_lps: NDArray[np.float64]) -> bool:
    """Clip a structure in its file and say whether that changed it."""
    left: dict[int, list[Any]] = {}  # what stays in place of an item, by the item's identity
    for plane in roi.planes():
        if any(cut.beyond(c.voxels[:, 1], c.voxels[:, 2]).any() for c in plane):
            left |= {
                id(c.item): stays for c, stays in zip(plane, _clip_plane(plane, cut, kept, voxel_to_lps), strict=True)
            }
    for contour in roi.contours:
        if not contour.closed and is_taken(cut, kept, contour.voxels).any():
            left[id(contour.item)] = []
    if not left:
        return False
    from pydicom.sequence import Sequence as Items

    items = [new for contour in roi.contours for new in left.get(id(contour.item), [contour.item])]
    roi.drawn.ContourSequence = Items(items)
    if not items:
        del roi.drawn.ContourSequence  # an empty sequence is not allowed, an absent one is
    return True


def reshape_structures(
    ds: Any, rois: Sequence[Roi], cut: EyeCut, kept: Mask, voxel_to_lps: NDArray[np.float64]
) -> StructureChanges:
    """Remove, clip and keep the structures of a set, in place.

    Parameters
    ----------
    ds : pydicom.Dataset
    rois : sequence of Roi
        All that `read_rois` found in it.
    cut : EyeCut
    kept : (i, j, k) bool
        Voxels that stay wherever they are.
    voxel_to_lps : (4, 4) float
    """
    gone = {roi.number for roi in rois if roi.role in (Role.EYES, Role.REMOVED)}
    drop_rois(ds, gone)
    clipped: list[str] = []
    emptied: list[str] = []
    whole: list[str] = []
    volumes = {int(item.ROINumber): item for item in ds.get("StructureSetROISequence") or ()}
    for roi in rois:
        if roi.number in gone:
            continue
        if roi.role in (Role.TARGET, Role.BRAIN) or not _clip_roi(roi, cut, kept, voxel_to_lps):
            whole.append(roi.name)
            continue
        (clipped if "ContourSequence" in roi.drawn else emptied).append(roi.name)
        if "ROIVolume" in volumes[roi.number]:
            del volumes[roi.number].ROIVolume  # it was that of the whole structure
    removed = tuple(roi.name for roi in rois if roi.number in gone)
    return StructureChanges(removed, tuple(clipped), tuple(emptied), tuple(whole))


def drop_rois(ds: Any, numbers: Iterable[int]) -> None:
    """Remove structures from every sequence of a structure set, the references to them included."""
    gone = set(numbers)
    for sequence, keyword in (
        ("StructureSetROISequence", "ROINumber"),
        ("ROIContourSequence", "ReferencedROINumber"),
        ("RTROIObservationsSequence", "ReferencedROINumber"),
    ):
        if sequence in ds:
            kept = [item for item in ds[sequence].value if int(item.get(keyword, -1)) not in gone]
            ds[sequence].value = kept
    for item in ds.get("RTROIObservationsSequence") or ():
        related = item.get("RTRelatedROISequence")
        if related:
            kept = [one for one in related if int(one.get("ReferencedROINumber", -1)) not in gone]
            if kept:
                item.RTRelatedROISequence = kept
            else:
                del item.RTRelatedROISequence
