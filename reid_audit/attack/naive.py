"""Detector and encoder on the frontal portrait, as the literature judges defacers.

A defaced scan is looked at twice: through its original's camera, and through the one that faces what is left of the
head; the nearer of the two looks counts, for mated and non-mated comparisons alike.
"""

from reid_audit.attack.base import Attack, Hints, Target
from reid_audit.records import Face, Status


class Naive(Attack):
    """Encodes what the detector finds in the portrait that the original's level and camera give."""

    name = "naive"
    channel = "face, by a recogniser"
    baseline = selected_by_default = True

    def describe(self) -> str:  # noqa: D102
        return "detector and recogniser on the frontal portrait, by the original's camera and by the scan's own"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        if target.original is None:
            return ()  # its own camera is the only one
        own = target.encode_own_view()
        return (target.face,) if own.status in (Status.RENDER_FAILED, Status.NO_SKIN) else (target.face, own)
