"""1:N: each probe is looked up in a gallery that holds its mate; ranks, CMC and open-set rates."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.curves import extrapolate_fmr
from reid_audit.accuracy.pairs import Pairs
from reid_audit.records import SearchRates
from reid_audit.stats import subject_rate

_EXTRAPOLATED = (100, 1_000, 10_000, 100_000)
_CMC_STEPS = 100


class Searches(NamedTuple):
    """One row per search: a probe scan looked up in one session's references, of which some are non-mated.

    Attributes
    ----------
    subject : (q,) int
    mate : (q,) float64
        Distance of the mate; NaN = the probe was not acquired.
    closer : (q,) int
        Non-mated references that are strictly nearer: rank = closer + 1, ties to the attacker.
    gallery : (q,) int
        Acquired references, the mate among them.
    of : (n,) int
        For each non-mated reference comparison the row of its search, -1 = none.
    non_mated : Pairs
    """

    subject: NDArray[np.intp]
    mate: NDArray[np.float64]
    closer: NDArray[np.intp]
    gallery: NDArray[np.intp]
    of: NDArray[np.int64]
    non_mated: Pairs

    @property
    def rank(self) -> NDArray[np.float64]:
        """Rank of the mate, NaN where the probe was not acquired."""
        return np.where(np.isnan(self.mate), np.nan, self.closer + 1.0)


def _no_search(non_mated: Pairs) -> Searches:
    none = np.zeros(0, dtype=np.intp)
    return Searches(none, np.zeros(0), none, none, np.full(len(non_mated.distance), -1, dtype=np.int64), non_mated)


def search_gallery(mated: Pairs, non_mated: Pairs, sessions: int, *, any_reference_session: bool = False) -> Searches:
    """Look every probe of ``mated`` up among its mate and the references of ``non_mated``.

    Both must hold comparisons with acquired references only. With ``any_reference_session`` the non-mated references of
    a probe are taken from whatever session they are in (originals: the mate from another visit, the others from the
    first).
    """

    def key(pairs: Pairs) -> NDArray[np.int64]:
        scan = pairs.probe.astype(np.int64) * sessions + pairs.probe_session
        return scan if any_reference_session else scan * sessions + pairs.reference_session

    named = (mated.probe >= 0) & (mated.reference >= 0)
    mated = mated.keep(named)
    wanted, at = np.unique(key(mated), return_index=True)  # one search per probe and gallery
    if not len(at):
        return _no_search(non_mated)
    all_mated = key(non_mated)
    place = np.minimum(np.searchsorted(wanted, all_mated), len(wanted) - 1)
    first = (wanted[place] == all_mated) & (non_mated.probe >= 0)
    met = np.bincount(place[first], minlength=len(wanted)) > 0  # without a non-mated reference there is no search
    if not met.any():
        return _no_search(non_mated)
    of, at = np.where(first, (np.cumsum(met) - 1)[place], -1), at[met]
    mate, n = mated.distance[at], len(at)
    inside = of >= 0
    nearer = non_mated.distance < mate[of]  # NaN on either side: not nearer
    closer = np.bincount(of[inside & nearer], minlength=n)
    gallery = 1 + np.bincount(of[inside], minlength=n)
    return Searches(mated.probe[at], mate, closer, gallery, of, non_mated)


def nobody(reason: str, confidence: float) -> SearchRates:
    """Search rates of a cohort that allows no search."""
    rate, _, _ = subject_rate([], [], confidence=confidence)
    nan = math.nan
    return SearchRates(0, rate, rate, nan, nan, nan, (), (), nan, nan, (), reason=reason)


def measure_search(searches: Searches, *, threshold: float, fmr: float, confidence: float = 0.95) -> SearchRates:
    """Turn searches into rates.

    Parameters
    ----------
    searches : Searches
    threshold : float
        For the open-set rates; NaN leaves them NaN.
    fmr : float
        False match rate of one comparison at that threshold, for the extrapolation.
    """
    n = len(searches.subject)
    if not n:
        return nobody("no probe has a mated and a non-mated reference", confidence)
    rank = searches.rank
    rank1, at_least, at_most = subject_rate(rank <= 1, searches.subject, confidence=confidence)
    rank5, _, _ = subject_rate(rank <= 5, searches.subject, confidence=confidence)
    largest = int(searches.gallery.max())
    steps = np.unique(np.round(np.geomspace(1, largest, _CMC_STEPS)).astype(int))
    ranks = np.sort(rank[~np.isnan(rank)])
    cmc = np.searchsorted(ranks, steps, "right") / n
    fpir = tpir = math.nan
    if not math.isnan(threshold):
        returned = searches.of[(searches.of >= 0) & (searches.non_mated.distance < threshold)]
        fpir = float((np.bincount(returned, minlength=n) > 0).mean())
        tpir = float(((rank <= 1) & (searches.mate < threshold)).mean())
    known = not math.isnan(fmr)
    return SearchRates(
        gallery=int(searches.gallery.min()),
        rank1=rank1,
        rank5=rank5,
        chance1=float((1 / searches.gallery).mean()),
        chance5=float(np.minimum(1, 5 / searches.gallery).mean()),
        mean_rank=float(np.where(np.isnan(rank), (searches.gallery + 1) / 2, rank).mean()),
        cmc_ranks=tuple(int(r) for r in steps),
        cmc=tuple(float(c) for c in cmc),
        fpir=fpir,
        tpir=tpir,
        fpir_extrapolated=tuple((size, extrapolate_fmr(fmr, size)) for size in _EXTRAPOLATED) if known else (),
        rank1_at_least=at_least,
        rank1_at_most=at_most,
    )
