"""Who is easiest to find before and after defacing. Personal: for the steward who mends single scans."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.calibration_file import assign_calibrations, choose_calibration
from reid_audit.accuracy.compared import Originals, find_attempt, find_originals
from reid_audit.accuracy.pairs import Scores, find_subjects, split_encoders
from reid_audit.accuracy.search import Searches
from reid_audit.attack import find_attack
from reid_audit.records import Calibration, Group, ScoreTable, SubjectEvidence


def _best(values: NDArray[np.float64], subject: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Return the smallest value of each subject; NaN where there is none."""
    best = np.full(n, np.inf)
    seen = ~np.isnan(values) & (subject >= 0)
    np.minimum.at(best, subject[seen], values[seen])
    return np.where(np.isinf(best), np.nan, best)


def _ranks(searches: Searches, n: int) -> NDArray[np.float64]:
    return _best(searches.rank, searches.subject, n)


def list_subjects(scores: ScoreTable, calibrations: Calibration | Iterable[Calibration]) -> tuple[SubjectEvidence, ...]:
    """List each subject's nearest mated comparison and best rank before and after each defacer, by each attacker.

    Parameters
    ----------
    scores : ScoreTable
    calibrations : Calibration or iterable of Calibration
        As for `assess`. The Youden threshold decides ``matched_before`` and ``matched_after``; False where it has
        none, and where the gallery is defaced too.

    Returns
    -------
    tuple of SubjectEvidence
        Per encoder, condition and attack the easiest to find first: by rank, then by distance; subjects without a face
        last. Of attackers that are judged alone.
    """
    tables = split_encoders(scores)
    thresholds = assign_calibrations(calibrations, tables)
    return tuple(row for name, table in tables.items() for row in _list_subjects(Scores(table), thresholds[name]))


def _list_subjects(table: Scores, thresholds: Mapping[str, Calibration]) -> list[SubjectEvidence]:
    n, sessions = len(table.subjects), max(len(table.sessions), 1)
    controls: dict[str, Originals] = {}
    rows: list[SubjectEvidence] = []
    for condition, attack in table.evaluated():
        if not find_attack(attack).judged:
            continue
        if attack not in controls:
            controls[attack] = find_originals(table, attack)
        originals = controls[attack]
        attempt = find_attempt(table, originals, condition, attack)
        youden = choose_calibration(thresholds, attack).distance_at("youden")
        after_below = math.nan if attempt.group is Group.DEFACED_DEFACED_SAME else youden
        before = _best(originals.same.distance, originals.same.probe, n)
        after = _best(attempt.mated.distance, attempt.mated.probe, n)
        rank_before, rank_after = _ranks(originals.searches, n), _ranks(attempt.searches, n)
        scanned, seen = attempt.acquired.key // sessions, attempt.acquired.seen
        missed = np.bincount(scanned[~seen], minlength=n)
        subjects = find_subjects(scanned)
        order = sorted(subjects.tolist(), key=lambda i: (*np.nan_to_num([rank_after[i], after[i]], nan=np.inf), i))
        rows += [
            SubjectEvidence(
                subject=table.subjects[i],
                condition=condition,
                attack=attack,
                distance_before=float(before[i]),
                distance_after=float(after[i]),
                rank_before=float(rank_before[i]),
                rank_after=float(rank_after[i]),
                matched_before=bool(before[i] < youden),
                matched_after=bool(after[i] < after_below),
                unacquired=int(missed[i]),
                encoder=table.encoder,
            )
            for i in order
        ]
    return rows
