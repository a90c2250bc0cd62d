"""What may be left in a release: linkability on all ranks, first places, matches beyond chance, and strata."""

from __future__ import annotations

import numpy as np

from reid_audit.accuracy.panels import Originals, Panel, Panels
from reid_audit.records import Check, Decision, Policy
from reid_audit.stats.residuals import Bounded, linkability, share_of_subjects
from reid_audit.verdict.rules.sight import strata_of
from reid_audit.verdict.rules.words import compare

FIRST = 0.01
"""Share of non-mated comparisons that are as near as a mate who would be first among 100 people."""


def check_linkability(panel: Panel, policy: Policy) -> Check:
    """Bound the mean percentile of the mate within its search (AUC): every rank counts, people are the sample."""
    bound = linkability(panel.mated, confidence=policy.confidence)
    within = " of their own sex" if panel.group is not None else ""
    shown = (
        f"{panel.attack}: a person's own original is nearer than another person's{within} with probability "
        f"{bound.value:.3f} (chance 0.5, {bound.subjects} people)"
    )
    decision, text = compare(bound, policy.max_linkability, policy.confidence, shown)
    return _check("linkability", decision, text, bound, policy.max_linkability, panel)


def check_first(panel: Panel, policy: Policy) -> Check:
    """Bound the share of mates among the nearest 1 % of non-mated comparisons: who is first among a hundred people.

    One operating point for cohorts of every size. Rank 1 of the cohort itself says less the fewer people there are:
    among 30 people guessing already finds 3 %.
    """
    near = panel.among_nearest(FIRST)
    bound = share_of_subjects(near, confidence=policy.confidence)
    limit = policy.max_rank1_over_chance + FIRST
    shown = (
        f"{panel.attack}: {int(near.sum())} of {near.size} searches would put the person first among {1 / FIRST:.0f} "
        f"people, where guessing gives {FIRST * near.size:.1f} ({int(panel.found_first.sum())} first among the "
        f"{bound.subjects} here, guessing {panel.chance_first * near.size:.1f})"
    )
    decision, text = compare(bound, limit, policy.confidence, shown)
    return _check("rank1", decision, text, bound, limit, panel)


def check_match(panel: Panel, originals: Originals, policy: Policy) -> Check | None:
    """Bound the matches of mated beyond those of non-mated comparisons of the same scans, at an FMR the cohort holds.

    None where originals make fewer than 30 non-mated comparisons: no threshold can be set.
    """
    scores = np.sort(originals.non_mated[np.isfinite(originals.non_mated)])
    fmr = 0.01 if len(scores) >= 300 else 0.10
    if len(scores) < 30:
        return None
    threshold = scores[int(fmr * len(scores))]
    matched = panel.blocks < threshold
    own = np.diagonal(matched, axis1=1, axis2=2)
    chance = float(matched[:, panel.rivals].mean())
    bound = share_of_subjects(own, confidence=policy.confidence)
    limit = policy.max_match_rate + chance
    shown = (
        f"{panel.attack}: {int(own.sum())} of {own.size} mated comparisons match (FMR {fmr:.0%} on originals), where "
        f"other people's originals match in {chance:.1%}"
    )
    decision, text = compare(bound, limit, policy.confidence, shown)
    return _check("match_rate", decision, text, bound, limit, panel)


def check_strata(panel: Panel, panels: Panels, policy: Policy) -> list[Check]:
    """Find strata that are linked beyond the limit; each bound at a confidence shared out among the strata."""
    cells = strata_of(panels.strata)
    checks = []
    for column, value, members in cells:
        confidence = 1 - (1 - policy.confidence) / len(cells) / 5  # a stratum only ever fails: keep false alarms rare
        bound = linkability(panel.mated[:, members], confidence=confidence)
        if bound.at_least > policy.max_linkability:
            shown = f"{panel.attack}, {column} {value}: linkability {bound.value:.2f} of {len(members)} people"
            decision, text = compare(bound, policy.max_linkability, confidence, shown)
            checks.append(_check("stratum", decision, text, bound, policy.max_linkability, panel))
    return checks


def describe_sex(panel: Panel) -> Check | None:
    """Say how far defaced scans give away the sex: attribute inference, which no rule judges as identity."""
    if panel.group is None:
        return None
    alike = panel.group[:, None] == panel.group[None, :]
    off = ~np.eye(len(panel.group), dtype=bool)
    nearer = []
    for block in panel.blocks:
        for i in range(len(block)):
            own, other = block[i, alike[i] & off[i]], block[i, ~alike[i]]
            own, other = own[np.isfinite(own)], other[np.isfinite(other)]
            if own.size and other.size:
                nearer.append(float((own[:, None] < other[None, :]).mean()))
    if not nearer:
        return None
    value = float(np.mean(nearer))
    text = (
        f"{panel.attack}: originals of the same sex lie nearer than those of the other with probability {value:.2f} "
        "(chance 0.5). This is inference of an attribute, not of identity, and is not judged."
    )
    return Check(
        "sex", Decision.PASS, text, value, attack=panel.attack, encoder=panel.encoder, condition=panel.condition
    )


def _check(name: str, decision: Decision, text: str, bound: Bounded, limit: float, panel: Panel) -> Check:
    edge = bound.at_least if decision is Decision.FAIL else bound.at_most
    return Check(name, decision, text, bound.value, edge, limit, panel.attack, panel.encoder, panel.condition)
