"""A defaced head with an average one in place of what was cut away."""

from __future__ import annotations

from functools import lru_cache

from reid_audit.attack import HeadShape, fill_head, lay_head
from reid_audit.phantom import make_average_head
from reid_audit.records import Skin, Volume
from reid_audit.render import find_frontal_view, find_head_pose
from reid_audit.surface import SurfaceSettings, air_of, extract_skin


@lru_cache(maxsize=1)
def _average_shape() -> HeadShape:
    head = make_average_head()
    return HeadShape(head.skin_mm, head.voxel_to_head_mm)


def fill_skin(volume: Volume, skin: Skin, *, settings: SurfaceSettings) -> Skin:
    """Return the skin of a defaced head whose missing part is that of the average synthetic head.

    The average head is laid onto what is left, with nothing of the person's original but the skin level that
    ``skin`` already has. It is nobody's head, so that nobody can be found in it.

    Parameters
    ----------
    volume, skin : Volume, Skin
        Of the defaced scan.
    settings : SurfaceSettings

    Returns
    -------
    Skin
        ``skin`` itself where nothing was cut away.

    Raises
    ------
    RenderError, InputError
        Where the skin or the filled volume holds no head.
    """
    shape = _average_shape()
    middle = find_frontal_view(skin).target_ras_mm
    laid = lay_head(skin, shape, axes=find_head_pose(skin).axes, middle_ras_mm=middle)
    filled = fill_head(volume, shape, laid, level=skin.level, air=min(air_of(volume), skin.level - 1.0))
    if filled is volume:
        return skin
    return extract_skin(filled, level=skin.level, settings=settings, altered=True)
