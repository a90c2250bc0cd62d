"""Which file of a folder belongs to which scan: label maps, masks and doses, found by name or listed in a table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reid_audit.dataset.manifest import read_manifest
from reid_audit.records import ORIGINAL, InputError, ScanRef

_ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh", ".nrrd", ".mha", ".mhd", ".dcm")
_MARKS = ("", "_labels", "_dseg", "_seg", "_segmentation", "_mask", "_brain", "_dose", "_rtdose", "_rtstruct")
_TABLES = ("manifest.csv", "manifest.tsv")


@dataclass(frozen=True, slots=True, eq=False)
class CompanionFiles:
    """Files that belong to scans: by the key of the scan, or by name in a folder."""

    source: str
    listed: Mapping[str, Path] | None = None
    named: Mapping[str, tuple[Path, ...]] | None = None

    def of(self, scan: ScanRef, *, any_suffix: bool = False) -> Path | None:
        """Return the file or folder of a scan; None where there is none.

        Parameters
        ----------
        scan : ScanRef
        any_suffix : bool
            Take a file with any words after the scan's name: for folders that hold companions of originals alone.

        Raises
        ------
        InputError
            Several files could be meant.
        """
        if self.listed is not None:
            return self.listed.get(scan.key)
        named = self.named or {}
        for stem in name_scan(scan):
            if any_suffix:
                begins = re.compile(re.escape(stem.lower()) + r"(?![0-9a-z])")
                paths = [path for name, held in named.items() if begins.match(name) for path in held if path.is_file()]
            else:
                paths = [path for mark in _MARKS for path in named.get((stem + mark).lower(), ())]
            if len(paths) > 1:
                names = ", ".join(sorted(path.name for path in paths))
                raise InputError(f"{self.source}: several files could belong to {scan.key}: {names}; keep one")
            if paths:
                return paths[0]
        return None


def _without_ending(name: str) -> str:
    return next((name[: -len(e)] for e in _ENDINGS if name.lower().endswith(e)), name)


def name_scan(scan: ScanRef) -> list[str]:
    """Return the names, without an ending, by which a companion of a scan is known, the surest first."""
    own = _without_ending(scan.path.name)
    visit = scan.visit_stem
    stems = [own, f"{scan.subject}_{visit}_{scan.condition}"]
    bids = f"sub-{scan.subject}_ses-{visit}"
    stems.append(f"{bids}_{scan.condition}")
    if scan.condition == ORIGINAL:
        stems += [f"{scan.subject}_{visit}", bids]
    return list(dict.fromkeys(stems))


def find_companions(place: Path, *, option: str) -> CompanionFiles:
    """List what a folder, or a table, has for the scans of a cohort.

    Parameters
    ----------
    place : Path
        A table with the columns of a manifest (subject, session, condition, path), a folder that holds one as
        ``manifest.csv``, or a folder with a file or subfolder per scan. There a companion has the scan's own file name,
        or ``<subject>_<session>_<condition>`` (originals also ``<subject>_<session>``), each also in the form
        ``sub-<subject>_ses-<session>``; ``_labels``, ``_dseg``, ``_seg``, ``_mask``, ``_brain``, ``_dose``,
        ``_rtstruct`` or ``_rtdose`` may follow.
    option : str
        Of the command line that named the place, for the message.

    Raises
    ------
    InputError
        There is no such place, or its table cannot be read.
    """
    place = Path(place)
    if not place.exists():
        raise InputError(f"{place.name}: there is no such folder or table; check {option}")
    table = place if place.is_file() else next((place / t for t in _TABLES if (place / t).is_file()), None)
    if table is not None:
        scans = read_manifest(table, allow_outside=True).scans
        return CompanionFiles(table.name, listed={s.key: s.path for s in scans})
    named: dict[str, tuple[Path, ...]] = {}
    for path in sorted(place.iterdir()):
        if path.is_dir() or _without_ending(path.name) != path.name:
            stem = _without_ending(path.name).lower()
            named[stem] = (*named.get(stem, ()), path)
    return CompanionFiles(place.name, named=named)
