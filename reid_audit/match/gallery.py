"""Galleries larger than memory: every probe against every reference, block by block, and only what is asked for kept.

The table of `reid_audit.compare_faces` holds one row per comparison; here memory grows with the number of faces, not of
pairs. What comes out is exact: counts, moments, extremes, ranks, nearest references and AUC are those of the full
table. Only quantiles are read off a histogram, whose bins are 2e-6 wide.

How the AUC stays exact without the pairs: the distances to a subject's own references are few and are all kept. A fine
histogram counts the others; the few of them that fall into a bin with a mated distance are compared one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.face.distances import distances_of_units, to_units
from reid_audit.match.summary import BINS, DistanceSummary, Stream, bins_of
from reid_audit.records import InputError

_PAIRS_AT_ONCE = 1 << 22  # 32 MB of distances
_TIE = 1e-12  # two ways of summing one distance agree to this; nearer than that is a tie


@dataclass(frozen=True, slots=True, eq=False)
class GallerySearch:
    """What searching every probe among all references comes to.

    Attributes
    ----------
    nearest : (n, k) int64
        Rows of the nearest references of each probe, nearest first; -1 where there are fewer, or no face.
    distances : (n, k) float64
        To them; NaN where ``nearest`` is -1.
    mate_ranks : (n,) int64
        1 + how many other subjects' references lie nearer than the nearest own one: ties go to the attacker. 0 where
        the probe or all of its own references have no vector.
    own, others : DistanceSummary
        Comparisons within a subject, and between two.
    auc : float
        Probability that a mated distance is smaller than another, ties counted half. NaN where either is missing.
    thresholds : tuple of float
        What ``own.below`` and ``others.below`` refer to.
    """

    nearest: NDArray[np.int64]
    distances: NDArray[np.float64]
    mate_ranks: NDArray[np.int64]
    own: DistanceSummary
    others: DistanceSummary
    auc: float
    thresholds: tuple[float, ...]


def _seen(vectors: ArrayLike, name: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the unit vectors of the acquired faces, and their rows."""
    rows = np.asarray(vectors)
    if rows.ndim != 2:
        raise InputError(f"{name} must have the shape (n, d); got {rows.shape}")
    seen = np.flatnonzero(~np.isnan(rows[:, 0])) if rows.shape[1] else np.zeros(0, np.intp)
    return to_units(rows[seen], name), seen


def _codes(probe_people: Sequence[str], reference_people: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    code = {who: i for i, who in enumerate(dict.fromkeys([*probe_people, *reference_people]))}
    return np.array([code[who] for who in probe_people], np.intp), np.array(
        [code[who] for who in reference_people], np.intp
    )


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _PAIRS_AT_ONCE // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


@dataclass(slots=True, eq=False)
class _Contest:
    """Counts, over all own and other distances, how often the own one is smaller: the AUC's numerator."""

    own: NDArray[np.float64]
    marked: NDArray[np.bool_] = field(init=False)
    wins: float = 0.0

    def __post_init__(self) -> None:
        self.own = np.sort(self.own)
        self.marked = np.zeros(BINS, np.bool_)
        for shift in (-_TIE, 0.0, _TIE):
            self.marked[bins_of(np.clip(self.own + shift, 0.0, 2.0))] = True

    def add(self, others: NDArray[np.float64], bins: NDArray[np.int32]) -> None:
        """Compare one by one the others that share a bin with a mated distance."""
        close = others[self.marked[bins]]
        smaller = np.searchsorted(self.own, close - _TIE, side="left")
        not_larger = np.searchsorted(self.own, close + _TIE, side="right")
        self.wins += float((smaller + not_larger).sum()) / 2

    def auc(self, others: DistanceSummary) -> float:
        """Add the others in bins without a mated distance, and divide."""
        if not len(self.own) or not others.pairs:
            return float("nan")
        far = np.flatnonzero(~self.marked & (others.counts > 0))
        nearer = np.searchsorted(self.own, 2.0 * far / BINS, side="left")  # no mated distance lies within such a bin
        wins = self.wins + float(np.dot(nearer.astype(np.float64), others.counts[far].astype(np.float64)))
        return wins / (len(self.own) * others.pairs)


def search_gallery(
    probes: ArrayLike,
    references: ArrayLike,
    *,
    probe_people: Sequence[str],
    reference_people: Sequence[str],
    k: int = 5,
    thresholds: Sequence[float] = (),
) -> GallerySearch:
    """Search every probe among all references, in memory that grows with the faces and not with the pairs.

    Parameters
    ----------
    probes, references : (n, d), (m, d) array-like
        Vectors of any length but zero; a row of NaN is a face that was not acquired.
    probe_people, reference_people : sequence of str
        Whose they are. A subject may have several references.
    k : int
        How many of the nearest to name.
    thresholds : sequence of float
        Distances below which to count the matches.

    Raises
    ------
    InputError
        Names that are not as many as the vectors, zero vectors, lengths d that differ, or k below 1.
    """
    x, x_rows = _seen(probes, "probes")
    y, y_rows = _seen(references, "references")
    n, m = len(np.asarray(probes)), len(np.asarray(references))
    for name, people, count in (("probe_people", probe_people, n), ("reference_people", reference_people, m)):
        if len(people) != count:
            raise InputError(f"{name} must name {count} people, one per vector; got {len(people)}")
    if len(x) and len(y) and x.shape[1] != y.shape[1]:
        raise InputError(f"vectors must be equally long; got {x.shape[1]} and {y.shape[1]} numbers")
    if k < 1:
        raise InputError(f"k must be at least 1; got {k}")
    who_x, who_y = _codes(probe_people, reference_people)
    own_pairs = int((np.bincount(who_x, minlength=n + m) * np.bincount(who_y, minlength=n + m)).sum())
    who_x, who_y = who_x[x_rows], who_y[y_rows]
    limits = np.asarray(thresholds, np.float64)
    own, others = Stream(limits), Stream(limits)
    contest = _Contest(_own_distances(x, y, who_x, who_y))
    nearest, distances = np.full((n, k), -1, np.int64), np.full((n, k), np.nan)
    ranks = np.zeros(n, np.int64)
    for block in _blocks(len(x), len(y)):
        if not len(y):
            break
        distance = distances_of_units(x[block], y)
        is_own = who_x[block, None] == who_y[None, :]
        bins = bins_of(distance)
        mated, theirs, their_bins = distance[is_own], distance[~is_own], bins[~is_own]
        own.add(mated, bins[is_own])
        others.add(theirs, their_bins)
        contest.add(theirs, their_bins)
        mate = np.where(is_own, distance, np.inf).min(axis=1)
        nearer = np.count_nonzero((distance < mate[:, None] - _TIE) & ~is_own, axis=1)
        ranks[x_rows[block]] = np.where(np.isfinite(mate), 1 + nearer, 0)
        best, best_distances = _nearest(distance, k)
        nearest[x_rows[block], : best.shape[1]] = y_rows[best]
        distances[x_rows[block], : best.shape[1]] = best_distances
    summary = others.close(of=n * m - own_pairs)
    return GallerySearch(
        nearest=nearest,
        distances=distances,
        mate_ranks=ranks,
        own=own.close(of=own_pairs),
        others=summary,
        auc=contest.auc(summary),
        thresholds=tuple(float(limit) for limit in limits),
    )


def _own_distances(
    x: NDArray[np.float64], y: NDArray[np.float64], who_x: NDArray[np.intp], who_y: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the distances within a subject, of all subjects: few, so all of them are kept."""
    order = np.argsort(who_y, kind="stable")
    first, last = (np.searchsorted(who_y[order], who_x, side=side) for side in ("left", "right"))
    count = last - first
    rows = np.repeat(np.arange(len(who_x)), count)
    columns = order[np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)]
    distances = [np.zeros(0)]
    for start in range(0, len(rows), 1 << 16):
        a, b = x[rows[start : start + (1 << 16)]], y[columns[start : start + (1 << 16)]]
        distances.append(0.5 * ((a - b) ** 2).sum(axis=1))
    return np.clip(np.concatenate(distances), 0.0, 2.0)


def _nearest(distance: NDArray[np.float64], k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the columns of the k smallest of each row, smallest first, the lower column first among equals."""
    k = min(k, distance.shape[1])
    part = np.argpartition(distance, k - 1, axis=1)[:, :k] if k < distance.shape[1] else None
    best = np.tile(np.arange(k), (len(distance), 1)) if part is None else part
    values = np.take_along_axis(distance, best, axis=1)
    order = np.lexsort((best, values), axis=1)
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)


def summarise_pairs(vectors: ArrayLike, *, thresholds: Sequence[float] = ()) -> DistanceSummary:
    """Summarise the distances of every two vectors of one list: the group ``different`` of one visit.

    Parameters
    ----------
    vectors : (n, d) array-like
        One per subject; a row of NaN is a face that was not acquired.
    thresholds : sequence of float
        Distances below which to count the matches.
    """
    x, _ = _seen(vectors, "vectors")
    count, stream = len(np.asarray(vectors)), Stream(np.asarray(thresholds, np.float64))
    for block in _blocks(len(x), len(x)):
        distance = distances_of_units(x[block], x[block.start :])
        later = np.triu(np.ones(distance.shape, np.bool_), 1)
        theirs = distance[later]
        stream.add(theirs, bins_of(theirs))
    return stream.close(of=count * (count - 1) // 2)
