"""Read the structures of a scan from label maps, folders of masks or RT structure sets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Grid, InputError, Volume
from reid_audit.utility.contours import read_rtstruct
from reid_audit.utility.structures import StructureSet, check_on_grid, crop_mask, structures_from_labels
from reid_audit.volume import READERS, read_labels


def _ending_of(path: Path) -> str:
    return next((e for e in sorted(READERS, key=len, reverse=True) if path.name.lower().endswith(e)), "")


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
    path = Path(path)
    if path.is_dir():
        dicom = sorted(path.glob("*.dcm"))
        if len(dicom) > 1:
            raise InputError(f"{path.name}: holds {len(dicom)} DICOM files; leave one RT structure set")
        structure_set = read_rtstruct(dicom[0], grid) if dicom else read_mask_folder(path)
    elif path.suffix.lower() in (".dcm", ".dicom"):
        structure_set = read_rtstruct(path, grid)
    else:
        labels, affine = read_labels(path)
        structure_set = structures_from_labels(labels, affine, names=names, source=path.name)
    check_on_grid(structure_set, grid)
    return structure_set
