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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reid_audit.accuracy.panels import Panels
from reid_audit.records import Calibration, Check, ConditionVerdict, Decision, Evidence, Policy, Verdict, worst
from reid_audit.verdict.policy import check_policy
from reid_audit.verdict.rules import check_crossed, check_defaced_gallery, check_images, judge, list_judged

_NOT_COMPARED = "No scan of this defacer was compared."


def _sign(check: Check) -> Check:
    """Name the encoder in the sentence; an attacker without an encoder has no other name than its own."""
    if check.encoder in ("", check.attack):
        return check
    joint = ", " if check.attack and check.text.startswith(f"{check.attack}:") else ": "
    return replace(check, text=f"{check.encoder}{joint}{check.text}")


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
    panels: Panels,
    policy: Policy,
    *,
    evidence: Evidence | None = None,
    findings: Iterable[Check] = (),
    calibrations: Mapping[str, Calibration] | None = None,
    seed: int = 0,
) -> Verdict:
    """Apply a policy.

    Parameters
    ----------
    panels : Panels
        Every comparison, canaries among them; see `reid_audit.accuracy.to_panels`. The policy's required attackers
        bind; what the others show beyond a limit is REVIEW, or FAIL (`reid_audit.attack.Attack.fails_unrequired`).
    policy : Policy
    evidence : Evidence, optional
        What no square of comparisons holds: the aligned attacker's control, and galleries that are defaced too.
    findings : iterable of Check
        What other rooms noticed: an unaltered file in the release (FAIL), unread scans (INCOMPLETE), a calibration used
        under other settings (REVIEW). One with a ``condition`` is that defacer's, and no other's; the rest concern all.
    calibrations : mapping of str to Calibration, optional
        By encoder, of other people: they stand for the control where nobody here has two visits.
    seed : int
        Of the random assignments that labels are compared with.

    Returns
    -------
    Verdict
        The worst over the encoders, see above. Never PASS without a canary that links, where a control failed, or where
        there is nothing to judge. A finding on a defacer that no attacker was tried on stands among the shared checks:
        it counts in the whole, and against no other defacer.

    Raises
    ------
    InputError
        The policy is out of range.
    """
    policy = check_policy(policy)
    judged = list_judged(panels, policy)
    several = len(judged) > 1
    conditions = tuple(name for name, _ in panels.conditions())
    _, rules = judge(panels, policy, seed=seed, calibrations=calibrations)
    if evidence is not None:
        rules += [check_crossed(crossed, policy) for crossed in evidence.crossed]
        rules += [check for attack in evidence.attacks for check in check_defaced_gallery(attack, policy)]
        rules += check_images(evidence.images, policy)
    rules += [
        Check("conditions", Decision.INCOMPLETE, _NOT_COMPARED, encoder=name, condition=condition)
        for condition, attackers in panels.conditions()
        for name in set(judged) - {panel.encoder for panel in attackers}
    ]
    everything = [_sign(check) if several else replace(check, encoder="") for check in (*findings, *rules)]
    if several:
        everything.append(_count_looks(judged, policy.confidence))
    return conclude(everything, conditions, policy, tuple(panels.originals) if several else ())


def conclude(
    everything: Sequence[Check], conditions: Sequence[str], policy: Policy, encoders: tuple[str, ...]
) -> Verdict:
    """Return the verdict that checks amount to: a finding on a defacer counts against no other.

    Where several encoders were judged, ``encoders`` are those whose decision it may be; else it is empty.
    """
    shared = [check for check in everything if check.condition not in conditions]
    own = {name: [check for check in everything if check.condition == name] for name in conditions}
    verdict = Verdict(
        worst(check.decision for check in everything),
        tuple(
            ConditionVerdict(name, worst(check.decision for check in _concern(name, shared, checks)), tuple(checks))
            for name, checks in own.items()
        ),
        tuple(shared),
        policy,
    )
    return _name_encoders(verdict, encoders) if encoders else verdict


def _concern(condition: str, shared: Iterable[Check], own: Iterable[Check]) -> Iterator[Check]:
    return (check for check in (*shared, *own) if check.condition in ("", condition))


def _name_encoders(verdict: Verdict, encoders: tuple[str, ...]) -> Verdict:
    """Say whose decision it is, of the whole and of each defacer."""
    parts = {encoder: verdict.of_encoder(encoder) for encoder in encoders}
    conditions = []
    for place, whole in enumerate(verdict.conditions):
        own = (name for name, part in parts.items() if part.conditions[place].decision is whole.decision)
        conditions.append(replace(whole, encoders=tuple(own)))
    by = tuple(name for name, part in parts.items() if part.decision is verdict.decision)
    return replace(verdict, conditions=tuple(conditions), encoders=by)
