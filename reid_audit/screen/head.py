"""The average head laid on what a scan has of a head, and how far the scan's skin stands from it at each part."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.lay import Laid
from reid_audit.phantom import make_average_head
from reid_audit.records import Volume

Array = NDArray[np.float64]

REACH_MM = 24.0
"""How far before and behind the average skin the scan's own is looked for."""

_STEP_MM = 1.0
_NOWHERE_MM = -1000.0
_RADII_MM: Mapping[str, float] = {"eyes": 11.0, "nose": 16.0, "mouth": 14.0, "chin": 14.0}
_LANDMARKS = {"eyes": ("eye_left", "eye_right"), "nose": ("nose",), "mouth": ("mouth",), "chin": ("chin",)}
_FOREMOST: Mapping[str, float] = {"nose": 0.9}
"""Quantile of the heights of a part that stands for it: of a nose its tip, wherever that is; else the median."""

_EARS_MM = (74.0, 30.0, 32.0)  # beyond this to the side, within this to front and back, up and down
FACE_MM = ((-90.0, 90.0), (15.0, 170.0), (-150.0, 60.0))
"""The box of the average head's frame in which a face is altered: across, to the front, to the top."""


@dataclass(frozen=True, slots=True, eq=False)
class PartRays:
    """Lines through a part of the average head.

    Attributes
    ----------
    points_mm : (n, 3) float64
        Where they meet its skin, in its frame.
    outward : (3,) or (n, 3) float64
    """

    points_mm: Array
    outward: Array


@lru_cache(maxsize=1)
def part_rays() -> Mapping[str, PartRays]:
    """Return the lines through each part: to the front through the face, to the side through the ears."""
    from reid_audit.surface.isosurface import mesh_level

    head = make_average_head()
    vertices, _, normals = mesh_level(np.asfortranarray(-head.skin_mm), 0.0)
    matrix = head.voxel_to_head_mm
    points = vertices.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    rays = {}
    for name, landmarks in _LANDMARKS.items():
        away = [np.linalg.norm(points - head.landmarks_mm[landmark], axis=1) for landmark in landmarks]
        near = (np.min(away, axis=0) < _RADII_MM[name]) & (normals[:, 1] > 0.2)
        rays[name] = PartRays(points[near], np.tile([0.0, 1.0, 0.0], (int(near.sum()), 1)))
    beside, along, high = _EARS_MM
    ears = (np.abs(points[:, 0]) > beside) & (np.abs(points[:, 1]) < along) & (np.abs(points[:, 2]) < high)
    sideways = np.sign(points[ears, :1]) * np.array([[1.0, 0.0, 0.0]])
    return rays | {"ears": PartRays(points[ears], sideways)}


@dataclass(frozen=True, slots=True, eq=False)
class PartPlace:
    """Where a scan's skin is at a part.

    Attributes
    ----------
    offset_mm : float
        Of the scan's skin before the average head's, at the quantile that stands for the part; NaN where no skin lies
        within `REACH_MM`, or too little of the part is inside the field of view.
    inside : float
        Share of the lines that run inside the field of view.
    skin_ras_mm, outward_ras : (n, 3) float64
        Where the lines meet the scan's skin, and their directions.
    missed_ras_mm : (m, 3) float64
        Where those that meet none cross the average head's.
    """

    offset_mm: float
    inside: float
    skin_ras_mm: Array
    outward_ras: Array
    missed_ras_mm: Array


def to_index(volume: Volume, points_ras_mm: Array) -> Array:
    """Return voxel indices (3, n) of points (n, 3)."""
    to_voxel = np.linalg.inv(volume.voxel_to_ras_mm)
    return np.asarray(to_voxel[:3, :3] @ points_ras_mm.T + to_voxel[:3, 3:])


def place_parts(volume: Volume, level: float, laid: Laid) -> dict[str, PartPlace]:
    """Find the scan's skin along the lines through each part."""
    from scipy.ndimage import map_coordinates

    depths = np.arange(REACH_MM, -REACH_MM - 0.1, -_STEP_MM)
    turn, shift = laid.head_to_ras_mm[:3, :3], laid.head_to_ras_mm[:3, 3]
    last = np.asarray(volume.intensity.shape)[:, None] - 1
    places = {}
    for name, rays in part_rays().items():
        points, outward = rays.points_mm @ turn.T + shift, rays.outward @ turn.T / laid.scale
        along = points[:, None] + depths[:, None] * outward[:, None]
        index = to_index(volume, along.reshape(-1, 3))
        inside = ((index > -0.5) & (index < last + 0.5)).all(axis=0).reshape(len(points), -1)
        values = map_coordinates(volume.intensity, index, order=1, mode="nearest").reshape(inside.shape)
        tissue = (values > level) & inside
        tissue[:, :-1] &= tissue[:, 1:]  # a bright speck of the air is no skin
        met = tissue.any(axis=1)
        offsets = np.where(met, depths[tissue.argmax(axis=1)], _NOWHERE_MM)
        viewed = inside[:, np.abs(depths) <= 4].all(axis=1)
        height = points @ turn[:, 1] / laid.scale  # of each line's start, to the front
        foremost = _FOREMOST.get(name, 0.5)
        if not viewed.any():
            offset = np.nan
        elif name in _FOREMOST:
            offset = float(np.quantile((height + offsets)[viewed], foremost) - np.quantile(height[viewed], foremost))
        else:
            offset = float(np.quantile(offsets[viewed], foremost))
        places[name] = PartPlace(
            offset if offset >= -2 * REACH_MM else np.nan,
            float(viewed.mean()),
            along[np.arange(len(points)), tissue.argmax(axis=1)][met],
            outward[met],
            points[~met],
        )
    return places


def head_coordinates(volume: Volume, laid: Laid) -> tuple[NDArray[np.float32], ...]:
    """Return x, y, z in the average head's frame of every voxel, each (i, j, k) float32."""
    m = (np.linalg.inv(laid.head_to_ras_mm) @ volume.voxel_to_ras_mm).astype(np.float32)
    i, j, k = (axis.astype(np.float32) for axis in np.ogrid[tuple(slice(0, n) for n in volume.intensity.shape)])
    return tuple(m[a, 0] * i + (m[a, 1] * j + (m[a, 2] * k + m[a, 3])) for a in range(3))


def in_face(volume: Volume, laid: Laid) -> NDArray[np.bool_]:
    """Mark the voxels of `FACE_MM`."""
    inside = np.ones(volume.intensity.shape, dtype=bool)
    for at, (low, high) in zip(head_coordinates(volume, laid), FACE_MM, strict=True):
        inside &= (at > low) & (at < high)
    return inside
