"""From the volume to the mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Modality, Skin, Volume
from reid_audit.surface.checks import check_skin
from reid_audit.surface.clean import clean
from reid_audit.surface.lattice import sample_head
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


def extract_skin(
    volume: Volume,
    *,
    level: float | None = None,
    settings: SurfaceSettings = SurfaceSettings(),
    altered: bool = False,
) -> Skin:
    """Mesh the outer skin of a head.

    Parameters
    ----------
    volume : Volume
        Any spacing, oblique or sheared axes; at least two voxels along each. NaN counts as air.
    level : float, optional
        Default: `find_level`. A defaced scan is meshed at its original's level.
    settings : SurfaceSettings
    altered : bool
        Whether a defacer has worked on the scan: that it has no whole face is no finding then.

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
    skin = Skin(
        vertices_ras_mm=vertices_ras_mm.astype(np.float32),
        faces=np.ascontiguousarray(faces, dtype=np.int32),
        normals=normals,
        level=level,
    )
    return replace(skin, checks=check_skin(skin, volume, lattice, cleaned, settings=settings, altered=altered))
