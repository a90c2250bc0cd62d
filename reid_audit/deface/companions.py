"""Label maps and brain masks beside scans, read on the scan's grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.dataset import find_companions
from reid_audit.deface.reference import Labels, brain_of
from reid_audit.records import InputError, ScanRef, Volume
from reid_audit.volume import check_same_grid, read_labels


@dataclass(frozen=True, slots=True)
class Companions:
    """Where label maps and brain masks are.

    Attributes
    ----------
    labels, brain_masks : Path or None
        A folder with one file per scan, or a table: see `reid_audit.dataset.find_companions`, where any words may
        follow the scan's name. Or, for one scan, the file.
    label_values : mapping of str to int
        Name of each structure to its value in the label maps.
    """

    labels: Path | None = None
    brain_masks: Path | None = None
    label_values: Mapping[str, int] | None = None


def find_companion(place: Path, scan: ScanRef, what: str) -> Path:
    """Return ``place`` itself where it is an image, else what it holds for a scan; see `find_companions`.

    Raises
    ------
    InputError
        Where there is none, or more than one.
    """
    if place.is_file() and place.suffix.lower() not in (".csv", ".tsv"):
        return place
    path = find_companions(place, option="--labels and --brain-masks").of(scan, any_suffix=True)
    if path is None:
        raise InputError(
            f"{what} of {scan.key}: no file in {place.name} begins with sub-{scan.subject}_ses-{scan.visit_stem} or "
            "the scan's name"
        )
    return path


def read_companions(
    scan: ScanRef, volume: Volume, where: Companions
) -> tuple[Labels | None, NDArray[np.bool_] | None, list[Path]]:
    """Read what is beside a scan: its label map, its brain mask (of its own, or of the label map), and their files."""
    labels, brain, files = None, None, []
    for place, what in ((where.labels, "label map"), (where.brain_masks, "brain mask")):
        if place is None:
            continue
        path = find_companion(place, scan, what)
        values, affine = read_labels(path)
        as_scan = Volume(np.broadcast_to(np.float32(0), values.shape), affine, volume.modality, path.name)
        check_same_grid(volume, as_scan)
        files.append(path)
        if what == "label map":
            labels = values
            in_map = brain_of(values, where.label_values or {})
            brain = in_map if in_map.any() else None
        else:
            brain = values != 0
    return labels, brain, files
