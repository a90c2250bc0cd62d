"""The shape of the face without a recogniser: depth maps of the skin, compared where they agree best.

It needs no model file, sees where a detector is blind, and reads what a defacer leaves beside what it took. Skull, ears
and neck are no part of it. Of a defaced scan two maps are made, in the pose of what is left and in the pose that its
original had; what is nearer counts. A pose is all that it uses of the person's original beside the skin level.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.base import Attack, Hints, Side, Target, list_looks, nearest
from reid_audit.attack.depth_maps import compare_depth_maps, enough_skin
from reid_audit.records import Face, FaceRecord, Skin, Status, View
from reid_audit.render import measure_depth

_CELL_MM = 2.0
_LEFT_MM = np.arange(-67.0, 67.1, _CELL_MM)  # from the middle of the head
_UP_MM = np.arange(-99.0, 63.1, _CELL_MM)  # from `View.target_ras_mm`, at the height of the eyes
_FACE = (_LEFT_MM / 62.0) ** 2 + ((_UP_MM[:, None] + 18.0) / 76.0) ** 2 < 1.0
_NO_SKIN_MM = np.float32(-1000.0)  # a vector is finite
_UNIT_MM = 10.0
_FARTHEST = 2.0


class Shape(Attack):
    """Compares the depth of the face region, cell by cell."""

    name = encoder = "shape"
    sees = Side.BOTH

    def describe(self) -> str:  # noqa: D102
        return (
            "no recogniser: the depth of the skin in the face region, compared where two heads agree best; "
            "the distance is the mean residual in cm"
        )

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        context, skin = target.context, target.skin
        views = dict.fromkeys((target.view, context.find_view(skin)))
        return tuple(context.once((self.name, skin, view), partial(self._map, skin, view)) for view in views)

    def _map(self, skin: Skin, view: View) -> Face:
        depth_mm = measure_depth(skin, view, _LEFT_MM, _UP_MM)
        if not enough_skin(depth_mm, _FACE):
            return Face(Status.NO_FACE, self.encoder, reason="the face region shows too little skin to compare")
        return Face(Status.OK, self.encoder, np.where(np.isnan(depth_mm), _NO_SKIN_MM, depth_mm).ravel())

    def score(self, probes: Sequence[FaceRecord], references: Sequence[FaceRecord]) -> NDArray[np.float64]:  # noqa: D102
        return nearest(
            _compare(a, b)
            for a in list_looks([self.looks_of(record) for record in probes])
            for b in list_looks([self.looks_of(record) for record in references])
        )


def _compare(probes: Sequence[Face | None], references: Sequence[Face | None]) -> NDArray[np.float64]:
    full = np.full((len(probes), len(references)), np.nan)
    (rows, p), (columns, r) = _maps(probes), _maps(references)
    if rows and columns:
        full[np.ix_(rows, columns)] = np.minimum(compare_depth_maps(p, r, _FACE) / _UNIT_MM, _FARTHEST)
    return full


def _maps(faces: Sequence[Face | None]) -> tuple[list[int], NDArray[np.float32]]:
    """Return which faces have a map, and the maps."""
    acquired = [(k, face.vector) for k, face in enumerate(faces) if face is not None and face.vector is not None]
    maps = np.array([vector for _, vector in acquired], np.float32).reshape(-1, *_FACE.shape)
    return [k for k, _ in acquired], np.where(maps == _NO_SKIN_MM, np.float32(np.nan), maps)
