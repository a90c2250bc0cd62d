"""From the volume to the mesh."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Finding, InputError, Modality, Skin, Volume
from reid_audit.surface.clean import Cleaned, clean
from reid_audit.surface.lattice import Lattice, sample_head
from reid_audit.surface.level import air_of, find_level, no_surface, span_of
from reid_audit.surface.settings import SurfaceSettings


def _normals(
    field: NDArray[np.float32], vertices: NDArray[np.float64], matrix: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Give the unit normals out of the head: against the gradient, by central differences one voxel to each side."""
    from scipy.ndimage import map_coordinates

    gradient = np.empty_like(vertices)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1.0
        ahead, behind = ((vertices + sign * step).T for sign in (1, -1))
        gradient[:, axis] = map_coordinates(field, ahead, order=1, mode="nearest") - map_coordinates(
            field, behind, order=1, mode="nearest"
        )
    outward = -gradient @ np.linalg.inv(matrix[:3, :3])  # a gradient is a covector: it transforms with the inverse
    length = np.linalg.norm(outward, axis=1, keepdims=True)
    return (outward / np.where(length > 0, length, 1.0)).astype(np.float32)


_SIDES = (("left", "right"), ("back", "front"), ("bottom", "top"))


def _check(
    volume: Volume, level: float, lattice: Lattice, cleaned: Cleaned, settings: SurfaceSettings
) -> Iterator[Finding]:
    solid, mm = cleaned.solid, lattice.voxel_mm
    low, _ = span_of(volume)
    if volume.modality is Modality.CT and low > -500:
        yield Finding("not_hu", "unfit", f"intensities are not HU: the lowest is {low:g}, air is -1000", low)
    head_cm3 = float(solid.sum()) * mm**3 / 1000
    if head_cm3 < settings.head_volume_cm3:
        text = f"the largest piece above level {level:g} has {head_cm3:.0f} cm3: no whole head"
        yield Finding("small_surface", "unfit", text, head_cm3)
    if cleaned.cut_cm3 > 0:
        text = f"{cleaned.cut_cm3:.0f} cm3 that hung on the head were cut off"
        yield Finding("couch_removed", "info", text, cleaned.cut_cm3)
    thickest = max(volume.spacing_mm)
    if thickest >= settings.thick_slice_mm:
        yield Finding("thick_slices", "warning", f"slices lie {thickest:.1f} mm apart: the face is coarse", thickest)
    around = lattice.field[::2, ::2, ::2][~solid[::2, ::2, ::2]]  # an eighth tells the noise as well
    if around.size:
        middle = float(np.median(around))
        noise = 1.4826 * float(np.median(np.abs(around - middle)))
        if level < middle + 4 * noise:
            text = f"level {level:g} lies in the noise of the air ({middle:.3g} +- {noise:.2g} after smoothing)"
            yield Finding("level_doubtful", "warning", text, level)
    for axis, names in enumerate(_SIDES):
        for end, (name, ends_here) in enumerate(zip(names, lattice.ends_view[axis], strict=True)):
            area_cm2 = float(np.take(solid, -end, axis=axis).sum()) * mm**2 / 100
            if ends_here and name != "bottom" and area_cm2 > settings.cut_area_cm2:
                text = f"the field of view cuts {area_cm2:.0f} cm2 through the {name} of the head"
                severity = "warning" if name in ("front", "top") else "info"
                yield Finding(f"cut_{name}", severity, text, area_cm2)
    slices = np.nonzero(solid.any(axis=(0, 1)))[0]
    height_mm = float(np.ptp(slices) + 1) * float(np.linalg.norm(lattice.voxel_to_ras_mm[:3, 2])) if len(slices) else 0
    if height_mm < settings.face_height_mm and lattice.ends_view[2][0] and len(slices) and slices[0] == 0:
        text = f"the field of view ends {height_mm:.0f} mm below the top of the head: mouth or chin may be missing"
        yield Finding("cut_bottom", "warning", text, height_mm)


def extract_skin(volume: Volume, *, level: float | None = None, settings: SurfaceSettings = SurfaceSettings()) -> Skin:
    """Mesh the outer skin of a head.

    Parameters
    ----------
    volume : Volume
        Any spacing, oblique or sheared axes; at least two voxels along each. NaN counts as air.
    level : float, optional
        Default: `find_level`. A defaced scan is meshed at its original's level.
    settings : SurfaceSettings

    Returns
    -------
    Skin
        Closed wherever the head is inside the field of view, and capped flat where it is not.

    Raises
    ------
    InputError
        Where nothing lies above the level, or nothing below it.
    """
    from skimage.measure import marching_cubes

    if min(volume.intensity.shape) < 2:
        msg = f"{volume.source}: a head has at least 2 voxels along each axis, got shape {volume.intensity.shape}"
        raise InputError(msg)
    level = find_level(volume) if level is None else float(level)
    low, high = span_of(volume)
    if not low < level < high:
        raise no_surface(volume, level)
    air = min(air_of(volume), level - 1.0)
    lattice = sample_head(volume, level, settings)
    cut = volume.modality is Modality.CT and settings.opening_mm > 0
    cleaned = clean(lattice.field, level, air=air, voxel_mm=lattice.voxel_mm, settings=settings, cut=cut)
    if not cleaned.solid.any():
        raise no_surface(volume, level)
    padded = np.pad(cleaned.field, 1, constant_values=air)
    vertices, faces, _, _ = marching_cubes(padded, level, gradient_direction="ascent")
    vertices = vertices.astype(np.float64)
    matrix = lattice.voxel_to_ras_mm
    normals = _normals(padded, vertices, matrix)
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    vertices_ras_mm = (vertices - 1.0) @ matrix[:3, :3].T + matrix[:3, 3]
    return Skin(
        vertices_ras_mm=vertices_ras_mm.astype(np.float32),
        faces=np.ascontiguousarray(faces, dtype=np.int32),
        normals=normals,
        level=level,
        checks=tuple(_check(volume, level, lattice, cleaned, settings)),
    )
