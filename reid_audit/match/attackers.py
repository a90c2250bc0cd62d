"""Faces become distances, attacker by attacker."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from reid_audit.attack import BASELINE, PHOTOS, Attack, Gallery, Side, search_photographs
from reid_audit.match.pairs import compare_faces, judged_row_bytes, merge_scores
from reid_audit.records import ORIGINAL, Face, FaceRecord, Group, ScanRef, ScoreTable, Status, group_by, natural_key
from reid_audit.work import Progress

_ORIGINALS = (Group.SAME.value, Group.DIFFERENT.value)
_BOTH_DEFACED = (Group.DEFACED_DEFACED_SAME.value, Group.DEFACED_DEFACED_DIFFERENT.value)
_PROBE = "original, looked up in photographs"
_SESSION = "photographs"


def compare_attacks(
    records: Sequence[FaceRecord],
    attacks: Iterable[Attack],
    photographs: Sequence[FaceRecord] = (),
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Compare under each attacker.

    Parameters
    ----------
    records : sequence of FaceRecord
        One per scan and encoder, with what the attackers got.
    attacks : iterable of Attack
        The baseline always stands first.
    photographs : sequence of FaceRecord
        From `reid_audit.audit.acquire.acquire_photographs`; without any nobody looks scans up in them.
    executor : concurrent.futures.Executor, optional
        Where costly comparisons are made; in this process by default.
    progress : callable, optional
        Told of them.

    Returns
    -------
    ScoreTable
        Comparisons of originals stand once, under the baseline, for all attackers that leave originals as they are; an
        attacker that sees originals in its own way has its own. A defaced gallery has rows only where people have two
        defaced visits.

    Raises
    ------
    InputError
        As `compare_faces`; and where the tables of all attackers would not fit into memory until they are judged.
    """
    attacks = tuple(attacks)
    baseline = compare_faces(records, row_bytes=judged_row_bytes(attacks))
    tables = [baseline]
    for attack in attacks:
        if attack.joins:
            continue
        if attack.gallery is Gallery.DEFACED:
            both = baseline.frame[baseline.frame["group"].isin(_BOTH_DEFACED)]
            renamed = both["attack"].cat.rename_categories({BASELINE.name: attack.name})
            tables.append(ScoreTable(both.assign(attack=renamed)))
        elif not attack.baseline:
            seen = _looked_once(records, attack) if attack.encoder else records
            table = compare_faces(seen, attack=attack, executor=executor, progress=progress)
            if attack.sees is Side.RELEASE:
                table = ScoreTable(table.frame[~table.frame["group"].isin(_ORIGINALS)])
            tables.append(table)
    if photographs:
        tables += [compare_photographs(records, photographs, by) for by in search_photographs(attacks)]
    return join_attacks(merge_scores(tables), attacks, records)


def join_attacks(scores: ScoreTable, attacks: Iterable[Attack], records: Sequence[FaceRecord] = ()) -> ScoreTable:
    """Add the comparisons of the attackers that join what others made, one after the other.

    Parameters
    ----------
    scores : ScoreTable
        Made here or elsewhere.
    attacks : iterable of Attack
        Those that join nothing are passed over.
    records : sequence of FaceRecord, optional
        What the distances were made from, where that is known.
    """
    for attack in attacks:
        joined = attack.join(scores, records) if attack.joins else None
        scores = scores if joined is None else merge_scores([scores, joined])
    return scores


def _looked_once(records: Sequence[FaceRecord], attack: Attack) -> list[FaceRecord]:
    """Return a record per scan with what an attacker without an encoder of the run made of it."""
    once: dict[str, FaceRecord] = {}
    for record in records:
        faces = record.looks.get(attack.name, ())
        if faces or record.scan.key not in once:
            nothing = Face(Status.NO_SKIN, attack.encoder, reason=record.face.reason)
            once[record.scan.key] = replace(record, face=nothing, looks={attack.name: faces})
    return list(once.values())


def compare_photographs(
    records: Sequence[FaceRecord], photographs: Sequence[FaceRecord], attack: Attack = PHOTOS
) -> ScoreTable:
    """Compare every scan, original and defaced, with the photographs.

    Parameters
    ----------
    records, photographs : sequence of FaceRecord
    attack : Attack
        One of `reid_audit.attack.search_photographs`.

    Returns
    -------
    ScoreTable
        ``same`` and ``different`` are originals against photographs: a control and thresholds of the attack's own.
    """
    probes = [
        replace(record, scan=replace(record.scan, condition=_PROBE)) if record.scan.condition == ORIGINAL else record
        for record in records
    ]
    frame = compare_faces([*probes, *_references(photographs)], attack=attack).frame
    frame = frame[frame["group"].isin([Group.DEFACED_SAME.value, Group.DEFACED_DIFFERENT.value])]
    of_original = frame["condition"] == _PROBE
    mated = frame["group"] == Group.DEFACED_SAME.value
    group = frame["group"].astype(object)
    group[of_original & mated], group[of_original & ~mated] = _ORIGINALS
    condition = frame["condition"].astype(object).where(~of_original, ORIGINAL)
    frame = frame.assign(group=group.astype(frame["group"].dtype), condition=condition.astype("category"))
    return ScoreTable(frame)


def _references(photographs: Sequence[FaceRecord]) -> list[FaceRecord]:
    """One reference per subject and encoder, which holds the faces of all photographs; acquired ones first."""
    owners = group_by(photographs, lambda photo: (photo.face.encoder, photo.scan.subject))
    references = []
    for (_, subject), photos in sorted(owners.items(), key=lambda item: natural_key(item[0][1])):
        faces = tuple(photo.face for photo in sorted(photos, key=lambda photo: not photo.face.acquired))
        scan = ScanRef(subject, _SESSION, ORIGINAL, Path())
        references.append(FaceRecord(scan, faces[0], looks={PHOTOS.name: faces}))
    return references
