"""Where on a face a recogniser looks: on the average synthetic head, part after part is hidden from it.

A disc is laid over the portrait in the mean colour of the face, and the place of the face stays as it was: what moves
the vector is what the recogniser reads there, not what its detector makes of it. Never done on a person.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.lay import average_shape, lay_head
from reid_audit.attack.shape import Shape
from reid_audit.face import Encoder, encode_all_at
from reid_audit.records import Modality, Skin, View, Volume
from reid_audit.render import Renderer, find_frontal_view
from reid_audit.render.camera import place_camera
from reid_audit.surface import extract_skin

DISC_MM = 12.0
"""Radius of what is hidden at a time."""

_STEP = 5  # cells between the middles of two discs


@lru_cache(maxsize=2)
def find_average_skin(modality: Modality) -> tuple[Skin, View]:
    """Return the skin of the average synthetic head, and the camera that faces it."""
    from reid_audit.phantom import make_average_head

    head = make_average_head(modality)
    skin = extract_skin(Volume(head.intensity, head.voxel_to_head_mm, modality, "average head"))
    return skin, find_frontal_view(skin)


@lru_cache(maxsize=1)
def _average_pose() -> View:
    """Return the view from which depths of the average synthetic head are measured, as those of every head are."""
    skin, view = find_average_skin(Modality.CT)
    return lay_head(skin, average_shape(), view).view


def measure_average_relief(shape: Shape) -> NDArray[np.float64]:
    """Return the depth map of the average synthetic head around the region of an attacker, (h, w) mm; NaN = no skin."""
    skin, _ = find_average_skin(Modality.CT)
    return np.asarray(shape.measure(skin, _average_pose()), np.float64)


def map_occlusion(encoder: Encoder, renderer: Renderer) -> NDArray[np.float64]:
    """Return how far the vector of the average head moves when a part of the face is hidden.

    Returns
    -------
    (h, w) float64
        On the grid of a leak map: cosine distance in units of the largest, 0 to 1, between the middles of discs drawn
        through. NaN outside the face, and everywhere where the encoder finds no face in the average head or hiding
        changes nothing.
    """
    from scipy.interpolate import LinearNDInterpolator

    shape = Shape()
    relief_mm = measure_average_relief(shape)
    skin, view = find_average_skin(Modality.CT)
    portrait = renderer.render(skin, view)
    face = encoder.encode(portrait)
    if face.vector is None:
        return np.full(relief_mm.shape, np.nan)
    pose = _average_pose()
    axes = place_camera(pose).axes
    rows, columns = np.ogrid[: portrait.pixels.shape[0], : portrait.pixels.shape[1]]
    left, top, right, bottom = (round(edge) for edge in face.box_px or (0, 0, *portrait.pixels.shape[1::-1]))
    colour = portrait.pixels[max(0, top) : bottom, max(0, left) : right].mean(axis=(0, 1)).astype(np.uint8)
    up, across = np.nonzero(shape.region & np.isfinite(relief_mm))
    chosen = (up % _STEP == 0) & (across % _STEP == 0)
    hidden_parts = []
    for row, column in zip(up[chosen], across[chosen], strict=True):
        left_mm, up_mm = shape.place_of(int(row), int(column))
        centre = np.asarray(pose.target_ras_mm) + np.array([left_mm, up_mm, relief_mm[row, column]]) @ axes
        edge = centre + DISC_MM * axes[0]
        at, beside = (
            (portrait.ras_mm_to_px @ [*point, 1.0])[:2] / (portrait.ras_mm_to_px @ [*point, 1.0])[2]
            for point in (centre, edge)
        )
        hidden = (columns - at[0]) ** 2 + (rows - at[1]) ** 2 < np.square(beside - at).sum()
        hidden_parts.append(replace(portrait, pixels=np.where(hidden[..., None], colour, portrait.pixels)))
    moved = [
        np.nan if seen.vector is None else 1.0 - float(seen.vector.astype(np.float64) @ face.vector.astype(np.float64))
        for seen in encode_all_at(encoder, hidden_parts, face)
    ]
    distances = np.maximum(moved, 0.0)  # a vector is of length 1 to seven digits
    most = np.nanmax(distances, initial=0.0)
    if not most > 0:
        return np.full(relief_mm.shape, np.nan)
    between = LinearNDInterpolator(np.column_stack([up[chosen], across[chosen]]), distances / most)
    return np.where(shape.region, between(*np.indices(relief_mm.shape)), np.nan)
