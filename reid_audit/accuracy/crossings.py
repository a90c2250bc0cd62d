"""The crossed control of the aligned attacker: whom does one person's place on another's portrait find?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.rivals import Crossing, assess_crossings
from reid_audit.attack import Crossed, choose_crossings
from reid_audit.face import cosine_distances
from reid_audit.records import ORIGINAL, CrossedEvidence, FaceRecord, Group, natural_key


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
        Of a run with the aligned attacker, by one encoder or several.
    confidence : float

    Returns
    -------
    tuple of CrossedEvidence
        One per encoder and defacer with a crossed portrait; originals of other visits are searched, and those of the
        same visit only where no pixels' owner has another one.
    """
    encoders = dict.fromkeys(record.face.encoder for record in records)
    return tuple(
        evidence
        for encoder in encoders
        for evidence in _measure(encoder, [r for r in records if r.face.encoder == encoder], confidence)
    )


def _measure(encoder: str, records: Sequence[FaceRecord], confidence: float) -> list[CrossedEvidence]:
    originals = [r for r in records if r.scan.condition == ORIGINAL]
    defaced = [r for r in records if Crossed.name in r.looks]
    seen = [r for r in originals if r.face.vector is not None]
    if not seen:
        return []
    code = {name: k for k, name in enumerate(sorted({r.scan.subject for r in records}, key=natural_key))}
    gallery = _Gallery(
        np.array([code[r.scan.subject] for r in seen], dtype=np.intp),
        np.array([r.scan.visit for r in seen], dtype=object),
        np.stack([np.asarray(r.face.vector, dtype=np.float64) for r in seen]),
    )
    owners = choose_crossings([r.scan for r in defaced], originals)
    evidence = []
    for condition in sorted({r.scan.condition for r in defaced}, key=natural_key):
        across: list[Crossing] = []
        within: list[Crossing] = []
        for record in (r for r in defaced if r.scan.condition == condition):
            vector, owner = record.looks[Crossed.name][0].vector, owners.get(record.scan.key)
            if vector is None or owner is None:
                continue
            both = code[record.scan.subject], code[owner.scan.subject]
            for session in sorted(set(gallery.session), key=natural_key):
                crossing = _search(gallery, vector, both, gallery.session == session)
                if crossing is not None:
                    (within if session == record.scan.visit else across).append(crossing)
        group = Group.DEFACED_SAME if across else Group.DEFACED_SAME_SCAN
        evidence.append(
            assess_crossings(condition, across or within, group=group, encoder=encoder, confidence=confidence)
        )
    return evidence
