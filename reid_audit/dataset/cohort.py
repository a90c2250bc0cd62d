"""A cohort: its subjects, sessions and defacers, which pairs they allow and which are missing."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from reid_audit.records import ORIGINAL, Group, InputError, PairCount, ScanRef, listed, natural_key

if TYPE_CHECKING:
    import pandas as pd


def _plain(label: str) -> str:
    """Spell a label as it is compared: no capitals, no invisible characters, no zeros before a number."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    visible = "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Cc"))
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", " ".join(visible.split()))


def check_unlike(source: str, what: str, labels: Iterable[str]) -> None:
    """Refuse labels that read alike: one person under two names makes a non-mated comparison of a mated one.

    Raises
    ------
    InputError
        Two differ only in capitals, in space, in characters that print nothing, or in zeros before a number.
    """
    spelled: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        other = spelled.setdefault(_plain(label), label)
        if other != label:
            raise InputError(f"{source}: {what} {other!r} and {label!r} read alike; spell them alike, or rename one")


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """The scans of a study and what is known about its people.

    Attributes
    ----------
    scans : tuple of ScanRef
        In the order of the manifest; each subject, session, image and condition at most once.
    strata : pandas.DataFrame
        Index ``subject``, one column of text per stratum (``""`` = unknown), one row per subject. No columns where the
        manifest has none.
    source : str
        Name of the manifest without folders.
    copies : tuple of str
        What else of the released trees can show a face and is not judged, a line for each kind.
    """

    scans: tuple[ScanRef, ...]
    strata: pd.DataFrame
    source: str = ""
    copies: tuple[str, ...] = ()
    _by_key: dict[tuple[str, str, str, str], ScanRef] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a scan that is there twice."""
        by_key = {(scan.subject, scan.session, scan.image, scan.condition): scan for scan in self.scans}
        if len(by_key) < len(self.scans):
            raise InputError(
                f"{self.source or 'cohort'}: a subject, session and condition occurs twice; tell images of one session "
                "apart by the column image"
            )
        object.__setattr__(self, "_by_key", by_key)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everybody, in natural order."""
        return tuple(sorted({scan.subject for scan in self.scans}, key=natural_key))

    @property
    def sessions(self) -> tuple[str, ...]:
        """Every session label, in natural order."""
        return tuple(sorted({scan.session for scan in self.scans}, key=natural_key))

    @property
    def images(self) -> tuple[str, ...]:
        """Every name of an image, in natural order; ``("",)`` where sessions have one each."""
        return tuple(sorted({scan.image for scan in self.scans}, key=natural_key))

    @property
    def conditions(self) -> tuple[str, ...]:
        """``"original"`` (if there is one), then the defacers in natural order."""
        names = {scan.condition for scan in self.scans}
        return tuple(sorted(names, key=lambda c: (c != ORIGINAL, natural_key(c))))

    @property
    def originals(self) -> tuple[ScanRef, ...]:
        """The scans that no defacer touched."""
        return tuple(scan for scan in self.scans if scan.condition == ORIGINAL)

    def defaced(self, condition: str) -> tuple[ScanRef, ...]:
        """Give the scans of one defacer.

        Raises
        ------
        InputError
            Where the cohort has no such defacer.
        """
        if condition == ORIGINAL or condition not in self.conditions:
            known = listed(c for c in self.conditions if c != ORIGINAL) or "none"
            raise InputError(f"condition must be one of the cohort's defacers ({known}); got {condition!r}")
        return tuple(scan for scan in self.scans if scan.condition == condition)

    def partner_of(self, scan: ScanRef) -> ScanRef | None:
        """Give the original of the same subject, session and image; None where there is none.

        An original is its own.
        """
        return self._by_key.get((scan.subject, scan.session, scan.image, ORIGINAL))

    def find_absent_files(self) -> tuple[ScanRef, ...]:
        """Look which scans have no file or folder on disk now. They will be counted as unreadable, not dropped."""
        return tuple(scan for scan in self.scans if not os.path.exists(scan.path))

    def pair_accounting(self) -> tuple[PairCount, ...]:
        """Count the pairs of every group, possible and missing, by the table at the top of this module."""
        return _account(self)


# --- which pairs, and why not ---

_Blocks = list[tuple[set[str], set[str]]]
"""Probe subjects and reference subjects of each two sessions that a group joins."""

_WITHIN_PERSON = (Group.SAME, Group.DEFACED_SAME, Group.DEFACED_SAME_SCAN, Group.DEFACED_DEFACED_SAME)
_NO_BLOCK = {
    Group.SAME: "originals in one session only: needs a second visit",
    Group.DIFFERENT: "no original",
    Group.DEFACED_SAME: "no original in another session: needs a second visit",
    Group.DEFACED_DIFFERENT: "no original to compare with",
    Group.DEFACED_SAME_SCAN: "no session holds both the original and the defaced scan",
    Group.DEFACED_DEFACED_SAME: "defaced scans in one session only: needs a second visit",
    Group.DEFACED_DEFACED_DIFFERENT: "defaced scans in one session only: needs a second visit",
}


_IMAGES_INSTEAD = (
    "nobody has a second visit: two images of one session are used instead, which are alike in more than face"
)


def _count(group: Group, blocks: _Blocks) -> int:
    own = sum(len(probe & reference) for probe, reference in blocks)
    if group in _WITHIN_PERSON:
        return own
    both = sum(len(probe) * len(reference) for probe, reference in blocks) - own
    return both // 2 if group is Group.DIFFERENT else both


def _account(cohort: Cohort) -> tuple[PairCount, ...]:
    everybody = set(cohort.subjects)
    scanned: dict[str, dict[str, set[str]]] = {condition: {} for condition in (ORIGINAL, *cohort.conditions)}
    for session in cohort.sessions:
        for condition in scanned:
            have = {scan.subject for scan in cohort.scans if (scan.session, scan.condition) == (session, condition)}
            if have:
                scanned[condition][session] = have
    visits = scanned[ORIGINAL]
    images = Counter((scan.subject, scan.session) for scan in cohort.originals)
    several = {session: {who for who in have if images[who, session] > 1} for session, have in visits.items()}

    def tally(group: Group, condition: str, blocks: _Blocks, *, uses: Sequence[str], note: str = "") -> PairCount:
        possible, whole = _count(group, blocks), _count(group, [(everybody, everybody)] * len(blocks))
        reasons = [note] if note else []
        if not blocks:
            reasons.append(_NO_BLOCK[group])
        elif whole == 0:
            reasons.append("one subject only: needs two people")
        if possible < whole:
            for used in dict.fromkeys(uses):
                rows = list(scanned[used].items())
                for session, have in rows[:1] if group is Group.DIFFERENT else rows:
                    lacking = sorted(everybody - have, key=natural_key)
                    reasons += [f"no {used} in session {session}: {listed(lacking)}"] if lacking else []
        return PairCount(group, condition, possible, whole - possible, tuple(reasons))

    def or_images(blocks: _Blocks, condition: str) -> tuple[_Blocks, str]:
        """Take two images of one session where nobody has two sessions."""
        own = scanned[condition]
        instead = [(own[at] & several[at], several[at]) for at in own if several.get(at)]
        return (blocks, "") if _count(Group.SAME, blocks) or not instead else (instead, _IMAGES_INSTEAD)

    mated, note = or_images(list(combinations(visits.values(), 2)), ORIGINAL)
    counts = [
        tally(Group.SAME, ORIGINAL, mated, uses=[ORIGINAL], note=note),
        tally(Group.DIFFERENT, ORIGINAL, [(first, first) for first in list(visits.values())[:1]], uses=[ORIGINAL]),
    ]
    for condition in (c for c in scanned if c != ORIGINAL):
        scans_by_session, uses = scanned[condition], [condition, ORIGINAL]
        across = [
            (probe, reference) for a, probe in scans_by_session.items() for b, reference in visits.items() if a != b
        ]
        across, across_images = or_images(across, condition)
        within = [(probe, visits[a]) for a, probe in scans_by_session.items() if a in visits]
        twice, twice_images = or_images(list(combinations(scans_by_session.values(), 2)), condition)
        linked = _count(Group.DEFACED_SAME, across) > 0
        note = across_images if linked or not within else "nobody has a second visit: the same session is used instead"
        counts += [
            tally(Group.DEFACED_SAME, condition, across, uses=uses, note=across_images),
            tally(Group.DEFACED_DIFFERENT, condition, across if linked else within, uses=uses, note=note),
            tally(Group.DEFACED_SAME_SCAN, condition, within, uses=uses),
            tally(Group.DEFACED_DEFACED_SAME, condition, twice, uses=[condition], note=twice_images),
            tally(Group.DEFACED_DEFACED_DIFFERENT, condition, twice, uses=[condition], note=twice_images),
        ]
    return tuple(counts)


def take_subjects(cohort: Cohort, count: int | None) -> Cohort:
    """Return the part of a cohort with its first people, in natural order; None = everybody.

    Raises
    ------
    InputError
        Where ``count`` is smaller than 1.
    """
    if count is not None and count < 1:
        raise InputError(f"--limit must be at least 1. Got {count} instead.")
    if count is None or count >= len(cohort.subjects):
        return cohort
    people = set(cohort.subjects[:count])
    scans = tuple(scan for scan in cohort.scans if scan.subject in people)
    return Cohort(
        scans, cohort.strata.loc[[who in people for who in cohort.strata.index]], cohort.source, cohort.copies
    )
