"""Attackers beside each other: the leak gap, the crossed control, and the strongest of them."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.compared import Attempt
from reid_audit.attack import find_attack
from reid_audit.records import AttackEvidence, CrossedEvidence, Evidence, Group, LeakGap, Rate, WorstCase
from reid_audit.stats import Compared, auc_of_pairs, gap_of_auc, gap_of_rates, subject_rate

# --- the leak gap ---


def _compared(attempt: Attempt) -> Compared:
    mated, non_mated = attempt.mated, attempt.non_mated
    return Compared(mated.distance, mated.probe, non_mated.distance, non_mated.probe, non_mated.reference)


def measure_leak(hinted: Attempt, unhinted: Attempt, *, confidence: float) -> LeakGap:
    """Measure how much more an attacker finds who uses the person's own original, on the same subjects."""
    first, second = hinted.searches, unhinted.searches
    return LeakGap(
        condition=hinted.condition,
        encoder=hinted.encoder,
        rank1=gap_of_rates(first.rank <= 1, first.subject, second.rank <= 1, second.subject, confidence=confidence),
        linkability=gap_of_auc(_compared(hinted), _compared(unhinted), confidence=confidence),
    )


def find_leak(attempts: Sequence[Attempt], *, confidence: float) -> LeakGap | None:
    """Return the leak gap of one defacer; None where one of the two attackers was not run."""
    by_attack = {attempt.attack: attempt for attempt in attempts}
    for name, attempt in by_attack.items():
        other = by_attack.get(find_attack(name).without_hint)
        if other is not None:
            return measure_leak(attempt, other, confidence=confidence)
    return None


# --- the crossed control ---


class Crossing(NamedTuple):
    """One crossed portrait and its distances to the originals that it was looked up in.

    Attributes
    ----------
    pixels, landmarks : int
        Subject codes of whose portrait it is, and whose landmarks were laid on it.
    reference : (n,) int
        Subject code of each original; both owners are among them.
    distance : (n,) float64
        Finite.
    """

    pixels: int
    landmarks: int
    reference: NDArray[np.intp]
    distance: NDArray[np.float64]


def assess_crossings(
    condition: str, crossings: Sequence[Crossing], *, group: Group, encoder: str = "", confidence: float = 0.95
) -> CrossedEvidence:
    """Measure whether crossed portraits are nearest to the owner of their pixels or to that of their landmarks.

    Parameters
    ----------
    condition : str
    crossings : sequence of Crossing
        One or several per subject; none give rates and AUCs of NaN.
    group : Group
        Which originals were searched.
    encoder : str
    confidence : float
    """
    pixels = np.array([c.pixels for c in crossings], dtype=np.intp)
    landmarks = np.array([c.landmarks for c in crossings], dtype=np.intp)

    def nearest_of(owner: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.array([c.distance[c.reference == k].min() for c, k in zip(crossings, owner, strict=True)])

    to_pixels, to_landmarks = nearest_of(pixels), nearest_of(landmarks)
    least = np.array([c.distance.min() for c in crossings])
    third = [(c.reference != c.pixels) & (c.reference != c.landmarks) for c in crossings]
    empty = np.zeros(0)
    others = np.concatenate([empty, *(c.distance[t] for c, t in zip(crossings, third, strict=True))])
    met = np.concatenate([empty, *(c.reference[t] for c, t in zip(crossings, third, strict=True))]).astype(np.intp)
    times = [int(t.sum()) for t in third]
    landmarks_first, at_least, _ = subject_rate(to_landmarks <= least, landmarks, confidence=confidence)
    return CrossedEvidence(
        condition=condition,
        group=group,
        probes=len(crossings),
        chance=float(np.mean([1 / len(c.reference) for c in crossings])) if crossings else math.nan,
        pixels_first=subject_rate(to_pixels <= least, pixels, confidence=confidence)[0],
        landmarks_first=landmarks_first,
        pixels_auc=auc_of_pairs(to_pixels, pixels, others, np.repeat(pixels, times), met, confidence=confidence),
        landmarks_auc=auc_of_pairs(
            to_landmarks, landmarks, others, np.repeat(landmarks, times), met, confidence=confidence
        ),
        landmarks_at_least=at_least,
        encoder=encoder,
    )


# --- whose they are ---


def list_recognisers(evidence: Evidence) -> tuple[str, ...]:
    """List the encoders that look at portraits: not the stand-ins of attackers that need none, nor combinations."""
    looking = (control.encoder for control in evidence.controls if find_attack(control.attack).baseline)
    return tuple(dict.fromkeys(looking)) or evidence.encoders


# --- the strongest ---


def find_worst(attacks: Sequence[AttackEvidence], threshold: str = "youden") -> WorstCase:
    """Return the strongest of the attackers on one defacer, by one encoder; the first of several that are equal."""
    unknown = Rate(math.nan, math.nan, math.nan, 0, 0, 0)

    def match_of(attack: AttackEvidence) -> Rate:
        return next((m.subjects for m in attack.matches if m.threshold == threshold), unknown)

    def most(value_of: Callable[[AttackEvidence], float]) -> AttackEvidence | None:
        known = [attack for attack in attacks if not math.isnan(value_of(attack))]
        return max(known, key=value_of, default=None)

    by_match = most(lambda attack: match_of(attack).value)
    by_rank = most(lambda attack: attack.search.rank1.value)
    by_link = most(lambda attack: attack.shown_linkability.value)
    return WorstCase(
        condition=attacks[0].condition,
        encoder=attacks[0].encoder,
        tried=tuple(rival.attack for rival in attacks),
        match_attack=by_match.attack if by_match else "",
        match=match_of(by_match) if by_match else unknown,
        rank1_attack=by_rank.attack if by_rank else "",
        rank1=by_rank.search.rank1 if by_rank else unknown,
        chance1=by_rank.search.chance1 if by_rank else math.nan,
        linkability_attack=by_link.attack if by_link else "",
        linkability=(by_link or attacks[0]).shown_linkability,
    )
