"""All rules together on one release."""

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from reid_audit.accuracy.panels import Panel, Panels
from reid_audit.attack import find_attack
from reid_audit.records import Calibration, Check, Decision, Policy
from reid_audit.verdict.rules import individuals, linkage, sight
from reid_audit.verdict.rules.thresholds import OperatingPoint, operating_point

_SEVERITY = {decision: place for place, decision in enumerate(Decision)}


def judge(
    panels: Panels, policy: Policy, *, seed: int = 0, calibrations: Mapping[str, Calibration] | None = None
) -> tuple[Decision, list[Check]]:
    """Apply every rule to every condition, attacker and encoder; the worst decision counts.

    Parameters
    ----------
    panels : Panels
        From `reid_audit.accuracy.panels.to_panels`.
    policy : Policy
        Its required attackers bind. What others show counts only where it lies beyond a limit: as REVIEW, or as FAIL
        where `reid_audit.attack.Attack.fails_unrequired`.
    seed : int
        Of the random assignments that labels are compared with.
    calibrations : mapping of str to Calibration, optional
        By encoder, of other people: control where nobody here has two visits, and a threshold beside this cohort's own.

    Returns
    -------
    decision : Decision
    checks : list of Check
        Never only PASS without a canary, a control that is worth something, or everybody's scans.
    """
    of_others = calibrations or {}
    checks = check_policy_is_loose(policy)
    judged = list_judged(panels, policy)
    for encoder in judged:
        checks += sight.check_control(panels.originals[encoder], policy, of_others.get(encoder))
    for encoder in judged:
        canaries = [
            p for p in panels.panels if p.is_canary and p.encoder == encoder and p.pairs and _is_judged(p, policy)
        ]
        checks += individuals.check_people(panels.originals[encoder], canaries)
    conditions = list(panels.conditions())
    if not conditions:
        checks.append(Check("conditions", Decision.INCOMPLETE, "There is no defaced scan to judge."))
    for condition, everybody in conditions:
        attackers = [p for p in everybody if _is_judged(p, policy)]
        seeing = {p: sight.check_canary(p, panels, policy) for p in attackers}
        sighted = [p for p in attackers if sight.carries(seeing[p])]
        checks += sight.check_required(condition, attackers, policy)
        for encoder in dict.fromkeys(p.encoder for p in attackers if p.encoder in judged):
            own = [p for p in attackers if p.encoder == encoder]
            checks += sight.check_cover(condition, own, [p for p in own if p in sighted], policy)
        for panel in attackers:
            rng = np.random.default_rng(seed)
            originals = panels.originals_of(panel)
            # A calibration is of the encoder's own distances: no threshold for what an attacker makes of them.
            shared = originals is panels.originals[panel.encoder]
            point = operating_point(originals, policy.threshold, of_others.get(panel.encoder) if shared else None)
            of_panel = seeing[panel] + _judge_attack(panel, panels, policy, point, rng)
            if not sight.binds(panel.attack, policy):
                of_panel = _show_beside(of_panel, fails=sight.fails(panel.attack, policy))
            checks += of_panel
    return max((c.decision for c in checks), key=_SEVERITY.__getitem__, default=Decision.INCOMPLETE), checks


def list_judged(panels: Panels, policy: Policy) -> tuple[str, ...]:
    """Return the encoders whose control and coverage count: not the names of attackers that stand apart unbound."""
    beside = {
        encoder: all(find_attack(p.attack).stands_apart and not sight.binds(p.attack, policy) for p in attackers)
        for encoder in panels.originals
        if (attackers := [p for p in panels.panels if p.encoder == encoder])
    }
    return tuple(encoder for encoder in panels.originals if not beside.get(encoder, False))


def _is_judged(panel: Panel, policy: Policy) -> bool:
    return find_attack(panel.attack).judged or sight.binds(panel.attack, policy)


def _judge_attack(
    panel: Panel, panels: Panels, policy: Policy, point: OperatingPoint | None, rng: np.random.Generator
) -> list[Check]:
    if not panel.pairs:  # who saw nothing shows nothing; whether somebody saw these scans is the rule of coverage
        return []
    return [
        linkage.check_linkability(panel, policy),
        linkage.check_rank1(panel, policy),
        *([check] if (check := linkage.check_match(panel, point, policy)) else []),
        *linkage.check_strata(panel, panels, policy),
        *([told] if (told := linkage.describe_sex(panel)) else []),
        *individuals.check_unaltered(panel, panels),
        *individuals.check_standing_out(panel, panels.mated_distance(panel, 0.5)),
        *individuals.check_labels(panel, panels.mated_distance(panel, individuals.NEAR), rng),
    ]


def check_policy_is_loose(policy: Policy) -> list[Check]:
    """Say where a policy asks for less than the default."""
    default = Policy()
    lacking = [f"{name} is not required" for name in default.required_attacks if name not in policy.required_attacks]
    for field in fields(Policy):
        given, usual = getattr(policy, field.name), getattr(default, field.name)
        if field.name.startswith("max_") and given > usual:
            lacking.append(f"{field.name} is {given:g}, not {usual:g}")
        if (field.name.startswith("min_") or field.name == "confidence") and given < usual:
            lacking.append(f"{field.name} is {given:g}, not {usual:g}")
    if not lacking:
        return []
    text = f"This policy is looser than the default: {'; '.join(lacking)}."
    return [Check("policy_looser", Decision.PASS, text, len(lacking))]


def _show_beside(checks: list[Check], *, fails: bool) -> list[Check]:
    """Keep of an attacker that does not bind what it has shown: unaltered scans as they are, the rest for a human.

    Linkage beyond a limit stays FAIL where the attacker says so of itself; whom it exposes is for a human all the same.
    """
    kept = []
    for check in checks:
        shown = fails and check.decision is Decision.FAIL
        if check.name == "unaltered" or (shown and check.name not in ("exposed", "labels")):
            kept.append(check)
        elif check.decision is Decision.FAIL or check.name in ("exposed", "labels"):
            text = f"{check.text} This attacker does not bind by the policy: judge what it means."
            kept.append(replace(check, decision=Decision.REVIEW, text=text))
        elif check.decision is Decision.PASS:
            kept.append(check)
    return kept
