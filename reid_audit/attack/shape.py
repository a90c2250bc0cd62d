"""The shape of the face without a recogniser: depth maps of the skin, compared where they agree best.

It needs no model file, sees where a detector is blind, and reads what a defacer leaves beside what it took. Skull, ears
and neck are no part of it. How a head lies is told by the average synthetic head laid on whatever is left, of originals
as of defaced scans: nothing of the person's original is used but the skin level.

`Region` compares one part of the head alone, ears and outline among them: where the identity is left. No rule of the
verdict asks it.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.base import Attack, Hints, Side, Target, list_looks, nearest
from reid_audit.attack.depth_maps import CELL_MM, REACH_LEFT, REACH_UP, compare_depth_maps, enough_skin
from reid_audit.attack.lay import lay_average_head
from reid_audit.records import Face, FaceRecord, RenderError, Skin, Status, View
from reid_audit.render import measure_depth

LITTLE_SHARE, USUAL_SHARE = 0.1, 0.4
"""Of a region's cells, how many must agree: of the face, of which a defacer may leave a rim; of other parts."""

_LEFT_MM = np.arange(-97.0, 97.1, CELL_MM)  # from the middle of the head
_UP_MM = np.arange(-131.0, 123.1, CELL_MM)  # from the height of the eyes of the average head laid on it
_NO_SKIN_MM = np.float32(-1000.0)  # a vector is finite
_UNIT_MM = 10.0
_FARTHEST = 2.0

SIDE_MM, HEIGHT_MM = np.abs(_LEFT_MM)[None, :], _UP_MM[:, None]
"""How far a cell lies to either side of the middle of the head, and above the height of the eyes."""


def _box(side_mm: tuple[float, float], height_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Cells so far to either side of the middle, and at this height."""
    across = (side_mm[0] <= SIDE_MM) & (side_mm[1] > SIDE_MM)
    return np.asarray(across & (height_mm[0] <= HEIGHT_MM) & (height_mm[1] > HEIGHT_MM))


FACE = np.asarray((SIDE_MM / 62.0) ** 2 + ((HEIGHT_MM + 18.0) / 76.0) ** 2 < 1.0)
"""The face region: from below the chin to the upper forehead, and before the ears."""

_EARS = _box((66, 92), (-45, 25))

REGIONS: Mapping[str, NDArray[np.bool_]] = {
    "forehead": FACE & _box((0, 62), (26, 60)),
    "eyes": FACE & _box((0, 55), (-4, 26)),
    "nose": FACE & _box((0, 20), (-40, -4)),
    "mouth": FACE & _box((0, 32), (-72, -40)),
    "chin-and-jaw": FACE & _box((0, 62), (-96, -72)),
    "cheeks": FACE & (_box((20, 62), (-40, -4)) | _box((32, 62), (-72, -40))),
    "ears": _EARS,
    "outline": ~FACE & ~_EARS & _box((0, 92), (-20, 101)),
}
"""Parts of the head by name, on the grid of the depth maps."""


class Shape(Attack):
    """Compares the depth of the skin in a region, cell by cell.

    Attributes
    ----------
    region : (h, w) bool
        On the grid of `FACE`; as an attribute without what lies far outside of it.
    share : float
        Of the region's cells, how many must agree.
    """

    name = encoder = "shape"
    version = 5
    channel = "face, its shape"
    selected_by_default = fails_unrequired = costly = True
    sees = Side.BOTH
    share = LITTLE_SHARE

    def __init__(self, name: str = "", region: NDArray[np.bool_] = FACE) -> None:
        super().__init__(name)
        rows, columns = (np.nonzero(region.any(axis=axis))[0] for axis in (1, 0))
        self._window = np.s_[
            rows[0] - REACH_UP : rows[-1] + REACH_UP + 1, columns[0] - REACH_LEFT : columns[-1] + REACH_LEFT + 1
        ]  # with the margin that moves need
        self.region = region[self._window]

    def describe(self) -> str:  # noqa: D102
        return (
            "no recogniser: the depth of the skin in the face region, compared where two heads agree best; "
            "the distance is the mean residual in cm"
        )

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        context, skin = target.context, target.skin
        try:
            view = lay_average_head(context, skin).view
        except RenderError as error:
            return (Face(Status.NO_SKIN, self.encoder, reason=str(error)),)
        return (self._take(context.once(("depth", skin), partial(map_depth, skin, view))),)

    def _take(self, depth_mm: NDArray[np.float32]) -> Face:
        """Keep what this attacker compares of a depth map of the whole head."""
        part = depth_mm[self._window]
        if not enough_skin(part, self.region, self.share):
            return Face(Status.NO_FACE, self.encoder, reason="the region shows too little skin to compare")
        return Face(Status.OK, self.encoder, np.where(np.isnan(part), _NO_SKIN_MM, part).ravel())

    def score(self, probes: Sequence[FaceRecord], references: Sequence[FaceRecord]) -> NDArray[np.float64]:  # noqa: D102
        return nearest(
            self._compare(a, b)
            for a in list_looks([self.looks_of(record) for record in probes])
            for b in list_looks([self.looks_of(record) for record in references])
        )

    def _compare(self, probes: Sequence[Face | None], references: Sequence[Face | None]) -> NDArray[np.float64]:
        full = np.full((len(probes), len(references)), np.nan)
        (rows, p), (columns, r) = self._maps(probes), self._maps(references)
        if rows and columns:
            full[np.ix_(rows, columns)] = np.minimum(
                compare_depth_maps(p, r, self.region, self.share) / _UNIT_MM, _FARTHEST
            )
        return full

    def measure(self, skin: Skin, view: View) -> NDArray[np.float32]:
        """Return the depth map of a head around the region through a camera, (h, w) mm, NaN = no skin."""
        return np.asarray(map_depth(skin, view)[self._window])

    def place_of(self, row: int, column: int) -> tuple[float, float]:
        """Return where a cell of `measure` lies: mm to the head's left and upwards of what the camera looks at."""
        return float(_LEFT_MM[self._window[1]][column]), float(_UP_MM[self._window[0]][row])

    def maps_of(self, faces: Sequence[Face]) -> NDArray[np.float32]:
        """Return the depth maps that `look` made, (n, h, w) mm, NaN = no skin; looks that failed are left out."""
        return self._maps(faces)[1]

    def _maps(self, faces: Sequence[Face | None]) -> tuple[list[int], NDArray[np.float32]]:
        """Return which faces have a map, and the maps."""
        acquired = [(k, face.vector) for k, face in enumerate(faces) if face is not None and face.vector is not None]
        maps = np.array([vector for _, vector in acquired], np.float32).reshape(-1, *self.region.shape)
        return [k for k, _ in acquired], np.where(maps == _NO_SKIN_MM, np.float32(np.nan), maps)


def map_depth(skin: Skin, view: View) -> NDArray[np.float32]:
    """Return the depth map of a whole head through a camera, on the grid of `FACE`; mm, NaN = no skin."""
    return measure_depth(skin, view, _LEFT_MM, _UP_MM)


class Region(Shape):
    """Compares one part of the head as `Shape` compares the face."""

    family = "regions"
    share = USUAL_SHARE
    judged = selected_by_default = False

    def __init__(self, part: str) -> None:
        super().__init__(f"region-{part}", REGIONS[part])
        self.channel = part.replace("-", " ")

    def describe(self) -> str:  # noqa: D102
        return f"the shape of this part alone: {self.channel}; shown beside, and no rule asks it"
