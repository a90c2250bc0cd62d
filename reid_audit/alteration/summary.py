"""What an original hands on, so that its defaced partners can be compared with it without its voxels."""

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Lattice, Lines, OriginalSummary, Skin, View, Volume
from reid_audit.render.camera import place_camera
from reid_audit.surface.level import binned
from reid_audit.volume.sample import Array, sample, transform

FACE_DEPTHS_MM = np.concatenate([np.arange(-20.0, 11.0), np.arange(13.0, 44.0, 3.0)])
"""Where the lines through the skin of the face are sampled: negative inside the head."""

REST_DEPTHS_MM = np.concatenate([[-40.0, -34.0, -28.0, -24.0, -20.0], np.arange(-16.0, 7.0)])
"""Where those through the skin of the cranium are."""

LATTICE_MM = 6.0
_FACE_LINES, _REST_LINES = 1200, 900
_FACE_MM = (-110.0, 25.0)  # about the height of the eyes
_HALF_FACE_MM = 65.0
PARTS = ("eyes", "nose", "mouth")
"""Of the face region; cheeks, brow and chin are none of them."""
_PARTS_MM = ((-15.0, 12.0, 12.0, 48.0), (-55.0, -15.0, 0.0, 18.0), (-85.0, -58.0, 0.0, 28.0))
"""Of each part: lower and upper end about the height of the eyes, and from where to where beside the middle."""
_CRANIUM_MM = 45.0  # above the height of the eyes
_BACK_MM = -15.0
_LEAST_VERTICES = 100


def line_points(points: NDArray[np.float32], normals: NDArray[np.float32], depths_mm: Array) -> Array:
    """Return (n * d, 3): the places along each line, line by line."""
    places = points[:, None, :].astype(np.float64) + depths_mm[:, None] * normals[:, None, :]
    return places.reshape(-1, 3)


def _lines(volume: Volume, skin: Skin, which: NDArray[np.intp], depths_mm: Array) -> Lines:
    points, normals = skin.vertices_ras_mm[which], skin.normals[which]
    index = transform(np.linalg.inv(volume.voxel_to_ras_mm), line_points(points, normals, depths_mm))
    seen = sample(volume.intensity, index)
    values = np.where(seen.inside, seen.values, np.nan).reshape(len(which), -1)
    return Lines(points, normals, values.astype(np.float32))


def make_lattice(volume: Volume) -> Lattice:
    """Sample a scan in even steps along its own axes."""
    means, factors = binned(volume, LATTICE_MM)
    spacing = np.array(volume.spacing_mm)
    counts = np.maximum(2, np.floor((np.array(volume.intensity.shape) - 1) * spacing / LATTICE_MM).astype(int) + 1)
    axes = [np.arange(n) * LATTICE_MM / s for n, s in zip(counts, spacing, strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    padded = np.pad(means, [(0, max(0, 2 - n)) for n in means.shape], mode="edge")
    field = sample(padded, (index - (np.array(factors) - 1) / 2) / factors).values.reshape(counts)
    rim = np.concatenate([np.moveaxis(field, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)])
    field -= np.median(rim)
    field /= max(float(np.std(field)), 1e-12)
    matrix = volume.voxel_to_ras_mm.astype(np.float64).copy()
    matrix[:3, :3] *= LATTICE_MM / spacing
    return Lattice(np.clip(field, -4, 4).astype(np.float16), matrix)


def summarise_original(volume: Volume, skin: Skin, view: View) -> OriginalSummary:
    """Take from an original what `find_alteration` needs.

    Parameters
    ----------
    volume : Volume
    skin : Skin
        Of that volume, at its skin level.
    view : View
        That faces the head.

    Raises
    ------
    InputError
        Where the skin has neither a face region nor a cranium: nothing can be compared then.
    """
    camera = place_camera(view)
    right, up, front = ((skin.vertices_ras_mm - np.array(view.target_ras_mm)) @ camera.axes.T).T
    facing = skin.normals @ camera.towards
    is_face = (up > _FACE_MM[0]) & (up < _FACE_MM[1]) & (np.abs(right) < _HALF_FACE_MM) & (front > 0) & (facing > 0.2)
    is_rest = (up > _CRANIUM_MM) | ((up > -_CRANIUM_MM) & (front < _BACK_MM))
    chosen = []
    for name, mask, count in (("face", is_face, _FACE_LINES), ("cranium", is_rest, _REST_LINES)):
        which = np.nonzero(mask)[0]
        if len(which) < _LEAST_VERTICES:
            raise InputError(f"{volume.source or 'original'}: its skin has no {name} to compare a defaced scan with")
        chosen.append(np.sort(np.random.default_rng(0).choice(which, min(count, len(which)), replace=False)))
    face = _lines(volume, skin, chosen[0], FACE_DEPTHS_MM)
    rest = _lines(volume, skin, chosen[1], REST_DEPTHS_MM)
    flesh = face.values[:, (FACE_DEPTHS_MM >= -6) & (FACE_DEPTHS_MM <= -2)]
    before = face.values[:, (FACE_DEPTHS_MM >= 4) & (FACE_DEPTHS_MM <= 8)]
    air = float(np.nanmedian(before))
    contrast = max(float(np.nanmedian(flesh)) - air, skin.level - air, 1e-6)
    height, beside = up[chosen[0]], np.abs(right[chosen[0]])
    parts = np.full(len(height), -1, dtype=np.int8)
    for part, (low, high, inner, outer) in enumerate(_PARTS_MM):
        parts[(height > low) & (height < high) & (beside >= inner) & (beside < outer)] = part
    return OriginalSummary(volume.grid, skin.level, air, contrast, face, rest, parts, make_lattice(volume))
