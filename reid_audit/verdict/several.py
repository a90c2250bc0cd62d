"""Several recognisers, one answer: the worst of theirs, and how many looks it is the worst of.

Why the worst needs no correction one way, and is told the other way
--------------------------------------------------------------------
A release passes only if *every* recogniser's upper bound lies within the limit. Let k be the recogniser that links most
people in truth. The worst of the upper bounds is at least k's own, which fails to cover with probability 1 - confidence
at most, however many others were looked at: the greatest bound holds at the policy's confidence as it stands (an
intersection-union test; Berger, Technometrics 24, 295-300 (1982)). Widening each bound by Bonferroni would be valid and
weaker.

A release fails if *one* recogniser's lower bound lies above the limit, and the more look, the more may err: with k
recognisers a rule fails by chance with probability k (1 - confidence) at most. Narrowing would turn a FAIL into a
REVIEW because somebody added a recogniser that sees nothing, so it is not done; the number of looks is said instead.
Adding a recogniser can therefore make a verdict worse and never better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reid_audit.records import Check, ConditionVerdict, Decision, InputError, Verdict
from reid_audit.verdict.checks import worst


def _sign(encoder: str, check: Check) -> Check:
    """Name the recogniser in a check and in its sentence."""
    joint = ", " if check.attack and check.text.startswith(f"{check.attack}:") else ": "
    return replace(check, text=f"{encoder}{joint}{check.text}", encoder=encoder)


def _join(checks: Mapping[str, tuple[Check, ...]]) -> list[Check]:
    """Put what all recognisers say alike once, and the rest under the name of each."""
    first = next(iter(checks.values()))
    alike = [check for check in first if all(_same(check, mine) for mine in checks.values())]
    rest = [
        _sign(encoder, check)
        for encoder, mine in checks.items()
        for check in mine
        if not any(_same(check, (one,)) for one in alike)
    ]
    # The control is the recogniser's own even where two happen to have the same counts.
    return alike + rest


def _same(check: Check, others: tuple[Check, ...]) -> bool:
    return not check.attack and any((check.name, check.text) == (other.name, other.text) for other in others)


def _join_own(checks: Mapping[str, tuple[Check, ...]]) -> list[Check]:
    """Join the checks on one defacer: findings on its scans may be alike, each rule was applied to other distances."""
    findings = {encoder: tuple(check for check in mine if check.condition) for encoder, mine in checks.items()}
    rules = [_sign(encoder, check) for encoder, mine in checks.items() for check in mine if not check.condition]
    return _join(findings) + rules


def _count_looks(verdicts: Mapping[str, Verdict], confidence: float) -> Check:
    k = len(verdicts)
    text = (
        f"The verdict is the worst over {k} recognisers: {', '.join(verdicts)}. A PASS takes all of them, so that the "
        f"greatest of the {k} upper bounds holds at {confidence:.0%} as it stands. A FAIL takes one: each rule was "
        f"looked at {k} times, and by chance alone one of these fails with probability "
        f"{min(1, k * (1 - confidence)):.2g} at most."
    )
    return Check("recognisers", Decision.PASS, text, k, k)


def join_verdicts(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Take the worst of several recognisers' verdicts on one release.

    Parameters
    ----------
    verdicts : mapping of str to Verdict
        By the recogniser's name; one policy, the same conditions.

    Returns
    -------
    Verdict
        Never better than any of them. Every check is there with its recogniser, ``encoders`` says whose decision it
        is, and the check ``"recognisers"`` says how many looks it is the worst of. A single verdict comes back as it
        is.

    Raises
    ------
    InputError
        If there is none, or they are not of one policy and of the same conditions.
    """
    if not verdicts:
        raise InputError("name at least one recogniser's verdict")
    first, *others = verdicts.values()
    if not others:
        return first
    names = [condition.condition for condition in first.conditions]
    for other in others:
        if other.policy != first.policy or [condition.condition for condition in other.conditions] != names:
            raise InputError("verdicts of several recognisers can be joined only under one policy and on one release")
    conditions = []
    for place, name in enumerate(names):
        mine = {encoder: verdict.conditions[place] for encoder, verdict in verdicts.items()}
        decision = worst(one.decision for one in mine.values())
        conditions.append(
            ConditionVerdict(
                name,
                decision,
                tuple(_join_own({encoder: one.checks for encoder, one in mine.items()})),
                encoders=tuple(encoder for encoder, one in mine.items() if one.decision is decision),
            )
        )
    decision = worst(verdict.decision for verdict in verdicts.values())
    shared = _join({encoder: verdict.checks for encoder, verdict in verdicts.items()})
    return Verdict(
        decision,
        tuple(conditions),
        (*shared, _count_looks(verdicts, first.policy.confidence)),
        first.policy,
        encoders=tuple(encoder for encoder, verdict in verdicts.items() if verdict.decision is decision),
    )
