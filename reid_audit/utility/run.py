"""Measure a cohort: every defaced scan against its original, one task each, then the summaries."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from reid_audit.dataset import Cohort, CompanionFiles, find_companions
from reid_audit.records import (
    ORIGINAL,
    Finding,
    InputError,
    ReidAuditError,
    Repeatability,
    ScanRef,
    UtilityValue,
    Volume,
)
from reid_audit.utility.case import measure_scan
from reid_audit.utility.change import map_difference
from reid_audit.utility.compare import DefacerComparison, compare_defacers
from reid_audit.utility.dose import read_dose
from reid_audit.utility.exclusion import (
    Availability,
    Criterion,
    Exclusion,
    Quality,
    count_available,
    find_exclusions,
    keep_cases,
)
from reid_audit.utility.matrix import TrainTestMatrix
from reid_audit.utility.measures import CaseUtility, UtilitySettings
from reid_audit.utility.names import rename_structures
from reid_audit.utility.pictures import picture_change, picture_contours, write_pictures
from reid_audit.utility.places import PlaceSummary, summarize_places
from reid_audit.utility.read import read_structures
from reid_audit.utility.structures import StructureSet
from reid_audit.utility.summarize import summarize_cases, summarize_volumes
from reid_audit.utility.volumes import VolumeSource, find_volumes, replace_volumes
from reid_audit.volume import check_same_grid, clip_volume, read_volume, write_labels, write_volume
from reid_audit.volume.change import find_changed
from reid_audit.work import Progress, SerialExecutor, run_all

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Utility:
    """What the protection of a cohort cost.

    Attributes
    ----------
    cohort : str
        Name of the manifest, without folders.
    tolerance_mm, near_face_mm : float
        See `UtilitySettings`.
    cases : tuple of CaseUtility
        Every defaced scan, in the order of the manifest; those that could not be measured say why.
    values : tuple of UtilityValue
    volumes : tuple of Repeatability
    comparisons : tuple of DefacerComparison
    places : tuple of PlaceSummary
        Dice by where the structures lie against the change.
    matrix : TrainTestMatrix or None
        From a table of model scores, where one was given.
    exclusions : tuple of Exclusion
        Every scan that fails a criterion, whether that was used or not.
    excluded_by : tuple of Criterion
        Criteria whose scans are in no summary.
    common : bool
        Whether the summaries are of the visits alone that every defacer passes.
    available : tuple of Availability
    examined : int
        Scans of which is known whether eyes, nose and mouth are removed.
    """

    cohort: str
    tolerance_mm: float
    near_face_mm: float
    cases: tuple[CaseUtility, ...]
    values: tuple[UtilityValue, ...]
    volumes: tuple[Repeatability, ...]
    comparisons: tuple[DefacerComparison, ...]
    places: tuple[PlaceSummary, ...] = ()
    matrix: TrainTestMatrix | None = None
    exclusions: tuple[Exclusion, ...] = ()
    excluded_by: tuple[Criterion, ...] = ()
    common: bool = False
    available: tuple[Availability, ...] = ()
    examined: int = 0
    schema_version: int = 3

    @property
    def kept(self) -> tuple[CaseUtility, ...]:
        """The cases behind the summaries."""
        return keep_cases(self.cases, self.exclusions, self.excluded_by, common=self.common)


@dataclass(frozen=True, slots=True)
class _Task:
    """One defaced scan with the places of all that belongs to it."""

    scan: ScanRef
    original: ScanRef
    before: Path | None
    after: Path | None
    dose_before: Path | None
    dose_after: Path | None


def _failed(scan: ScanRef, reason: str) -> CaseUtility:
    return CaseUtility(scan.subject, scan.visit, scan.condition, scan.path.name, reason=reason)


def _write_maps(folder: Path, scan: ScanRef, original: Volume, defaced: Volume) -> None:
    """Write where and by how much a scan differs from its original."""
    check_same_grid(original, defaced)
    stem = f"{scan.subject}_{scan.visit_stem}_{scan.condition}"
    write_volume(map_difference(original, defaced), folder / f"{stem}_difference.nii.gz")
    changed = find_changed(clip_volume(original), clip_volume(defaced)).astype(np.uint8)
    write_labels(changed, original.voxel_to_ras_mm, folder / f"{stem}_changed.nii.gz")


def _measure_task(task: _Task, settings: UtilitySettings, maps: Path | None) -> CaseUtility:
    """Read and measure one scan. What cannot be read costs this scan its numbers, or a part of them: it says why."""
    start = time.perf_counter()
    findings: list[Finding] = []

    def read(code: str, path: Path | None, reader: Callable[[Path], T]) -> T | None:
        try:
            return None if path is None else reader(path)
        except InputError as error:
            findings.append(Finding(code, "warning", str(error)))
            return None

    try:
        original = read_volume(task.original.path, modality=task.original.modality, clip_hu=False)
        defaced = read_volume(task.scan.path, modality=task.scan.modality or original.modality, clip_hu=False)

        def read_set(path: Path) -> StructureSet:
            return rename_structures(read_structures(path, original, names=settings.names), settings.aliases)

        if maps is not None:
            _write_maps(maps, task.scan, original, defaced)
        dose_of = partial(read_dose, unit=settings.dose_unit)
        before, after = (read("no_segmentation", path, read_set) for path in (task.before, task.after))
        case = measure_scan(
            task.scan,
            original,
            defaced,
            before=before,
            after=after,
            dose_before=read("no_dose", task.dose_before, dose_of),
            dose_after=read("no_dose", task.dose_after, dose_of),
            settings=settings,
        )
        if maps is not None:
            contours = None if not (before and after) else picture_contours(original, defaced, before, after, case)
            write_pictures(filter(None, (*picture_change(original, defaced), contours)), maps, task.scan)
    except ReidAuditError as error:
        return replace(_failed(task.scan, str(error)), seconds=time.perf_counter() - start)
    if task.before is None:
        findings.append(Finding("no_segmentation", "info", "no segmentation of the original: no structure is measured"))
    return replace(case, findings=(*findings, *case.findings), seconds=time.perf_counter() - start)


def _tasks_of(
    cohort: Cohort, segmentations: CompanionFiles | None, doses: CompanionFiles | None
) -> dict[str, _Task | CaseUtility]:
    """Give a task for each defaced scan, or why there is none."""
    tasks: dict[str, _Task | CaseUtility] = {}
    for scan in cohort.scans:
        if scan.condition == ORIGINAL:
            continue
        original = cohort.partner_of(scan)
        if original is None:
            tasks[scan.key] = _failed(scan, f"no {ORIGINAL} of this subject, session and image to compare with")
            continue
        try:
            paths = [
                None if source is None else source.of(each)
                for source in (segmentations, doses)
                for each in (original, scan)
            ]
        except InputError as error:
            tasks[scan.key] = _failed(scan, str(error))
            continue
        tasks[scan.key] = _Task(scan, original, *paths)
    return tasks


def _put_volumes(source: VolumeSource, tasks: Sequence[_Task], cases: Sequence[CaseUtility]) -> list[CaseUtility]:
    volumes = [(source.of(task.original), source.of(task.scan)) for task in tasks]
    if tasks and not any(before and after for before, after in volumes):
        raise InputError(
            f"{source.place.name}: holds no scan's volumes before and after defacing; name its rows, files or folders "
            "like the scans"
        )
    return [replace_volumes(case, *pair) for case, pair in zip(cases, volumes, strict=True)]


def measure_utility(
    cohort: Cohort,
    *,
    segmentations: Path | None = None,
    doses: Path | None = None,
    volumes: Path | None = None,
    settings: UtilitySettings = UtilitySettings(),
    matrix: TrainTestMatrix | None = None,
    quality: Quality | None = None,
    exclude: Sequence[Criterion] = (),
    common: bool = False,
    over_defacers: bool = False,
    maps: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Utility:
    """Measure what the protection of a cohort cost: each defaced scan against its original.

    Parameters
    ----------
    cohort : Cohort
        With originals and one or more defacers. Scans of one visit suffice.
    segmentations, doses : Path, optional
        Folder or table: see `find_companions`. A segmentation "after" is what a model made of the defaced scan; where
        only the original has one, the integrity of its voxels is measured.
    volumes : Path, optional
        Of structures, by another program: see `find_volumes`. They take the place of those of the segmentations.
    settings : UtilitySettings
    matrix : TrainTestMatrix, optional
        To be kept with the result: see `cross_conditions`.
    quality : mapping of (subject, session, condition) to bool, optional
        Whether eyes, nose and mouth are removed: see `read_quality`.
    exclude : sequence of Criterion
        Scans that fail one of them are in no summary; every criterion is looked at and counted all the same.
    common : bool
        Summarise the visits alone that every defacer passes.
    over_defacers : bool
        See `summarize_cases`.
    maps : Path, optional
        Folder for a map of differences and a mask of the changed voxels of each scan, both NIfTI, and for slices of
        them (see `read_pictures`). They show faces: the folder is made for its owner alone (mode 0700).
    executor : concurrent.futures.Executor, optional
        Where the scans are done; in this process by default.
    progress : callable, optional

    Raises
    ------
    InputError
        The cohort has no defaced scan, a place does not exist, or no file of it belongs to any scan.
    """
    if cohort.conditions == (ORIGINAL,):
        raise InputError(f"{cohort.source}: every scan is {ORIGINAL!r}; add the defaced ones, a condition per defacer")
    found_segmentations = None if segmentations is None else find_companions(segmentations, option="--segmentations")
    found_doses = None if doses is None else find_companions(doses, option="--doses")
    found_volumes = None if volumes is None else find_volumes(volumes)
    tasks = _tasks_of(cohort, found_segmentations, found_doses)
    ready = [task for task in tasks.values() if isinstance(task, _Task)]
    for source, option, has in (
        (found_segmentations, "--segmentations", any(t.before for t in ready)),
        (found_doses, "--doses", any(t.dose_before for t in ready)),
    ):
        if source is not None and ready and not has:
            raise InputError(
                f"{source.source}: no file in it belongs to an original scan; name them like the scans, or give "
                f"{option} a table with the columns subject, session, condition, path"
            )
    if maps is not None:
        maps.mkdir(mode=0o700, parents=True, exist_ok=True)
    calls = [(task, settings, maps) for task in ready]
    measured = run_all(executor or SerialExecutor(), _measure_task, calls, progress=progress, stage="scans")
    if found_volumes is not None:
        measured = _put_volumes(found_volumes, ready, measured)
    by_key = {task.scan.key: case for task, case in zip(ready, measured, strict=True)}
    cases = tuple(task if isinstance(task, CaseUtility) else by_key[key] for key, task in tasks.items())
    exclusions = find_exclusions(cases, quality)
    kept = keep_cases(cases, exclusions, exclude, common=common)
    return Utility(
        cohort=cohort.source,
        tolerance_mm=settings.tolerance_mm,
        near_face_mm=settings.near_face_mm,
        cases=cases,
        values=summarize_cases(kept, over_defacers=over_defacers),
        volumes=summarize_volumes(kept),
        comparisons=compare_defacers(kept),
        places=summarize_places(kept),
        matrix=matrix,
        exclusions=exclusions,
        excluded_by=tuple(exclude),
        common=common,
        available=count_available(cases, exclusions),
        examined=sum((case.subject, case.session, case.condition) in (quality or {}) for case in cases),
    )
