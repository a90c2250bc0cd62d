"""What was cut away is filled with an average head, laid onto what is left, before the detector looks.

Camera and place come from the filled head; nothing of the original is used but its skin level. Schwarz 2021,
doi:10.1016/j.neuroimage.2021.117845, raised matches after defacing so.
"""

from reid_audit.attack.base import Attack, Hints, Target
from reid_audit.attack.fill import fill_head
from reid_audit.attack.lay import average_shape, lay_average_head
from reid_audit.portrait import ScanContext
from reid_audit.records import Face, Portrait, Skin
from reid_audit.surface import air_of, extract_skin


class FillIn(Attack):
    """Looks for a face on the defaced head whose missing part is that of the average synthetic head."""

    name = "fillin"
    version = 2
    channel = "face, filled in"

    def describe(self) -> str:  # noqa: D102
        return "what was cut away is filled with an average head before the detector looks"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        context = target.context

        def draw() -> Portrait:
            filled = context.once(("filled", target.skin), lambda: fill_skin(context, target.skin))
            return context.draw(filled, context.find_view(filled))

        return (target.encode(draw),)


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
    volume, laid = context.read(), lay_average_head(context, skin)
    filled = fill_head(volume, average_shape(), laid, level=skin.level, air=min(air_of(volume), skin.level - 1.0))
    if filled is volume:
        return skin
    return extract_skin(filled, level=skin.level, settings=context.surface, altered=True)
