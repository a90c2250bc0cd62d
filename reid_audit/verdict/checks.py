"""Each rule of the policy, applied to the evidence: a decision and its sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from reid_audit.attack import find_attack
from reid_audit.records import (
    AttackEvidence,
    Calibration,
    Check,
    ControlEvidence,
    CrossedEvidence,
    Decision,
    Estimate,
    Group,
    Policy,
    Rate,
)
from reid_audit.stats import clopper_pearson, subjects_needed

_MAX_IDENTICAL = 0.10
"""Share of own pairs of originals that may be one scan twice before the control counts as not measured."""


def _judge(at_least: float, at_most: float, limit: float) -> Decision:
    """Compare two one-sided bounds with an upper limit; NaN is INCOMPLETE."""
    if math.isnan(at_least) or math.isnan(at_most):
        return Decision.INCOMPLETE
    if at_least > limit:
        return Decision.FAIL
    return Decision.PASS if at_most <= limit else Decision.REVIEW


def _explain(decision: Decision, shown: str, at_least: float, at_most: float, limit: str, confidence: float) -> str:
    if decision is Decision.INCOMPLETE:
        return f"{shown}; without its bounds nothing is shown."
    if decision is Decision.PASS:
        return f"{shown}; at most {at_most:.3g} at {confidence:.0%} confidence, within the limit of {limit}."
    if decision is Decision.FAIL:
        return f"{shown}; at least {at_least:.3g} at {confidence:.0%} confidence, above the limit of {limit}."
    return (
        f"{shown}; at least {at_least:.3g} and at most {at_most:.3g} at {confidence:.0%} confidence, "
        f"and the limit of {limit} lies between."
    )


def _one_sided(rate: Rate, confidence: float) -> tuple[float, float]:
    """One-sided Clopper-Pearson bounds of a proportion of people."""
    two_sided = clopper_pearson(rate.successes, rate.trials, confidence=2 * confidence - 1)
    return two_sided.low, two_sided.high


def binds(attack: str, policy: Policy) -> bool:
    """Whether the policy requires an attacker, by its name or its family's."""
    return bool({attack, find_attack(attack).family} & set(policy.required_attacks))


def _check_match(evidence: AttackEvidence, policy: Policy) -> Check:
    name, limit = "match_rate", policy.max_match_rate
    found = next((m for m in evidence.matches if m.threshold == policy.threshold), None)
    if found is None or not found.subjects.trials:
        why = "the cohort offers no such threshold" if found is None else found.reason or "nobody was compared"
        text = f"{evidence.attack}: no match rate at the {policy.threshold} threshold: {why}."
        return Check(name, Decision.INCOMPLETE, text, limit=limit, attack=evidence.attack)
    rate = found.subjects
    low, high = _one_sided(rate, policy.confidence)
    decision = _judge(low, high, limit)
    shown = f"{evidence.attack}: {rate.successes} of {rate.trials} people matched after defacing"
    text = _explain(decision, shown, low, high, f"{limit:.3g}", policy.confidence)
    if decision is Decision.REVIEW and rate.value < limit < 1:
        people = subjects_needed(limit, policy.confidence, rate.successes)
        text += f" {people} people with no more matches would settle it."
    if decision is not Decision.PASS and found.non_mated.trials:
        non_mated = found.non_mated
        text += f" Strangers matched in {non_mated.successes} of {non_mated.trials} comparisons."
    return Check(name, decision, text, rate.value, low if decision is Decision.FAIL else high, limit, evidence.attack)


def _check_auc(name: str, words: str, estimate: Estimate, attack: str, policy: Policy) -> Check:
    limit = policy.max_linkability
    decision = _judge(estimate.at_least, estimate.at_most, limit)
    if math.isnan(estimate.value):
        decision = Decision.INCOMPLETE
    reason = f" ({estimate.reason})" if estimate.reason else ""
    value = "that was not measured" if math.isnan(estimate.value) else f"{estimate.value:.3g}"
    shown = f"{attack}: {words} {value}{reason}"
    text = _explain(decision, shown, estimate.at_least, estimate.at_most, f"{limit:.3g}", policy.confidence)
    bound = estimate.at_least if decision is Decision.FAIL else estimate.at_most
    return Check(name, decision, text, estimate.value, bound, limit, attack)


def _check_rank1(evidence: AttackEvidence, policy: Policy) -> Check:
    search = evidence.search
    limit = policy.max_rank1_over_chance + search.chance1
    decision = _judge(search.rank1_at_least, search.rank1_at_most, limit)
    if math.isnan(limit):
        decision = Decision.INCOMPLETE
    rate = search.rank1
    shown = f"{evidence.attack}: {rate.successes} of {rate.trials} searches found their own person first"
    if not rate.trials:
        shown = f"{evidence.attack}: nobody could be searched for"
    shown += f" ({search.reason})" if search.reason else f", where guessing finds {search.chance1 * rate.trials:.3g}"
    text = _explain(decision, shown, search.rank1_at_least, search.rank1_at_most, f"{limit:.3g}", policy.confidence)
    bound = search.rank1_at_least if decision is Decision.FAIL else search.rank1_at_most
    return Check("rank1", decision, text, rate.value, bound, limit, evidence.attack)


def _tell_remainder(check: Check, evidence: AttackEvidence) -> Check:
    """Say so where the linkage that a policy accepts is still more than none."""
    p = min((t.p for t in evidence.tests if t.name == "identity_permutation" and t.p < 0.05), default=math.nan)
    if check.decision is not Decision.PASS or math.isnan(p):
        return check
    text = f"{check.text} It is not none: permuting the people gives p = {p:.2g}."
    return replace(check, text=text)


_NEEDS_SIGHT = {
    "match_rate": "its threshold means nothing",
    "rank1": "ties, which go to the attacker, may make up its ranks",
}


def _doubt(check: Check) -> Check:
    """Turn a FAIL of an attacker that does not recognise originals into INCOMPLETE, where blindness could cause it."""
    if check.decision is not Decision.FAIL:
        return check
    text = f"{check.text} But this attacker does not recognise originals: {_NEEDS_SIGHT[check.name]}."
    return replace(check, decision=Decision.INCOMPLETE, text=text)


def check_attack(evidence: AttackEvidence, policy: Policy, *, sighted: bool) -> list[Check]:
    """Apply the limits to one attacker on one defacer; ``sighted`` = it recognises originals."""
    words = "a person's own originals are nearer than strangers' with probability"
    defaced_gallery = evidence.group is Group.DEFACED_DEFACED_SAME
    checks = [
        *([] if defaced_gallery else [_check_match(evidence, policy)]),
        _tell_remainder(_check_auc("linkability", words, evidence.linkability, evidence.attack, policy), evidence),
        _check_auc("search_linkability", f"within one search {words}", evidence.search_auc, evidence.attack, policy),
        _check_rank1(evidence, policy),
    ]
    if not sighted:
        checks = [_doubt(check) if check.name in _NEEDS_SIGHT else check for check in checks]
    if not defaced_gallery and evidence.defaced_gallery.at_least > policy.max_linkability:  # False for NaN
        text = (
            f"{evidence.attack}: defaced scans of one person are nearer to each other than to strangers' with "
            f"probability {evidence.defaced_gallery.value:.3g}; at least "
            f"{evidence.defaced_gallery.at_least:.3g} at {policy.confidence:.0%} confidence. "
            "An attacker who defaces his own gallery can use this."
        )
        value, bound = evidence.defaced_gallery.value, evidence.defaced_gallery.at_least
        checks.append(
            Check("defaced_gallery", Decision.REVIEW, text, value, bound, policy.max_linkability, evidence.attack)
        )
    if evidence.group is Group.DEFACED_SAME_SCAN and any(c.decision is not Decision.PASS for c in checks):
        text = f"{evidence.attack}: compared with the very scan that was defaced, which flatters the attacker."
        checks.append(Check("same_scan", Decision.PASS, text, attack=evidence.attack))
    return checks


def show_beside(check: Check) -> Check:
    """Keep what an attacker that does not bind has shown from deciding more than that a human must look."""
    if check.decision is Decision.PASS:
        return check
    text = f"{check.text} This attacker does not bind by the policy: judge what it means."
    return replace(check, decision=Decision.REVIEW, text=text)


def _check_required(attacks: Sequence[AttackEvidence], policy: Policy) -> list[Check]:
    """Whether every attacker that the policy asks for was run, and saw what it was run on.

    Only the naive attacker may find no face: the others exist to see what it misses.
    """
    run = {name for one in attacks for name in (one.attack, find_attack(one.attack).family)}
    checks = []
    lacking = [name for name in policy.required_attacks if name not in run]
    if lacking:
        text = f"The policy asks for the attackers {', '.join(lacking)}, which were not run: run them for a PASS."
        checks.append(Check("required_attacks", Decision.REVIEW, text))
    for one in attacks:
        fta, limit = one.fta, policy.max_defaced_fta
        if binds(one.attack, policy) and not find_attack(one.attack).baseline and not fta.value <= limit:
            text = (
                f"{one.attack}: no vector from {fta.successes} of {fta.trials} defaced scans; the policy asks for it."
            )
            checks.append(Check("required_attacks", Decision.REVIEW, text, fta.value, fta.value, limit, one.attack))
    return checks


def check_crossed(crossed: CrossedEvidence, policy: Policy) -> Check:
    """Check that the aligned attacker finds the owner of the pixels, and not that of the landmarks it was given.

    Measured by the policy's own limits: what landmarks alone may not link without making the evidence doubtful.
    """
    limit = policy.max_rank1_over_chance + crossed.chance
    rate, auc = crossed.landmarks_first, crossed.landmarks_auc
    found = crossed.landmarks_at_least > limit or auc.at_least > policy.max_linkability  # False for NaN
    text = (
        f"aligned: one person's landmarks on another's portrait find the pixels' owner first in "
        f"{crossed.pixels_first.successes} and the landmarks' owner in {rate.successes} of {rate.trials} searches, "
        f"where guessing finds {crossed.chance * rate.trials:.3g}"
    )
    if not rate.trials:
        text = "aligned: no crossed portrait could be looked up: whether it reads its own hint was not shown."
    elif found:
        text += ": it reads its own hint, and its evidence is doubtful; registered is free of it."
    else:
        text += "."
    decision = Decision.REVIEW if found else Decision.PASS
    return Check("crossed", decision, text, rate.value, crossed.landmarks_at_least, limit, "aligned")


def check_coverage(attacks: Sequence[AttackEvidence], policy: Policy, *, people: int) -> list[Check]:
    """Check what the attackers on one defacer saw; ``people`` = those who have an original scan."""
    checks = _check_required(attacks, policy)
    best = min(attacks, key=lambda one: math.inf if math.isnan(one.fta.value) else one.fta.value)
    rate, limit = best.fta, policy.max_defaced_fta
    decision = Decision.PASS
    if math.isnan(rate.value):
        decision, text = Decision.INCOMPLETE, "No defaced scan was seen by any attacker."
    elif rate.value > limit:
        decision = Decision.REVIEW
        text = (
            f"No face was found in {rate.successes} of {rate.trials} defaced scans by any attacker that was run "
            f"(least by {best.attack}). This shows what these attackers missed, not that the scans are safe: run an "
            "attacker that sets the landmarks itself (aligned, registered)."
        )
    else:
        text = f"{best.attack} got a vector from {rate.trials - rate.successes} of {rate.trials} defaced scans."
    checks.append(Check("defaced_fta", decision, text, rate.value, rate.value, limit, best.attack))
    for one in attacks:
        if one.fta.subjects < people:
            text = (
                f"{one.attack}: defaced scans of {one.fta.subjects} of {people} people with originals were judged; "
                "the others may be those on which the defacer failed."
            )
            n = one.fta.subjects
            checks.append(Check("coverage", Decision.REVIEW, text, n, n, people, one.attack))
    binding = [one for one in attacks if binds(one.attack, policy)] or attacks
    compared, least = min(one.subjects for one in binding), policy.min_subjects
    decision = Decision.PASS if compared >= least else Decision.INCOMPLETE
    text = f"{compared} people were compared after defacing; the policy asks for {least}."
    checks.append(Check("subjects", decision, text, compared, compared, least))
    return checks


def check_control(control: ControlEvidence, policy: Policy, external: Calibration | None) -> list[Check]:
    """Check that the attacker recognises originals, here or (for a REVIEW) on the cohort that set the thresholds."""
    who = control.attack
    if not control.subjects and external is not None:
        return [_check_external(who, policy, external)]
    tmr = next((rate for name, rate, _ in control.rates if name == policy.threshold), None)
    value = tmr.value if tmr is not None else math.nan
    checks = []
    sees = value >= policy.min_control_tmr  # False for NaN
    counts = f"{tmr.successes} of {tmr.trials}" if tmr is not None else "none"
    text = f"{who}: of the originals' own pairs {counts} match at {policy.threshold}; "
    text += f"the policy asks for {policy.min_control_tmr:.3g}" + ("." if sees else ": the audit is blind.")
    decision = Decision.PASS if sees else Decision.INCOMPLETE
    checks.append(Check("control_tmr", decision, text, value, value, policy.min_control_tmr, who))
    auc = control.auc
    separates = auc.at_least >= policy.min_control_auc
    if math.isnan(auc.at_least):
        shown = "not measured" if math.isnan(auc.value) else f"{auc.value:.3g} without an interval"
        text = f"{who}: on originals AUC {shown}{f' ({auc.reason})' if auc.reason else ''}: no control was shown."
    else:
        text = f"{who}: on originals AUC {auc.value:.3g}, at least {auc.at_least:.3g} at {policy.confidence:.0%} "
        text += "confidence; "
        text += f"the policy asks for {policy.min_control_auc:.3g}" + ("." if separates else ": the audit is blind.")
    decision = Decision.PASS if separates else Decision.INCOMPLETE
    checks.append(Check("control_auc", decision, text, auc.value, auc.at_least, policy.min_control_auc, who))
    enough = control.subjects >= policy.min_subjects
    text = f"{who}: {control.subjects} people have two original visits; the policy asks for {policy.min_subjects}."
    decision = Decision.PASS if enough else Decision.INCOMPLETE
    n = control.subjects
    checks.append(Check("control_subjects", decision, text, n, n, policy.min_subjects, who))
    if control.identical:
        checks.append(_check_identical(control, tmr.trials if tmr is not None else 0))
    return [*checks, _check_original_fta(control, policy)]


def _check_identical(control: ControlEvidence, pairs: int) -> Check:
    """One scan under two visits is recognised by anything, even by an encoder of noise."""
    many = control.identical > _MAX_IDENTICAL * pairs
    text = (
        f"{control.attack}: in {control.identical} of {pairs} own pairs of originals both are the same to the last "
        "digit: one scan under two visits shows nothing about recognition."
    )
    n = control.identical
    return Check("identical_visits", Decision.INCOMPLETE if many else Decision.REVIEW, text, n, n, 0, control.attack)


def _check_original_fta(control: ControlEvidence, policy: Policy) -> Check:
    fta = control.fta
    seen = fta.value <= policy.max_original_fta  # False for NaN
    text = f"{control.attack}: no face in {fta.successes} of {fta.trials} original scans; "
    text += f"the policy allows {policy.max_original_fta:.3g}" + ("." if seen else ": too much was not seen.")
    decision = Decision.PASS if seen else Decision.INCOMPLETE
    return Check("original_fta", decision, text, fta.value, fta.value, policy.max_original_fta, control.attack)


def _check_external(who: str, policy: Policy, external: Calibration) -> Check:
    """No person has two original visits: the control can only be that of the cohort that set the thresholds."""
    tmr = next((t.tmr_held_out for t in external.thresholds if t.name == policy.threshold), None)
    value = tmr.value if tmr is not None else math.nan
    if value >= policy.min_control_tmr and external.auc.at_least >= policy.min_control_auc:
        text = (
            f"{who}: nobody here has two original visits; that the attacker recognises people was shown on the "
            f"calibration's cohort ({external.subjects} people, held-out TMR {value:.3g}), which a human must judge."
        )
        return Check("control_tmr", Decision.REVIEW, text, value, value, policy.min_control_tmr, who)
    text = f"{who}: nobody has two original visits, and the calibration's cohort shows no control: the audit is blind."
    return Check("control_tmr", Decision.INCOMPLETE, text, value, value, policy.min_control_tmr, who)
