"""What each attacker makes of weakly defaced originals."""

import numpy as np

from reid_audit.accuracy.panels import Panels, to_estimate
from reid_audit.records import Canary
from reid_audit.stats.residuals import linkability


def measure_canaries(panels: Panels, *, confidence: float = 0.95) -> tuple[Canary, ...]:
    """Measure the linkability of every canary by every attacker and encoder.

    Parameters
    ----------
    panels : Panels
    confidence : float
        Of each one-sided bound.

    Returns
    -------
    tuple of Canary
        Over the subjects of whom a canary was made; a scan without a vector counts as a guess. Empty without canaries.
    """
    rows = []
    for panel in (panel for panel in panels.panels if panel.is_canary):
        made = panel.there.any(axis=0)
        estimate = to_estimate(linkability(panel.mated[:, made], confidence=confidence), confidence=confidence)
        rows.append(Canary(panel.condition, panel.attack, panel.encoder, int(np.count_nonzero(made)), estimate))
    return tuple(rows)
