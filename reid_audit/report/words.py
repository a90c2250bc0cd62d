"""Numbers and records as words, the same on the page, in the tables and on the command line."""

from __future__ import annotations

import math
from dataclasses import replace

from reid_audit.records import (
    AttackEvidence,
    AuditResult,
    ControlEvidence,
    Decision,
    Estimate,
    Evidence,
    MatchRates,
    Rate,
    SearchRates,
    Status,
    SubjectEvidence,
    TestResult,
)

STATUS_TEXT = {
    Status.OK: "face found",
    Status.MANY_FACES: "several faces found, the largest central one kept",
    Status.LOW_CONFIDENCE: "face found with low confidence",
    Status.NO_FACE: "no face found",
    Status.UNREADABLE: "not readable",
    Status.OTHER_GRID: "not on its original's grid",
    Status.NO_SKIN: "no skin surface",
    Status.RENDER_FAILED: "not portrayed",
    Status.BACKEND_ERROR: "the recogniser failed",
}


# --- numbers as text ---


def percent(value: float, digits: int = 1) -> str:
    """Write a proportion as a percentage; ``"not measured"`` for NaN."""
    return "not measured" if value != value else f"{100 * value:.{digits}f} %"


def rate_text(rate: Rate) -> str:
    """Write a rate with its counts and interval: ``"3 of 70, 4.3 % (0.9 to 12.0 %)"``."""
    if rate.value != rate.value:
        return "not measured"
    interval = f"{100 * rate.low:.1f} to {percent(rate.high)}" if rate.low == rate.low else "no interval"
    return f"{rate.successes} of {rate.trials}, {percent(rate.value)} ({interval})"


def estimate_text(estimate: Estimate, digits: int = 3) -> str:
    """Write an estimate with its interval: ``"0.862 (0.801 to 0.907)"``."""
    if estimate.value != estimate.value:
        return f"not measured{f': {estimate.reason}' if estimate.reason else ''}"
    if estimate.low != estimate.low:
        return f"{estimate.value:.{digits}f} (no interval{f': {estimate.reason}' if estimate.reason else ''})"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def rank1_text(search: SearchRates) -> str:
    """Write rank-1 with what guessing would reach."""
    if search.rank1.value != search.rank1.value:
        return f"not measured{f': {search.reason}' if search.reason else ''}"
    return f"{rate_text(search.rank1)}; chance {percent(search.chance1)}"


def rivals_text(evidence: Evidence, condition: str) -> list[tuple[str, str]]:
    """Write what the attackers on one defacer say about each other, as names with their values.

    The strongest for each measure, what the original's geometry gives away, and the crossed control.
    """
    lines = []
    for worst in evidence.worst:
        if worst.condition == condition and len(worst.tried) > 1:
            of = f"the most of {len(worst.tried)} attackers, with the interval of one"
            lines.append(("worst: people matched", f"{worst.match_attack}: {rate_text(worst.match)}; {of}"))
            first = f"{rate_text(worst.rank1)}; chance {percent(worst.chance1)}"
            lines.append(("worst: own person first", f"{worst.rank1_attack}: {first}; {of}"))
            link = estimate_text(worst.linkability)
            lines.append(("worst: AUC own/other", f"{worst.linkability_attack}: {link}; {of}"))
    for leak in evidence.leaks:
        if leak.condition == condition:
            gap = f"own person first {estimate_text(leak.rank1)}, AUC {estimate_text(leak.linkability)}"
            lines.append(("aligned minus registered", gap))
    for crossed in evidence.crossed:
        if crossed.condition == condition:
            chance = percent(crossed.chance)
            pixels = f"first {rate_text(crossed.pixels_first)}, AUC {estimate_text(crossed.pixels_auc)}"
            marks = f"first {rate_text(crossed.landmarks_first)}, AUC {estimate_text(crossed.landmarks_auc)}"
            lines.append(("crossed: pixels' owner", f"{pixels}; chance {chance}"))
            lines.append(("crossed: landmarks' owner", f"{marks}; chance {chance}"))
    return lines


def p_text(p: float) -> str:
    """Write a p-value to four digits."""
    return "not measured" if p != p else f"{p:.4g}"


def test_text(test: TestResult) -> str:
    """Write a test with n, statistic, p and effect."""
    if test.p != test.p:
        return f"not measured{f': {test.reason}' if test.reason else ''}"
    n = " and ".join(str(count) for count in test.n)
    effect = f", {test.effect_name} {test.effect:.3f}" if test.effect == test.effect else ""
    return f"n = {n}, statistic {test.statistic:.6g}, p = {p_text(test.p)} ({test.method}){effect}"


# --- the policy's threshold, which a cohort may not offer ---

_UNMEASURED = Rate(math.nan, math.nan, math.nan, 0, 0, 0, method="not measured")


def distance_at(result: AuditResult) -> float:
    """Return the distance of the policy's threshold for the first encoder; NaN where the cohort offers none."""
    name = result.verdict.policy.threshold
    return next((t.distance for t in result.calibrations[0].thresholds if t.name == name), math.nan)


# --- several encoders ---


def by_encoder(result: AuditResult) -> tuple[AuditResult, ...]:
    """Return what each encoder alone measured, in the order in which they were run."""
    return tuple(result.of_encoder(encoder) for encoder in result.encoders)


def name_attacker(result: AuditResult, part: AttackEvidence | ControlEvidence | SubjectEvidence) -> str:
    """Name an attacker; of several encoders, with its encoder."""
    return f"{part.encoder}, {part.attack}" if len(result.encoders) > 1 else part.attack


def of_strongest(result: AuditResult) -> AuditResult:
    """Return the result with the numbers of one encoder: of those whose decision it is, the one that links most."""
    if len(result.encoders) == 1:
        return result

    def strength(encoder: str) -> float:
        attacks = [attack for attack in result.evidence.attacks if attack.encoder == encoder]
        values = [auc.value for attack in attacks for auc in (attack.linkability, attack.search_auc)]
        return max((value for value in values if not math.isnan(value)), default=-math.inf)

    strongest = max(result.verdict.encoders, key=strength)
    return replace(result.of_encoder(strongest), verdict=result.verdict)


def tell_encoders(result: AuditResult) -> tuple[str, ...]:
    """Say which encoder decides what, in a sentence for the top of every output; none where there is but one."""
    if len(result.encoders) == 1:
        return ()
    parts = [
        f"{condition.condition} ("
        + ", ".join(
            f"{encoder} {part.verdict.conditions[place].decision.value}"
            for encoder, part in zip(result.encoders, by_encoder(result), strict=True)
        )
        + ")"
        for place, condition in enumerate(result.verdict.conditions)
    ]
    count = next(check.text for check in result.verdict.checks if check.name == "encoders")
    return (
        f"{count} By defacer: {'; '.join(parts)}. What binds is {' and '.join(result.verdict.encoders)}; where the "
        f"numbers of one encoder stand alone, they are those of {of_strongest(result).encoders[0]}.",
    )


def control_at(control: ControlEvidence, name: str) -> tuple[Rate, Rate]:
    """Return TMR and FMR of originals at a threshold; rates without trials where the cohort does not offer it."""
    return next(((tmr, fmr) for known, tmr, fmr in control.rates if known == name), (_UNMEASURED, _UNMEASURED))


def match_at(attack: AttackEvidence, name: str) -> MatchRates:
    """Return the match rates at a threshold; rates without trials where the cohort does not offer it."""
    for match in attack.matches:
        if match.threshold == name:
            return match
    none = _UNMEASURED
    reason = "the cohort offers no such threshold"
    return MatchRates(name, math.nan, none, none, none, none, none, none, reason=reason)


# --- the verdict in a sentence ---


def explain_verdict(result: AuditResult) -> str:
    """Give the reason of the verdict in one sentence: the check that decided, or what held where all passed."""
    verdict = result.verdict
    decision = verdict.decision
    if decision is Decision.PASS:
        defacers = len(verdict.conditions)
        rules = len(verdict.checks) + sum(len(condition.checks) for condition in verdict.conditions)
        people = min((one.subjects for one in result.evidence.attacks), default=0)
        return (
            f"Every one of {rules} rules held for {_counted(defacers, 'defacer')}, with {people} people compared: "
            "the attackers recognise the originals, and the upper bounds of what they still link after defacing lie "
            "within the policy's limits."
        )
    shared = [check for check in verdict.checks if check.decision is decision]
    own = [
        (condition.condition, check)
        for condition in verdict.conditions
        if condition.decision is decision
        for check in condition.checks
        if check.decision is decision
    ]
    total = len(shared) + len(own)
    more = f" ({_counted(total - 1, 'further reason')} below.)" if total > 1 else ""
    if shared:
        return shared[0].text + more
    if own:
        name, check = own[0]
        return f"{name}, {check.text}{more}"
    return "A rule was not met; see the rules below."


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
