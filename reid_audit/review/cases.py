"""Which scans need a human, the gravest first: by a result, or by a screening."""

from collections.abc import Sequence
from dataclasses import dataclass

from reid_audit.dataset import Cohort
from reid_audit.records import ORIGINAL, AuditResult, Decision, InputError, ScanRef, ScanRow, Status, group_by
from reid_audit.report.rows import list_checks, list_exposed
from reid_audit.report.words import STATUS_TEXT
from reid_audit.screen import Images, Screening

_NOT_JUDGED = (Status.OTHER_GRID, Status.NO_SKIN, Status.RENDER_FAILED, Status.BACKEND_ERROR)
_MOST_REASONS = 3
SCREENED = "screened"
"""The condition of an image of a screening; its subject is its name there."""


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A defaced scan to look at.

    Attributes
    ----------
    scan : ScanRef
    before : ScanRef or None
        The original beside it: of the same session, else any of the same subject.
    image_sha256 : str
        Of the image that was judged; another image is not shown.
    reasons : tuple of str
        Why it needs a human.
    """

    scan: ScanRef
    before: ScanRef | None
    image_sha256: str
    reasons: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the page calls it."""
        if self.scan.condition == SCREENED:
            return self.scan.subject
        return f"{self.scan.subject}, session {self.scan.visit}, {self.scan.condition}"


def list_cases(result: AuditResult, cohort: Cohort, *, every: bool = False) -> list[ReviewCase]:
    """List the scans of people whom a rule names or an attacker finds, unfit scans, and those that were not judged.

    Parameters
    ----------
    result : AuditResult
    cohort : Cohort
        Where the scans of the result are.
    every : bool
        List every other defaced scan too, after those.

    Raises
    ------
    InputError
        Where the result knows no image by its digest, or the cohort lacks a scan of the result.
    """
    rows = group_by(result.scans, lambda row: (row.subject, row.session, row.condition))
    defaced = {key: same for key, same in rows.items() if any(row.image_sha256 for row in same)}
    if not defaced:
        raise InputError(
            f"{result.cohort}: the result knows no image by its digest: it is a table of distances, or an older "
            "version made it; score the scans again"
        )
    refs = {(scan.subject, scan.visit, scan.condition): scan for scan in cohort.scans}
    exposed, unseen = list_exposed(result), _list_unseen(result)
    cases = []
    for key, same in defaced.items():
        subject, _, condition = key
        reasons = [*exposed.get(condition, {}).get(subject, ()), *exposed.get("all", {}).get(subject, ())]
        reasons += _doubts(same, unseen=condition in unseen)
        if not (reasons or every):
            continue
        if key not in refs:
            raise InputError(f"{cohort.source}: lacks {'/'.join(key)}, which the result judged; give the same dataset")
        reasons = list(dict.fromkeys(reasons))
        digest = next(row.image_sha256 for row in same if row.image_sha256)
        cases.append(ReviewCase(refs[key], _find_before(cohort, refs[key]), digest, tuple(reasons[:_MOST_REASONS])))
    return sorted(cases, key=lambda case: not case.reasons)


def list_screened(screening: Screening, images: Images, *, every: bool = False) -> list[ReviewCase]:
    """List the images of which `reid-audit screen` could not tell that nothing is left of a face; no original is known.

    Parameters
    ----------
    screening : Screening
    images : Images
        Of the same release, from `reid_audit.screen.list_images`.
    every : bool
        List every other volume too, after those.

    Raises
    ------
    InputError
        Where the release lacks an image that was screened.
    """
    there = {image.name: image for image in images.images}
    cases = []
    for told in sorted(screening.images, key=lambda image: not image.needs_look):
        if not told.image_sha256 or told.allowed or not (every or told.needs_look):
            continue
        image = there.get(told.name)
        if image is None:
            raise InputError(f"{images.source}: lacks {told.name}, which was screened; give the same release")
        scan = ScanRef(told.name, "", SCREENED, image.path, image.modality, image.series)
        cases.append(ReviewCase(scan, None, told.image_sha256, (told.reason,) if told.needs_look else ()))
    return cases


def _list_unseen(result: AuditResult) -> set[str]:
    """Return the defacers of which scans gave no attacker a vector: not seen is not safe."""
    listed = list_checks(result)
    return {who for who, check in listed if check.name == "unseen" and check.decision is not Decision.PASS}


def _doubts(rows: Sequence[ScanRow], *, unseen: bool) -> list[str]:
    """Say why a scan itself, not its person, needs a look."""
    unfit = [f"unfit: {f.text}" for row in rows for f in row.findings if f.severity == "unfit"]
    without = (*_NOT_JUDGED, Status.NO_FACE) if unseen else _NOT_JUDGED
    return [*unfit, *(f"not judged: {STATUS_TEXT[row.status]}" for row in rows if row.status in without)]


def _find_before(cohort: Cohort, scan: ScanRef) -> ScanRef | None:
    partner = cohort.partner_of(scan)
    others = (each for each in cohort.scans if (each.subject, each.condition) == (scan.subject, ORIGINAL))
    return partner or next(others, None)
