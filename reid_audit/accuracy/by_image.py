"""What each image of a session gives away, where sessions hold several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.accuracy.columns import find_canaries
from reid_audit.accuracy.panels import ALL, Panel, to_estimate, to_panels
from reid_audit.records import IMAGE_COLUMNS, ORIGINAL, Group, ImageEvidence, ScoreTable
from reid_audit.stats.residuals import linkability

if TYPE_CHECKING:
    import pandas as pd

_COUNTED = ["encoder", "image", "subject", "session", "seen"]
_BOTH_DEFACED = (Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT)
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
    rows = frame[defaced & ~find_canaries(frame)]
    originals = _count_originals(frame[~frame["group"].isin([group.value for group in _BOTH_DEFACED])])
    evidence = []
    for (probe, reference), part in rows.groupby(list(IMAGE_COLUMNS), observed=True, sort=False):
        for panel in to_panels(part.drop(columns=list(IMAGE_COLUMNS)), within=ALL).panels:
            seen = originals.get((panel.encoder, str(probe)), (0, 0))
            evidence.append(_measure(panel, str(probe), str(reference), seen, confidence))
    return tuple(sorted(evidence, key=lambda row: (row.encoder, row.condition, row.attack)))


def _count_originals(frame: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """Count the originals of each encoder and image, and those without any distance."""
    import pandas as pd

    parts = []
    for side in ("probe", "reference"):
        rows = frame if side == "reference" else frame[frame["condition"] == ORIGINAL]
        keys = [rows["encoder"], *(rows[f"{side}_{name}"] for name in ("image", "subject", "session"))]
        seen = rows["distance"].notna().groupby(keys, observed=True).any()
        parts.append(pd.DataFrame([(*map(str, key), value) for key, value in seen.items()], columns=_COUNTED))
    scans = pd.concat(parts).groupby(_COUNTED[:-1])["seen"].any()
    counts = scans.groupby(_COUNTED[:2]).agg(["size", "sum"])
    return {(str(e), str(i)): (int(n), int(n - seen)) for (e, i), n, seen in counts.itertuples()}


def _measure(panel: Panel, probe: str, reference: str, originals: tuple[int, int], confidence: float) -> ImageEvidence:
    mated = panel.mated[:, panel.made]
    bound = linkability(mated[:, np.isfinite(mated).any(axis=0)], confidence=confidence)
    estimate = to_estimate(bound, confidence=confidence)
    if bound.value != bound.value:
        estimate = replace(estimate, reason="too few comparisons")
    scans, unseen = int(panel.there.sum()), int((panel.there & ~panel.seen).sum())
    where = (panel.condition, panel.attack, panel.encoder, probe, reference)
    return ImageEvidence(*where, scans, unseen, *originals, linkability=estimate)
