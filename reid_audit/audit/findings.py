"""What is noticed on scans and does not show in distances, as checks for the verdict."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reid_audit.attack import PHOTOS, find_attack
from reid_audit.dataset import Cohort
from reid_audit.records import ORIGINAL, Check, Decision, FaceRecord, ScanRow, Status, group_by, listed
from reid_audit.volume import digest_image


def describe_scans(records: Iterable[FaceRecord]) -> tuple[ScanRow, ...]:
    """Return a row per scan and encoder for the report: names without folders."""
    return tuple(
        ScanRow(
            subject=record.scan.subject,
            session=record.scan.visit,
            condition=record.scan.condition,
            file=record.scan.label,
            status=record.face.status,
            reason=record.face.reason,
            confidence=record.face.confidence,
            skin_level=record.skin_level,
            findings=record.findings,
            seconds=sum(record.seconds.values()),
            encoder=record.face.encoder,
            image_sha256=_digest_released(record),
        )
        for record in records
    )


def _digest_released(record: FaceRecord) -> str:
    """Return the digest of an image that may be released: never of an original, which it would name."""
    if record.scan.condition == ORIGINAL or record.scan.is_canary or record.grid is None:
        return ""
    return digest_image(record.digest, record.grid)


def _count(keys: Sequence[str], total: int, what: str) -> str:
    """Name the first few scans: ``"2 of 60 scans could not be read: p01/1/original, p07/2/original"``."""
    return f"{len(keys)} of {total} scans {what}: {listed(keys)}."


_NOT_SEEN = (Status.UNREADABLE, Status.OTHER_GRID, Status.NO_SKIN, Status.RENDER_FAILED, Status.BACKEND_ERROR)


def _find_broken_attacks(records: Sequence[FaceRecord], condition: str) -> list[Check]:
    """List what broke under an attacker other than the naive one: the recogniser, or a picture that was not drawn.

    Such a scan counts in that attacker's FTA; it is not a scan in which nothing was found, so nothing may pass by it.
    """
    broken: dict[tuple[str, Status], list[str]] = {}
    total: dict[str, int] = {}
    for record in records:
        faces = [(attack, face) for attack, looks in record.looks.items() for face in looks]
        for attack in dict(faces):
            total[attack] = total.get(attack, 0) + 1
        for attack, status in dict.fromkeys((attack, face.status) for attack, face in faces):
            if status in _NOT_SEEN:
                broken.setdefault((attack, status), []).append(record.scan.key)
    checks = []
    for (attack, status), keys in broken.items():
        recogniser = status is Status.BACKEND_ERROR
        what = "made the recogniser fail" if recogniser else "could not be drawn as that attacker draws them"
        decision = Decision.INCOMPLETE if recogniser else Decision.REVIEW
        text = f"{attack}: {_count(keys, total[attack], what)}"
        checks.append(Check("broken_attack", decision, text, attack=attack, condition=condition))
    return checks


_HARMLESS = {
    "rescaled": "other intensities",
    "turned": "turned",
    "mirrored": "mirrored",
    "moved": "moved",
    "resized": "other voxel sizes in the header",
    "cropped": "cropped",
    "other_grid": "resampled",
    "veiled": "veiled",
}
"""Findings of `reid_audit.alteration` that protect nobody, and how they are said."""


def _check_alterations(records: Sequence[FaceRecord], condition: str) -> list[Check]:
    """Name scans whose face is unaltered, who does not fit the original, and unseen scans whose face is there."""
    unaltered: dict[str, list[FaceRecord]] = {}
    exchanged, there = [], []
    for record in records:
        codes = {finding.code for finding in record.findings}
        acquired = record.face.acquired or any(
            face.acquired for name, looks in record.looks.items() for face in looks if not find_attack(name).encoder
        )
        if "unaltered" in codes:
            how = ", ".join(text for code, text in _HARMLESS.items() if code in codes) or "only saved anew"
            unaltered.setdefault(how, []).append(record)
        elif "exchanged" in codes:
            exchanged.append(record)
        elif "face_region_there" in codes and not acquired:
            there.append(record)
    rows = [
        ("unaltered", Decision.FAIL, f"show an unaltered face ({how})", chosen) for how, chosen in unaltered.items()
    ]
    rows.append(("exchanged", Decision.REVIEW, "do not fit the original of their own subject and session", exchanged))
    rows.append(
        ("unseen_face", Decision.REVIEW, "gave no attacker a vector, and the shape of the face is there", there)
    )
    checks = []
    for name, decision, what, chosen in rows:
        if chosen:
            subjects = tuple(dict.fromkeys(record.scan.subject for record in chosen))
            text = _count([record.scan.key for record in chosen], len(records), what)
            checks.append(Check(name, decision, text, len(chosen), condition=condition, subjects=subjects))
    return checks


_BODIES = {"RTSTRUCT": "structure set", "RTDOSE": "dose"}


def _find_left_beside(records: Sequence[FaceRecord], untouched: Sequence[str]) -> list[FaceRecord]:
    """Return the structure sets and doses that were left as they were beside a scan that was defaced."""
    defaced = {(r.scan.subject, r.scan.session) for r in records if not _body_of(r) and r.scan.key not in untouched}
    return [
        record
        for record in records
        if _body_of(record) and record.scan.key in untouched and (record.scan.subject, record.scan.session) in defaced
    ]


def _tell_left_beside(left: Sequence[FaceRecord], condition: str) -> list[Check]:
    checks = []
    for kind, name in _BODIES.items():
        beside = [record for record in left if _body_of(record) == kind]
        if beside:
            subjects = tuple(dict.fromkeys(record.scan.subject for record in beside))
            text = (
                f"The {name} is that of the original, and shows the face that was taken out of the scan beside it: "
                f"{listed(record.scan.key for record in beside)}."
            )
            checks.append(
                Check("left_beside", Decision.FAIL, text, len(beside), condition=condition, subjects=subjects)
            )
    return checks


def _body_of(record: FaceRecord) -> str:
    """Return what DICOM calls a structure set or a dose; empty for scans."""
    return next((kind for kind in _BODIES if record.scan.image.startswith(kind)), "")


def _check_condition(
    condition: str, records: Sequence[FaceRecord], cohort: Cohort, digests: Mapping[str, str]
) -> list[Check]:
    """Return what is found on the originals, or on one defacer's scans."""
    concerns = "" if condition == ORIGINAL else condition
    total = len(records)
    checks = []
    untouched = []
    for record in records if concerns else ():
        original = cohort.partner_of(record.scan)
        if record.digest and original is not None and record.digest == digests[original.key]:
            untouched.append(record.scan.key)
    left = _find_left_beside(records, untouched)
    checks += _tell_left_beside(left, concerns)
    untouched = [key for key in untouched if key not in {record.scan.key for record in left}]
    if untouched:
        text = _count(untouched, total, "under a defacer's name equal their original, voxel by voxel")
        checks.append(Check("original_in_release", Decision.FAIL, text, condition=concerns))
    checks += _check_alterations(records, concerns)
    unseen = [record.scan.key for record in records if record.face.status in _NOT_SEEN]
    if unseen:
        text = _count(unseen, total, "were not seen")
        checks.append(Check("unseen_scans", Decision.INCOMPLETE, text, condition=concerns))
    checks += _find_broken_attacks(records, concerns)
    unfit = [record.scan.key for record in records if any(f.severity == "unfit" for f in record.findings)]
    if unfit:
        text = _count(unfit, total, "have findings that make them unfit")
        checks.append(Check("unfit_scans", Decision.REVIEW, text, condition=concerns))
    return checks


def _check_copies(records: Sequence[FaceRecord]) -> list[Check]:
    """Name scans that hold the voxels of another person or visit: at least one label is wrong."""
    owners = group_by((record for record in records if record.digest), lambda record: record.digest)
    twice = [r for part in owners.values() if len({(r.scan.subject, r.scan.visit) for r in part}) > 1 for r in part]
    if not twice:
        return []
    text = _count([record.scan.key for record in twice], len(records), "share their voxels with another label")
    subjects = tuple(dict.fromkeys(record.scan.subject for record in twice))
    return [Check("same_voxels", Decision.REVIEW, text, len(twice), subjects=subjects)]


def _check_encoder(cohort: Cohort, records: Sequence[FaceRecord]) -> list[Check]:
    digests = {record.scan.key: record.digest for record in records}
    checks = _check_copies(records)
    for condition in dict.fromkeys(record.scan.condition for record in records):
        checks += _check_condition(condition, [r for r in records if r.scan.condition == condition], cohort, digests)
    return checks


def check_scans(cohort: Cohort, records: Sequence[FaceRecord]) -> list[Check]:
    """Return what is found on scans and does not show in distances.

    A scan that could not be taken as far as the detector is not a scan without a face: INCOMPLETE. An original among
    the defaced scans is a FAIL. A scan with a finding that makes it unfit is for a human: REVIEW.

    What is found on a defacer's scans concerns that defacer (`Check.condition`); originals stand behind every number,
    so that what is found on them concerns all. What holds for every encoder is said once.
    """
    by_encoder = group_by(records, lambda record: record.face.encoder)
    checks = {encoder: _check_encoder(cohort, part) for encoder, part in by_encoder.items()}
    alike = [check for check in next(iter(checks.values()), []) if all(check in part for part in checks.values())]
    if len(checks) < 2:
        return alike
    alike = [check for check in alike if not check.attack]
    return alike + [
        replace(check, encoder=encoder) for encoder, part in checks.items() for check in part if check not in alike
    ]


def check_copies(cohort: Cohort) -> list[Check]:
    """Ask a human about what else of the release can show a face and was not judged."""
    if not cohort.copies:
        return []
    text = (
        f"The release holds further files that can show a face and were not judged: {'; '.join(cohort.copies)}. Look "
        "at them (`reid-audit screen`), take them out, or list them with --allow."
    )
    return [Check("copies", Decision.REVIEW, text, len(cohort.copies))]


def check_photographs(cohort: Cohort, photographs: Sequence[FaceRecord]) -> list[Check]:
    """Return what a gallery of photographs lacks: subjects whose face it does not show, and pictures that broke."""
    name, total, checks = PHOTOS.name, len(cohort.subjects), []
    encoders = dict.fromkeys(photo.face.encoder for photo in photographs)
    for encoder in encoders:
        photos = [photo for photo in photographs if photo.face.encoder == encoder]
        shown = {photo.scan.subject for photo in photos if photo.face.acquired}
        whose = encoder if len(encoders) > 1 else ""
        if lacking := sum(subject not in shown for subject in cohort.subjects):
            text = (
                f"{name}: {lacking} of {total} people have no photograph with a face and were not looked for in the "
                "gallery."
            )
            checks.append(Check("photos_coverage", Decision.REVIEW, text, lacking, lacking, 0, name, encoder=whose))
        if broken := sum(photo.face.status is Status.BACKEND_ERROR for photo in photos):
            text = f"{name}: {broken} of {len(photos)} photographs made the recogniser fail."
            checks.append(Check("broken_attack", Decision.INCOMPLETE, text, attack=name, encoder=whose))
    return checks
