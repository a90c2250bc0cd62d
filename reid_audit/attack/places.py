"""Where faces are in the portraits of originals: for attackers that do not ask a detector."""

from collections.abc import Iterable

from reid_audit.records import ORIGINAL, FaceRecord


def placed_originals(records: Iterable[FaceRecord]) -> list[FaceRecord]:
    """Return the originals whose face has a place, all with the landmarks that most of them have."""
    placed = [r for r in records if r.scan.condition == ORIGINAL and r.face.acquired and r.face.box_px is not None]
    layouts = [r.face.layout for r in placed]
    if not layouts:
        return []
    layout = max(sorted(set(layouts)), key=layouts.count)
    return [r for r in placed if r.face.layout == layout]
