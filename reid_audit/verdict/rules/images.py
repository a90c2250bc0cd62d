"""Rules about the images of a session, where it holds several: none hides behind another."""

from collections.abc import Sequence

from reid_audit.records import Check, Decision, ImageEvidence, Policy
from reid_audit.verdict.rules.sight import fails

_LOOKS = 5
"""A rule that only ever fails shares its confidence out further, so that false alarms stay rare."""

_MOST_UNSEEN = 0.5
"""Share of originals of an image beyond which it is said to show no face to begin with."""


def adjust_confidence(confidence: float, images: int) -> float:
    """Return the confidence of each of several images, so that all hold jointly."""
    return 1 - (1 - confidence) / max(images, 1) / _LOOKS


def check_images(images: Sequence[ImageEvidence], policy: Policy) -> list[Check]:
    """Find images that are linked beyond the limit, and images that no attacker got a vector from.

    Parameters
    ----------
    images : sequence of ImageEvidence
        With bounds at the confidence of `adjust_confidence`.
    policy : Policy
    """
    checks = []
    for row in images:
        bound = row.linkability
        if bound.at_least > policy.max_linkability:
            text = (
                f"{row.attack}: {row.probe_image} alone links to originals of {row.reference_image} with probability "
                f"{bound.value:.2f}, at least {bound.at_least:.2f} (one-sided, {bound.confidence:.1%}, "
                f"{bound.subjects} people), above the limit of {policy.max_linkability:.2f}."
            )
            decision = Decision.FAIL if fails(row.attack, policy) else Decision.REVIEW
            measured = bound.value, bound.at_least, policy.max_linkability
            checks.append(Check("image", decision, text, *measured, row.attack, row.encoder, row.condition))
    return [*checks, *_check_unseen(images)]


def _check_unseen(images: Sequence[ImageEvidence]) -> list[Check]:
    """Name images of which some scans gave no attacker a vector."""
    best: dict[tuple[str, str, str], ImageEvidence] = {}
    for row in images:
        key = row.condition, row.encoder, row.probe_image
        best[key] = min(best.get(key, row), row, key=lambda each: each.unseen)
    return [_tell_unseen(row) for row in best.values() if row.unseen]


def _tell_unseen(row: ImageEvidence) -> Check:
    text = f"No attacker got a vector from {row.unseen} of {row.scans} defaced scans of {row.probe_image}"
    if row.originals_unseen > _MOST_UNSEEN * row.originals:
        decision = Decision.REVIEW
        text += (
            f", nor from {row.originals_unseen} of its {row.originals} originals: look whether this image shows a face "
            "at all, or judge the release without it (--suffix, --where)."
        )
    else:
        decision = Decision.INCOMPLETE
        text += ". Not seen is not safe: look at these scans, or judge the release without them (--suffix, --where)."
    return Check("unseen_image", decision, text, row.unseen, encoder=row.encoder, condition=row.condition)
