"""A DICOM RT structure set after the cut.

Words
-----
islet
    What of a structure stays in front of the cut, because target or brain voxels stay there.

A contour that does not reach beyond the cut keeps every byte. Of one that does, the corners behind the cut stay where
they are, the cut closes it, and islets are traced around the kept voxels. What is no closed planar contour (points,
open lines) is dropped as a whole where it reaches in front.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.eye_plane import EyeCut, Mask
from reid_audit.volume.contours import clip_loop, fill_loops, trace_mask
from reid_audit.volume.roles import Role
from reid_audit.volume.rt_structures import CONTOUR_DATA, Contour, Roi


@dataclass(frozen=True, slots=True)
class StructureChanges:
    """Names of the structures that were removed, clipped (a part stays), emptied (nothing stays), and kept whole."""

    removed: tuple[str, ...]
    clipped: tuple[str, ...]
    emptied: tuple[str, ...]
    kept: tuple[str, ...]


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
    item.add(DataElement(CONTOUR_DATA, "DS", text, already_converted=True))
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
    ds: Any, rois: Sequence[Roi], roles: Mapping[int, Role], cut: EyeCut, kept: Mask, voxel_to_lps: NDArray[np.float64]
) -> StructureChanges:
    """Remove, clip and keep the structures of a set, in place.

    Parameters
    ----------
    ds : pydicom.Dataset
    rois : sequence of Roi
        All that the set holds.
    roles : mapping of int to Role
        By number.
    cut : EyeCut
    kept : (i, j, k) bool
        Voxels that stay wherever they are.
    voxel_to_lps : (4, 4) float
    """
    gone = {roi.number for roi in rois if roles[roi.number] in (Role.EYES, Role.REMOVED)}
    drop_rois(ds, gone)
    clipped: list[str] = []
    emptied: list[str] = []
    whole: list[str] = []
    volumes = {int(item.ROINumber): item for item in ds.get("StructureSetROISequence") or ()}
    for roi in rois:
        if roi.number in gone:
            continue
        if roles[roi.number] in (Role.TARGET, Role.BRAIN) or not _clip_roi(roi, cut, kept, voxel_to_lps):
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
            kept = [item for item in related if int(item.get("ReferencedROINumber", -1)) not in gone]
            if kept:
                item.RTRelatedROISequence = kept
            else:
                del item.RTRelatedROISequence
