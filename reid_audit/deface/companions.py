"""Label maps and brain masks beside scans: found by the scan's name, and read on its grid.

Words
-----
companion
    The label map or brain mask of a scan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.reference import Labels, brain_of
from reid_audit.records import InputError, ScanRef, Volume
from reid_audit.volume import check_same_grid, read_labels


@dataclass(frozen=True, slots=True)
class Companions:
    """Where label maps and brain masks are.

    Attributes
    ----------
    labels, brain_masks : Path or None
        A folder with one file per scan, or, for one scan, the file. A file belongs to a scan when its name begins
        with the scan's own name, ``sub-<subject>_ses-<session>`` or ``<subject>_<session>``.
    label_values : mapping of str to int
        Name of each structure to its value in the label maps.
    """

    labels: Path | None = None
    brain_masks: Path | None = None
    label_values: Mapping[str, int] | None = None


def find_companion(place: Path, scan: ScanRef, what: str) -> Path:
    """Find the label map or brain mask of a scan.

    Raises
    ------
    InputError
        Where there is none, or more than one.
    """
    if place.is_file():
        return place
    own = scan.path.name.removesuffix(".gz").rsplit(".", 1)[0] if scan.path.is_file() else scan.path.name
    starts = (own, f"sub-{scan.subject}_ses-{scan.session}", f"{scan.subject}_{scan.session}")
    files = sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else []
    for start in starts:
        named = [path for path in files if re.match(re.escape(start) + r"(?![0-9A-Za-z])", path.name)]
        if len(named) == 1:
            return named[0]
        if named:
            raise InputError(f"{what} of {scan.key}: {len(named)} files begin with {start}; keep one")
    raise InputError(f"{what} of {scan.key}: no file in {place.name} begins with {starts[1]} or the scan's name")


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
