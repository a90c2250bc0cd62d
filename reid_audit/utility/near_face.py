"""How far a structure lies from the facial skin."""

import numpy as np

from reid_audit.surface.facial import FacialSkin
from reid_audit.utility.structures import Structure
from reid_audit.utility.surfaces import find_surface_voxels

NEAR_FACE_MM = 5.0
"""Within this distance of the facial skin a structure lies on the face (Ammar 2025)."""

_LOOK_MM = 60.0
"""Distances to the face beyond this are not looked up."""


def distance_to_face_mm(structure: Structure, skin: FacialSkin) -> float:
    """Distance between the nearest voxel centres of a structure and the facial skin; infinite beyond 60 mm."""
    from scipy.spatial import cKDTree

    points = skin.points_mm
    if not len(points):
        return float("inf")
    spacing = np.asarray(skin.spacing_mm)
    start = np.array([s.start for s in structure.box])
    surface = (np.argwhere(find_surface_voxels(structure.mask)) + start) * spacing
    # Only skin that can be nearer than the limit to the structure's box is looked at.
    low, high = surface.min(axis=0) - _LOOK_MM, surface.max(axis=0) + _LOOK_MM
    near = points[((points >= low) & (points <= high)).all(axis=1)]
    if not len(near):
        return float("inf")
    tree = cKDTree(near, balanced_tree=False, compact_nodes=False)
    best = float(tree.query(surface[::16], distance_upper_bound=_LOOK_MM)[0].min())  # a first guess bounds the rest
    bound = min(best + 1e-6, _LOOK_MM)
    return float(min(best, tree.query(surface, distance_upper_bound=bound)[0].min()))
