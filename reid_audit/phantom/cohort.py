"""Cohorts of synthetic scans on disk, with label maps and a manifest."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from reid_audit.phantom.dicom import write_rt_set
from reid_audit.phantom.person import draw_person
from reid_audit.phantom.scan import make_phantom
from reid_audit.phantom.tissue import LABELS
from reid_audit.records import ORIGINAL, InputError, Modality, ScanRef

LABEL_NAMES = "labels.tsv"
"""Table of what label maps mean, in their folder (columns index and name, as BIDS has it)."""

SITES = ("north", "south")


def _check_counts(subjects: int, visits: int) -> None:
    for name, value in (("subjects", subjects), ("visits", visits)):
        if value < 1:
            raise InputError(f"{name} must be at least 1; got {value}.")


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
    spacing_mm, pose_sd_deg, couch, headrest
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

    _check_counts(subjects, visits)
    (out_dir / "labels").mkdir(parents=True, exist_ok=True)
    suffix = "CT" if modality is Modality.CT else "T1w"
    rows: list[tuple[str, ...]] = []
    total = subjects * visits
    width = max(2, len(str(subjects)))
    for identity in range(1, subjects + 1):
        person = draw_person(seed, identity)
        subject = f"p{identity:0{width}d}"
        strata = (person.sex, str(person.age_years), SITES[identity % len(SITES)])
        for visit in range(1, visits + 1):
            scan = make_phantom(
                identity,
                visit,
                modality=modality,
                seed=seed,
                couch=couch,
                headrest=headrest,
                spacing_mm=spacing_mm,
                pose_sd_deg=pose_sd_deg,
            )
            stem = f"sub-{subject}_ses-{visit}"
            name = f"{stem}_{suffix}.nii.gz"
            write_volume(scan.volume, out_dir / name)
            write_labels(scan.labels, scan.volume.voxel_to_ras_mm, out_dir / "labels" / f"{stem}_labels.nii.gz")
            rows.append((subject, str(visit), ORIGINAL, name, str(modality), *strata))
            if progress is not None:
                progress(len(rows), total)
    table = "".join(f"{value}\t{name}\n" for name, value in LABELS.items())
    (out_dir / "labels" / LABEL_NAMES).write_text(f"index\tname\n{table}", encoding="utf-8")
    manifest = out_dir / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("subject", "session", "condition", "path", "modality", "sex", "age_years", "site"))
        writer.writerows(rows)
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
) -> Path:
    """Write synthetic people as radiotherapy studies, in all patient positions and both slice orders in turn.

    Parameters
    ----------
    out_dir : Path
        Made if absent. Gets a folder ``sub-p01_ses-1`` for each scan, as `write_rt_set` fills it, and ``manifest.csv``,
        whose paths are the CT series.
    subjects, visits : int
        At least 1.
    seed : int
    ptv : sequence of str
        See `write_rt_set`.
    progress : callable, optional
        Called as ``progress(done, total)`` after each scan.
    spacing_mm : float or None
        As in `make_phantom`.

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

    _check_counts(subjects, visits)
    out_dir.mkdir(parents=True, exist_ok=True)
    width = max(2, len(str(subjects)))
    scans: list[ScanRef] = []
    for identity in range(1, subjects + 1):
        for visit in range(1, visits + 1):
            scan = make_phantom(identity, visit, seed=seed, spacing_mm=spacing_mm)
            subject, turn = f"p{identity:0{width}d}", len(scans)
            position, order = ("HFS", "FFS", "HFP", "FFP")[turn % 4], (1, -1)[turn // 4 % 2]
            folder = out_dir / f"sub-{subject}_ses-{visit}"
            shift = (0.7, -1.1, 0.4)
            made = write_rt_set(
                scan, folder, position=position, slice_order=order, ptv=ptv, dose_shift_mm=shift, seed=seed
            )
            scans.append(ScanRef(subject, str(visit), ORIGINAL, made.ct, Modality.CT))
            if progress is not None:
                progress(len(scans), subjects * visits)
    write_manifest(out_dir / "manifest.csv", scans)
    return out_dir / "manifest.csv"
