"""Measures for deciders of one attacker's attempt: bits, larger galleries, FNIR at FPIR, Cllr, share of the control."""

import math

import numpy as np

from reid_audit.accuracy.compared import Attempt, Originals
from reid_audit.accuracy.pairs import arrange_blocks, find_subjects
from reid_audit.records import Estimate, GalleryRates, Measures, MissRate
from reid_audit.stats.gallery_size import extrapolate_fpir, extrapolate_rank1
from reid_audit.stats.information import measure_information
from reid_audit.stats.tradeoff import measure_cllr, measure_fnir, measure_share_of_control

MOST = 200
"""Subjects that are measured; of larger cohorts a sample, so that the time is bounded."""


def measure_attempt(
    attempt: Attempt, originals: Originals, threshold: float, *, seed: int, confidence: float
) -> Measures | None:
    """Measure what an attempt tells about identity.

    Parameters
    ----------
    attempt : Attempt
    originals : Originals
        The control of the same attacker.
    threshold : float
        Distance at which FPIR is extrapolated; NaN = not offered.
    seed : int
        Draws subjects and folds.
    confidence : float

    Returns
    -------
    Measures or None
        None where the table names no subjects, or has no mated or no non-mated comparisons.
    """
    everybody = find_subjects(attempt.mated.probe)
    rng = np.random.default_rng(seed)
    chosen = everybody if len(everybody) <= MOST else np.sort(rng.choice(everybody, MOST, replace=False))
    blocks = arrange_blocks(attempt.mated, attempt.non_mated, chosen)
    if not blocks:
        return None
    notes = []
    if len(chosen) < len(everybody):
        notes.append(f"measured on {MOST} of {len(everybody)} subjects, drawn by the seed")
    information = measure_information(blocks, rng=rng, confidence=confidence)
    cost = measure_cllr(blocks, rng=rng, confidence=confidence)
    control = arrange_blocks(originals.same, originals.different.joined(originals.different.flipped()), chosen)
    excess = (
        measure_share_of_control(blocks, control, confidence=confidence)
        if control
        else Estimate(math.nan, confidence=confidence, reason="nobody has two original visits")
    )
    misses = tuple(MissRate(m.fpir, m.fnir, m.threshold) for m in measure_fnir(blocks, confidence=confidence))
    if len(misses) < 2:
        notes.append("FNIR at FPIR 1 % needs 300 searches, at 10 % 30: this cohort cannot hold what is missing")
    rank1 = extrapolate_rank1(blocks, confidence=confidence)
    if math.isnan(threshold):
        missing = Estimate(math.nan, confidence=confidence, reason="there is no Youden threshold")
        fpir = [missing] * len(rank1)
    else:
        fpir = [rate.rate for rate in extrapolate_fpir(blocks, threshold, confidence=confidence)]
    return Measures(
        subjects=len(chosen),
        bits=information.bits,
        anonymity_set=information.anonymity_set,
        possible_bits=information.possible_bits,
        cllr=cost.cllr,
        min_cllr=cost.min_cllr,
        excess=excess,
        misses=misses,
        galleries=tuple(
            GalleryRates(near.size, near.rate, near.chance, returned, near.model)
            for near, returned in zip(rank1, fpir, strict=True)
        ),
        notes=tuple(notes),
    )
