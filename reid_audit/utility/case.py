"""One defaced scan against its original: every number of every structure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reid_audit.records import Finding, ScanRef, Volume
from reid_audit.surface import FacialSkin, depths_of_change_mm, find_facial_skin
from reid_audit.utility.change import ChangeMap, find_change, place_structure, share_within, summarize_tissues
from reid_audit.utility.dose import DVH_PERCENT, Dose, DoseStatistics, measure_dose
from reid_audit.utility.measures import CaseUtility, DoseCurve, Measure, Placement, Position, UtilitySettings
from reid_audit.utility.metrics import metric_of
from reid_audit.utility.names import pair_names
from reid_audit.utility.near_face import distance_to_face_mm
from reid_audit.utility.segmentation import compare_structures
from reid_audit.utility.structures import Structure, StructureSet, check_on_grid
from reid_audit.volume import check_same_grid, clip_volume
from reid_audit.volume.names import plain_name
from reid_audit.volume.roles import Role, StructureNames
from reid_audit.volume.turn import find_turn


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """What the parts of one measurement share."""

    scan: ScanRef
    settings: UtilitySettings
    before: StructureSet | None
    after: StructureSet | None
    pairs: tuple[tuple[str, Structure | None, Structure | None], ...]
    positions: Mapping[str, str]

    def is_brain(self, structure: str) -> bool:
        return plain_name(structure) in {plain_name(name) for name in self.settings.brain}

    def measure(
        self,
        metric: str,
        value: float,
        *,
        structure: str = "all",
        unit: str | None = None,
        before: float = math.nan,
        after: float = math.nan,
    ) -> Measure:
        scan = self.scan
        position = self.positions.get(structure, Position.ALL.value)
        unit = metric_of(metric).unit if unit is None else unit
        return Measure(
            scan.subject, scan.visit, scan.condition, metric, unit, structure, position, value, before, after
        )


def _pair_structures(
    before: StructureSet | None, after: StructureSet | None, deleted: frozenset[str]
) -> tuple[tuple[tuple[str, Structure | None, Structure | None], ...], list[Finding]]:
    if before is None:
        return (), []
    names, findings = pair_names(before, after, deleted=deleted)
    pairs = []
    for name, other in names:
        now = None if after is None or other is None else after.structures.get(other)
        pairs.append((name, before.structures.get(name), now))
    return tuple(pairs), findings


def _find_deleted(before: StructureSet | None, after: StructureSet | None, names: tuple[str, ...]) -> frozenset[str]:
    """Find the structures that are gone on purpose: see `Position`."""
    if before is None or after is None:
        return frozenset()
    wanted, named, filled = ({plain_name(n) for n in each} for each in (names, after.names, after.structures))

    def is_of_face(name: str) -> bool:
        return StructureNames().role_of(name) in (Role.EYES, Role.REMOVED)

    known = {plain_name(name) for name in before.names}
    renamed = any(is_of_face(name) for name in after.names if plain_name(name) not in known)  # then none is gone
    return frozenset(
        name
        for name in before.structures
        if (plain_name(name) in wanted and plain_name(name) not in filled)
        or (plain_name(name) not in named and is_of_face(name) and not renamed)
    )


def _position_of(structure: Structure, distance_mm: float, change: ChangeMap, near_mm: float) -> Position:
    if distance_mm <= near_mm:
        return Position.ON_FACE
    first, last = structure.slices
    return Position.SAME_SLICES if change.slices[first : last + 1].any() else Position.ELSEWHERE


def _place_all(
    scan: ScanRef,
    structures: Mapping[str, Structure],
    skin: FacialSkin,
    change: ChangeMap,
    near_mm: float,
    deleted: frozenset[str],
) -> tuple[Placement, ...]:
    placements = []
    for name, structure in structures.items():
        distance = distance_to_face_mm(structure, skin)
        position = Position.DELETED if name in deleted else _position_of(structure, distance, change, near_mm)
        who = scan.subject, scan.visit, scan.condition, name
        where = position.value, place_structure(structure, change).value
        known = distance if math.isfinite(distance) else math.nan
        placements.append(Placement(*who, *where, known, share_within(structure, change.changed)))
    return tuple(placements)


def _measure_segmentations(case: _Case) -> Iterator[Measure]:
    if case.before is None or case.after is None:
        return
    tolerance = case.settings.tolerance_mm
    brain = []
    for name, before, after in case.pairs:
        agreement = compare_structures(before, after, spacing_mm=case.before.spacing_mm, tolerance_mm=tolerance)
        yield case.measure("dice", agreement.dice, structure=name)
        if case.is_brain(name) and not math.isnan(agreement.dice):
            brain.append(agreement.dice)
        yield case.measure(f"surface_dice_{tolerance:g}mm", agreement.surface_dice, structure=name)
        yield case.measure("hd95", agreement.hd95_mm, structure=name)
        yield case.measure("mean_hd95", agreement.mean_hd95_mm, structure=name)
        yield case.measure("hd", agreement.hd_mm, structure=name)
        yield case.measure("msd", agreement.msd_mm, structure=name)
        both_empty = before is None and after is None
        volumes = (math.nan, math.nan) if both_empty else (agreement.volume_before_cm3, agreement.volume_after_cm3)
        yield case.measure(
            "volume_difference", volumes[1] - volumes[0], structure=name, before=volumes[0], after=volumes[1]
        )
    if brain:
        yield case.measure("brain_dice", sum(brain) / len(brain))


def _measure_voxels(case: _Case, change: ChangeMap) -> Iterator[Measure]:
    structures = {name: before for name, before, _ in case.pairs if before is not None}
    for name, structure in structures.items():
        preserved = 1 - share_within(structure, change.removed)
        yield case.measure("unchanged", 1 - share_within(structure, change.changed), structure=name)
        yield case.measure("preserved", preserved, structure=name)
        yield case.measure("lost", float(preserved == 0), structure=name)
    brain = [structure for name, structure in structures.items() if case.is_brain(name)]
    if brain:
        voxels = sum(each.voxels for each in brain)
        hit = sum(share_within(each, change.changed) * each.voxels for each in brain)
        yield case.measure("brain_intact", float(round(hit) == 0))
        yield case.measure("brain_changed", hit / voxels)


def _measure_change(
    case: _Case, original: Volume, defaced: Volume, change: ChangeMap, skin: FacialSkin
) -> Iterator[Measure]:
    unit = "HU" if original.is_hu else "units of the scan"
    for tissue in summarize_tissues(original, defaced, change):
        name = tissue.tissue
        yield case.measure(
            "hu_shift", tissue.mean, structure=name, unit=unit, before=tissue.mean_before, after=tissue.mean_after
        )
        yield case.measure("hu_shift_median", tissue.median, structure=name, unit=unit)
        yield case.measure("hu_absolute", tissue.mean_absolute, structure=name, unit=unit)
        yield case.measure("tissue_unchanged", 1 - tissue.changed, structure=name)
    voxel_cm3 = math.prod(original.spacing_mm) / 1000
    yield case.measure("changed_volume", float(np.count_nonzero(change.changed)) * voxel_cm3)
    yield case.measure("change_components", float(len(change.components) + change.small))
    front = original.intensity[:, skin.middle :] > skin.skin_level
    hit = int(np.count_nonzero(front & change.changed[:, skin.middle :]))
    yield case.measure("front_changed", hit / max(int(np.count_nonzero(front)), 1))
    depths = depths_of_change_mm(change.changed, skin)
    yield case.measure("depth_max", float(depths.max()) if len(depths) else math.nan)
    yield case.measure("depth_p95", float(np.percentile(depths, 95)) if len(depths) else math.nan)


def _dose_points(statistics: DoseStatistics) -> dict[str, float]:
    points = {"d0.01cc": statistics.hottest_gy, "max": statistics.max_gy, "mean": statistics.mean_gy}
    return points | {f"d{p}": value for p, value in zip(DVH_PERCENT, statistics.percent_gy, strict=True)}


def _measure_doses(
    case: _Case, dose_before: Dose, dose_after: Dose, findings: list[Finding], curves: list[DoseCurve]
) -> Iterator[Measure]:
    """Dose differences in cGy. Without a segmentation after, the structure before is measured in both doses."""
    assert case.before is not None
    affine = case.before.voxel_to_ras_mm
    nothing = DoseStatistics(math.nan, math.nan, math.nan, (math.nan,) * len(DVH_PERCENT), 0.0)
    for name, before, now in case.pairs:
        after = before if case.after is None else now
        a = nothing if before is None else measure_dose(dose_before, before, affine)
        b = nothing if after is None else measure_dose(dose_after, after, affine)
        for when, structure, statistics, dose in (("before", before, a, dose_before), ("after", after, b, dose_after)):
            if structure is not None and statistics.covered < 1:
                text = f"{name!r} {when}: {1 - statistics.covered:.1%} of it lies outside of the dose of {dose.source}"
                findings.append(Finding("outside_dose", "warning", text, 1 - statistics.covered))
        curves.append(DoseCurve(name, a.curve_gy, b.curve_gy))
        first, second = _dose_points(a), _dose_points(b)
        for point in first:
            x, y = 100 * first[point], 100 * second[point]
            yield case.measure(f"dose_{point}_difference", y - x, structure=name, before=x, after=y)
        yield case.measure("dose_d0.01cc_absolute", 100 * abs(second["d0.01cc"] - first["d0.01cc"]), structure=name)


def measure_scan(
    scan: ScanRef,
    original: Volume,
    defaced: Volume,
    *,
    before: StructureSet | None = None,
    after: StructureSet | None = None,
    dose_before: Dose | None = None,
    dose_after: Dose | None = None,
    settings: UtilitySettings = UtilitySettings(),
) -> CaseUtility:
    """Measure what a defacer did to one scan.

    Parameters
    ----------
    scan : ScanRef
        The defaced one: whose the numbers are.
    original, defaced : Volume
        On one grid; read with ``clip_hu=False``, lest a shift of air below -1024 HU be lost.
    before, after : StructureSet, optional
        Segmentations of the original and of the defaced scan, on the scan's grid. With ``before`` alone only the
        integrity of its voxels (and of its dose) is measured; without it the scan as a whole.
    dose_before, dose_after : Dose, optional
        Without ``dose_after`` the dose before is taken for both, in the structures before and after (Ammar 2025);
        without a segmentation after either, there is nothing to compare.
    settings : UtilitySettings

    Raises
    ------
    InputError
        The grids differ.
    """
    check_same_grid(original, defaced)
    for each in (before, after):
        if each is not None:
            check_on_grid(each, original)
    clipped, clipped_defaced = clip_volume(original), clip_volume(defaced)
    skin = find_facial_skin(clipped)
    change = find_change(clipped, clipped_defaced)
    deleted = _find_deleted(before, after, settings.deleted)
    pairs, findings = _pair_structures(before, after, deleted)
    if change.box is None:
        findings.append(Finding("unchanged", "warning", "no voxel differs from the original's: was it defaced?"))
    elif turn := find_turn(clipped, clipped_defaced):
        text = f"the head is turned or mirrored under the same header ({turn}): no number of this scan means anything"
        findings.append(Finding("turned", "warning", text))
    there = {name: structure for name, structure, _ in pairs if structure is not None}
    places = _place_all(scan, there, skin, change, settings.near_face_mm, deleted)
    case = _Case(scan, settings, before, after, pairs, {p.structure: p.position for p in places})
    measures = [*_measure_segmentations(case), *_measure_voxels(case, change)]
    measures += _measure_change(case, original, defaced, change, skin)
    curves: list[DoseCurve] = []
    if before is not None and dose_before is not None:
        if dose_after is None and after is None:
            text = "a dose, but neither a dose nor a segmentation of the defaced scan: nothing to compare"
            findings.append(Finding("no_dose_after", "info", text))
        else:
            measures += _measure_doses(case, dose_before, dose_after or dose_before, findings, curves)
    for each in (before, after):
        findings += each.findings if each is not None else ()
    return CaseUtility(
        scan.subject,
        scan.visit,
        scan.condition,
        scan.path.name,
        findings=tuple(findings),
        measures=tuple(measures),
        places=places,
        components=change.components,
        curves=tuple(curves),
    )
