"""The encoder looks where the face was in the original, whether or not the detector finds one in the defaced scan.

Same grid, same camera: an upper bound on careful cropping by hand. The place carries a little of the original's
geometry, which the crossed control measures.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from reid_audit.attack.base import Attack, Hints, Target
from reid_audit.attack.places import placed_originals
from reid_audit.records import Face, FaceRecord, ScanRef, natural_key


class Aligned(Attack):
    """Lays box and landmarks of the person's own original on the defaced portrait."""

    name = "aligned"
    selected_by_default = stands_in = True
    without_hint = "registered"
    control = "crossed"

    def describe(self) -> str:  # noqa: D102
        return "the recogniser looks where the face was in the original"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        return () if target.original is None else _look_at(target, target.original.face)


class Crossed(Attack):
    """Lays the landmarks of one person on the portrait of another: the control of the aligned attacker.

    It must find the owner of the pixels; where it finds the owner of the landmarks, `Aligned` reads its own hint.
    """

    name = "crossed"

    def describe(self) -> str:  # noqa: D102
        return "control of aligned: the recogniser looks where another person's face was"

    def prepare(self, originals: Sequence[FaceRecord], scans: Sequence[ScanRef]) -> Mapping[str, Hints]:  # noqa: D102
        return {key: Hints(owner.face) for key, owner in choose_crossings(scans, originals).items()}

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        # Crossed where aligned looks, and nowhere else.
        return () if target.original is None or hints.place is None else _look_at(target, hints.place)


def _look_at(target: Target, place: Face) -> tuple[Face, ...]:
    portrait = target.context.draw(target.skin, target.view)  # the naive attacker saw it
    return (target.encoder.encode_at(portrait, place),)


def choose_crossings(scans: Iterable[ScanRef], originals: Iterable[FaceRecord]) -> Mapping[str, FaceRecord]:
    """Choose for each scan whose landmarks are laid on its portrait: the next person's.

    Parameters
    ----------
    scans : iterable of ScanRef
        What is to be crossed.
    originals : iterable of FaceRecord

    Returns
    -------
    mapping of str to FaceRecord
        By the key of the scan: the next subject's original in natural order, round the end; of the same session and
        image where there is one, else of the first. Scans of the only person who was acquired are left out.
    """
    owners: dict[str, dict[str, FaceRecord]] = {}
    for record in sorted(placed_originals(originals), key=lambda r: natural_key(r.scan.visit)):
        owners.setdefault(record.scan.subject, {})[record.scan.visit] = record
    order = sorted(owners, key=natural_key)
    keys = [natural_key(name) for name in order]
    crossings = {}
    for scan in scans:
        after = bisect_right(keys, natural_key(scan.subject))
        others = [name for name in (*order[after : after + 1], *order[:2]) if name != scan.subject]
        if others:
            visits = owners[others[0]]
            crossings[scan.key] = visits.get(scan.visit) or next(iter(visits.values()))
    return crossings
