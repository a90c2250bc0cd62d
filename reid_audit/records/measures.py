"""Measures for those who must decide on a release: no rule reads them."""

from dataclasses import dataclass

from reid_audit.records.calibration import Estimate
from reid_audit.records.scores import Real


@dataclass(frozen=True, slots=True)
class GalleryRates:
    """What a search would find among ``size`` references: extrapolated from the cohort by ``model``, never observed.

    ``rank1``: with the mate among them; ``chance1`` = 1 / size. ``fpir``: searches of subjects who are not among them
    that return somebody at the Youden threshold.
    """

    size: int
    rank1: Estimate
    chance1: Real
    fpir: Estimate
    model: str


@dataclass(frozen=True, slots=True)
class MissRate:
    """FNIR, in the cohort's own gallery, at the ``threshold`` that gives this FPIR."""

    fpir: Real
    fnir: Estimate
    threshold: Real


@dataclass(frozen=True, slots=True)
class Measures:
    """What one attacker's distances tell about identity. Intervals are two-sided, by subjects.

    Attributes
    ----------
    subjects : int
        Subjects that were measured: at most 200, drawn by the seed from larger cohorts.
    bits : Estimate
        Information on identity that is left, of ``possible_bits`` = log2 of the subjects.
    anonymity_set : Estimate
        Subjects among whom a search leaves a scan on average, subjects / 2^bits.
    cllr, min_cllr : Estimate
        Cost of likelihood ratios in bits per comparison; 1 = the distances say nothing.
    excess : Estimate
        (AUC after defacing - 1/2) / (AUC of originals - 1/2): 0 = chance, 1 = as linkable as the originals.
    misses : tuple of MissRate
        FNIR at FPIR 10 % and 1 %, where the cohort has enough searches to hold them.
    galleries : tuple of GalleryRates
        Extrapolated.
    notes : tuple of str
        Why numbers are missing.
    """

    subjects: int
    bits: Estimate
    anonymity_set: Estimate
    possible_bits: Real
    cllr: Estimate
    min_cllr: Estimate
    excess: Estimate
    misses: tuple[MissRate, ...] = ()
    galleries: tuple[GalleryRates, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Canary:
    """How one attacker links a weak defacing of the cohort's own originals: one that links none of them is blind.

    Attributes
    ----------
    condition : str
        The weak defacing; begins with ``canary``.
    attack, encoder : str
    subjects : int
        People whose weakly defaced scan was compared.
    linkability : Estimate
        Probability that a mated comparison is nearer than a non-mated one of the same search; one-sided bounds.
    """

    condition: str
    attack: str
    encoder: str
    subjects: int
    linkability: Estimate
