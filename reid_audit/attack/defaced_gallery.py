"""The gallery is defaced too: defaced visits are compared with defaced visits, where people have two of them."""

from reid_audit.attack.base import Attack, Gallery


class DefacedGallery(Attack):
    """The naive attacker with a gallery that he defaced himself."""

    name = "defaced_gallery"
    gallery = Gallery.DEFACED

    def describe(self) -> str:  # noqa: D102
        return "the gallery is defaced too; needs people with two defaced visits"
