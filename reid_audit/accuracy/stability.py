"""How a threshold settles as a cohort grows: drawn from the subjects who are there."""

import numpy as np

from reid_audit.accuracy.curves import find_youden, measure_roc
from reid_audit.accuracy.pairs import Pairs, find_subjects
from reid_audit.records import ThresholdStability

_SIZES = (5, 7, 10, 15, 20, 30, 50, 70, 100)
_MOST = 200
_DRAWS = 50


def measure_stability(
    same: Pairs, different: Pairs, *, seed: int, draws: int = _DRAWS
) -> tuple[ThresholdStability, ...]:
    """Find the Youden threshold of random smaller cohorts.

    Parameters
    ----------
    same, different : Pairs
        With distances, and with names for everybody.
    seed : int
    draws : int
        Cohorts per size, drawn without replacement.

    Returns
    -------
    tuple of ThresholdStability
        Sizes up to half of the subjects, then everybody (at most 200), without a spread: draws of nearly everybody are
        nearly alike, which would look as if the threshold had settled. Empty under ten subjects.
    """
    rng = np.random.default_rng(seed)
    subjects = find_subjects(same.probe, different.probe, different.reference)
    if len(subjects) < 10:
        return ()
    if len(subjects) > _MOST:  # pairs grow with the square of subjects; a part of them shows the same curve
        subjects = np.sort(rng.choice(subjects, _MOST, replace=False))
    place = np.full(1 + max(int(c.max()) for c in (subjects, same.probe, different.probe, different.reference)), -1)
    place[subjects] = np.arange(len(subjects))
    mated, probe, reference = place[same.probe], place[different.probe], place[different.reference]
    kept, both = mated >= 0, (probe >= 0) & (reference >= 0)
    mated, same_distance = mated[kept], same.distance[kept]
    probe, reference, other = probe[both], reference[both], different.distance[both]
    rows = []
    for size in [*(s for s in _SIZES if 2 * s <= len(subjects)), len(subjects)]:
        values = []
        for _ in range(1 if size == len(subjects) else draws):
            drawn = np.zeros(len(subjects), dtype=bool)
            drawn[rng.choice(len(subjects), size, replace=False)] = True
            values.append(
                find_youden(measure_roc(same_distance[drawn[mated]], other[drawn[probe] & drawn[reference]]))[0]
            )
        seen = np.array([value for value in values if value == value])
        spread = np.quantile(seen, [0.025, 0.5, 0.975]) if seen.size else np.full(3, np.nan)
        if size == len(subjects):
            spread[[0, 2]] = np.nan
        rows.append(ThresholdStability("youden", size, float(spread[1]), float(spread[0]), float(spread[2])))
    return tuple(rows)
