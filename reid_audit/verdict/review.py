"""What readers saw, as checks for the verdict.

A face that one reader sees is a FAIL, whatever the others say. "Removed" answers the question whether a face can be
seen, and no other: it clears a REVIEW that asked for a look at the scans of named people, never a FAIL, and never a
doubt about labels. Who is unsure, who disagrees, and what is no head stays with a human.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reid_audit.accuracy import list_recognisers
from reid_audit.records import Answer, AuditResult, Check, Decision, InputError, Reading, Review, group_by, settle
from reid_audit.verdict.decision import conclude
from reid_audit.verdict.rules.words import join_names

ASKS_FOR_A_LOOK = ("exposed", "unseen_face")
"""Rules that name people because a face may be left, and that nothing but a look can answer."""

_Scan = tuple[str, str, str]


def fold_review(result: AuditResult, review: Review) -> AuditResult:
    """Return the result with what readers saw in its verdict.

    Parameters
    ----------
    result : AuditResult
        As `reid_audit.audit` gave it.
    review : Review
        Answers on other images than those that were judged are left out, and a notice counts them.

    Raises
    ------
    InputError
        Where the result holds a review already, the review is of another cohort, or none of its answers is about an
        image of the result.
    """
    if result.review is not None:
        raise InputError(f"{result.cohort}: the result holds a review already; give the one that `score` wrote")
    if review.cohort != result.cohort:
        raise InputError(f"--review: is about {review.cohort}, and the result about {result.cohort}; give its own")
    judged = {(row.subject, row.session, row.condition): row.image_sha256 for row in result.scans}
    valid = [r for r in review.readings if r.image_sha256 and judged.get(r.scan) == r.image_sha256]
    if not valid:
        raise InputError(
            f"--review: none of its {len(review.readings)} answers is about an image that this result judged; run "
            "`reid-audit review` on this result"
        )
    answers = group_by(valid, lambda reading: reading.scan)
    settled = {scan: settle(readings) for scan, readings in answers.items()}
    verdict = result.verdict
    conditions = [each.condition for each in verdict.conditions]
    checks = [*verdict.checks, *(check for each in verdict.conditions for check in each.checks)]
    checks = [_clear(check, settled, judged, answers) for check in checks]
    checks += [check for name in conditions for check in _tell(name, settled, answers)]
    stale = len(review.readings) - len(valid)
    several = len(list_recognisers(result.evidence)) > 1
    notice = f"{stale} of {len(review.readings)} answers of the review are about other images and do not count."
    return replace(
        result,
        verdict=conclude(checks, conditions, verdict.policy, result.encoders if several else ()),
        notices=(*result.notices, notice) if stale else result.notices,
        review=replace(review, readings=tuple(valid)),
    )


def _readers(scans: Sequence[_Scan], answers: Mapping[_Scan, Sequence[Reading]]) -> str:
    return join_names(dict.fromkeys(reading.reader for scan in scans for reading in answers[scan]))


def _clear(
    check: Check,
    settled: Mapping[_Scan, Answer],
    judged: Mapping[_Scan, str],
    answers: Mapping[_Scan, Sequence[Reading]],
) -> Check:
    """Turn a REVIEW that asked for a look into a PASS where every scan that it concerns was seen to be removed."""
    if check.decision is not Decision.REVIEW or check.name not in ASKS_FOR_A_LOOK or not check.subjects:
        return check
    scans = [scan for scan in judged if scan[0] in check.subjects and scan[2] == check.condition]
    if not scans or any(settled.get(scan) is not Answer.REMOVED for scan in scans):
        return check
    seen = f"Looked at by {_readers(scans, answers)}: the face is removed in every scan of them ({len(scans)})."
    return replace(check, decision=Decision.PASS, text=f"{check.text} {seen}")


_TOLD = {
    Answer.FACE: ("face_visible", Decision.FAIL, "A face can be seen in"),
    Answer.UNSURE: ("readers_unsure", Decision.REVIEW, "The readers are unsure, or disagree, about"),
    Answer.NOT_HEAD: ("not_a_head", Decision.REVIEW, "No head can be seen in"),
}


def _tell(condition: str, settled: Mapping[_Scan, Answer], answers: Mapping[_Scan, Sequence[Reading]]) -> list[Check]:
    checks = []
    for answer, (name, decision, what) in _TOLD.items():
        scans = [scan for scan, said in settled.items() if scan[2] == condition and said is answer]
        if scans:
            which = join_names(f"{subject}/{session}" for subject, session, _ in scans)
            text = f"{what} {which} (said by {_readers(scans, answers)})."
            people = tuple(dict.fromkeys(scan[0] for scan in scans))
            checks.append(Check(name, decision, text, len(scans), condition=condition, subjects=people))
    total = sum(scan[2] == condition for scan in settled)
    removed = [scan for scan, said in settled.items() if scan[2] == condition and said is Answer.REMOVED]
    if removed:
        text = (
            f"The face is removed in {len(removed)} of {total} scans looked at (said by {_readers(removed, answers)})."
        )
        checks.append(Check("looked_at", Decision.PASS, text, len(removed), condition=condition))
    return checks
