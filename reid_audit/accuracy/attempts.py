"""What one attacker can still do after one defacer: match rates, linkability, searches and tests."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.compared import Attempt, Originals
from reid_audit.accuracy.measures import measure_attempt
from reid_audit.accuracy.pairs import Acquisition, Pairs, arrange_blocks, find_subjects
from reid_audit.accuracy.search import Searches, measure_search
from reid_audit.attack import Attack
from reid_audit.records import (
    AttackEvidence,
    Calibration,
    ControlEvidence,
    Estimate,
    Group,
    MatchRates,
    Rate,
    TestResult,
    Threshold,
)
from reid_audit.stats import (
    auc_of_pairs,
    bounded_below,
    mann_whitney,
    mean_of_pairs,
    permute_identities,
    rate_of_pairs,
    subject_rate,
    wilcoxon,
)


def offered(calibration: Calibration) -> list[Threshold]:
    """Return the thresholds that the calibration has."""
    return [t for t in calibration.thresholds if not math.isnan(t.distance)]


def count_unacquired(acquired: Acquisition, sessions: int, confidence: float) -> Rate:
    """Return the FTA over scans."""
    return subject_rate(~acquired.seen, acquired.key // max(sessions, 1), confidence=confidence)[0]


# --- match rates ---


def measure_matches(attempt: Attempt, threshold: Threshold, *, confidence: float) -> MatchRates:
    """Measure how often defaced scans match their own subject, three ways, and non-mated references beside it."""
    t, mated, non_mated = threshold.distance, attempt.mated, attempt.non_mated
    who, seen, hit = mated.probe, ~np.isnan(mated.distance), mated.distance < t
    was = attempt.before < t
    subjects = find_subjects(who)
    matched = np.isin(subjects, who[hit])

    def share_below(end: float) -> float:
        return math.nan if math.isnan(end) or not len(who) else float((mated.distance < end).mean())

    return MatchRates(
        threshold=threshold.name,
        distance=t,
        counted=subject_rate(hit, who, confidence=confidence)[0],
        acquired=subject_rate(hit[seen], who[seen], confidence=confidence)[0],
        worst=subject_rate(np.isnan(attempt.filled) | (attempt.filled < t), who, confidence=confidence)[0],
        subjects=subject_rate(matched, subjects, confidence=confidence)[0],
        non_mated=rate_of_pairs(non_mated.distance < t, non_mated.probe, non_mated.reference, confidence=confidence),
        still_matched=subject_rate(hit[was], who[was], confidence=confidence)[0],
        at_low=share_below(threshold.low),
        at_high=share_below(threshold.high),
        reason="" if len(who) else f"there are no {attempt.group.value} comparisons with an acquired reference",
    )


# --- linkability ---


def measure_linkability(mated: Pairs, non_mated: Pairs, *, confidence: float, missing: str) -> Estimate:
    """Measure the AUC of mated against non-mated comparisons; ``missing`` is the reason where there are none."""
    area = auc_of_pairs(
        mated.distance, mated.probe, non_mated.distance, non_mated.probe, non_mated.reference, confidence=confidence
    )
    return replace(area, reason=missing) if math.isnan(area.value) else area


def _measure_within(searches: Searches, confidence: float) -> Estimate:
    """AUC within each search. Ties, and probes that were not acquired, count one half."""
    inside = searches.of >= 0
    non_mated = searches.non_mated if inside.all() else searches.non_mated.keep(inside)
    mate = searches.mate[searches.of[inside]]
    nearer = 0.5 + 0.5 * (mate < non_mated.distance) - 0.5 * (mate > non_mated.distance)
    mean = mean_of_pairs(nearer, non_mated.probe, non_mated.reference, confidence=confidence)
    return replace(mean, reason="no probe has a mated and a non-mated reference") if math.isnan(mean.value) else mean


# --- tests ---


def _by_person(values: NDArray[np.float64], subject: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean of each subject's values."""
    count = np.bincount(subject)
    return np.asarray(np.bincount(subject, values)[count > 0] / count[count > 0])


def _test(
    attempt: Attempt,
    different: Pairs,
    linkability: Estimate,
    *,
    rng: np.random.Generator,
    permutations: int,
    margin: float,
) -> tuple[TestResult, ...]:
    mated, group, subjects = attempt.mated, attempt.group.value, attempt.subjects
    both = ~np.isnan(mated.distance) & ~np.isnan(attempt.before) & (mated.probe >= 0)
    against = f"{group} vs {Group.DEFACED_DIFFERENT.value}"
    tests = (
        mann_whitney(mated.distance, different.distance, compared=f"{group} vs different", subjects=subjects),
        mann_whitney(mated.distance, attempt.non_mated.distance, compared=against, subjects=subjects),
        mann_whitney(
            attempt.before[both],
            mated.distance[both],
            compared=f"same vs {group}",
            subjects=len(np.unique(mated.probe[both])),
        ),
        wilcoxon(
            _by_person(attempt.before[both], mated.probe[both]),
            _by_person(mated.distance[both], mated.probe[both]),
            compared=f"same vs {group}",
        ),
        permute_identities(
            arrange_blocks(mated, attempt.non_mated, find_subjects(mated.probe)),
            rng=rng,
            permutations=permutations,
            compared=against,
        ),
        bounded_below(linkability, margin, compared=against),
    )
    return tuple(
        replace(test, condition=attempt.condition, attack=attempt.attack, encoder=attempt.encoder) for test in tests
    )


# --- together ---


def _note(attack: Attack, attempt: Attempt, calibration: Calibration) -> tuple[str, ...]:
    notes = []
    if attempt.attack == calibration.attack and not attack.baseline:
        points = ", ".join(f"{t.name} {t.distance:.4f}" for t in offered(calibration))
        notes.append(f"thresholds of this attacker's own comparisons of originals: {points or 'none'}")
    if attack.caveat:
        notes.append(attack.caveat)
    if attempt.group is Group.DEFACED_DEFACED_SAME:
        notes.append(
            "the gallery is defaced too: defaced visits are compared with defaced visits, whose distances no threshold "
            "of originals fits; rank and linkability speak"
        )
    if attempt.group is Group.DEFACED_SAME_SCAN:
        notes.append("compared with the very scan that was defaced, which flatters the attacker: nobody has two visits")
    if not len(attempt.mated.distance):
        notes.append(f"match rates: there are no {attempt.group.value} comparisons with an acquired reference")
    if not len(attempt.non_mated.distance):
        notes.append("linkability: there are no defaced_different comparisons")
    if attempt.lost:
        notes.append(f"{attempt.lost} comparisons left out because the original reference gave no face")
    faceless = int((~attempt.acquired.seen).sum())
    if faceless:
        notes.append(
            f"no face found in {faceless} of {len(attempt.acquired.seen)} defaced scans; each counts as a guess in "
            "linkability and as no match in match rates"
        )
    if (attempt.mated.probe < 0).any():
        notes.append("some comparisons name no subject: their intervals count each as a person of its own")
    return tuple(notes)


def assess_attempt(
    attack: Attack,
    originals: Originals,
    attempt: Attempt,
    calibration: Calibration,
    *,
    seed: int,
    permutations: int,
    confidence: float,
    margin: float,
) -> AttackEvidence:
    """Measure one attacker's attempt on one defacer: all that it takes is in the arguments, so that a worker can."""
    thresholds = offered(calibration)
    youden = next((t for t in thresholds if t.name == "youden"), None)
    group = attempt.group.value
    missing = f"there are no {group} or no defaced_different comparisons"
    linkability = measure_linkability(attempt.mated, attempt.non_mated, confidence=confidence, missing=missing)
    seen = attempt.mated.acquired(), attempt.non_mated.acquired()
    return AttackEvidence(
        condition=attempt.condition,
        attack=attempt.attack,
        group=attempt.group,
        subjects=attempt.subjects,
        fta=count_unacquired(attempt.acquired, attempt.sessions, confidence),
        matches=()
        if attempt.group is Group.DEFACED_DEFACED_SAME
        else tuple(measure_matches(attempt, t, confidence=confidence) for t in thresholds),
        search=measure_search(
            attempt.searches,
            threshold=youden.distance if youden else math.nan,
            fmr=youden.fmr.value if youden else math.nan,
            confidence=confidence,
        ),
        linkability=linkability,
        linkability_acquired=measure_linkability(*seen, confidence=confidence, missing=f"{missing} with a face"),
        search_auc=_measure_within(attempt.searches, confidence),
        auc_vs_different=measure_linkability(
            seen[0],
            originals.different.acquired(),
            confidence=confidence,
            missing=f"there are no {group} or no different comparisons with a face",
        ),
        defaced_gallery=measure_linkability(
            *attempt.both_defaced, confidence=confidence, missing="nobody has two defaced visits"
        ),
        tests=_test(
            attempt,
            originals.different,
            linkability,
            rng=np.random.default_rng(seed),
            permutations=permutations,
            margin=margin,
        ),
        notes=_note(attack, attempt, calibration),
        encoder=attempt.encoder,
        measures=measure_attempt(
            attempt, originals, youden.distance if youden else math.nan, seed=seed, confidence=confidence
        ),
    )


def assess_control(
    originals: Originals, calibration: Calibration, attack: str, *, confidence: float
) -> ControlEvidence:
    """Measure what the attacker can do with originals. A same comparison without a face is no match here."""
    same, different = originals.same, originals.different
    seen = different.acquired()
    thresholds = offered(calibration)
    rates = tuple(
        (
            t.name,
            subject_rate(same.distance < t.distance, same.probe, confidence=confidence)[0],
            rate_of_pairs(seen.distance < t.distance, seen.probe, seen.reference, confidence=confidence),
        )
        for t in thresholds
    )
    notes = []
    if not len(same.distance):
        notes.append("nobody has two original visits: nothing shows that this attacker recognises anyone")
    identical = int((same.distance == 0).sum())
    if identical:
        notes.append(f"{identical} of {len(same.distance)} same comparisons are of identical scans or vectors")
    if not len(different.distance):
        notes.append("there are no two originals of different people in one visit")
    return ControlEvidence(
        attack=attack,
        subjects=originals.subjects,
        rates=rates,
        auc=measure_linkability(
            same.acquired(),
            seen,
            confidence=confidence,
            missing="there are no same or no different comparisons with a face",
        ),
        search=measure_search(
            originals.searches,
            threshold=calibration.distance_at("youden"),
            fmr=next((fmr.value for name, _, fmr in rates if name == "youden"), math.nan),
            confidence=confidence,
        ),
        fta=count_unacquired(originals.acquired, originals.sessions, confidence),
        tests=(
            replace(
                mann_whitney(
                    same.distance, different.distance, compared="same vs different", subjects=originals.subjects
                ),
                encoder=originals.encoder,
            ),
        ),
        notes=tuple(notes),
        identical=identical,
        encoder=originals.encoder,
    )
