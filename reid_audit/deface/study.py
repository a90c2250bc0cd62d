"""Find the files of a radiotherapy study in a folder by their headers, never by their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reid_audit.records import InputError
from reid_audit.volume.header import read_dicom

_IMAGES = ("CT", "MR")


@dataclass(frozen=True, slots=True)
class RtStudy:
    """Files of one scan: its slices, in any order, its structure set and its doses.

    ``further`` are other image series of the folder, and ``registrations`` what may tie them to the scan.
    """

    name: str
    images: tuple[Path, ...]
    structures: Path | None = None
    doses: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    further: tuple[tuple[Path, ...], ...] = ()
    registrations: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a header says; `drawn_on` are the series of the scan that a structure set was drawn on."""

    modality: str
    series: str = ""
    frame: str = ""
    drawn_on: tuple[str, ...] = ()


def _look(path: Path) -> _Seen:
    try:
        ds = read_dicom(path, pixels=False)
    except InputError:
        return _Seen("no DICOM")
    drawn_on = tuple(
        str(series.get("SeriesInstanceUID"))
        for frame in ds.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    )
    modality, series, frame = (
        str(ds.get(keyword) or "") for keyword in ("Modality", "SeriesInstanceUID", "FrameOfReferenceUID")
    )
    return _Seen(modality, series, frame, drawn_on)


def find_study(folder: Path, *, structures: Path | None = None, doses: Sequence[Path] = ()) -> RtStudy:
    """Find the slices, the structure set and the doses in a folder and the folders below it.

    A folder of slices alone takes what lies beside it: the structure set that was drawn on them, and doses of their
    frame of reference.

    Parameters
    ----------
    folder : Path
    structures : Path, optional
        The structure set, where it lies elsewhere or there are several.
    doses : sequence of Path
        The doses, where they lie elsewhere or not all are wanted. None given: all that are found.

    Returns
    -------
    RtStudy
        Of several image series, the one that the structure set was drawn on; else `InputError` follows when they are
        put in order.

    Raises
    ------
    InputError
        No folder, no images, or several structure sets to choose from.
    """
    if not folder.is_dir():
        raise InputError(f"{folder.name}: is no folder; give the folder of a DICOM study")
    seen = {p: _look(p) for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "DICOMDIR"}
    images = {path: header for path, header in seen.items() if header.modality in _IMAGES}
    if not images:
        raise InputError(f"{folder.name}: holds no DICOM image of CT or MR; give the folder of a study")
    if len(images) == len(seen):
        series, frames = (
            {header.series for header in images.values()},
            {header.frame for header in images.values()} - {""},
        )
        beside = {p: _look(p) for p in sorted(folder.absolute().parent.iterdir()) if p.is_file()}
        seen |= {
            path: header
            for path, header in beside.items()
            if (header.modality == "RTSTRUCT" and series & set(header.drawn_on))
            or (header.modality == "RTDOSE" and header.frame in frames)
        }
    sets = [path for path, header in seen.items() if header.modality == "RTSTRUCT"]
    if structures is not None:
        sets, seen[structures] = [structures], _look(structures)
    if len(sets) > 1:
        listed = ", ".join(path.name for path in sets[:4])
        raise InputError(
            f"{folder.name}: holds {len(sets)} structure sets ({listed}); choose one with --structures, "
            "or give --studies where it holds a folder per study"
        )
    all_doses = tuple(path for path, header in seen.items() if header.modality == "RTDOSE")
    others = [header for header in seen.values() if header.modality not in (*_IMAGES, "RTSTRUCT", "RTDOSE")]
    notes = [f"{len(others)} other files of the folder were left out"] if others else []
    drawn_on = seen[sets[0]].drawn_on if sets else ()
    chosen = tuple(path for path, header in images.items() if header.series in drawn_on)
    rest = [header.series for path, header in images.items() if chosen and path not in chosen]
    further = [tuple(p for p, header in images.items() if header.series == series) for series in dict.fromkeys(rest)]
    return RtStudy(
        folder.absolute().name,
        chosen or tuple(images),
        sets[0] if sets else None,
        tuple(doses) or all_doses,
        tuple(notes),
        tuple(further),
        tuple(path for path, header in seen.items() if header.modality == "REG"),
    )
