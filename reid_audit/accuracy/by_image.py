"""What each image of a session gives away, where sessions hold several."""

from __future__ import annotations

import numpy as np

from reid_audit.accuracy.panels import ALL, Panel, to_panels
from reid_audit.records import CANARY, IMAGE_COLUMNS, Estimate, Group, ImageEvidence, ScoreTable
from reid_audit.stats.residuals import linkability

_OF_DEFACED = (Group.DEFACED_SAME, Group.DEFACED_DIFFERENT, Group.DEFACED_SAME_SCAN)


def measure_images(scores: ScoreTable, *, confidence: float = 0.95) -> tuple[ImageEvidence, ...]:
    """Measure the linkability of every two images: defaced against original, by condition, attacker and encoder.

    Parameters
    ----------
    scores : ScoreTable
        Before images are pooled.
    confidence : float
        Of each one-sided bound.

    Returns
    -------
    tuple of ImageEvidence
        Empty where the table tells no images apart. An image is compared over the people that have both; the very scan
        that was defaced counts only where there is nothing else.
    """
    frame = scores.frame
    if not set(IMAGE_COLUMNS) <= set(frame.columns):
        return ()
    defaced = frame["group"].isin([group.value for group in _OF_DEFACED])
    rows = frame[defaced & ~frame["condition"].astype(str).str.startswith(CANARY)]
    evidence = []
    for (probe, reference), part in rows.groupby(list(IMAGE_COLUMNS), observed=True, sort=False):
        for panel in to_panels(part.drop(columns=list(IMAGE_COLUMNS)), within=ALL).panels:
            evidence.append(_measure(panel, str(probe), str(reference), confidence))
    return tuple(sorted(evidence, key=lambda row: (row.encoder, row.condition, row.attack)))


def _measure(panel: Panel, probe: str, reference: str, confidence: float) -> ImageEvidence:
    mated = panel.mated[:, panel.made]
    bound = linkability(mated[:, np.isfinite(mated).any(axis=0)], confidence=confidence)
    estimate = Estimate(
        bound.value,
        at_least=bound.at_least,
        at_most=bound.at_most,
        subjects=bound.subjects,
        confidence=confidence,
        method="normal scores of ranks, one-sided bounds between subjects",
        reason="" if bound.value == bound.value else "too few comparisons",
    )
    scans, unseen = int(panel.there.sum()), int((panel.there & ~panel.seen).sum())
    return ImageEvidence(panel.condition, panel.attack, panel.encoder, probe, reference, scans, unseen, estimate)
