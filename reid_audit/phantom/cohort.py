"""Cohorts of synthetic scans on disk, with label maps and a manifest."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid_audit.phantom.change import find_difficulty
from reid_audit.phantom.dicom import write_rt_set
from reid_audit.phantom.person import draw_person
from reid_audit.phantom.scan import PhantomScan, make_phantom
from reid_audit.phantom.tissue import LABELS
from reid_audit.records import ORIGINAL, InputError, Modality, ScanRef, format_csv

LABEL_NAMES = "labels.tsv"
"""Table of what label maps mean, in their folder (columns index and name, as BIDS has it)."""

SITES = ("north", "south")


@dataclass(frozen=True, slots=True)
class DrawnScan:
    """A scan of a synthetic person, and what a table of subjects says of the person."""

    subject: str
    number: int
    scan: PhantomScan
    sex: str
    age_years: int
    site: str


def draw_visits(
    subjects: int,
    visits: int,
    *,
    seed: int,
    difficulty: str = "easy",
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Iterator[DrawnScan]:
    """Make the scans of synthetic people one after another; ``progress`` is told when the caller is done with each.

    Parameters
    ----------
    subjects, visits : int
        At least 1; else `InputError`.
    seed : int
    difficulty : str
        As in `make_phantom`; whom a table of subjects calls of one sex depends on it.
    progress : callable, optional
        Called as ``progress(done, total)``.
    **options
        As in `make_phantom`.
    """
    for name, value in (("subjects", subjects), ("visits", visits)):
        if value < 1:
            raise InputError(f"{name} must be at least 1; got {value}.")
    width = max(2, len(str(subjects)))

    def draw() -> Iterator[DrawnScan]:
        for identity in range(1, subjects + 1):
            person = draw_person(seed, identity, kinship=find_difficulty(difficulty).kinship)
            subject, site = f"p{identity:0{width}d}", SITES[identity % len(SITES)]
            for number in range(1, visits + 1):
                scan = make_phantom(identity, number, seed=seed, difficulty=difficulty, **options)
                yield DrawnScan(subject, number, scan, person.sex, person.age_years, site)
                if progress is not None:
                    progress((identity - 1) * visits + number, subjects * visits)

    return draw()


def label_table() -> str:
    """Return the names of `LABELS` as a table with the columns index and name, as BIDS has it."""
    return "index\tname\n" + "".join(f"{value}\t{name}\n" for name, value in LABELS.items())


def write_cohort(
    out_dir: Path,
    *,
    subjects: int,
    visits: int = 2,
    modality: Modality = Modality.CT,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    spacing_mm: float | None = None,
    pose_sd_deg: float = 3.0,
    couch: bool = False,
    headrest: bool = False,
    difficulty: str = "easy",
) -> Path:
    """Write scans of synthetic people, their label maps and a manifest.

    The same arguments give the same bytes. Files that exist are overwritten.

    Parameters
    ----------
    out_dir : Path
        Made if absent. Gets ``sub-p01_ses-1_CT.nii.gz`` (``_T1w`` for MR), ``labels/sub-p01_ses-1_labels.nii.gz``
        (values of `LABELS`), ``labels/labels.tsv`` with their names and ``manifest.csv``.
    subjects, visits : int
        At least 1.
    modality : Modality
    seed : int
    progress : callable, optional
        Called as ``progress(done, total)`` after each scan.
    spacing_mm, pose_sd_deg, couch, headrest, difficulty
        As in `make_phantom`.

    Returns
    -------
    Path
        The manifest: columns subject, session, condition, path (relative to the manifest), modality, sex, age_years
        and site. The last three are drawn too; the shape of the head knows of the sex alone.

    Raises
    ------
    InputError
        `subjects` or `visits` is less than 1.
    """
    from reid_audit.volume import write_labels, write_volume

    options = {"couch": couch, "headrest": headrest, "spacing_mm": spacing_mm, "pose_sd_deg": pose_sd_deg}
    drawn = draw_visits(
        subjects, visits, seed=seed, difficulty=difficulty, progress=progress, modality=modality, **options
    )
    (out_dir / "labels").mkdir(parents=True, exist_ok=True)
    suffix = {Modality.CT: "CT", Modality.MR: "T1w", Modality.PET: "pet"}[modality]
    rows: list[tuple[str, ...]] = []
    for visit in drawn:
        stem = f"sub-{visit.subject}_ses-{visit.number}"
        name, scan = f"{stem}_{suffix}.nii.gz", visit.scan
        write_volume(scan.volume, out_dir / name)
        write_labels(scan.labels, scan.volume.voxel_to_ras_mm, out_dir / "labels" / f"{stem}_labels.nii.gz")
        strata = (visit.sex, str(visit.age_years), visit.site)
        rows.append((visit.subject, str(visit.number), ORIGINAL, name, str(modality), *strata))
    (out_dir / "labels" / LABEL_NAMES).write_text(label_table(), encoding="utf-8")
    manifest = out_dir / "manifest.csv"
    header = ("subject", "session", "condition", "path", "modality", "sex", "age_years", "site")
    manifest.write_text(format_csv(header, rows), encoding="utf-8", newline="")
    return manifest


def write_rt_cohort(
    out_dir: Path,
    *,
    subjects: int,
    visits: int = 2,
    seed: int = 0,
    ptv: Sequence[str] = ("oropharynx",),
    progress: Callable[[int, int], None] | None = None,
    spacing_mm: float | None = None,
    difficulty: str = "easy",
) -> Path:
    """Write synthetic people as radiotherapy studies, in all patient positions and both slice orders in turn.

    Parameters
    ----------
    out_dir : Path
        Made if absent. Gets a folder ``sub-p01_ses-1`` for each scan, as `write_rt_set` fills it, and ``manifest.csv``,
        whose paths are the CT series.
    subjects, visits, seed, progress, spacing_mm, difficulty
        As in `write_cohort`.
    ptv : sequence of str
        See `write_rt_set`.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    InputError
        `subjects` or `visits` is less than 1, or a site is unknown.
    """
    from reid_audit.dataset import write_manifest

    drawn = draw_visits(subjects, visits, seed=seed, difficulty=difficulty, progress=progress, spacing_mm=spacing_mm)
    out_dir.mkdir(parents=True, exist_ok=True)
    scans: list[ScanRef] = []
    for visit in drawn:
        turn = len(scans)
        position, order = ("HFS", "FFS", "HFP", "FFP")[turn % 4], (1, -1)[turn // 4 % 2]
        folder = out_dir / f"sub-{visit.subject}_ses-{visit.number}"
        made = write_rt_set(
            visit.scan, folder, position=position, slice_order=order, ptv=ptv, dose_shift_mm=(0.7, -1.1, 0.4), seed=seed
        )
        scans.append(ScanRef(visit.subject, str(visit.number), ORIGINAL, made.ct, Modality.CT))
    write_manifest(out_dir / "manifest.csv", scans)
    return out_dir / "manifest.csv"
