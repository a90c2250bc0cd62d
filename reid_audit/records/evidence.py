"""The numbers that a verdict is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from reid_audit.records.calibration import Estimate
from reid_audit.records.differential import Differential
from reid_audit.records.measures import Canary, Measures
from reid_audit.records.scores import Group, Rate, Real
from reid_audit.records.significance import TestResult


@dataclass(frozen=True, slots=True)
class SearchRates:
    """1:N: each probe is looked up among all references of one session; ties go to the attacker.

    Attributes
    ----------
    gallery : int
        References searched; the smallest gallery where sessions differ.
    rank1, rank5 : Rate
        Share of searches that put the mate first, or among the first five. A probe without a face finds nobody.
    chance1, chance5 : float
        What guessing would reach: R / N.
    mean_rank : float
        Unacquired probes at (N + 1) / 2.
    cmc : tuple of float
        cmc[r - 1] = share of searches with the mate among the first r; r = 1 .. gallery, thinned to at most 100
        steps named by ``cmc_ranks``.
    fpir, tpir : float
        Open set at the Youden threshold: searches of subjects who are not in the gallery that return anybody; searches
        of subjects in it whose mate is first and below the threshold. FNIR = 1 - tpir.
    fpir_extrapolated : tuple of (gallery size, FPIR)
        1 - (1 - FMR)^N, an extrapolation that takes comparisons for independent.
    rank1_at_least, rank1_at_most : float
        One-sided bounds of rank-1, each at the rate's confidence.
    """

    gallery: int
    rank1: Rate
    rank5: Rate
    chance1: Real
    chance5: Real
    mean_rank: Real
    cmc_ranks: tuple[int, ...]
    cmc: tuple[Real, ...]
    fpir: Real
    tpir: Real
    fpir_extrapolated: tuple[tuple[int, Real], ...]
    rank1_at_least: Real = float("nan")
    rank1_at_most: Real = float("nan")
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MatchRates:
    """How often defaced scans match their own subject at one threshold, three ways, and non-mated references beside it.

    Attributes
    ----------
    threshold, distance : str, float
        The operating point and its value.
    counted : Rate
        All defaced scans with an acquired reference; no face = no match.
    acquired : Rate
        Only those with a distance.
    worst : Rate
        No face = what the aligned attacker got; without one, a match.
    subjects : Rate
        Subjects with at least one match, of all subjects: what a policy limits.
    non_mated : Rate
        Defaced scans against other subjects, no face = no match: the control of the attack.
    still_matched : Rate
        Among comparisons that matched before defacing, those that still do.
    at_low, at_high : float
        ``counted`` at the two ends of the threshold's interval.
    """

    threshold: str
    distance: Real
    counted: Rate
    acquired: Rate
    worst: Rate
    subjects: Rate
    non_mated: Rate
    still_matched: Rate
    at_low: Real = float("nan")
    at_high: Real = float("nan")
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ControlEvidence:
    """What the attacker can do with original scans. A blind attacker proves nothing.

    ``identical`` counts mated pairs of originals at distance 0: one scan under two visits, which anything recognises.
    """

    attack: str
    subjects: int
    rates: tuple[tuple[str, Rate, Rate], ...]  # threshold name, TMR over all same pairs (no face = no match), FMR
    auc: Estimate
    search: SearchRates
    fta: Rate
    tests: tuple[TestResult, ...]
    notes: tuple[str, ...] = ()
    identical: int = 0
    encoder: str = ""

    def rate(self, name: str) -> tuple[Rate, Rate]:
        """Return (TMR, FMR) at that threshold. KeyError names those that exist."""
        for threshold, tmr, fmr in self.rates:
            if threshold == name:
                return tmr, fmr
        raise KeyError(f"no threshold {name!r}; there are: {', '.join(t for t, _, _ in self.rates)}")


@dataclass(frozen=True, slots=True)
class AttackEvidence:
    """What one attacker can still do after one defacer.

    Attributes
    ----------
    condition, attack : str
    group : Group
        ``defaced_same``, or ``defaced_same_scan`` where nobody has two visits: that flatters the attacker.
        ``defaced_defaced_same`` for the defaced gallery, whose gallery is defaced too.
    subjects : int
        Subjects with such a comparison.
    fta : Rate
        Defaced scans without a vector.
    matches : tuple of MatchRates
        One per threshold that the calibration offers; none for the defaced gallery, whose distances fit no threshold
        of originals.
    search : SearchRates
    linkability : Estimate
        AUC of mated against non-mated originals, over all pairs; a scan without a face counts one half.
    judged_linkability : Estimate or None
        The same within searches, without what a scan or an original has in common with everybody: the number that the
        rules compare with the limit (`reid_audit.stats.residuals`). None where fewer than three people are named, and
        in results of 0.1.
    linkability_acquired : Estimate
        The same without the scans that had no face.
    search_auc : Estimate
        The same within each probe's own search: 1 - (rank - 1) / (N - 1) on average. It still sees a subject whose
        distances were all shifted together.
    auc_vs_different : Estimate
        Against original non-mated references, as the literature does. A shift of every distance hides linkage from it.
    defaced_gallery : Estimate
        AUC where the gallery is defaced too; NaN where there is none.
    tests : tuple of TestResult
    notes : tuple of str
        Why numbers are missing, and what a reader must know.
    measures : Measures or None
        For those who decide; None without named subjects or non-mated comparisons.
    """

    condition: str
    attack: str
    group: Group
    subjects: int
    fta: Rate
    matches: tuple[MatchRates, ...]
    search: SearchRates
    linkability: Estimate
    linkability_acquired: Estimate
    search_auc: Estimate
    auc_vs_different: Estimate
    defaced_gallery: Estimate
    tests: tuple[TestResult, ...]
    notes: tuple[str, ...] = ()
    encoder: str = ""
    measures: Measures | None = None
    judged_linkability: Estimate | None = None

    @property
    def shown_linkability(self) -> Estimate:
        """The linkability that the rules judge; that over all pairs where there is none."""
        return self.judged_linkability or self.linkability

    def match(self, name: str) -> MatchRates:
        """Return the match rates at that threshold. KeyError names those that exist."""
        for rates in self.matches:
            if rates.threshold == name:
                return rates
        raise KeyError(f"no threshold {name!r}; there are: {', '.join(m.threshold for m in self.matches)}")


@dataclass(frozen=True, slots=True)
class StratumEvidence:
    """Match rates of one kind of subjects, e.g. column ``"sex"``, value ``"F"``. Suppressed cells hold no number.

    ``differential`` is at the policy's threshold. Where ``condition`` is ``"original"``, of the control: nothing else.
    """

    column: str
    value: str
    condition: str
    attack: str
    suppressed: bool
    subjects: int | None
    fta: Rate | None
    matches: tuple[MatchRates, ...]
    rank1: Rate | None
    encoder: str = ""
    differential: Differential | None = None


@dataclass(frozen=True, slots=True)
class SubjectEvidence:
    """How easily one subject is found before and after one defacer. Personal: for the steward, not for publication."""

    subject: str
    condition: str
    attack: str
    distance_before: Real
    distance_after: Real
    rank_before: Real
    rank_after: Real
    matched_before: bool
    matched_after: bool
    unacquired: int
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class LeakGap:
    """How much more the aligned attacker finds than the registered one, which uses nothing of the original.

    Attributes
    ----------
    condition : str
    rank1 : Estimate
        Difference of the shares of searches that put the mate first, in [-1, 1].
    linkability : Estimate
        Difference of the linkabilities (AUC), in [-1, 1].
    """

    condition: str
    rank1: Estimate
    linkability: Estimate
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class CrossedEvidence:
    """Whom the aligned attacker finds where it lays one subject's landmarks on another's defaced portrait.

    Attributes
    ----------
    condition : str
    group : Group
        Which originals were searched: ``defaced_same`` = of other visits.
    probes : int
        Crossed portraits with a vector that were looked up.
    chance : float
        Share that guessing would reach.
    pixels_first, landmarks_first : Rate
        Share of crossed portraits whose nearest original is that of the pixels' owner, and of the landmarks' owner.
    pixels_auc, landmarks_auc : Estimate
        Probability that the owner's original is nearer than that of somebody who owns neither.
    landmarks_at_least : float
        One-sided lower bound of ``landmarks_first``.
    """

    condition: str
    group: Group
    probes: int
    chance: Real
    pixels_first: Rate
    landmarks_first: Rate
    pixels_auc: Estimate
    landmarks_auc: Estimate
    landmarks_at_least: Real = float("nan")
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The strongest of the attackers on one defacer, for each measure, chosen among ``tried`` and not corrected for it.

    Each measure names its attacker, ``""`` where none measured it; defaced_gallery and control have no matches.
    """

    condition: str
    tried: tuple[str, ...]
    match_attack: str
    match: Rate
    rank1_attack: str
    rank1: Rate
    chance1: Real
    linkability_attack: str
    linkability: Estimate
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """What one image of a session gives away against the originals of one image, where sessions hold several.

    Attributes
    ----------
    probe_image, reference_image : str
        Such as ``"T1w"`` and ``"T2w run-2"``: the defaced image, and the original that it is compared with.
    scans, unseen : int
        Defaced scans of that image, and those without any distance.
    originals, originals_unseen : int
        Originals of the defaced image, and those without any distance: an image that shows no face before defacing.
    linkability : Estimate
        Over the subjects with such comparisons.
    """

    condition: str
    attack: str
    encoder: str
    probe_image: str
    reference_image: str
    scans: int
    unseen: int
    originals: int
    originals_unseen: int
    linkability: Estimate


@dataclass(frozen=True, slots=True)
class Evidence:
    """All numbers that a verdict is made of.

    ``leaks`` and ``crossed`` are there where the aligned attacker ran; ``worst`` has one entry per defacer.
    ``canaries`` are no defacers: they show that the attackers see. ``images`` are there where sessions hold several.
    """

    controls: tuple[ControlEvidence, ...]
    attacks: tuple[AttackEvidence, ...]
    strata: tuple[StratumEvidence, ...]
    family: tuple[TestResult, ...]  # across defacers: Kruskal-Wallis per attacker; paired tests of each two of them
    seed: int
    draws: int
    confidence: float = 0.95
    notes: tuple[str, ...] = ()
    leaks: tuple[LeakGap, ...] = ()
    crossed: tuple[CrossedEvidence, ...] = ()
    worst: tuple[WorstCase, ...] = ()
    canaries: tuple[Canary, ...] = ()
    images: tuple[ImageEvidence, ...] = ()

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders, in the order in which they were assessed."""
        of_controls = (control.encoder for control in self.controls)
        return tuple(dict.fromkeys((*of_controls, *(attack.encoder for attack in self.attacks))))

    def attack(self, condition: str, attack: str = "naive", *, encoder: str | None = None) -> AttackEvidence:
        """Return the evidence of one attacker on one defacer, of the first encoder unless one is named.

        KeyError names those that exist.
        """
        for evidence in self.attacks:
            if (evidence.condition, evidence.attack) == (condition, attack) and encoder in (None, evidence.encoder):
                return evidence
        known = ", ".join(f"{a.condition}/{a.attack}" for a in self.attacks)
        raise KeyError(f"no evidence on {condition}/{attack}; there is: {known or 'none'}")

    def of_encoder(self, encoder: str) -> Evidence:
        """Return what one encoder measured."""
        rows = "controls", "attacks", "strata", "family", "leaks", "crossed", "worst", "canaries", "images"
        own: dict[str, Any] = {each: tuple(r for r in getattr(self, each) if r.encoder == encoder) for each in rows}
        return replace(self, **own)
