"""Structures: named sets of voxels on a scan's grid, kept as crops."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, Grid, InputError, Volume
from reid_audit.volume import check_same_grid

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """One structure: its voxels, and where in the scan their crop lies.

    Attributes
    ----------
    name : str
    box : tuple of three slice
        Of the crop in the scan, with start and stop.
    mask : (i, j, k) bool
        The crop; at least one voxel is True.
    """

    name: str
    box: Box
    mask: NDArray[np.bool_]

    @property
    def voxels(self) -> int:
        """How many voxels it has."""
        return int(np.count_nonzero(self.mask))

    @property
    def slices(self) -> tuple[int, int]:
        """Its first and last slice along k."""
        there = np.flatnonzero(self.mask.any(axis=(0, 1)))
        return self.box[2].start + int(there[0]), self.box[2].start + int(there[-1])


@dataclass(frozen=True, slots=True, eq=False)
class StructureSet:
    """The structures of one scan.

    Attributes
    ----------
    structures : mapping of str to Structure
        Those that have voxels.
    empty : tuple of str
        Those that are named and have none.
    shape, voxel_to_ras_mm
        The grid.
    source : str
        File name without folders, for messages.
    findings : tuple of Finding
        What was noticed on reading.
    """

    structures: Mapping[str, Structure]
    shape: tuple[int, ...]
    voxel_to_ras_mm: NDArray[np.float64]
    source: str = ""
    empty: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along i, j, k, in mm."""
        x, y, z = np.linalg.norm(self.voxel_to_ras_mm[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, empty structures last."""
        return (*self.structures, *self.empty)


def crop_mask(name: str, mask: NDArray[np.bool_], origin: tuple[int, int, int] = (0, 0, 0)) -> Structure | None:
    """Crop a mask to its voxels; None where it has none. ``origin`` is where the mask starts in the scan."""
    box = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not there.size:
            return None
        box.append(slice(int(there[0]), int(there[-1]) + 1))
    i, j, k = (slice(s.start + o, s.stop + o) for s, o in zip(box, origin, strict=True))
    return Structure(name, (i, j, k), np.ascontiguousarray(mask[tuple(box)]))


def place_mask(structure: Structure | None, box: Box) -> NDArray[np.bool_]:
    """Give the mask of a structure within another box that holds it; all False for None."""
    out = np.zeros(tuple(s.stop - s.start for s in box), dtype=bool)
    if structure is not None:
        inner = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(structure.box, box, strict=True))
        out[inner] = structure.mask
    return out


def join_boxes(*boxes: Box) -> Box:
    """Give the smallest box that holds all of them."""
    i, j, k = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
    return i, j, k


def structures_from_labels(
    labels: NDArray[np.integer[Any]],
    voxel_to_ras_mm: NDArray[np.float64],
    *,
    names: Mapping[int, str] | None = None,
    source: str = "",
) -> StructureSet:
    """Take a label map apart.

    Parameters
    ----------
    labels : (i, j, k) integer
        0 = no structure; not negative.
    voxel_to_ras_mm : (4, 4) float64
    names : mapping of int to str, optional
        Name of each value; values with one name are one structure, values without a name are left out. None = every
        value is a structure, called ``"label 17"``.

    Raises
    ------
    InputError
        A label is negative.
    """
    from scipy import ndimage

    if labels.min(initial=0) < 0:
        raise InputError(f"{source or 'label map'}: labels must not be negative; got {labels.min()}")
    boxes = ndimage.find_objects(labels)
    box_of = {value: box for value, box in enumerate(boxes, start=1) if box is not None}
    if names is None:
        names = {value: f"label {value}" for value in box_of}
    values_of: dict[str, list[int]] = {}
    for value, name in names.items():
        values_of.setdefault(name, []).append(value)
    structures, empty = {}, []
    for name, values in values_of.items():
        present = [value for value in values if value in box_of]
        if not present:
            empty.append(name)
            continue
        box = join_boxes(*(box_of[value] for value in present))
        crop = labels[box]
        mask = crop == present[0] if len(present) == 1 else np.isin(crop, present)
        structures[name] = Structure(name, box, mask)
    return StructureSet(structures, labels.shape, voxel_to_ras_mm, source, tuple(empty))


def check_on_grid(structure_set: StructureSet, grid: Volume | Grid) -> None:
    """Check that structures lie on a scan's grid.

    Raises
    ------
    InputError
        As `reid_audit.volume.check_same_grid`.
    """
    check_same_grid(grid, Grid(structure_set.shape, structure_set.voxel_to_ras_mm, grid.modality, structure_set.source))
