"""Whether a defacer removed the face: the quality control of Sahlsten 2023, measured on surfaces.

Words
-----
part
    An eye, the nose or the mouth: the skin of the original around a landmark.
shift
    How far a point of the original's skin lies from the defaced scan's skin, in mm: negative where the skin receded,
    positive where something was put before it.
removed
    At least `REMOVED_SHARE` of a part's skin receded by `REMOVED_MM` or more, and as much of the head below it, so far
    down, is air now: a strong blur moves the skin of a nose back, and the nose is there still. A scan succeeds when
    both eyes, the nose and the mouth are removed (Sahlsten 2023, doi:10.3389/fonc.2023.1120392; there a human looked).
    What was covered may lie below the cover still, and what was replaced has another face: neither counts as removed,
    and whether a person can still be found is asked by `reid-audit score` alone.
covered
    As much of a part's skin lies so far below what was put before it.
impacted depth
    From the facial skin straight back to the deepest altered voxel behind it (Ammar 2025), as `reid_audit.utility`
    measures it; also how deep below the nearest skin the altered voxels lie.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface.frame import depth_mm
from reid_audit.records import InputError, Real, Skin, Volume, format_csv, group_by, write_private
from reid_audit.surface import SurfaceSettings, depths_of_change_mm, extract_skin, find_facial_skin
from reid_audit.volume import check_same_grid
from reid_audit.volume.change import find_changed

REMOVED_MM = 4.0
REMOVED_SHARE = 0.75
JUDGED = ("eye_right", "eye_left", "nose", "mouth")
"""The landmarks that a success needs. Others are measured and not judged."""

QUALITY_SURFACE = SurfaceSettings(voxel_mm=2.0)
"""Finer skins are for recognisers; a shift of `REMOVED_MM` shows on this one."""

_RADIUS_MM = {"nose": 12.0, "mouth": 14.0}
_USUAL_RADIUS_MM = 12.0
_LEAST_POINTS = 12
_AIR_SHARE = 0.25  # of the way from air to the skin level: what a blur of flesh and air does not get below
_DEPTH_STEP_MM = 2.0  # depths are right to about that


@dataclass(frozen=True, slots=True)
class PartQuality:
    """What happened to one part of the face.

    Attributes
    ----------
    part : str
    removed, covered : bool
    shift_mm : float
        Median shift of the part's skin; NaN where the defaced scan has no skin at all.
    """

    part: str
    removed: bool
    covered: bool
    shift_mm: Real


@dataclass(frozen=True, slots=True)
class DefacingQuality:
    """What happened to a face.

    Attributes
    ----------
    condition, subject, session : str
    parts : tuple of PartQuality
    removed : bool
        Whether both eyes, nose and mouth are removed, and no detector found a face.
    depth_median_mm, depth_p95_mm : float
        Depth of the altered voxels inside the head below the original's skin; NaN where none was altered.
    impacted_depth_mm : float
        From the foremost skin straight back to the deepest altered voxel of the head; NaN where none was altered.
    altered_cm3 : float
        Of the head; altered air does not count.
    face_found : bool or None
        What a face detector said to the defaced portrait; None where none was asked.
    """

    condition: str
    subject: str
    session: str
    parts: tuple[PartQuality, ...]
    removed: bool
    depth_median_mm: Real
    depth_p95_mm: Real
    impacted_depth_mm: Real
    altered_cm3: float
    face_found: bool | None = None


def _shifts(points: NDArray[np.float64], defaced: Volume, skin: Skin | None) -> NDArray[np.float64]:
    """Return the shift of each point, (n,)."""
    from scipy.ndimage import map_coordinates
    from scipy.spatial import cKDTree

    if skin is None:
        return np.full(len(points), -np.inf)
    away, _ = cKDTree(skin.vertices_ras_mm).query(points)
    to_voxel = np.linalg.inv(defaced.voxel_to_ras_mm)
    index = to_voxel[:3, :3] @ points.T + to_voxel[:3, 3:]
    inside = map_coordinates(defaced.intensity, index, order=1, mode="nearest") > skin.level
    signed: NDArray[np.float64] = np.where(inside, away, -away)
    return signed


def _share_emptied(points: NDArray[np.float64], original: Volume, defaced: Volume, level: float) -> float:
    """Return the share of the outer `REMOVED_MM` of the original's head at some skin that is air now."""
    from scipy.spatial import cKDTree

    to_voxel = np.linalg.inv(original.voxel_to_ras_mm)
    near = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    reach = REMOVED_MM / np.asarray(original.spacing_mm)
    low = np.maximum(np.floor(near.min(axis=0) - reach), 0).astype(int)
    high = np.ceil(near.max(axis=0) + reach).astype(int) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    head = np.argwhere(original.intensity[box] > level) + low
    centres = head @ original.voxel_to_ras_mm[:3, :3].T + original.voxel_to_ras_mm[:3, 3]
    outer = head[cKDTree(points).query(centres, distance_upper_bound=REMOVED_MM)[0] <= REMOVED_MM]
    if not len(outer):
        return 0.0
    sample = original.intensity[::2, ::2, ::2]
    air = float(np.median(sample[sample <= level])) if (sample <= level).any() else level
    return float((defaced.intensity[tuple(outer.T)] <= air + _AIR_SHARE * (level - air)).mean())


def _judge(
    part: str, points: NDArray[np.float64], original: Volume, defaced: Volume, skin: Skin | None, level: float
) -> PartQuality:
    shifts = _shifts(points, defaced, skin)
    receded = float((shifts <= -REMOVED_MM).mean()) >= REMOVED_SHARE
    removed = receded and _share_emptied(points, original, defaced, level) >= REMOVED_SHARE
    covered = float((shifts >= REMOVED_MM).mean()) >= REMOVED_SHARE
    return PartQuality(part, removed, covered, float("nan") if skin is None else float(np.median(shifts)))


def examine_defacing(
    original: Volume,
    defaced: Volume,
    landmarks_ras_mm: Mapping[str, Sequence[float] | NDArray[np.float64]],
    *,
    skin: Skin | None = None,
    face_found: bool | None = None,
    condition: str = "",
    subject: str = "",
    session: str = "",
) -> DefacingQuality:
    """Measure what a defacer did to a face.

    Parameters
    ----------
    original, defaced : Volume
        On one grid.
    landmarks_ras_mm : mapping of str to (3,) float
        At least `JUDGED`, on or near the original's skin: of a phantom, of `FaceFrame.landmarks_ras_mm`, or cast back
        from a portrait.
    skin : Skin, optional
        Of the original, meshed by `QUALITY_SURFACE`.
    face_found : bool, optional
        Whether a detector finds a face in the defaced portrait: then nothing counts as removed.
    condition, subject, session : str
        Written into the result.

    Raises
    ------
    InputError
        Where a landmark is missing or lies away from the skin, or the grids differ.
    """
    check_same_grid(original, defaced)
    missing = [name for name in JUDGED if name not in landmarks_ras_mm]
    if missing:
        raise InputError(f"landmarks: {', '.join(missing)} missing; quality is judged at {', '.join(JUDGED)}")
    skin = skin or extract_skin(original, settings=QUALITY_SURFACE)
    try:
        after = extract_skin(defaced, level=skin.level, settings=QUALITY_SURFACE, altered=True)
    except InputError:
        after = None  # nothing is left above the level
    vertices = skin.vertices_ras_mm.astype(np.float64)
    parts = []
    for name, point in landmarks_ras_mm.items():
        away = np.linalg.norm(vertices - np.asarray(point, dtype=float), axis=1)
        near = away < max(_RADIUS_MM.get(name, _USUAL_RADIUS_MM), float(away.min()) + 8.0)
        if away.min() > 25.0 or near.sum() < _LEAST_POINTS:
            raise InputError(f"landmarks: {name} lies {away.min():.0f} mm from the skin; is it of this scan?")
        parts.append(_judge(name, vertices[near], original, defaced, after, skin.level))
    depth, behind, altered = _altered(original, defaced, skin)
    removed = not face_found and all(part.removed for part in parts if part.part in JUDGED)
    return DefacingQuality(
        condition=condition,
        subject=subject,
        session=session,
        parts=tuple(parts),
        removed=removed,
        depth_median_mm=float(np.median(depth)) if depth.size else float("nan"),
        depth_p95_mm=float(np.percentile(depth, 95)) if depth.size else float("nan"),
        impacted_depth_mm=behind,
        altered_cm3=altered,
        face_found=face_found,
    )


def _altered(original: Volume, defaced: Volume, skin: Skin) -> tuple[NDArray[np.float32], float, float]:
    """Return the depths of altered voxels of the head, how deep behind the face they reach, and their volume in cm3."""
    changed = find_changed(original, defaced)
    if not changed.any():
        return np.zeros(0, np.float32), float("nan"), 0.0
    # On every second or third voxel: distances over a whole scan would take most of the time.
    step = tuple(slice(None, None, max(1, round(_DEPTH_STEP_MM / spacing))) for spacing in original.spacing_mm)
    spacing_mm = tuple(s.step * spacing for s, spacing in zip(step, original.spacing_mm, strict=True))
    depth = -depth_mm(original.intensity[step], spacing_mm, skin.level)
    inside = changed[step] & (depth > 0)
    if not inside.any():
        return np.zeros(0, np.float32), float("nan"), 0.0
    reached_mm = depths_of_change_mm(changed, find_facial_skin(original))
    cm3 = float(inside.sum()) * float(np.prod(spacing_mm)) / 1000
    return depth[inside], float(reached_mm.max()) if reached_mm.size else float("nan"), cm3


@dataclass(frozen=True, slots=True)
class QualitySummary:
    """The quality of one defacer over scans.

    Attributes
    ----------
    condition : str
    scans, removed : int
        Scans that were examined, and those whose eyes, nose and mouth are all removed.
    parts : tuple of (str, int)
        In how many scans each part is removed.
    covered : tuple of (str, int)
        In how many it is covered.
    shifts_mm : tuple of (str, float)
        Median over scans of each part's shift.
    depth_median_mm : float
        Median over scans; NaN where nothing was altered.
    impacted_depth_mm : float
        Mean over scans, as Ammar 2025 and `reid_audit.utility` have it.
    """

    condition: str
    scans: int
    removed: int
    parts: tuple[tuple[str, int], ...]
    covered: tuple[tuple[str, int], ...]
    shifts_mm: tuple[tuple[str, float], ...]
    depth_median_mm: float
    impacted_depth_mm: float


def _nanmedian(values: Iterable[float]) -> float:
    numbers = [value for value in values if value == value]
    return float(np.median(numbers)) if numbers else float("nan")


def _known_mean(values: Iterable[float]) -> float:
    numbers = [value for value in values if value == value]
    return float(np.mean(numbers)) if numbers else float("nan")


def summarise_quality(examined: Iterable[DefacingQuality]) -> tuple[QualitySummary, ...]:
    """Count successes per defacer, in the order in which the defacers first occur. Empty for no scans."""
    by_condition = group_by(examined, lambda quality: quality.condition)
    summaries = []
    for condition, rows in by_condition.items():
        names = dict.fromkeys(part.part for row in rows for part in row.parts)
        of = {name: [part for row in rows for part in row.parts if part.part == name] for name in names}
        summaries.append(
            QualitySummary(
                condition=condition,
                scans=len(rows),
                removed=sum(row.removed for row in rows),
                parts=tuple((name, sum(part.removed for part in parts)) for name, parts in of.items()),
                covered=tuple((name, sum(part.covered for part in parts)) for name, parts in of.items()),
                shifts_mm=tuple((name, _nanmedian(part.shift_mm for part in parts)) for name, parts in of.items()),
                depth_median_mm=_nanmedian(row.depth_median_mm for row in rows),
                impacted_depth_mm=_known_mean(row.impacted_depth_mm for row in rows),
            )
        )
    return tuple(summaries)


QUALITY_FILE = "quality.csv"


def write_quality(examined: Iterable[DefacingQuality], path: Path) -> None:
    """Write a row per scan, which ``utility --qc`` reads and a human may correct: 1 where a part is removed.

    The files are for their owner alone (mode 0600).
    """
    qualities = list(examined)
    parts = list(dict.fromkeys(part.part for each in qualities for part in each.parts))
    rows = []
    for each in qualities:
        removed = {part.part: int(part.removed) for part in each.parts}
        numbers = ("" if x != x else f"{x:.3f}" for x in (each.impacted_depth_mm, each.altered_cm3))
        judged = [int(each.removed), *(removed.get(part, "") for part in parts)]
        rows.append([each.subject, each.session, each.condition, *judged, *numbers])
    header = ["subject", "session", "condition", "removed", *parts, "impacted_depth_mm", "altered_cm3"]
    write_private(path, format_csv(header, rows))
