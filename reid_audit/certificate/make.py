"""Make a certificate: which images of a release are those that the audit judged, and what follows for the verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from reid_audit.certificate.records import Certificate, CertifiedFile, FileKind, ReleasedCondition, UnmetRule
from reid_audit.certificate.tree import digest_tree, hash_tree, list_tree
from reid_audit.records import AuditResult, Check, Decision, InputError, Modality, ScanRow, group_by, worst
from reid_audit.screen import ScreenImage, list_images
from reid_audit.volume import READERS, digest_image, digest_voxels, read_volume
from reid_audit.volume.stored import ending
from reid_audit.work import Progress, SerialExecutor, files_of, run_all

_TEXT_ENDINGS = (".json", ".tsv", ".csv", ".txt", ".md", ".rst", ".bval", ".bvec", ".cff", ".yml", ".yaml", ".toml")
_TEXT_NAMES = ("README", "CHANGES", "LICENSE", "LICENCE", "CITATION", ".bidsignore", ".gitignore", ".gitattributes")
_NOT_JUDGED = {
    FileKind.UNJUDGED_IMAGE: ("images_not_judged", Decision.INCOMPLETE),
    FileKind.MAY_SHOW: ("files_not_judged", Decision.REVIEW),
}


def make_certificate(
    result: AuditResult,
    release: Path,
    *,
    result_sha256: str,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Certificate:
    """Say which files of a release a result is about, and what its verdict is on that release.

    Parameters
    ----------
    result : AuditResult
    release : Path
        The folder as it will be released.
    result_sha256 : str
        Of the file that the result was read from.
    executor : concurrent.futures.Executor, optional
        Where the images are read, one task each.
    progress : callable, optional

    Raises
    ------
    InputError
        Where the result knows no image by its digest, none of its images is in the release, or a file cannot be read.
    """
    judged = _list_judged(result)
    paths = list_tree(release)
    images = list_images(release, progress=progress).images
    tasks = [(image, frozenset(judged)) for image in images]
    known = run_all(executor or SerialExecutor(), _recognise, tasks, lost=_lose, progress=progress, stage="images read")
    hashed = hash_tree(release, paths, progress=progress)  # after the reading: what is hashed is what was recognised
    conditions_of: dict[Path, tuple[str, ...]] = {}
    released: dict[str, int] = {}
    for image, digest in zip(images, known, strict=True):
        conditions = tuple(dict.fromkeys(row.condition for row in judged.get(digest, ())))
        for condition in conditions:
            released[condition] = released.get(condition, 0) + 1
        conditions_of |= dict.fromkeys(image.files or files_of(image.path) or (image.path,), conditions)
    if not released:
        raise InputError(
            f"--release {release.name}: none of its {len(images)} images is one that {result.cohort} judged; give the "
            "folder that holds the defaced scans, or score it first"
        )
    files = []
    for path in paths:
        name = path.relative_to(release).as_posix()
        conditions = conditions_of.get(path, ())
        kind = FileKind.JUDGED if conditions else _kind_of(path, is_image=path in conditions_of)
        files.append(CertifiedFile(name, *hashed[name], kind, ", ".join(conditions)))
    return _decide(result, release, judged, released, files, result_sha256)


def _list_judged(result: AuditResult) -> dict[str, list[ScanRow]]:
    """Return the scans by the digest of their image, each scan once."""
    if not result.scans:
        raise InputError(
            f"{result.cohort}: is a table of distances; a certificate needs a result of `reid-audit score`"
        )
    known = [row for row in result.scans if row.image_sha256 and row.encoder == result.scans[0].encoder]
    judged = group_by(known, lambda row: row.image_sha256)
    if not judged:
        raise InputError(
            f"{result.cohort}: the result knows no image by its digest, because an older version made it or no defaced "
            "scan could be read; score again"
        )
    return judged


def _recognise(image: ScreenImage, judged: frozenset[str]) -> str:
    """Return the digest of an image that was judged; empty where it was not, or cannot be read.

    A manifest may have told the reader which modality an image has, and a CT is read otherwise than an MR.
    """
    for modality in (None, *Modality):
        try:
            volume = read_volume(image.path, modality=modality, series=image.series)
        except InputError:
            continue
        digest = digest_image(digest_voxels(volume), volume.grid)
        if digest in judged:
            return digest
    return ""


def _lose(image: ScreenImage, judged: frozenset[str]) -> str:
    """Give an image whose process was ended each time: it is not known, so not judged."""
    return ""


def _kind_of(path: Path, *, is_image: bool) -> FileKind:
    """Say what a file is that belongs to no judged image. Who cannot be sure that it is text says that it may show."""
    if is_image or ending(path) in READERS:
        return FileKind.UNJUDGED_IMAGE
    text = path.suffix.lower() in _TEXT_ENDINGS or path.name in _TEXT_NAMES
    return FileKind.TEXT if text else FileKind.MAY_SHOW


def _decide(
    result: AuditResult,
    release: Path,
    judged: Mapping[str, Sequence[ScanRow]],
    released: Mapping[str, int],
    files: Sequence[CertifiedFile],
    result_sha256: str,
) -> Certificate:
    verdict = result.verdict
    conditions = [
        ReleasedCondition(
            each.condition,
            sum(row.condition == each.condition for rows in judged.values() for row in rows),
            released.get(each.condition, 0),
            each.decision,
        )
        for each in verdict.conditions
    ]
    checks = [check for check in verdict.checks if check.condition in ("", *released)]
    checks += [check for each in verdict.conditions if each.condition in released for check in each.checks]
    rules = list(dict.fromkeys(_unname(check) for check in checks if check.decision is not Decision.PASS))
    for kind, (name, decision) in _NOT_JUDGED.items():
        if any(file.kind is kind for file in files):
            rules.append(UnmetRule(name, decision))
    decided = [each.decision for each in conditions if each.released]
    decision = worst([*decided, *(rule.decision for rule in rules)])
    return Certificate(
        release=release.resolve().name,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=version("reid-audit"),
        cohort=result.cohort,
        judged_utc=result.created_utc,
        judged_version=result.tool_version,
        result_sha256=result_sha256,
        decision=decision,
        reason=_explain(decision, rules, files),
        conditions=tuple(conditions),
        rules=tuple(rules),
        policy=verdict.policy,
        attackers=tuple(dict.fromkeys(attack.attack for attack in result.evidence.attacks)),
        encoders=tuple(result.weights) or result.encoders,
        canaries=result.evidence.canaries,
        settings=result.settings,
        software=result.software,
        weights=result.weights,
        files=tuple(files),
        tree_sha256=digest_tree((file.path, file.sha256) for file in files),
        review=_tell_review(result),
    )


def _unname(check: Check) -> UnmetRule:
    return UnmetRule(check.name, check.decision, check.condition, check.attack, check.encoder)


def _tell_review(result: AuditResult) -> dict[str, str]:
    """Say who looked at scans and what they saw, without the scans and without their notes."""
    if result.review is None:
        return {}
    counts = Counter(reading.answer.value for reading in result.review.readings)
    told = {"readers": ", ".join(result.review.readers), "version": result.review.tool_version}
    return told | {answer: str(count) for answer, count in counts.items()}


def _explain(decision: Decision, rules: Sequence[UnmetRule], files: Sequence[CertifiedFile]) -> str:
    """Give the reason in one sentence that names nobody."""
    if decision is Decision.PASS:
        return "Every rule of the policy held for the released images, and every image of the release was judged."
    names = dict.fromkeys(rule.name.replace("_", " ") for rule in rules if rule.decision is decision)
    many = {kind: sum(file.kind is kind for file in files) for kind in _NOT_JUDGED}
    counted = [f"{count} files: {kind.value}" for kind, count in many.items() if count]
    more = f" ({'; '.join(counted)})" if counted else ""
    return f"Rules that were not met: {', '.join(names) or 'see the report'}{more}."
