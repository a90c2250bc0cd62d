"""Structures: named sets of voxels on a scan's grid, kept as crops, from label maps and mask folders."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, Grid, InputError, Volume
from reid_audit.volume import check_same_grid, read_labels

Box = tuple[slice, slice, slice]

_IMAGES = (".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd", ".mha", ".mhd")


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
    found = {value: box for value, box in enumerate(boxes, start=1) if box is not None}
    if names is None:
        names = {value: f"label {value}" for value in found}
    values_of: dict[str, list[int]] = {}
    for value, name in names.items():
        values_of.setdefault(name, []).append(value)
    structures, empty = {}, []
    for name, values in values_of.items():
        present = [value for value in values if value in found]
        if not present:
            empty.append(name)
            continue
        box = join_boxes(*(found[value] for value in present))
        crop = labels[box]
        mask = crop == present[0] if len(present) == 1 else np.isin(crop, present)
        structures[name] = Structure(name, box, mask)
    return StructureSet(structures, labels.shape, voxel_to_ras_mm, source, tuple(empty))


def read_label_names(path: Path) -> dict[int, str]:
    """Read the names of label values from a CSV or TSV table.

    Parameters
    ----------
    path : Path
        Columns ``index`` (or ``value``, ``label``) and ``name``, as in a BIDS ``dseg.tsv``. Several values may share a
        name: they are one structure.

    Raises
    ------
    InputError
        The table is absent, lacks a column, or a value is not a whole number or occurs twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read as a table of label names; give --names FILE") from error
    lines = [line for line in text.splitlines() if line.strip()]
    separator = max("\t,;", key=lines[0].count) if lines else ","
    rows = list(csv.DictReader(lines, delimiter=separator))
    columns = {column.strip().lower(): column for column in (rows[0] if rows else ())}
    key = next((columns[c] for c in ("index", "value", "label") if c in columns), None)
    if key is None or "name" not in columns:
        raise InputError(f"{path.name}: must have the columns index and name, and one line per label value")
    names: dict[int, str] = {}
    for row in rows:
        cell, name = (row[key] or "").strip(), (row[columns["name"]] or "").strip()
        if not cell.isdecimal() or not name:
            raise InputError(f"{path.name}: each line needs a whole number and a name; got {cell!r}, {name!r}")
        if int(cell) in names:
            raise InputError(f"{path.name}: value {cell} occurs twice; keep one line of each")
        if int(cell) != 0:  # the background is no structure
            names[int(cell)] = name
    return names


def check_on_grid(found: StructureSet, grid: Volume | Grid) -> None:
    """Check that structures lie on a scan's grid.

    Raises
    ------
    InputError
        As `reid_audit.volume.check_same_grid`.
    """
    check_same_grid(grid, Grid(found.shape, found.voxel_to_ras_mm, grid.modality, found.source))


def _ending_of(path: Path) -> str:
    return next((e for e in sorted(_IMAGES, key=len, reverse=True) if path.name.lower().endswith(e)), "")


def read_mask_folder(folder: Path) -> StructureSet:
    """Read a folder that holds one mask file per structure, named after it.

    Raises
    ------
    InputError
        The folder holds no image, two of them lie on different grids, or one is not made of whole numbers.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and _ending_of(path))
    if not files:
        raise InputError(f"{folder.name}: holds neither label maps nor an RT structure set")
    structures, empty = {}, []
    first: tuple[tuple[int, ...], NDArray[np.float64]] | None = None
    for path in files:
        labels, affine = read_labels(path)
        if first is None:
            first = labels.shape, affine
        elif labels.shape != first[0] or not np.allclose(affine, first[1], atol=1e-3):
            raise InputError(f"{folder.name}: {path.name} lies on another grid than {files[0].name}; resample it")
        name = path.name[: -len(_ending_of(path))]
        structure = crop_mask(name, labels != 0)
        if structure is None:
            empty.append(name)
        else:
            structures[name] = structure
    assert first is not None
    return StructureSet(structures, first[0], first[1], folder.name, tuple(empty))


def read_structures(path: Path, grid: Volume | Grid, *, names: Mapping[int, str] | None = None) -> StructureSet:
    """Read the structures of one scan.

    Parameters
    ----------
    path : Path
        A label map (.nii, .nii.gz, .mgz, .nrrd, .mha), an RT structure set (.dcm), or a folder that holds either one RT
        structure set or one mask file per structure.
    grid : Volume or Grid
        The scan: label maps must lie on its voxels, contours are drawn on them.
    names : mapping of int to str, optional
        For label maps; see `structures_from_labels`.

    Raises
    ------
    InputError
        Naming the file: absent, damaged, on another grid, without any contour.
    """
    from reid_audit.utility.contours import read_rtstruct

    path = Path(path)
    if path.is_dir():
        dicom = sorted(path.glob("*.dcm"))
        if len(dicom) > 1:
            raise InputError(f"{path.name}: holds {len(dicom)} DICOM files; leave one RT structure set")
        found = read_rtstruct(dicom[0], grid) if dicom else read_mask_folder(path)
    elif path.suffix.lower() in (".dcm", ".dicom"):
        found = read_rtstruct(path, grid)
    else:
        labels, affine = read_labels(path)
        found = structures_from_labels(labels, affine, names=names, source=path.name)
    check_on_grid(found, grid)
    return found


# --- names ---


def plain_name(name: str) -> str:
    """Spell a name as it is compared: small letters and single underscores, ``"Parotid-R "`` = ``"parotid_r"``."""
    return re.sub(r"[^0-9a-z]+", "_", name.casefold()).strip("_")


def rename_structures(found: StructureSet, aliases: Mapping[str, str]) -> StructureSet:
    """Give structures other names: ``aliases`` maps a name in the file to the name to use, compared by `plain_name`.

    Raises
    ------
    InputError
        Two structures would have one name.
    """
    wanted = {plain_name(old): new for old, new in aliases.items()}

    def renamed(names: Iterable[str]) -> Iterator[tuple[str, str]]:
        return ((name, wanted.get(plain_name(name), name)) for name in names)

    structures: dict[str, Structure] = {}
    spelled: set[str] = set()
    for old, new in renamed(found.structures):
        if plain_name(new) in spelled:
            raise InputError(f"{found.source}: two structures are called {new!r}; rename one of them")
        spelled.add(plain_name(new))
        structures[new] = replace(found.structures[old], name=new)
    return replace(found, structures=structures, empty=tuple(new for _, new in renamed(found.empty)))


def pair_names(before: StructureSet, after: StructureSet | None) -> tuple[list[tuple[str, str | None]], list[Finding]]:
    """Pair the names of two sets, whatever their spelling, and note those that only one of them has.

    Returns
    -------
    pairs : list of (str, str or None)
        Name before and name after; names that are only after stand with themselves. None = no set after.
    findings : list of Finding
        ``"missing_after"``, ``"missing_before"``, ``"spelled_otherwise"``.
    """
    import difflib

    if after is None:
        return [(name, None) for name in before.names], []
    spelled = {plain_name(name): name for name in after.names}
    pairs: list[tuple[str, str | None]] = []
    findings, lacking = [], []
    for name in before.names:
        other = spelled.pop(plain_name(name), None)
        pairs.append((name, name if other is None else other))
        if other is None:
            lacking.append(name)
        elif other != name:
            findings.append(Finding("spelled_otherwise", "info", f"{name!r} is spelled {other!r} afterwards"))
    for name in lacking:
        near = difflib.get_close_matches(plain_name(name), list(spelled), n=1, cutoff=0.6)
        hint = f"; is it {spelled[near[0]]!r}? then --alias '{spelled[near[0]]}={name}'" if near else ""
        findings.append(Finding("missing_after", "warning", f"{name!r} is not among the structures afterwards{hint}"))
    for other in spelled.values():
        findings.append(Finding("missing_before", "warning", f"{other!r} is not among the structures before"))
        pairs.append((other, other))
    return pairs, findings
