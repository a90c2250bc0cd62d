"""Detector and encoder on the frontal portrait, as the literature judges defacers."""

from __future__ import annotations

from reid_audit.attack.base import Attack


class Naive(Attack):
    """Encodes what the detector finds in the portrait that the original's level and camera give."""

    name = "naive"
    baseline = selected_by_default = binds_by_default = True

    def describe(self) -> str:  # noqa: D102
        return "detector and recogniser on the frontal portrait"
