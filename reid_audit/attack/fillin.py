"""What was cut away is filled with an average head, laid onto what is left, before the detector looks.

Camera and place come from the filled head; nothing of the original is used but its skin level. Schwarz 2021,
doi:10.1016/j.neuroimage.2021.117845, raised matches after defacing so.
"""

from functools import lru_cache

from reid_audit.attack.base import Attack, Hints, Target
from reid_audit.attack.fill import HeadShape, fill_head, lay_head
from reid_audit.portrait import ScanContext
from reid_audit.records import Face, Portrait, Skin
from reid_audit.render import find_head_pose
from reid_audit.surface import air_of, extract_skin


class FillIn(Attack):
    """Looks for a face on the defaced head whose missing part is that of the average synthetic head."""

    name = "fillin"
    channel = "face, filled in"

    def describe(self) -> str:  # noqa: D102
        return "what was cut away is filled with an average head before the detector looks"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        context = target.context

        def draw() -> Portrait:
            filled = context.once(("filled", target.skin), lambda: fill_skin(context, target.skin))
            return context.draw(filled, context.find_view(filled))

        return (target.encode(draw),)


@lru_cache(maxsize=1)
def _average_shape() -> HeadShape:
    from reid_audit.phantom import make_average_head

    head = make_average_head()
    return HeadShape(head.skin_mm, head.voxel_to_head_mm)


def fill_skin(context: ScanContext, skin: Skin) -> Skin:
    """Return the skin of a defaced head whose missing part is that of the average synthetic head.

    The average head is laid onto what is left, with nothing of the person's original but the skin level that ``skin``
    already has. It is nobody's head, so that nobody can be found in it.

    Parameters
    ----------
    context : ScanContext
        Of the defaced scan.
    skin : Skin

    Returns
    -------
    Skin
        ``skin`` itself where nothing was cut away.

    Raises
    ------
    RenderError, InputError
        Where the skin or the filled volume holds no head.
    """
    volume, shape = context.read(), _average_shape()
    middle = context.find_view(skin).target_ras_mm
    laid = lay_head(skin, shape, axes=find_head_pose(skin).axes, middle_ras_mm=middle)
    filled = fill_head(volume, shape, laid, level=skin.level, air=min(air_of(volume), skin.level - 1.0))
    if filled is volume:
        return skin
    return extract_skin(filled, level=skin.level, settings=context.surface, altered=True)
