"""The quality of many defaced scans, each beside its original."""

from collections.abc import Sequence
from concurrent.futures import Executor

from reid_audit.deface.frame import find_face_frame
from reid_audit.deface.quality import QUALITY_SURFACE, DefacingQuality, examine_defacing
from reid_audit.records import ORIGINAL, ReidAuditError, ScanRef, group_by
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume
from reid_audit.work import Progress, run_all


def examine_scans(
    scans: Sequence[ScanRef], *, executor: Executor, progress: Progress | None = None
) -> tuple[tuple[DefacingQuality, ...], tuple[str, ...]]:
    """Measure what every defaced scan of a manifest has left of its original's face.

    The landmarks are those of the average head laid on the original (`find_face_frame`).

    Parameters
    ----------
    scans : sequence of ScanRef
        As `deface_scans` returns them.
    executor : concurrent.futures.Executor
    progress : callable, optional

    Returns
    -------
    examined : tuple of DefacingQuality
        One per defaced scan that could be examined.
    notes : tuple of str
        One sentence for each that could not.
    """
    originals = {(scan.subject, scan.visit): scan for scan in scans if scan.condition == ORIGINAL}
    with_original = [s for s in scans if s.condition != ORIGINAL and (s.subject, s.visit) in originals]
    defaced = group_by(with_original, lambda scan: (scan.subject, scan.visit))
    calls = [(originals[key], defaced_scans) for key, defaced_scans in defaced.items()]
    results = run_all(executor, _examine, calls, progress=progress, stage="examining")
    order = list(dict.fromkeys(scan.condition for scan in scans))
    examined = sorted((q for qualities, _ in results for q in qualities), key=lambda q: order.index(q.condition))
    return tuple(examined), tuple(note for _, notes in results for note in notes)


def _examine(original: ScanRef, defaced_scans: Sequence[ScanRef]) -> tuple[list[DefacingQuality], list[str]]:
    qualities, notes = [], []
    try:
        volume = read_volume(original.path, modality=original.modality)
        skin = extract_skin(volume, settings=QUALITY_SURFACE)
        landmarks = find_face_frame(volume, skin=skin).landmarks_ras_mm()
    except ReidAuditError as error:
        return [], [f"{original.key}: {error}"]
    for scan in defaced_scans:
        try:
            defaced = read_volume(scan.path, modality=volume.modality)
            qualities.append(
                examine_defacing(
                    volume, defaced, landmarks, skin=skin,
                    condition=scan.condition, subject=scan.subject, session=scan.visit,
                )
            )  # fmt: skip
        except ReidAuditError as error:
            notes.append(f"{scan.key}: {error}")
    return qualities, notes
