"""From the volume to the mesh."""

from dataclasses import replace

import numpy as np

from reid_audit.records import InputError, Modality, Skin, Volume
from reid_audit.surface.checks import check_skin
from reid_audit.surface.clean import clean
from reid_audit.surface.isosurface import mesh_level
from reid_audit.surface.lattice import sample_head
from reid_audit.surface.level import air_of, find_level, no_surface, without_nan
from reid_audit.surface.settings import SurfaceSettings


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
    if min(volume.intensity.shape) < 2:
        msg = f"{volume.source}: a head has at least 2 voxels along each axis, got shape {volume.intensity.shape}"
        raise InputError(msg)
    level = find_level(volume) if level is None else float(level)
    lattice = sample_head(volume, level, settings)
    low, high = lattice.field.min(), lattice.field.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        volume = replace(volume, intensity=without_nan(volume.intensity, air_of(volume)))
        lattice = sample_head(volume, level, settings)
        low = lattice.field.min()
    if not low < level:
        raise no_surface(volume, level)
    air = min(air_of(volume), level - 1.0)
    cut = volume.modality is Modality.CT and settings.opening_mm > 0
    cleaned = clean(lattice, level, air=air, settings=settings, cut=cut)
    if not cleaned.solid.any():
        raise no_surface(volume, level)
    vertices, faces, normals = mesh_level(cleaned.field, level)
    matrix = cleaned.lattice.voxel_to_ras_mm.astype(np.float32)
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    outward = normals @ np.linalg.inv(matrix[:3, :3])  # a gradient is a covector: it transforms with the inverse
    x, y, z = outward.T
    outward /= np.maximum(np.sqrt(x * x + y * y + z * z), np.float32(1e-12))[:, None]
    vertices -= 1  # the rim
    skin = Skin(vertices_ras_mm=vertices @ matrix[:3, :3].T + matrix[:3, 3], faces=faces, normals=outward, level=level)
    checks = check_skin(skin, volume, cleaned, settings=settings, altered=altered)
    return replace(skin, checks=checks)
