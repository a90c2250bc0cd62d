"""Pure numbers: intervals that take people as the sample, tests, corrections, sample size. Knows nothing of scans.

Words
-----
subject code
    A whole number from 0 that stands for a person. -1 = unknown: the table names nobody, and then no interval.
pair
    A comparison of two people, i != j. Pairs share people: n people make n (n - 1) / 2 pairs, and still only n draws.

Which interval for what, and why
--------------------------------
Measured on distances with random effects of people (20, 40 and 80 people, AUC 0.5 to 0.996, FMR 20 % to 0.5 %), nominal
95 %; tests/stats/test_stats.py repeats a part of it, tests/benchmarks/bench_coverage.py prints the rest:

proportion of people (match rate, TMR, rank-k, FTA)
    Clopper-Pearson: exact, never below its level (95-99 % measured). With several trials a person it takes each
    person's trials for one (Kish's effective number): the worst case of dependence.
proportion over pairs (FMR), mean over searches
    Delete-one-subject jackknife (both ends of a pair leave with the person) on the logit scale with Student's t: covers
    94-99 % within searches, 96-99 % for FMR (the wider the fewer pairs match). The percentile bootstrap of subjects
    covered 79-95 %, and the binomial interval that takes pairs for independent 32-94 %.
AUC of mated against non-mated comparisons
    The same jackknife, as an effective number of subjects (Korn and Graubard 1998) that near 1 allows for subjects who
    happen not to have been drawn: 97-100 %, where the logit interval covered 62-98 % in heavy tails.
bits, Cllr, DET, rank-1 in larger galleries, differentials
    The jackknife of the whole statistic: `reid_audit.stats.jackknife`.
difference of two attackers
    Delete-one-subject jackknife of the difference with Student's t: a person leaves both attackers at once.
thresholds
    Bootstrap of subjects, as it is and smoothed: a pair (i, j) weighs w_i w_j, a person's own pairs weigh w_i. At a
    fixed FMR the quantiles at the ends of the FMR's interval.

Rank-k is a proportion of the people who are looked up, given this gallery. Redrawing people would draw some references
twice and others never; the missing competitors would raise rank-1, so ranks are not redrawn.

Where the jackknife sees no variation (no pair matched, all matched, perfect separation, all ties) it would give an
interval of length zero. The interval is then what a share q of unseen people could change, q = the Clopper-Pearson
bound of 0 in n people (AUC) or of 0 in n // 2 disjoint and so independent pairs (rates over pairs).
"""

from reid_audit.stats.auc import auc_of_pairs
from reid_audit.stats.differentials import measure_differentials, suppress
from reid_audit.stats.gallery_size import GalleryRate, extrapolate_fpir, extrapolate_rank1
from reid_audit.stats.gaps import Compared, gap_of_auc, gap_of_rates
from reid_audit.stats.information import Information, measure_information
from reid_audit.stats.intervals import clopper_pearson, mean_of_pairs, rate_of_pairs, subject_rate, subjects_needed
from reid_audit.stats.paired import mean_of_people, mean_per_person, paired_t
from reid_audit.stats.significance import (
    adjust,
    bounded_below,
    kruskal,
    mann_whitney,
    mcnemar,
    permute_identities,
    wilcoxon,
)
from reid_audit.stats.subjects import draw_subjects, redraw_curves
from reid_audit.stats.tradeoff import (
    DetPoint,
    LikelihoodRatioCost,
    SearchMiss,
    measure_cllr,
    measure_det,
    measure_fnir,
    measure_share_of_control,
)

__all__ = [
    "Compared",
    "DetPoint",
    "GalleryRate",
    "Information",
    "LikelihoodRatioCost",
    "SearchMiss",
    "adjust",
    "auc_of_pairs",
    "bounded_below",
    "clopper_pearson",
    "draw_subjects",
    "extrapolate_fpir",
    "extrapolate_rank1",
    "gap_of_auc",
    "gap_of_rates",
    "kruskal",
    "mann_whitney",
    "mcnemar",
    "mean_of_pairs",
    "mean_of_people",
    "mean_per_person",
    "measure_cllr",
    "measure_det",
    "measure_differentials",
    "measure_fnir",
    "measure_information",
    "measure_share_of_control",
    "paired_t",
    "permute_identities",
    "rate_of_pairs",
    "redraw_curves",
    "subject_rate",
    "subjects_needed",
    "suppress",
    "wilcoxon",
]
