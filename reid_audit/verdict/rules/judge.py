"""All rules together on one release."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reid_audit.accuracy.panels import Panel, Panels
from reid_audit.records import Check, Decision, Policy
from reid_audit.verdict.rules import individuals, linkage, sight

_SEVERITY = {decision: place for place, decision in enumerate(Decision)}


def judge(panels: Panels, policy: Policy, *, seed: int = 0) -> tuple[Decision, list[Check]]:
    """Apply every rule to every condition, attacker and encoder; the worst decision counts.

    Parameters
    ----------
    panels : Panels
        From `reid_audit.accuracy.panels.to_panels`.
    policy : Policy
        Its required attackers bind. What others show is REVIEW at most, and only where it lies beyond a limit.
    seed : int
        Of the random assignments that labels are compared with.

    Returns
    -------
    decision : Decision
    checks : list of Check
        Never only PASS without a canary, a control that is worth something, or everybody's scans.
    """
    checks = [check for originals in panels.originals.values() for check in sight.check_control(originals)]
    for encoder, originals in panels.originals.items():
        canaries = [p for p in panels.panels if p.is_canary and p.encoder == encoder and p.pairs]
        checks += individuals.check_people(originals, canaries)
    conditions = list(panels.conditions())
    if not conditions:
        checks.append(Check("conditions", Decision.INCOMPLETE, "There is no defaced scan to judge."))
    for condition, attackers in conditions:
        seeing = {p: sight.check_canary(p, panels, policy) for p in attackers}
        sighted = [p for p in attackers if sight.carries(seeing[p])]
        for encoder in dict.fromkeys(p.encoder for p in attackers):
            own = [p for p in attackers if p.encoder == encoder]
            checks += sight.check_cover(condition, own, [p for p in own if p in sighted], policy)
        for panel in attackers:
            rng = np.random.default_rng(seed)
            found = seeing[panel] + _judge_attack(panel, panels, policy, rng)
            checks += found if _binds(panel.attack, policy) else _show_beside(found)
    return max((c.decision for c in checks), key=_SEVERITY.__getitem__, default=Decision.INCOMPLETE), checks


def _judge_attack(panel: Panel, panels: Panels, policy: Policy, rng: np.random.Generator) -> list[Check]:
    originals = panels.originals[panel.encoder]
    if not panel.pairs:  # who saw nothing shows nothing; whether somebody saw these scans is the rule of coverage
        return []
    return [
        linkage.check_linkability(panel, policy),
        linkage.check_first(panel, policy),
        *([check] if (check := linkage.check_match(panel, originals, policy)) else []),
        *linkage.check_strata(panel, panels, policy),
        *([told] if (told := linkage.describe_sex(panel)) else []),
        *individuals.check_unaltered(panel, panels, originals),
        *individuals.check_standing_out(panel, originals),
        *individuals.check_labels(panel, originals, rng),
    ]


def _binds(attack: str, policy: Policy) -> bool:
    return attack in policy.required_attacks or attack.partition("-")[0] in policy.required_attacks


def _show_beside(checks: list[Check]) -> list[Check]:
    """Keep of an attacker that does not bind what it has shown: unaltered scans as they are, the rest for a human."""
    kept = []
    for check in checks:
        if check.name == "unaltered":
            kept.append(check)
        elif check.decision is Decision.FAIL or check.name in ("exposed", "labels"):
            text = f"{check.text} This attacker does not bind by the policy: judge what it means."
            kept.append(replace(check, decision=Decision.REVIEW, text=text))
        elif check.decision is Decision.PASS:
            kept.append(check)
    return kept
