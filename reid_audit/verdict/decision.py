"""All checks together, and the worst of them."""

from __future__ import annotations

from collections.abc import Iterable

from reid_audit.records import (
    Calibration,
    Check,
    ConditionVerdict,
    Decision,
    Evidence,
    InputError,
    Policy,
    Verdict,
)
from reid_audit.verdict.checks import (
    binds,
    check_attack,
    check_control,
    check_coverage,
    check_crossed,
    show_beside,
    worst,
)
from reid_audit.verdict.policy import check_policy


def _is_leaned_on(control: str, evidence: Evidence, policy: Policy) -> bool:
    """Whether a binding attacker rests on this control: its own, or the naive one where it has none of its own."""
    own = {one.attack for one in evidence.controls}
    if binds(control, policy) or len(own) == 1:
        return True
    return control == "naive" and any(one.attack not in own and binds(one.attack, policy) for one in evidence.attacks)


def decide(
    evidence: Evidence,
    policy: Policy,
    *,
    findings: Iterable[Check] = (),
    external: Calibration | None = None,
) -> Verdict:
    """Apply a policy.

    Parameters
    ----------
    evidence : Evidence
        From `reid_audit.accuracy.assess` with ``confidence=policy.confidence``. The policy's required attackers bind;
        what the others show is for a human: at most REVIEW.
    policy : Policy
    findings : iterable of Check
        What other rooms found: an original in the release (FAIL), unread scans (INCOMPLETE), a calibration used under
        other settings (REVIEW). One with a ``condition`` is that defacer's, and no other's; the rest concern all.
    external : Calibration, optional
        The calibration, if another cohort set it: its control then stands in where nobody has two original visits,
        for at most REVIEW.

    Returns
    -------
    Verdict
        Never PASS where a number is NaN, a control failed, or there is nothing to judge. A finding on a defacer that
        no attacker was tried on stands among the shared checks: it counts in the whole, and against no other defacer.

    Raises
    ------
    InputError
        The evidence's confidence differs from the policy's, or the policy is out of range.
    """
    policy = check_policy(policy)
    if evidence.confidence != policy.confidence:
        raise InputError(
            f"the evidence has confidence {evidence.confidence} and the policy {policy.confidence}; assess with "
            f"confidence={policy.confidence}"
        )
    judged = tuple(dict.fromkeys(one.condition for one in evidence.attacks))
    found = list(findings)
    shared = [finding for finding in found if finding.condition not in judged]
    sighted: dict[str, bool] = {}
    for control in evidence.controls:
        checks = check_control(control, policy, external)
        shared += checks if _is_leaned_on(control.attack, evidence, policy) else [show_beside(c) for c in checks]
        sight = [c.decision for c in checks if c.name in ("control_tmr", "control_auc")]
        sighted[control.attack] = all(d in (Decision.PASS, Decision.REVIEW) for d in sight)
    if not evidence.controls:
        shared.append(Check("control_tmr", Decision.INCOMPLETE, "There is no control: the audit is blind."))
    if not evidence.attacks:
        shared.append(Check("conditions", Decision.INCOMPLETE, "There is no defaced scan to judge."))
    people = max((control.fta.subjects for control in evidence.controls), default=0)
    conditions = []
    for condition in judged:
        attacks = [one for one in evidence.attacks if one.condition == condition]
        own = [finding for finding in found if finding.condition == condition]
        for one in attacks:
            checks = check_attack(one, policy, sighted=sighted.get(one.attack, sighted.get("naive", False)))
            own += checks if binds(one.attack, policy) else [show_beside(check) for check in checks]
        own += check_coverage(attacks, policy, people=people)
        own += [check_crossed(one, policy) for one in evidence.crossed if one.condition == condition]
        decision = worst(check.decision for check in (*shared, *own) if check.condition in ("", condition))
        conditions.append(ConditionVerdict(condition, decision, tuple(own)))
    overall = worst([*(c.decision for c in shared), *(c.decision for c in conditions)])
    return Verdict(overall, tuple(conditions), tuple(shared), policy)
