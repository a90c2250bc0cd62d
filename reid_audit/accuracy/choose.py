"""Which recogniser tells subjects apart best on portraits of this cohort: the one that an attacker would take.

Recognisers are made for photographs; how well they do on drawn heads has to be measured on the originals. The numbers
are those of Molchanova et al. 2023 (appendix D: Kruskal-Wallis H and the overlap of same and different), and those that
say what an attacker gets: AUC, TMR at a FMR of 1 %, failures to acquire.

Words
-----
overlap
    1 - max over thresholds of (TMR - FMR), in [0, 1]: the area that the densities of same and different distances have
    in common, if they cross once. It needs no bins, unlike the overlap of two histograms; 0 = separated.
best
    The greatest AUC, where a pair without a distance counts one half; then the greatest TMR, the least overlap, the
    least time. A stand-in made for tests comes last whatever its numbers, and is never recommended. H is shown and not
    used: it grows with the number of pairs that were acquired.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid_audit.accuracy.attempts import count_unacquired
from reid_audit.accuracy.compared import find_originals
from reid_audit.accuracy.curves import FMR_POINTS, find_fmr, measure_roc
from reid_audit.accuracy.pairs import Scores
from reid_audit.records import (
    Estimate,
    InputError,
    Rate,
    Real,
    ScoreTable,
    TestResult,
    prepare_folder,
    read_json,
    to_json,
    write_private,
)
from reid_audit.stats import auc_of_pairs, kruskal, subject_rate

CHANCE = 0.5
"""AUC of an attacker who guesses."""


@dataclass(frozen=True, slots=True)
class EncoderScore:
    """How well one recogniser tells subjects apart on originals.

    Attributes
    ----------
    encoder : str
    subjects : int
        Subjects with a same pair.
    same, different : int
        Pairs with a distance.
    h : TestResult
        Kruskal-Wallis, same vs different.
    overlap : float
        In [0, 1], see the top of this module; NaN where a group is empty.
    auc : Estimate
        Over all pairs; one without a distance counts one half.
    threshold : float
        At a FMR of 1 %; NaN where the cohort has too few different pairs to hold it.
    tmr : Rate
        At that threshold, over all same pairs; no face = no match. No trials where there is no threshold.
    fta : Rate
        Original scans without a vector.
    seconds : float
        Per face; NaN where it was not measured.
    reason : str
        Why a number is missing.
    stand_in : bool
        Whether its model file was made for tests: no number of it means anything.
    """

    encoder: str
    subjects: int
    same: int
    different: int
    h: TestResult
    overlap: Real
    auc: Estimate
    threshold: Real
    tmr: Rate
    fta: Rate
    seconds: Real = float("nan")
    reason: str = ""
    stand_in: bool = False


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """Recognisers, best first.

    Attributes
    ----------
    scores : tuple of EncoderScore
    recommended : str
        The first, or empty where none tells subjects apart.
    equals : tuple of str
        Others that the cohort cannot tell from the first: their AUC lies in the interval of its AUC. Where the attacks
        are many models, run these too.
    reason : str
        One sentence.
    cohort : str
        Name of the manifest, without folders.
    notices : tuple of str
        Fallbacks and stand-ins that a reader must know of.
    """

    scores: tuple[EncoderScore, ...]
    recommended: str
    equals: tuple[str, ...]
    reason: str
    cohort: str = ""
    notices: tuple[str, ...] = ()
    schema_version: int = 1


def score_encoder(
    encoder: str, scores: ScoreTable, *, attack: str = "naive", seconds: float = math.nan, confidence: float = 0.95
) -> EncoderScore:
    """Measure how well one recogniser tells the subjects of a cohort apart.

    Parameters
    ----------
    encoder : str
        Its name.
    scores : ScoreTable
        Made with it. Only comparisons of originals count.
    attack : str
        Whose comparisons.
    seconds : float
        Time per face, if it was measured.
    confidence : float
        Confidence of the intervals.

    Returns
    -------
    EncoderScore
        NaN with a reason where there are no same or no different pairs.
    """
    table = Scores(scores)
    originals = find_originals(table, attack)
    same, different = originals.same, originals.different
    mated_seen, non_mated_seen = same.acquired(), different.acquired()
    roc = measure_roc(mated_seen.distance, non_mated_seen.distance)
    overlap = 1 - float(np.max(roc.tmr - roc.fmr)) if roc.threshold.size else math.nan
    threshold, reason = find_fmr(non_mated_seen.distance, FMR_POINTS["fmr1"])
    judged = slice(None) if not math.isnan(threshold) else slice(0)
    tmr, _, _ = subject_rate(same.distance[judged] < threshold, same.probe[judged], confidence=confidence)
    auc = auc_of_pairs(
        same.distance, same.probe, different.distance, different.probe, different.reference, confidence=confidence
    )
    subjects = len(np.unique(same.probe))
    return EncoderScore(
        encoder=encoder,
        subjects=subjects,
        same=len(mated_seen.distance),
        different=len(non_mated_seen.distance),
        h=kruskal([mated_seen.distance, non_mated_seen.distance], compared="same vs different", subjects=subjects),
        overlap=overlap,
        auc=auc,
        threshold=threshold,
        tmr=tmr,
        fta=count_unacquired(originals.acquired, originals.sessions, confidence),
        seconds=seconds,
        reason=auc.reason or reason,
    )


def _merit(score: EncoderScore) -> tuple[float, ...]:
    """Greater is better; what is missing is worst, and a stand-in comes after every recogniser that means something."""
    numbers = (-float(score.stand_in), score.auc.value, score.tmr.value, -score.overlap, -score.seconds)
    return tuple(-math.inf if math.isnan(number) else number for number in numbers)


def choose_encoder(scores: Iterable[EncoderScore]) -> EncoderChoice:
    """Put recognisers in order, best first, and recommend one.

    Parameters
    ----------
    scores : iterable of EncoderScore
        Of one cohort, each encoder once. Ties keep their order.

    Returns
    -------
    EncoderChoice
        Nothing is recommended where the best AUC cannot be told from a guess (its one-sided lower bound is not above
        0.5).

    Raises
    ------
    InputError
        If there is no encoder or one comes twice.
    """
    ordered = tuple(sorted(scores, key=_merit, reverse=True))
    names = [score.encoder for score in ordered]
    if not names:
        raise InputError("name at least one encoder to choose from")
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise InputError(f"the encoder {twice} is named twice")
    if ordered[0].stand_in:
        return EncoderChoice(ordered, "", (), "every one of them is a stand-in made for tests, which means nothing")
    best = ordered[0].auc
    if not best.at_least > CHANCE:
        why = (
            best.reason
            or f"AUC {best.value:.3f}, at least {best.at_least:.3f} at a confidence of {best.confidence:.0%}"
        )
        return EncoderChoice(ordered, "", (), f"no recogniser tells these people apart: {why}")
    equals = tuple(score.encoder for score in ordered[1:] if score.auc.value >= best.low and not score.stand_in)
    reason = f"{names[0]} separates same from different best (AUC {best.value:.3f})"
    if equals:
        reason += f"; this cohort cannot tell {', '.join(equals)} from it"
    return EncoderChoice(ordered, names[0], equals, reason)


# --- the files ---

CHOICE_FILE, TABLE_FILE = "choice.json", "choice.csv"


def _tabulate(choice: EncoderChoice) -> str:
    """One row per encoder, best first; what was not measured is empty."""
    import pandas as pd

    rows = [
        {
            "encoder": score.encoder,
            "stand_in": str(score.stand_in).lower(),
            "auc": score.auc.value,
            "auc_low": score.auc.low,
            "auc_high": score.auc.high,
            "overlap": score.overlap,
            "kruskal_h": score.h.statistic,
            "tmr_at_fmr1": score.tmr.value,
            "fta": score.fta.value,
            "seconds_per_face": score.seconds,
            "same_pairs": score.same,
            "different_pairs": score.different,
            "reason": score.reason,
        }
        for score in choice.scores
    ]
    table: str = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return table


def write_choice(choice: EncoderChoice, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a comparison of encoders as ``choice.json`` and ``choice.csv``: rates of a cohort, of no single subject.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    InputError
        If the folder holds one already and ``overwrite`` is False, or cannot be written to.
    """
    prepare_folder(folder, CHOICE_FILE, overwrite=overwrite)
    write_private(folder / TABLE_FILE, _tabulate(choice))
    write_private(folder / CHOICE_FILE, to_json(choice))
    return folder / CHOICE_FILE


def read_choice(path: Path) -> EncoderChoice:
    """Read what `write_choice` wrote. InputError where it is no such file."""
    return read_json(path, EncoderChoice, made_by="reid-audit choose-model")
