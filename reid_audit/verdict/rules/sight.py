"""What the attackers must show on this cohort before anything that they miss counts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.accuracy.panels import Originals, Panel, Panels
from reid_audit.attack import find_attack
from reid_audit.records import Check, Decision, Policy
from reid_audit.stats.residuals import linkability
from reid_audit.verdict.rules.words import join_names

_COPY = 0.01
"""Distance of two visits, as a share of that between two people, below which both are one acquisition."""
_TOO_MANY = 0.10
"""Share of people that may be copies, or whom an attacker may miss on a canary."""
_CANARY_FIRST = 0.9
"""Percentile from which on an attacker is said to see a weakly defaced scan beside its own original."""


def check_control(originals: Originals) -> list[Check]:
    """Compare visits of originals: copies of one acquisition are recognised by anything and show nothing."""
    if not originals.mated.size or not originals.non_mated.size:
        return []
    closest = np.fmin.reduce(originals.mated, axis=0)
    known = np.isfinite(closest)
    copies = int((closest[known] < _COPY * np.nanmedian(originals.non_mated)).sum())
    share = copies / max(int(known.sum()), 1)
    if share <= _TOO_MANY:
        return []
    text = (
        f"The two visits of {copies} of {int(known.sum())} people are one acquisition (distances below {_COPY:.0%} of "
        "those between people): recognising them shows nothing. Give visits that were scanned twice."
    )
    return [Check("control_copies", Decision.INCOMPLETE, text, share, share, _TOO_MANY, encoder=originals.encoder)]


def missed(canaries: list[Panel]) -> NDArray[np.bool_]:
    """Return which people the attacker misses even where a scan is weakly defaced and lies beside its own original."""
    missing = np.ones(len(canaries[0].subjects), dtype=bool)
    for canary in canaries:
        v = len(canary.distance)
        beside = []
        for a in range(v):
            rivals = [canary.distance[p, q] for p, q in canary.pairs if p == a]
            if rivals:
                off = np.where(np.eye(len(missing), dtype=bool), np.nan, np.min(rivals, axis=0))
                known = np.isfinite(off).sum(axis=1)
                farther = (off > canary.same_scan[a][:, None]).sum(axis=1)
                beside.append(np.where(known > 0, farther / np.maximum(known, 1), 0.0))
        if beside:
            missing &= np.min(beside, axis=0) < _CANARY_FIRST
    return missing


def check_canary(panel: Panel, panels: Panels, policy: Policy) -> list[Check]:
    """Ask an attacker to link weakly defaced scans, of everybody and of each stratum."""

    def tell(name: str, text: str, value: float = math.nan, bound: float = math.nan, limit: float = math.nan) -> Check:
        decision = Decision.INCOMPLETE
        return Check(name, decision, text, value, bound, limit, panel.attack, panel.encoder, panel.condition)

    canaries = panels.canaries(panel)
    if not any(c.pairs for c in canaries):
        text = f"{panel.attack}: there is no canary, so it was not shown that it sees defaced scans. Add one."
        return [tell("canary", text)]
    limit = policy.min_control_auc
    best = max(canaries, key=lambda c: float(np.nanmean(c.mated)) if np.isfinite(c.mated).any() else 0.0)
    bound = linkability(best.mated, confidence=policy.confidence)
    if not bound.at_least >= limit:
        text = (
            f"{panel.attack} is blind here: of weakly defaced scans ({best.condition}) it links {bound.value:.2f}, at "
            f"least {bound.at_least:.2f} (one-sided, {policy.confidence:.0%}); {limit:.2f} is asked for, 0.5 is chance."
        )
        return [tell("canary", text, bound.value, bound.at_least, limit)]
    checks = []
    missing = missed(canaries)
    if missing.mean() > _TOO_MANY:
        text = (
            f"{panel.attack} misses {int(missing.sum())} of {len(missing)} people even where their scans are weakly "
            f"defaced and compared with the very original: these people are untested."
        )
        checks.append(tell("canary", text, float(missing.mean()), limit=_TOO_MANY))
    for column, value, members in strata_of(panels.strata):
        linked = np.nan_to_num(best.mated[:, members], nan=0.5).mean()
        if missing[members].mean() > 0.5 or linked < (0.5 + limit) / 2:
            text = (
                f"{panel.attack} is blind for {column} {value}: it misses {int(missing[members].sum())} of "
                f"{len(members)} people on the canary (linkability {linked:.2f}). These people are untested."
            )
            checks.append(tell("canary_stratum", text, float(linked), limit=limit))
    return checks


def strata_of(strata: pd.DataFrame) -> list[tuple[str, str, NDArray[np.intp]]]:
    """Return (column, value, positions of its people) for each column with 2 to 8 values of at least two people."""
    cells = []
    for column in strata:
        values = strata[column].dropna().astype(str)
        if 2 <= values.nunique() <= 8:
            for value in sorted(values.unique()):
                members = np.flatnonzero(strata[column].astype(str) == value)
                if len(members) >= 2:
                    cells.append((str(column), value, members))
    return cells


def check_cover(condition: str, attackers: list[Panel], sighted: list[Panel], policy: Policy) -> list[Check]:
    """Check who was judged: all required attackers, everybody's scans, and enough people."""
    checks = []
    run = {p.attack for p in attackers} | {p.attack.partition("-")[0] for p in attackers}
    lacking = [name for name in policy.required_attacks if name not in run]
    if lacking:
        text = f"The policy asks for the attackers {', '.join(lacking)}, which were not run: run them for a PASS."
        checks.append(Check("required_attacks", Decision.INCOMPLETE, text, condition=condition))
    for panel in attackers:
        share = float((panel.seen & panel.there).sum() / max(panel.there.sum(), 1))
        bound = panel.attack in policy.required_attacks and not find_attack(panel.attack).baseline
        if bound and share < 1 - policy.max_defaced_fta:  # the baseline may miss faces: the others exist to see them
            text = f"{panel.attack}: a vector from {share:.0%} of the defaced scans; the policy asks for this attacker."
            checks.append(
                Check("required_attacks", Decision.INCOMPLETE, text, share, attack=panel.attack, condition=condition)
            )
    names = np.array(attackers[0].subjects)
    there = np.any([p.there for p in attackers], axis=0)
    seen = np.any([p.seen for p in sighted], axis=0) if sighted else np.zeros_like(there)
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
    beside = np.any([np.isfinite(p.same_scan) | ~p.there for p in sighted], axis=0) if sighted else ~there
    untried = names[(there & seen & ~beside).any(axis=0)]
    if len(untried):
        text = (
            f"Scans of {len(untried)} people ({join_names(untried)}) were not compared with the originals that they "
            "were made from: an unaltered file could not be told. Add the comparisons defaced_same_scan."
        )
        checks.append(Check("same_scan", Decision.INCOMPLETE, text, len(untried) / len(names), condition=condition))
    people = int((there & seen).any(axis=0).sum())
    if people < policy.min_subjects:
        text = f"{people} people were compared; the policy asks for {policy.min_subjects}."
        checks.append(
            Check("subjects", Decision.INCOMPLETE, text, people, people, policy.min_subjects, condition=condition)
        )
    return checks


def carries(checks: list[Check]) -> bool:
    """Whether an attacker whose canary was checked may carry a PASS, for most people at least."""
    return not any((c.name == "canary" and math.isfinite(c.bound)) or "no canary" in c.text for c in checks)
