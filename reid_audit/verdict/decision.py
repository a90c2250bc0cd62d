"""All checks together, and the worst of them.

Several encoders: why the worst needs no correction one way, and is told the other way
-------------------------------------------------------------------------------------
A release passes only if *every* encoder's upper bound lies within the limit. Let k be the encoder that links most
subjects in truth. The worst of the upper bounds is at least k's own, which fails to cover with probability 1 -
confidence at most, however many others were looked at: the greatest bound holds at the policy's confidence as it stands
(an intersection-union test; Berger, Technometrics 24, 295-300 (1982)). Widening each bound by Bonferroni would be valid
and weaker.

A release fails if *one* encoder's lower bound lies above the limit, and the more look, the more may err: with k
encoders a rule fails by chance with probability k (1 - confidence) at most. Narrowing would turn a FAIL into a REVIEW
because somebody added an encoder that sees nothing, so it is not done; the number of looks is said instead. Adding an
encoder can therefore make a verdict worse and never better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from reid_audit.attack import BASELINE, find_attack
from reid_audit.records import (
    Calibration,
    Check,
    ConditionVerdict,
    Decision,
    Evidence,
    InputError,
    Policy,
    Verdict,
    worst,
)
from reid_audit.verdict.checks import (
    binds,
    check_attack,
    check_control,
    check_coverage,
    check_crossed,
    show_beside,
)
from reid_audit.verdict.policy import check_policy


def _is_leaned_on(control: str, evidence: Evidence, policy: Policy) -> bool:
    """Whether a binding attacker rests on this control: its own, or the naive one where it has none of its own."""
    with_control = {other.attack for other in evidence.controls}
    if binds(control, policy) or len(with_control) == 1:
        return True
    return find_attack(control).baseline and any(
        attack.attack not in with_control and binds(attack.attack, policy) for attack in evidence.attacks
    )


def _check_originals(evidence: Evidence, policy: Policy, external: Calibration | None) -> tuple[list[Check], set[str]]:
    """Check the controls of one encoder; return also the attackers that recognise originals."""
    checks: list[Check] = []
    sighted = set()
    for control in evidence.controls:
        rules = check_control(control, policy, external)
        checks += rules if _is_leaned_on(control.attack, evidence, policy) else [show_beside(c) for c in rules]
        sight = [c.decision for c in rules if c.name in ("control_tmr", "control_auc")]
        if all(decision in (Decision.PASS, Decision.REVIEW) for decision in sight):
            sighted.add(control.attack)
    if not evidence.controls:
        checks.append(Check("control_tmr", Decision.INCOMPLETE, "There is no control: the audit is blind."))
    if not evidence.attacks:
        checks.append(Check("conditions", Decision.INCOMPLETE, "There is no defaced scan to judge."))
    return checks, sighted


def _check_condition(evidence: Evidence, condition: str, policy: Policy, sighted: set[str]) -> list[Check]:
    """Apply every rule on one defacer to the evidence of one encoder."""
    attacks = [attack for attack in evidence.attacks if attack.condition == condition]
    if not attacks:
        return [Check("conditions", Decision.INCOMPLETE, "No scan of this defacer was compared.")]
    with_control = {control.attack for control in evidence.controls}
    subjects = max((control.fta.subjects for control in evidence.controls), default=0)
    checks: list[Check] = []
    for attack in attacks:
        control = attack.attack if attack.attack in with_control else BASELINE.name
        rules = check_attack(attack, policy, sighted=control in sighted)
        checks += rules if binds(attack.attack, policy) else [show_beside(check) for check in rules]
    checks += check_coverage(attacks, policy, people=subjects)
    checks += [check_crossed(crossed, policy) for crossed in evidence.crossed if crossed.condition == condition]
    return checks


def _sign(encoder: str, checks: Iterable[Check]) -> list[Check]:
    """Name the encoder in each check and in its sentence; not where there is but one, which has no need of a name."""
    if not encoder:
        return list(checks)
    return [
        replace(
            check,
            text=f"{encoder}{', ' if check.attack and check.text.startswith(f'{check.attack}:') else ': '}{check.text}",
            encoder=encoder,
        )
        for check in checks
    ]


def _count_looks(encoders: tuple[str, ...], confidence: float) -> Check:
    k = len(encoders)
    text = (
        f"The verdict is the worst over {k} encoders: {', '.join(encoders)}. A PASS takes all of them, so that the "
        f"greatest of the {k} upper bounds holds at {confidence:.0%} as it stands. A FAIL takes one: each rule was "
        f"looked at {k} times, and by chance alone one of these fails with probability "
        f"{min(1, k * (1 - confidence)):.2g} at most."
    )
    return Check("encoders", Decision.PASS, text, k, k)


def decide(
    evidence: Evidence,
    policy: Policy,
    *,
    findings: Iterable[Check] = (),
    external: Mapping[str, Calibration] | None = None,
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
    external : mapping of encoder to Calibration, optional
        The calibrations, if another cohort set them: their control then stands in where nobody has two original
        visits, for at most REVIEW.

    Returns
    -------
    Verdict
        The worst over the encoders, see above. Never PASS where a number is NaN, a control failed, or there is nothing
        to judge. A finding on a defacer that no attacker was tried on stands among the shared checks: it counts in the
        whole, and against no other defacer.

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
    encoders = evidence.encoders or ("",)
    several = len(encoders) > 1
    conditions = tuple(dict.fromkeys(attack.condition for attack in evidence.attacks))
    given = [check for finding in findings for check in _sign(finding.encoder if several else "", [finding])]
    shared = [finding for finding in given if finding.condition not in conditions]
    own = {name: [finding for finding in given if finding.condition == name] for name in conditions}
    for encoder in encoders:
        part = evidence.of_encoder(encoder) if several else evidence
        name = encoder if several else ""
        checks, sighted = _check_originals(part, policy, (external or {}).get(encoder))
        shared += _sign(name, checks)
        for condition in conditions:
            own[condition] += _sign(name, _check_condition(part, condition, policy, sighted))
    if several:
        shared.append(_count_looks(encoders, policy.confidence))
    verdict = Verdict(
        worst(check.decision for check in (*shared, *chain.from_iterable(own.values()))),
        tuple(
            ConditionVerdict(name, worst(check.decision for check in _concern(name, shared, checks)), tuple(checks))
            for name, checks in own.items()
        ),
        tuple(shared),
        policy,
    )
    return _name_encoders(verdict, encoders) if several else verdict


def _concern(condition: str, shared: Iterable[Check], own: Iterable[Check]) -> Iterator[Check]:
    return (check for check in (*shared, *own) if check.condition in ("", condition))


def _name_encoders(verdict: Verdict, encoders: tuple[str, ...]) -> Verdict:
    """Say whose decision it is, of the whole and of each defacer."""
    parts = {encoder: verdict.of_encoder(encoder) for encoder in encoders}
    conditions = [
        replace(
            condition,
            encoders=tuple(
                name for name, part in parts.items() if part.conditions[place].decision is condition.decision
            ),
        )
        for place, condition in enumerate(verdict.conditions)
    ]
    by = tuple(name for name, part in parts.items() if part.decision is verdict.decision)
    return replace(verdict, conditions=tuple(conditions), encoders=by)
