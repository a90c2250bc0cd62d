"""Findings about a scan from its skin: each has a stable code, a severity and a number.

Lengths are measured downwards from the top of the head in the scanner's frame, with room for heads that are turned by
up to 15 degrees. The bounds were set on synthetic heads and on public scans with whole and with cut faces; between the
last cut face and the first whole one lies a gap that they stand in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, HeadBox, Modality, Skin, Volume, measure_head_box
from reid_audit.surface.clean import Cleaned
from reid_audit.surface.lattice import Lattice
from reid_audit.surface.level import span_of
from reid_audit.surface.masks import Mask
from reid_audit.surface.settings import SurfaceSettings

Array = NDArray[np.float64]

_SIDES = (("left", "right"), ("back", "front"), ("bottom", "top"))

_CHIN_MM = 190.0  # the lower end of a whole face lies 195 to 240 mm below the top
_CUT_CHIN_MM = 196.0  # where the scan ends in the face, and not below a chin
_MOUTH_MM = 175.0
_NOSE_MM = 140.0
_EYES_MM = 110.0
_FACE_DEPTH_MM = 40.0  # what lies further behind the foremost point is neck and no longer face
_FLAT_CM2 = 12.0  # no face has so much plane skin, nor half of it
_POINTS_TO_FIT = 4000
_LEAST_ON_PLANE = 50
_FORWARD = tuple(
    np.array([np.sin(yaw) * np.cos(nod), np.cos(yaw) * np.cos(nod), np.sin(nod)])
    for yaw in np.radians([-10.0, 0.0, 10.0])
    for nod in np.radians([-14.0, 0.0, 14.0])
)
_HOLLOW = 0.3  # share of air within a skull without its contents is about one half, within a head below 0.13
_BONE_HU = 150.0
_NO_AIR_HU = -500.0  # the lowest value of a CT in HU lies below it
_BRAIN_CM3 = 2000.0
_BRAIN_FRONT_MM = 150.0  # the frontal lobe ends above it
_WIDTH_MM, _LENGTH_MM, _LARGEST_CM3 = (100.0, 210.0), (130.0, 270.0), 9000.0


@dataclass(frozen=True, slots=True)
class _Outline:
    """The front of a head in its middle.

    Attributes
    ----------
    head_box : HeadBox
    face_end_mm : float
        Where the face ends, below the top: at the chin, or where the scan ends.
    open_end : bool
        Whether the face goes on down to where the surface ends: no chin is seen from below.
    """

    head_box: HeadBox
    face_end_mm: float
    open_end: bool


def _outline(points: NDArray[np.float32]) -> _Outline:
    head_box = measure_head_box(points)
    top, middle = head_box.top_mm, head_box.middle_mm
    front = points[(np.abs(points[:, 0] - middle[0]) < 15) & (points[:, 1] > middle[1] - 30)]
    rows = np.maximum(((top - front[:, 2]) / 2).astype(int), 0)
    foremost = np.full(int(rows.max(initial=0)) + 1, -np.inf)
    np.maximum.at(foremost, rows, front[:, 1])
    start = min(50, len(foremost) - 1)  # 100 mm below the top
    face = foremost > foremost[min(30, start) :].max() - _FACE_DEPTH_MM
    ends = np.nonzero(~face[start:])[0]
    end = start + int(ends[0]) if len(ends) else len(face)
    return _Outline(head_box, 2.0 * end, end > len(face) - 2)


def _on_plane(points: Array, normals: Array, centre: Array, normal: Array) -> Mask:
    on: Mask = (np.abs((points - centre) @ normal) < 0.8) & (normals @ normal > 0.985)
    return on


def _fit_plane(points: Array, normals: Array, direction: Array) -> tuple[int, Array, Array]:
    """Fit a plane to what lies foremost in a direction: how many points it has, its centre and normal."""
    height = points @ direction
    plane = height > height.max() - 2.5
    flattest = (0, np.zeros(3), direction)
    for _ in range(8):
        if plane.sum() < _LEAST_ON_PLANE:
            break
        centre = points[plane].mean(axis=0)
        normal = np.linalg.eigh(np.cov((points[plane] - centre).T))[1][:, 0]
        normal *= np.sign(normal[1])
        grown = _on_plane(points, normals, centre, normal)
        flattest = (int(grown.sum()), centre, normal)
        if np.array_equal(grown, plane):
            break
        plane = grown
    return flattest


def _flat_front_cm2(skin: Skin, head_box: HeadBox) -> float:
    """Area of the largest plane piece in the front of the face: a field of view or a plane that cut it off."""
    points = skin.vertices_ras_mm
    top = head_box.top_mm
    keep = (points[:, 1] > head_box.high_mm[1] - 15) & (points[:, 2] < top - 90) & (points[:, 2] > top - 230)
    keep &= np.abs(points[:, 0] - head_box.middle_mm[0]) < 60
    index = np.nonzero(keep)[0]
    if len(index) < _LEAST_ON_PLANE:
        return 0.0
    near, normals = points[index].astype(np.float64), skin.normals[index].astype(np.float64)
    few = slice(None, None, 1 + len(index) // _POINTS_TO_FIT)
    planes = [_fit_plane(near[few], normals[few], direction) for direction in _FORWARD]
    most, centre, normal = max(planes, key=lambda plane: plane[0])
    inside = np.zeros(len(points), dtype=bool)
    inside[index[_on_plane(near, normals, centre, normal)]] = most > 0
    faces = skin.faces[inside[skin.faces[:, 0]]]
    a, b, c = (points[faces[inside[faces].all(axis=1), k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 200


def _cut_cm2(lattice: Lattice, solid: Mask) -> dict[str, float]:
    """Area in which the field of view cuts the head, by side."""
    mm2 = lattice.voxel_mm**2
    return {
        name: float(np.moveaxis(solid, axis, 0)[-end].sum()) * mm2 / 100 if lattice.ends_view[axis][end] else 0.0
        for axis, names in enumerate(_SIDES)
        for end, name in enumerate(names)
    }


def _hollow(tissue: Mask) -> float:
    """Share of what the outlines of the axial slices enclose that is not tissue."""
    from scipy.ndimage import binary_fill_holes

    enclosed = sum(int(binary_fill_holes(tissue[:, :, k]).sum()) for k in range(tissue.shape[2]))
    return 1 - float(tissue.sum()) / enclosed if enclosed else 0.0


def _check_intensities(volume: Volume, level: float, cleaned: Cleaned) -> Iterator[Finding]:
    is_ct = volume.modality is Modality.CT
    every = (slice(None, None, 2), slice(None, None, 2), slice(None, None, 10))  # some slices tell as well
    hollow = _hollow(cleaned.tissue[every] & cleaned.solid[every])
    field = cleaned.lattice.field[every]
    if is_ct and field.min() > _NO_AIR_HU and (low := span_of(volume)[0]) > _NO_AIR_HU:
        yield Finding("not_hu", "unfit", f"intensities are not HU: the lowest is {low:g}, air is -1000", low)
    elif is_ct and level > _BONE_HU:
        yield Finding("bone_only", "unfit", f"level {level:g} HU is that of bone, skin begins at -300", level)
    elif hollow > _HOLLOW:
        text = f"{hollow:.0%} of what it encloses is not above level {level:g}: a skull and no skin"
        if is_ct:
            yield Finding("bone_only", "unfit", text, hollow)
        else:
            low, high = span_of(volume)
            text += f", as in a CT that is not in HU (intensities are {low:g} to {high:g})"
            yield Finding("not_hu", "unfit", text, hollow)
    around = field[~cleaned.solid[every]][::4]
    if around.size:
        middle = float(np.median(around))
        noise = 1.4826 * float(np.median(np.abs(around - middle)))
        if level < middle + 4 * noise:
            text = f"level {level:g} lies in the noise of the air ({middle:.3g} +- {noise:.2g} after smoothing)"
            yield Finding("level_doubtful", "warning", text, level)


def _missing(end_mm: float) -> str:
    parts = (("eyes", _EYES_MM), ("nose", _NOSE_MM), ("mouth", _MOUTH_MM), ("chin", _CHIN_MM))
    return ", ".join(name for name, mm in parts if end_mm < mm)


def _check_face(skin: Skin, outline: _Outline, cut_cm2: dict[str, float], *, cut_area_cm2: float) -> Iterator[Finding]:
    headless = cut_cm2["top"] > 20  # the top of the head is outside: lengths below it say nothing
    end_mm = outline.face_end_mm
    flat_cm2 = _flat_front_cm2(skin, outline.head_box)
    least_mm = _CUT_CHIN_MM if outline.open_end else _CHIN_MM
    if outline.open_end if headless else end_mm < least_mm:
        where = "the uppermost slice" if headless else "the top of the head"
        text = f"the face ends {end_mm:.0f} mm below {where}: outside the scan are {_missing(end_mm) or 'chin'}"
        yield Finding("face_incomplete", "unfit", text, end_mm)
    elif cut_cm2["front"] > cut_area_cm2:
        text = f"the field of view cuts {cut_cm2['front']:.0f} cm2 off the front of the face"
        yield Finding("face_incomplete", "unfit", text, cut_cm2["front"])
    elif flat_cm2 > _FLAT_CM2:
        text = f"{flat_cm2:.0f} cm2 of the face are plane: nose or mouth were cut off, or it was defaced before"
        yield Finding("face_incomplete", "unfit", text, flat_cm2)


def _check_head(skin: Skin, cleaned: Cleaned, *, settings: SurfaceSettings, altered: bool) -> Iterator[Finding]:
    lattice, solid = cleaned.lattice, cleaned.solid
    outline, cut_cm2 = _outline(skin.vertices_ras_mm), _cut_cm2(lattice, solid)
    width_mm, length_mm = outline.head_box.size_mm
    head_cm3 = np.count_nonzero(solid) * lattice.voxel_mm**3 / 1000
    whole = max(cut_cm2.values()) <= settings.cut_area_cm2 and not outline.open_end
    brain = whole and head_cm3 < _BRAIN_CM3 and outline.face_end_mm < _BRAIN_FRONT_MM
    if head_cm3 < settings.head_volume_cm3:
        text = f"the largest piece above level {skin.level:g} has {head_cm3:.0f} cm3: no whole head"
        yield Finding("small_surface", "unfit", text, head_cm3)
    for length, (least, most), name in (
        (width_mm, _WIDTH_MM, "wide"),
        (length_mm, _LENGTH_MM, "long from back to front"),
    ):
        if not least < length < most:
            text = f"it is {length:.0f} mm {name}: not a head, or more than a head"
            yield Finding("not_a_head", "unfit", text, length)
            break
    else:
        if head_cm3 > _LARGEST_CM3:
            text = f"it has {head_cm3:.0f} cm3: not a head, or more than a head"
            yield Finding("not_a_head", "unfit", text, head_cm3)
    if brain and not altered:
        text = f"no face: {head_cm3:.0f} cm3 that end {outline.face_end_mm:.0f} mm below the top are a brain alone"
        yield Finding("skull_stripped", "unfit", text, head_cm3)
    elif not altered:
        yield from _check_face(skin, outline, cut_cm2, cut_area_cm2=settings.cut_area_cm2)
    for name, area_cm2 in cut_cm2.items():
        if name != "bottom" and area_cm2 > settings.cut_area_cm2:
            text = f"the field of view cuts {area_cm2:.0f} cm2 through the {name} of the head"
            severity = "warning" if name in ("front", "top") else "info"
            yield Finding(f"cut_{name}", severity, text, area_cm2)
    slices = np.nonzero(solid.any(axis=(0, 1)))[0]
    height_mm = float(np.ptp(slices) + 1) * float(np.linalg.norm(lattice.voxel_to_ras_mm[:3, 2]))
    if height_mm < settings.face_height_mm and lattice.ends_view[2][0] and slices[0] == 0:
        text = f"the field of view ends {height_mm:.0f} mm below the top of the head: mouth or chin may be missing"
        yield Finding("cut_bottom", "warning", text, height_mm)


def _check_axes(volume: Volume) -> Iterator[Finding]:
    """Report handedness as far as a header tells it: faces are too nearly symmetric to tell."""
    if np.linalg.det(volume.voxel_to_ras_mm[:3, :3]) < 0:
        yield Finding("mirrored", "warning", "the axes of the volume are left-handed: the head may be a mirror image")
    for note in volume.notes:
        if "left and right" in note:
            yield Finding("mirrored", "warning", note)


def check_skin(
    skin: Skin,
    volume: Volume,
    cleaned: Cleaned,
    *,
    settings: SurfaceSettings,
    altered: bool,
) -> tuple[Finding, ...]:
    """Collect the findings on a scan.

    Parameters
    ----------
    skin : Skin
        At least one vertex.
    volume, cleaned : Volume, Cleaned
        What it was made from.
    settings : SurfaceSettings
    altered : bool
        Whether a defacer has worked on the scan: a face that is not whole is no finding then.

    Returns
    -------
    tuple of Finding
        Unfit: ``not_hu``, ``bone_only``, ``small_surface``, ``not_a_head``, ``skull_stripped``, ``face_incomplete``.
        Warnings: ``mirrored``, ``level_doubtful``, ``thick_slices``, ``cut_front``, ``cut_top``, ``cut_bottom``.
        Information: ``couch_removed``, ``cut_left``, ``cut_right``, ``cut_back``.
    """
    findings = [*_check_intensities(volume, skin.level, cleaned), *_check_axes(volume)]
    no_skin = not {finding.code for finding in findings}.isdisjoint(("not_hu", "bone_only"))  # so nothing about a face
    findings += _check_head(skin, cleaned, settings=settings, altered=altered or no_skin)
    if cleaned.cut_cm3 > 0:
        text = f"{cleaned.cut_cm3:.0f} cm3 that hung on the head were cut off"
        findings.append(Finding("couch_removed", "info", text, cleaned.cut_cm3))
    thickest = max(volume.spacing_mm)
    if thickest >= settings.thick_slice_mm:
        text = f"slices lie {thickest:.1f} mm apart: the face is coarse"
        findings.append(Finding("thick_slices", "warning", text, thickest))
    return tuple(findings)
