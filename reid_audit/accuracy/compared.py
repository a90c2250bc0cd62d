"""Which comparisons the evidence rests on: those of the originals, and those of one defacer under one attacker.

A comparison whose *reference* (an original) was not acquired says nothing about the defacer: it is left out of every
rate of defaced scans and shows in the originals' FTA. A *probe* that was not acquired stays: it is no match in
``counted``, what the aligned attacker got or else a match in ``worst``, finds nobody in searches, and its comparison
with its own subject counts one half in linkability, as a guess would.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.pairs import Acquisition, Pairs, Scores, find_acquired, find_subjects, scan_keys
from reid_audit.accuracy.search import Searches, search_gallery
from reid_audit.attack import find_attack
from reid_audit.records import Group

_BOTH_DEFACED = (Group.DEFACED_DEFACED_SAME, Group.DEFACED_DEFACED_DIFFERENT)
_DEFACED = (Group.DEFACED_SAME, Group.DEFACED_DIFFERENT, Group.DEFACED_SAME_SCAN)


@dataclass(frozen=True, slots=True, eq=False)
class Originals:
    """The control of one attacker.

    Attributes
    ----------
    same, different : Pairs
        All of them, acquired or not.
    acquired : Acquisition
        Of original scans.
    searches : Searches
        First-visit originals: the mate from another visit, non-mated references from the first, either way round.
    sessions : int
        Number of session labels in the table.
    encoder : str
    """

    same: Pairs
    different: Pairs
    acquired: Acquisition
    searches: Searches
    sessions: int
    encoder: str

    @property
    def subjects(self) -> int:
        """Subjects with two original visits."""
        return len(find_subjects(self.same.probe))


def find_originals(table: Scores, attack: str) -> Originals:
    """Collect what a table says about originals; from the baseline where that attacker leaves originals as they are."""
    sessions = len(table.sessions)
    same, different = (table.originals(group, attack) for group in (Group.SAME, Group.DIFFERENT))
    ends = [(key, pairs.distance) for pairs in (same, different) for key in scan_keys(pairs, sessions)]
    for condition, by in table.evaluated():
        for group in _DEFACED if by == attack else ():
            pairs = table.select(group, attack, condition)
            ends.append((scan_keys(pairs, sessions)[1], pairs.distance))
    acquired = find_acquired(ends)
    mated, non_mated = (
        pairs.keep(_can_be_found(pairs, acquired, sessions)) for pairs in (same, different.joined(different.flipped()))
    )
    searches = search_gallery(mated, non_mated, sessions, any_reference_session=True)
    return Originals(same, different, acquired, searches, sessions, table.encoder)


def _can_be_found(pairs: Pairs, originals: Acquisition, sessions: int) -> NDArray[np.bool_]:
    """Whether the reference was acquired. An unnamed one cannot be looked up; its comparison then counts."""
    _, reference = scan_keys(pairs, sessions)
    return np.asarray(~np.isnan(pairs.distance) | (reference < 0) | originals.look_up(reference))


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One attacker's attempt on one defacer: comparisons with acquired references only.

    Attributes
    ----------
    condition, attack : str
    group : Group
        ``defaced_same``, or ``defaced_same_scan`` where there is none; ``defaced_defaced_same`` for a defaced gallery.
    mated, non_mated : Pairs
        Comparisons with the subject's own originals, and with others'.
    before : (n,) float64
        Distance of the same two visits before defacing, for each of ``mated``; NaN = none.
    filled : (n,) float64
        Distances of ``mated``, where there is none those of the aligned attacker.
    acquired : Acquisition
        Of defaced scans.
    searches : Searches
    lost : int
        Mated comparisons that were left out because the reference was not acquired.
    both_defaced : (Pairs, Pairs)
        Mated and non-mated comparisons of two defaced visits.
    """

    condition: str
    attack: str
    group: Group
    mated: Pairs
    non_mated: Pairs
    before: NDArray[np.float64]
    filled: NDArray[np.float64]
    acquired: Acquisition
    searches: Searches
    lost: int
    sessions: int
    encoder: str
    both_defaced: tuple[Pairs, Pairs]

    @property
    def subjects(self) -> int:
        """Subjects with a comparison with their own original."""
        return len(find_subjects(self.mated.probe))


def find_attempt(table: Scores, originals: Originals, condition: str, attack: str) -> Attempt:
    """Collect the comparisons of one condition under one attacker.

    Where the attacker has no comparison with an original, its gallery is defaced too: references are defaced visits.
    """
    sessions = originals.sessions
    groups = {group: table.select(group, attack, condition) for group in (*_DEFACED, *_BOTH_DEFACED)}
    both_defaced = groups[Group.DEFACED_DEFACED_SAME], groups[Group.DEFACED_DEFACED_DIFFERENT]
    with_originals = [group for group in _DEFACED if len(groups[group].distance)]
    if with_originals:
        within = Group.DEFACED_SAME_SCAN in with_originals and Group.DEFACED_SAME not in with_originals
        mated_group = Group.DEFACED_SAME_SCAN if within else Group.DEFACED_SAME
        all_mated, non_mated = groups[mated_group], groups[Group.DEFACED_DIFFERENT]
        acquired = find_acquired([(scan_keys(groups[g], sessions)[0], groups[g].distance) for g in _DEFACED])
        references = originals.acquired
    else:
        mated_group = Group.DEFACED_DEFACED_SAME
        all_mated, non_mated = both_defaced
        ends = [(key, pairs.distance) for pairs in (all_mated, non_mated) for key in scan_keys(pairs, sessions)]
        acquired = references = find_acquired(ends)
    mated, non_mated = (pairs.keep(_can_be_found(pairs, references, sessions)) for pairs in (all_mated, non_mated))
    filled = mated.distance
    for stand_in in table.attacks if with_originals and not find_attack(attack).stands_in else ():
        if find_attack(stand_in).stands_in:
            others = table.select(mated_group, stand_in, condition)
            filled = _fill(mated._replace(distance=filled), others, len(table.subjects), sessions)
    return Attempt(
        condition,
        attack,
        mated_group,
        mated,
        non_mated,
        before=_find_before(mated, originals.same, sessions),
        filled=filled,
        acquired=acquired,
        searches=search_gallery(mated, non_mated, sessions),
        lost=len(all_mated.distance) - len(mated.distance),
        sessions=sessions,
        encoder=table.encoder,
        both_defaced=both_defaced,
    )


def _look_up(wanted: NDArray[np.int64], keys: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of each wanted key, NaN where it is negative or not there."""
    if not len(keys):
        return np.full(len(wanted), np.nan)
    order = np.argsort(keys, kind="stable")
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(order) - 1)]
    return np.where((keys[place] == wanted) & (wanted >= 0), values[place], np.nan)


def _fill(pairs: Pairs, other: Pairs, subjects: int, sessions: int) -> NDArray[np.float64]:
    """Distances of ``pairs``; where there is none, that of the same two scans in ``other``; else NaN."""

    def key(p: Pairs) -> NDArray[np.int64]:
        probe, reference = scan_keys(p, sessions)
        return np.where((probe < 0) | (reference < 0), -1, probe * (subjects * sessions) + reference)

    stand_in = _look_up(key(pairs), key(other), other.distance)
    return np.where(np.isnan(pairs.distance), stand_in, pairs.distance)


def _find_before(mated: Pairs, same: Pairs, sessions: int) -> NDArray[np.float64]:
    """Distance between the originals of the same subject and two visits; NaN where it is one visit."""

    def key(p: Pairs) -> NDArray[np.int64]:
        a, b = np.minimum(p.probe_session, p.reference_session), np.maximum(p.probe_session, p.reference_session)
        person = p.probe.astype(np.int64)
        return np.where((person < 0) | (a == b), -1, (person * sessions + a) * sessions + b)

    return _look_up(key(mated), key(same), same.distance)
