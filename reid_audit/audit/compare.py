"""Faces become distances, attacker by attacker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy import Crossing, assess_crossings
from reid_audit.attack import (
    CROSSED,
    DEFACED_GALLERY,
    MULTIVIEW_MEAN,
    MULTIVIEW_MIN,
    average_views,
    choose_crossings,
    faces_of_attack,
    keep_nearest,
    list_views,
    see_from,
)
from reid_audit.match import compare, cosine_distances, merge_scores
from reid_audit.records import ORIGINAL, CrossedEvidence, FaceRecord, Group, ScoreTable, natural_key

_ORIGINALS = (Group.SAME.value, Group.DIFFERENT.value)
_BOTH_DEFACED = (Group.DEFACED_DEFACED_SAME.value, Group.DEFACED_DEFACED_DIFFERENT.value)


def compare_attacks(records: Sequence[FaceRecord], attacks: Sequence[str]) -> ScoreTable:
    """Compare under each attacker.

    Parameters
    ----------
    records : sequence of FaceRecord
        One per scan, with what the attackers got.
    attacks : sequence of str
        See `reid_audit.attack.ATTACKS`.

    Returns
    -------
    ScoreTable
        Originals are the same under all but the multi-view attackers, and their comparisons stand once, under naive.
        A multi-view attacker sees originals as it sees defaced scans: those comparisons are its own. The
        defaced_gallery has rows only where people have two defaced visits.
    """
    naive = compare(records)
    tables = [naive]
    for attack in attacks:
        if attack == "multiview":
            tables += _compare_views(records)
        elif attack == DEFACED_GALLERY:
            both = naive.frame[naive.frame["group"].isin(_BOTH_DEFACED)]
            tables.append(
                ScoreTable(both.assign(attack=both["attack"].cat.rename_categories({"naive": DEFACED_GALLERY})))
            )
        elif attack != "naive":
            table = compare(faces_of_attack(records, attack), attack=attack)
            tables.append(ScoreTable(table.frame[~table.frame["group"].isin(_ORIGINALS)]))
    return merge_scores(tables)


def _compare_views(records: Sequence[FaceRecord]) -> list[ScoreTable]:
    views = max((len(list_views(record)) for record in records), default=1)
    nearest = keep_nearest([compare(see_from(records, view), attack=MULTIVIEW_MIN) for view in range(views)])
    return [nearest, compare(average_views(records), attack=MULTIVIEW_MEAN)]


class _Gallery(NamedTuple):
    """Acquired originals."""

    subject: NDArray[np.intp]
    session: NDArray[np.object_]
    vectors: NDArray[np.float64]


def _search(
    gallery: _Gallery, probe: NDArray[np.float32], owners: tuple[int, int], where: NDArray[np.bool_]
) -> Crossing | None:
    """Look a crossed portrait up among the originals at ``where``; None where an owner is not among them."""
    subject = gallery.subject[where]
    if not np.isin(owners, subject).all():
        return None
    return Crossing(*owners, subject, cosine_distances(probe[None], gallery.vectors[where])[0])


def measure_crossings(records: Sequence[FaceRecord], *, confidence: float = 0.95) -> tuple[CrossedEvidence, ...]:
    """Look every crossed portrait up among the originals: the control of the aligned attacker.

    Parameters
    ----------
    records : sequence of FaceRecord
        Of a run with the aligned attacker.
    confidence : float

    Returns
    -------
    tuple of CrossedEvidence
        One per defacer with a crossed portrait; originals of other visits are searched, and those of the same visit
        only where no pixels' owner has another one.
    """
    originals = [r for r in records if r.scan.condition == ORIGINAL]
    defaced = [r for r in records if CROSSED in r.attacks]
    seen = [r for r in originals if r.face.vector is not None]
    if not seen:
        return ()
    people = sorted({r.scan.subject for r in records}, key=natural_key)
    code = {name: k for k, name in enumerate(people)}
    gallery = _Gallery(
        np.array([code[r.scan.subject] for r in seen], dtype=np.intp),
        np.array([r.scan.session for r in seen], dtype=object),
        np.stack([np.asarray(r.face.vector, dtype=np.float64) for r in seen]),
    )
    owners = choose_crossings([r.scan for r in defaced], originals)
    found = []
    for condition in sorted({r.scan.condition for r in defaced}, key=natural_key):
        across: list[Crossing] = []
        within: list[Crossing] = []
        for record in (r for r in defaced if r.scan.condition == condition):
            vector, owner = record.attacks[CROSSED].vector, owners.get(record.scan.key)
            if vector is None or owner is None:
                continue
            both = code[record.scan.subject], code[owner.scan.subject]
            for session in sorted(set(gallery.session), key=natural_key):
                crossing = _search(gallery, vector, both, gallery.session == session)
                if crossing is not None:
                    (within if session == record.scan.session else across).append(crossing)
        group = Group.DEFACED_SAME if across else Group.DEFACED_SAME_SCAN
        found.append(
            assess_crossings(
                condition, across or within, group=group, encoder=seen[0].face.encoder, confidence=confidence
            )
        )
    return tuple(found)
