"""What became of the skin of the face region."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.alteration.intensity import unmap
from reid_audit.alteration.register import Fit
from reid_audit.alteration.summary import FACE_DEPTHS_MM, PARTS, REST_DEPTHS_MM, line_points
from reid_audit.records import Lines, OriginalSummary, Volume
from reid_audit.volume.sample import Array, sample, transform

REMOVED_MM = 4.0
DEEP_MM = 14.0
"""Skin that lies this far below where it was says nothing of the face."""

_NEAR_MM = (-6.0, 4.0)
_SHIFT_MM = (0.3, 1.0)  # least and largest tolerance; between them, what the cranium shows
_DIFFERENCE = (0.03, 0.12)
_AHEAD_MM = 4.0
_SHAPE_MM = 1.0


@dataclass(frozen=True, slots=True)
class FaceChange:
    """Shares of the face region's skin, each in [0, 1], and lengths in mm.

    Attributes
    ----------
    moved : float
        Skin that lies elsewhere than re-saving explains.
    changed : float
        Skin whose intensities within some mm differ by more than re-saving explains, or that moved.
    removed : float
        Skin that receded by `REMOVED_MM` or more, or lies outside the field of view.
    gone : tuple of float
        Skin of which nothing is left within `DEEP_MM`, for each of `PARTS`; NaN where a part has no skin.
    ahead : float
        Skin before which tissue stands that was not there.
    shift_mm : float
        Median shift of what skin is left, positive outwards; NaN where none is.
    alike : float
        Skin whose shift lies within 1 mm of that median: the shape of the face, peeled or not.
    outside : float
        Skin outside the defaced field of view.
    sharpness : float
        How steep the skin is, as a share of the original's, beside the same of the cranium.
    cranium_shift_mm : float
        Median absolute shift of the cranium's skin; NaN where none is left.
    """

    moved: float
    changed: float
    removed: float
    gone: tuple[float, ...]
    ahead: float
    shift_mm: float
    alike: float
    outside: float
    sharpness: float
    cranium_shift_mm: float


def _crossings(values: Array, depths_mm: Array, level: float, near_mm: Array) -> Array:
    """Where each line leaves tissue on its way out, nearest to ``near_mm``; NaN where it does not."""
    tissue = np.nan_to_num(values, nan=-np.inf) > level
    leaves = tissue[:, :-1] & ~tissue[:, 1:] & np.isfinite(values[:, 1:])
    inner, outer = values[:, :-1], values[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(leaves, (inner - level) / (inner - outer), np.nan)
    at = depths_mm[:-1] + part * np.diff(depths_mm)
    away = np.where(leaves, np.abs(at - near_mm[:, None]), np.inf)
    return np.where(leaves.any(axis=1), at[np.arange(len(values)), away.argmin(axis=1)], np.nan)


def _laid(original: OriginalSummary, lines: Lines, depths_mm: Array, defaced: Volume, fit: Fit) -> tuple[Array, Array]:
    """Return the original's and the defaced intensities along the lines: 0 = air, 1 = flesh, NaN = outside."""
    points = line_points(lines.points_ras_mm, lines.normals, depths_mm)
    seen = sample(defaced.intensity, transform(np.linalg.inv(defaced.voxel_to_ras_mm) @ fit.placement, points))
    mapped = unmap(seen.values, fit.intensity, level=original.skin_level, air=original.air)
    pair = (lines.values.astype(np.float64), np.where(seen.inside, mapped, np.nan).reshape(len(lines.values), -1))
    scaled = [np.clip((values - original.air) / original.contrast, -0.5, 1.3) for values in pair]
    return scaled[0], scaled[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    before: Array
    after: Array
    shift_mm: Array
    difference: Array


def _compare(original: OriginalSummary, lines: Lines, depths_mm: Array, defaced: Volume, fit: Fit) -> _Compared:
    before, after = _laid(original, lines, depths_mm, defaced, fit)
    level = (original.skin_level - original.air) / original.contrast
    fine = (depths_mm >= -20) & (depths_mm <= 10)
    start = np.nan_to_num(_crossings(before[:, fine], depths_mm[fine], level, np.zeros(len(before))))
    end = _crossings(after[:, fine], depths_mm[fine], level, start)
    near = (depths_mm >= _NEAR_MM[0]) & (depths_mm <= _NEAR_MM[1])
    squares = (after[:, near] - before[:, near]) ** 2
    known = np.isfinite(squares)
    difference = np.sqrt(np.where(known, squares, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    difference[known.sum(axis=1) < near.sum() / 2] = np.nan
    return _Compared(before, after, end - start, difference)


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _tolerance(values: Array, limits: tuple[float, float]) -> float:
    return float(np.clip(np.nan_to_num(4 * _median(values)), *limits))


def _steepness(values: Array, depths_mm: Array) -> float:
    near = (depths_mm >= -4) & (depths_mm <= 4)
    steps = values[:, near][:, :-1] - values[:, near][:, 1:]
    steepest = np.nanmax(np.nan_to_num(steps, nan=0.0), axis=1)
    return float(np.median(steepest))


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if mask.size else float("nan")


def compare_face(original: OriginalSummary, defaced: Volume, fit: Fit) -> FaceChange:
    """Compare the skin of the face region, and judge by what happened to the cranium what re-saving explains."""
    face = _compare(original, original.face, FACE_DEPTHS_MM, defaced, fit)
    rest = _compare(original, original.rest, REST_DEPTHS_MM, defaced, fit)
    # Where the intensity map is a little wrong, all skin seems to lie further in or out: the cranium tells by how much.
    usual_mm = float(np.clip(np.nan_to_num(_median(rest.shift_mm)), -_SHIFT_MM[1], _SHIFT_MM[1]))
    shift_tolerance = _tolerance(np.abs(rest.shift_mm - usual_mm), _SHIFT_MM)
    if fit.intensity.is_clipped:
        shift_tolerance = _SHIFT_MM[1]
    tolerance = _tolerance(rest.difference, _DIFFERENCE)

    def beyond(lines: _Compared) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        moved = ~(np.abs(lines.shift_mm - usual_mm) <= shift_tolerance)
        # Clipped intensities differ from the original's wherever they are clipped.
        return moved, moved if fit.intensity.is_clipped else moved | ~(lines.difference <= tolerance)

    outside = ~np.isfinite(face.difference)
    moved, changed = beyond(face)
    rest_seen = np.isfinite(rest.difference)
    rest_moved, rest_changed = (lines[rest_seen] for lines in beyond(rest))
    level = (original.skin_level - original.air) / original.contrast
    far = FACE_DEPTHS_MM >= _AHEAD_MM
    ahead = ((face.after[:, far] > level) & ~(face.before[:, far] > level)).any(axis=1) & ~outside
    lost = ~np.isfinite(face.shift_mm) & ~ahead  # where tissue stands ahead and all behind it is tissue: covered
    removed = lost | (face.shift_mm < -REMOVED_MM) | outside
    gone = lost | (face.shift_mm < -DEEP_MM) | outside
    median = _median(face.shift_mm)
    alike = np.abs(face.shift_mm - median) < _SHAPE_MM  # False for NaN
    steep = _steepness(face.after, FACE_DEPTHS_MM) / max(_steepness(face.before, FACE_DEPTHS_MM), 1e-6)
    steep_rest = _steepness(rest.after, REST_DEPTHS_MM) / max(_steepness(rest.before, REST_DEPTHS_MM), 1e-6)
    seen = ~outside

    def excess(lines: NDArray[np.bool_], of_rest: NDArray[np.bool_]) -> float:
        usual = min(float(of_rest.mean()), 0.2) if of_rest.size else 0.0
        share = float(lines[seen].mean()) if seen.any() else 1.0
        return max(0.0, share - usual)

    return FaceChange(
        moved=excess(moved, rest_moved),
        changed=excess(changed, rest_changed),
        removed=float(removed.mean()),
        gone=tuple(_share(gone[original.face_parts == part]) for part in range(len(PARTS))),
        ahead=float(ahead.mean()),
        shift_mm=median,
        alike=_share(alike),
        outside=float(outside.mean()),
        sharpness=steep / max(steep_rest, 1e-6),
        cranium_shift_mm=_median(np.abs(rest.shift_mm)),
    )
