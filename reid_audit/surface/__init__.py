"""From a head volume to its outer skin.

Words
-----
level
    The intensity of the isosurface between air and skin, in the volume's own units.
working lattice
    The volume's own axes, cropped to the head and sampled at about `SurfaceSettings.voxel_mm`. Oblique and sheared
    axes (gantry tilt) stay in the affine: the lattice is never turned, so the image is interpolated once.
tissue, air
    Voxels above, and at or below, the level.
outer air
    The air that a ball of radius `SurfaceSettings.closing_mm` can reach from outside, and the pits that it touches. All
    other air is a cavity (sinuses, airways, dark bone in MR) and is filled, so that only the outer skin is meshed.
"""

from reid_audit.surface.added import check_added_surface, measure_relief
from reid_audit.surface.extract import extract_skin
from reid_audit.surface.facial import FacialSkin, depths_of_change_mm, find_facial_skin
from reid_audit.surface.level import CT_LEVEL_HU, air_of, candidate_levels, find_level, refine_level
from reid_audit.surface.mesh_file import MESH_ENDINGS, check_mesh_name, write_mesh
from reid_audit.surface.settings import SurfaceSettings

STAGE_VERSION = 1
"""Raise when the same volume under the same settings gives another skin; kept faces are then made anew."""

__all__ = [
    "CT_LEVEL_HU",
    "MESH_ENDINGS",
    "STAGE_VERSION",
    "FacialSkin",
    "SurfaceSettings",
    "air_of",
    "candidate_levels",
    "check_added_surface",
    "check_mesh_name",
    "depths_of_change_mm",
    "extract_skin",
    "find_facial_skin",
    "find_level",
    "measure_relief",
    "refine_level",
    "write_mesh",
]
