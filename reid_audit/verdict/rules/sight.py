"""What the attackers must show on this cohort before anything that they miss counts."""

import numpy as np

from reid_audit.accuracy.panels import Originals, Panel, Panels
from reid_audit.attack import find_attack
from reid_audit.records import Calibration, Check, Decision, Policy
from reid_audit.stats.residuals import linkability, share_of_subjects
from reid_audit.verdict.rules.strata import cells_of
from reid_audit.verdict.rules.thresholds import operating_point
from reid_audit.verdict.rules.words import count_people, join_names

BLIND = "canary"
"""Name of the check that tells whether an attacker sees at all."""
NAN = float("nan")
_COPY = 0.002
"""Distance of two visits, as a share of that between two people, below which both are one acquisition."""
_TOO_MANY = 0.10
"""Share of people that may be copies, or whom an attacker may miss on a canary."""
_BESIDE = 0.9
"""Percentile from which on an attacker is said to see a weakly defaced scan beside its own original."""
_FEWEST = 12
"""People that a canary must be made of, or everybody in a smaller cohort."""
_NOTED = 5
"""People of a cell below which it is only noted that no canary was made of any of them."""


def check_control(originals: Originals, policy: Policy, calibration: Calibration | None = None) -> list[Check]:
    """Check that originals are recognised: by their visits, or by a calibration on other people where there are none.

    Parameters
    ----------
    originals : Originals
    policy : Policy
    calibration : Calibration, optional
        Of another cohort; used where nobody here has two visits.
    """

    def tell(
        name: str, decision: Decision, text: str, value: float = NAN, bound: float = NAN, limit: float = NAN
    ) -> Check:
        return Check(name, decision, text, value, bound, limit, encoder=originals.encoder)

    checks = []
    if originals.scans and originals.unseen > policy.max_original_fta * originals.scans:
        share = originals.unseen / originals.scans
        text = (
            f"No vector from {originals.unseen} of {originals.scans} original scans; the policy allows "
            f"{policy.max_original_fta:.0%}. What is not seen before defacing shows nothing after it."
        )
        checks.append(tell("original_fta", Decision.INCOMPLETE, text, share, share, policy.max_original_fta))
    if not np.isfinite(originals.mated).any():
        return [*checks, _check_control_elsewhere(originals.encoder, calibration, policy)]
    mated = originals.mated[np.isfinite(originals.mated)]
    copies = 0
    if np.isfinite(originals.non_mated).any():
        copies = int((mated < _COPY * np.nanmedian(originals.non_mated)).sum())
    if copies > _TOO_MANY * mated.size:
        text = (
            f"{copies} of {mated.size} pairs of visits are one acquisition (distances below {_COPY:.1%} of those "
            "between people): recognising them shows nothing. Give visits that were scanned twice."
        )
        checks.append(tell("control_copies", Decision.INCOMPLETE, text, copies / mated.size, NAN, _TOO_MANY))
    ranks = originals.percentile[:, np.isfinite(originals.percentile).any(axis=0)]
    if ranks.size:
        auc = linkability(ranks, confidence=policy.confidence)
        text = (
            f"On originals a person's other visit is nearer than another person's scan with probability "
            f"{auc.value:.3f}, at least {auc.at_least:.3f} (one-sided, {policy.confidence:.0%}, {auc.subjects} "
            f"people); {policy.min_control_auc:.2f} is asked for."
        )
        decision = Decision.PASS if auc.at_least >= policy.min_control_auc else Decision.INCOMPLETE
        checks.append(tell("control_auc", decision, text, auc.value, auc.at_least, policy.min_control_auc))
    points = [operating_point(originals, name) for name in (policy.threshold, "fmr10")]
    point = max((point for point in points if point), key=lambda point: point.distance, default=None)
    if point is not None:
        pairs = originals.mated.reshape(-1, len(originals.subjects))
        matched = (pairs < point.distance)[np.isfinite(pairs).any(axis=1)]
        matched = matched[:, np.isfinite(pairs).any(axis=0)]
        tmr = share_of_subjects(matched, confidence=policy.confidence)
        text = (
            f"On originals {int(matched.sum())} of {matched.size} mated comparisons match at the threshold "
            f"{point.name} (FMR {point.fmr:.1%}), at most {tmr.at_most:.0%} (one-sided, {policy.confidence:.0%}); the "
            f"policy asks for {policy.min_control_tmr:.0%}."
        )
        decision = Decision.PASS if tmr.at_most >= policy.min_control_tmr else Decision.INCOMPLETE
        checks.append(tell("control_tmr", decision, text, tmr.value, tmr.at_most, policy.min_control_tmr))
    return checks


def _check_control_elsewhere(encoder: str, calibration: Calibration | None, policy: Policy) -> Check:
    one_visit = (
        "Nobody has two visits. Defaced scans are compared with the very originals that they were made from, which "
        "flatters the attacker: what is linked may be the scan and not the face. A PASS is therefore on the safe side"
    )
    if calibration is None:
        text = f"{one_visit}; that the attackers see rests on the canaries."
        return Check("control", Decision.PASS, text, encoder=encoder)
    auc, low = calibration.auc, calibration.auc.at_least
    tmr = next((t.tmr.value for t in calibration.thresholds if t.name == policy.threshold), NAN)
    text = (
        f"{one_visit}. On the {calibration.subjects} other people of the calibration the AUC is {auc.value:.3f} (at "
        f"least {low:.3f}; {policy.min_control_auc:.2f} is asked for) and the TMR {tmr:.0%} (asked for: "
        f"{policy.min_control_tmr:.0%})."
    )
    enough = low >= policy.min_control_auc and tmr >= policy.min_control_tmr
    decision = Decision.PASS if enough else Decision.INCOMPLETE
    return Check("control", decision, text, auc.value, low, policy.min_control_auc, encoder=encoder)


def check_canary(panel: Panel, panels: Panels, policy: Policy) -> list[Check]:
    """Ask an attacker to link weakly defaced scans: of everybody of whom one was made, and of each stratum.

    An attacker sees if it links one of the canaries. People of whom no canary was made are neither seen nor missed.
    """

    def tell(
        name: str,
        text: str,
        value: float = NAN,
        bound: float = NAN,
        limit: float = NAN,
        decision: Decision = Decision.INCOMPLETE,
    ) -> Check:
        return Check(name, decision, text, value, bound, limit, panel.attack, panel.encoder, panel.condition)

    canaries = [c for c in panels.canaries(panel) if c.pairs]
    if not canaries:
        text = f"{panel.attack}: there is no canary, so it was not shown that it sees defaced scans. Add one."
        return [tell(BLIND, text)]
    limit = policy.min_control_auc
    bounds = [linkability(c.mated[:, c.made], confidence=policy.confidence) for c in canaries]
    best, bound = max(zip(canaries, bounds, strict=True), key=lambda pair: np.nan_to_num(pair[1].at_least))
    fewest = min(_FEWEST, len(panel.subjects))
    if len(best.made) < fewest:
        text = f"{panel.attack}: the canary {best.condition} is made of {len(best.made)} people; {fewest} are needed."
        return [tell(BLIND, text, len(best.made), NAN, fewest)]
    shown = (
        f"of weakly defaced scans ({best.condition}, {len(best.made)} people) it links {bound.value:.2f}, at least "
        f"{bound.at_least:.2f} (one-sided, {policy.confidence:.0%}); {limit:.2f} is asked for, 0.5 is chance."
    )
    if not bound.at_least >= limit:
        text = f"{panel.attack} is blind here, and what it does not find counts for nothing: {shown}"
        return [tell(BLIND, text, bound.value, bound.at_least, limit)]
    checks = [tell(BLIND, f"{panel.attack} sees: {shown}", bound.value, bound.at_least, limit, decision=Decision.PASS)]
    linking = [c for c, b in zip(canaries, bounds, strict=True) if b.at_least >= limit]
    seen = np.fmax.reduce([np.fmin.reduce(c.beside) for c in linking])  # NaN: no canary was made of that person
    tried, missed = np.isfinite(seen), seen < _BESIDE
    if missed.sum() > _TOO_MANY * tried.sum():
        text = (
            f"{panel.attack} misses {int(missed.sum())} of {int(tried.sum())} people even where their scans are weakly "
            "defaced and compared with the very original: people like these are untested."
        )
        checks.append(tell("canary_people", text, missed.sum() / tried.sum(), NAN, _TOO_MANY))
    linked = np.fmax.reduce([np.nan_to_num(c.mated, nan=0.5).mean(axis=0) for c in linking])
    for cell in cells_of(panels.strata):
        inside = cell.members[tried[cell.members]]
        if not len(inside):
            text = f"{panel.attack}: no canary was made of any of the {len(cell.members)} people of {cell}: not shown."
            decision = Decision.INCOMPLETE if len(cell.members) >= _NOTED else Decision.PASS
            checks.append(tell("canary_stratum", text, decision=decision))
        elif missed[inside].mean() >= 0.5 or (len(inside) > 2 and linked[inside].mean() < (0.5 + limit) / 2):
            text = (
                f"{panel.attack} is blind for {cell}: it misses {int(missed[inside].sum())} of {len(inside)} people on "
                f"the canaries (mean percentile of the mate {linked[inside].mean():.2f}). These people are untested."
            )
            checks.append(tell("canary_stratum", text, float(linked[inside].mean()), NAN, limit))
    return checks


def carries(checks: list[Check]) -> bool:
    """Whether an attacker that was asked by `check_canary` may carry a PASS, for most people at least."""
    return not any(check.name == BLIND and check.decision is not Decision.PASS for check in checks)


def binds(attack: str, policy: Policy) -> bool:
    """Whether a policy asks for an attacker, by its name or its family's."""
    return not find_attack(attack).names.isdisjoint(policy.required_attacks)


def fails(attack: str, policy: Policy) -> bool:
    """Whether linkage that an attacker shows beyond a limit is FAIL: that of those that bind, and of some beside."""
    return binds(attack, policy) or find_attack(attack).fails_unrequired


def check_required(condition: str, attackers: list[Panel], policy: Policy) -> list[Check]:
    """Check that the required attackers were run: with every encoder, or at all where they stand apart."""
    lacking: dict[str, None] = {}
    for apart in (False, True):
        panels = [p for p in attackers if find_attack(p.attack).stands_apart is apart]
        asked = [name for name in policy.required_attacks if find_attack(name).stands_apart is apart]
        for encoder in {""} if apart else dict.fromkeys(p.encoder for p in panels) or [""]:
            names = [p.attack for p in panels if apart or p.encoder == encoder]
            run = frozenset().union(*(find_attack(name).names for name in names))
            lacking |= dict.fromkeys(name for name in asked if name not in run)
    if not lacking:
        return []
    text = f"The policy asks for the attackers {', '.join(lacking)}, which were not run: run them for a PASS."
    return [Check("required_attacks", Decision.INCOMPLETE, text, condition=condition)]


def check_cover(condition: str, attackers: list[Panel], sighted: list[Panel], policy: Policy) -> list[Check]:
    """Check who was judged: everybody's scans, and enough people."""
    checks = []
    for panel in attackers:
        share = float((panel.seen & panel.there).sum() / max(panel.there.sum(), 1))
        bound = binds(panel.attack, policy) and not find_attack(panel.attack).baseline
        if bound and share < 1 - policy.max_defaced_fta:  # the baseline may miss faces: the others exist to see them
            text = f"{panel.attack}: a vector from {share:.0%} of the defaced scans; the policy asks for this attacker."
            checks.append(
                Check("required_attacks", Decision.INCOMPLETE, text, share, attack=panel.attack, condition=condition)
            )
    names = np.array(attackers[0].subjects)
    judges = sighted or attackers  # where all are blind, their canaries say so, and these are no further reasons
    there = np.any([p.there for p in attackers], axis=0)
    seen = np.any([p.seen for p in judges], axis=0)
    absent = names[~there.any(axis=0)]
    if len(absent):
        text = f"No defaced scan of {join_names(absent)} was judged; it may be those that the defacer failed on."
        checks.append(Check("coverage", Decision.INCOMPLETE, text, len(absent), condition=condition))
    unseen = names[(there & ~seen).any(axis=0)]
    if len(unseen):
        text = (
            f"No attacker that sees got a vector from scans of {len(unseen)} of {len(names)} people "
            f"({join_names(unseen)}). Not seen is not safe: look at these scans."
        )
        checks.append(Check("unseen", Decision.INCOMPLETE, text, len(unseen) / len(names), condition=condition))
    beside = np.any([np.isfinite(p.same_scan) | ~p.there for p in judges], axis=0)
    untried = names[(there & seen & ~beside).any(axis=0)]
    if len(untried):
        text = (
            f"Scans of {count_people(len(untried))} ({join_names(untried)}) were not compared with the originals that "
            "they were made from: an unaltered file could not be told. Add the comparisons defaced_same_scan."
        )
        checks.append(Check("same_scan", Decision.INCOMPLETE, text, len(untried) / len(names), condition=condition))
    people = int((there & seen).any(axis=0).sum())
    if people < policy.min_subjects:
        text = f"{people} people were compared; the policy asks for {policy.min_subjects}."
        checks.append(
            Check("subjects", Decision.INCOMPLETE, text, people, people, policy.min_subjects, condition=condition)
        )
    return checks
