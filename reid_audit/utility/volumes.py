"""Volumes that another program measured: FreeSurfer, FastSurfer, SynthSeg and TotalSegmentator, in mm3 as they write.

========================= ============================================================================================
``aseg.stats``            FreeSurfer and FastSurfer: a row per structure, and the intracranial volume of its head.
a table, CSV or TSV       SynthSeg's ``--vol`` and ``asegstats2table``: a row per scan, a column per structure.
``statistics.json``       TotalSegmentator's ``--statistics``.
========================= ============================================================================================
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reid_audit.dataset import name_scan
from reid_audit.records import Finding, InputError, ScanRef
from reid_audit.utility.measures import CaseUtility, Measure, Position
from reid_audit.utility.metrics import metric_of

_METRIC = "volume_difference"
_IN_FOLDERS = (
    *("stats/aseg.stats", "stats/aseg+DKT.stats", "stats/aseg+DKT.VINN.stats"),
    *("aseg.stats", "aseg+DKT.stats", "statistics.json"),
)
_INTRACRANIAL = "EstimatedTotalIntraCranialVol"

Volumes = Mapping[str, float]
"""Cubic millimetres by structure."""


def read_aseg(path: Path) -> dict[str, float]:
    """Read the volumes of FreeSurfer's or FastSurfer's ``aseg.stats``.

    Raises
    ------
    InputError
        The file cannot be read, or names no columns StructName and Volume_mm3.
    """
    columns: list[str] = []
    volumes = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.lstrip("#").replace(",", " ").split() if line.startswith("#") else line.split()
            if line.startswith("# ColHeaders"):
                columns = words[1:]
            elif line.startswith("# Measure") and _INTRACRANIAL in words:
                volumes["intracranial"] = float(words[-2])
            elif words and not line.startswith("#"):
                volumes[words[columns.index("StructName")]] = float(words[columns.index("Volume_mm3")])
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise InputError(f"{path.name}: is no table of FreeSurfer's volumes ({error}); give its aseg.stats") from error
    if not volumes:
        raise InputError(f"{path.name}: holds no volume; give FreeSurfer's aseg.stats")
    return volumes


def read_statistics(path: Path) -> dict[str, float]:
    """Read the volumes of TotalSegmentator's ``statistics.json``. InputError where it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(values["volume"]) for name, values in content.items()}
    except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path.name}: holds no volumes; give TotalSegmentator's statistics.json") from error


def read_volume_table(path: Path) -> dict[str, dict[str, float]]:
    """Read a table with a row per scan, which its first column names, and a column in mm3 per structure.

    Raises
    ------
    InputError
        The table cannot be read, names a scan twice, or holds what is no number.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, sep=None, engine="python", dtype={0: str}, encoding="utf-8-sig")
        numbers = table.iloc[:, 1:].apply(pd.to_numeric)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, pd.errors.ParserError) as error:
        raise InputError(f"{path.name}: is no table of volumes ({error}); give a row per scan, in mm3") from error
    scans = [str(name).strip() for name in table.iloc[:, 0]]
    twice = next((name for name in scans if scans.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path.name}: {twice!r} occurs twice; keep one row of each scan")
    structures = [str(name).strip() for name in numbers.columns]
    return {
        name: dict(zip(structures, map(float, row), strict=True))
        for name, row in zip(scans, numbers.to_numpy(), strict=True)
    }


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """The volumes of scans: in a table, or in files and folders that are named like the scans (see `name_scan`)."""

    place: Path
    table: Mapping[str, Volumes] | None = None

    def of(self, scan: ScanRef) -> Volumes | None:
        """Return the volumes of a scan in mm3; None where there are none. InputError as the readers."""
        names = name_scan(scan)
        if self.table is not None:
            rows = {Path(name).name.lower(): row for name, row in self.table.items()}
            endings = ("", ".nii.gz", ".nii", ".mgz")
            return next((rows[key] for n in names for e in endings if (key := f"{n}{e}".lower()) in rows), None)
        for name in names:
            files = [self.place / f"{name}.stats", *(self.place / name / inner for inner in _IN_FOLDERS)]
            path = next((file for file in files if file.is_file()), None)
            if path is not None:
                return read_statistics(path) if path.suffix == ".json" else read_aseg(path)
        return None


def find_volumes(place: Path) -> VolumeSource:
    """Open a table of volumes, or a folder with a file or folder per scan. InputError where there is none."""
    if not place.exists():
        raise InputError(f"{place.name}: there is no such table or folder; check --volumes")
    return VolumeSource(place, read_volume_table(place) if place.is_file() else None)


def replace_volumes(case: CaseUtility, before: Volumes | None, after: Volumes | None) -> CaseUtility:
    """Put volumes of another program in the place of those of the segmentations.

    Structures that only one of the two names have no number before or after; where a scan has no volumes at all the
    case says so.
    """
    if case.reason:
        return case
    if before is None or after is None:
        text = f"no volumes of the {'original' if before is None else 'defaced scan'}: see --volumes"
        return replace(case, findings=(*case.findings, Finding("no_volumes", "warning", text)))
    own = (case.subject, case.session, case.condition, _METRIC, metric_of(_METRIC).unit)
    measures = [m for m in case.measures if m.metric != _METRIC]
    for name in dict.fromkeys((*before, *after)):
        x, y = (side.get(name, math.nan) / 1000 for side in (before, after))
        measures.append(Measure(*own, name, Position.ALL.value, y - x, x, y))
    return replace(case, measures=tuple(measures))
