"""What may be left in a release: linkability on all ranks, first places, matches beyond chance, and strata."""

import numpy as np

from reid_audit.accuracy.panels import Panel, Panels
from reid_audit.records import Check, Decision, Policy
from reid_audit.stats.residuals import Bounded, Floats, alike, excess, linkability, share_of_subjects
from reid_audit.verdict.rules.strata import MINIMUM, cells_of
from reid_audit.verdict.rules.thresholds import OperatingPoint
from reid_audit.verdict.rules.words import compare

_NEAREST = 0.01
"""Share of non-mated comparisons that are as near as a mate who would be first among 100 people."""
_NEAREST_OF_FEW = 0.003
"""The same where there are fewer than `_FEW` searches: a single chance hit of one per cent would then decide."""
_FEW = 50
_MOST_BY_CHANCE = 0.05
"""Share of non-mated comparisons of defaced scans that may match: beyond it the threshold tells nobody apart."""
_CLEAR = 1e-4
"""Probability by chance below which first places of a small cell are no accident."""


def check_linkability(panel: Panel, policy: Policy) -> Check:
    """Bound the probability that the mate is nearer than another (AUC): every rank counts, people are the sample."""
    bound = panel.linkability(confidence=policy.confidence)
    within = " of their own sex" if panel.group is not None else ""
    shown = (
        f"{panel.attack}: a person's own original is nearer than another person's{within} with probability "
        f"{bound.value:.3f} (chance 0.5, {bound.subjects} people)"
    )
    decision, text = compare(bound, policy.max_linkability, policy.confidence, shown)
    return _check("linkability", decision, text, bound, policy.max_linkability, panel)


def check_rank1(panel: Panel, policy: Policy) -> Check:
    """Bound the share of mates among the nearest 1 % of non-mated comparisons: the rank-1 rate among a hundred people.

    One operating point for cohorts of every size. Rank 1 of the cohort itself says less the fewer people there are:
    among 30 people guessing already finds 3 %. It is told beside.
    """
    share = _NEAREST if panel.mated.size >= _FEW else _NEAREST_OF_FEW
    near = panel.among_nearest(share)
    bound = share_of_subjects(near, confidence=policy.confidence)
    limit = policy.max_rank1_over_chance + share
    first = panel.found_first
    shown = (
        f"{panel.attack}: rank 1 in {int(first.sum())} of {first.size} searches among {bound.subjects} people "
        f"(guessing: {panel.chance_first * first.size:.1f}); the mate is among the nearest {share:.1%} of non-mated "
        f"comparisons, first among about {round(1 / share, -1):.0f} people, in {int(near.sum())} of {near.size} "
        f"(guessing: {share * near.size:.1f})"
    )
    decision, text = compare(bound, limit, policy.confidence, shown)
    return _check("rank1_of_many", decision, text, bound, limit, panel)


def check_match(panel: Panel, point: OperatingPoint | None, policy: Policy) -> Check | None:
    """Bound the matches of mated comparisons beyond those that other people's scans and originals explain.

    None where there is no threshold.
    """
    if point is None:
        return None
    blocks = panel.blocks
    others = blocks[:, panel.rivals]
    strictest = float(np.nanquantile(others, _MOST_BY_CHANCE)) if np.isfinite(others).any() else np.inf
    threshold = min(point.distance, strictest)
    tightened = f", tightened until other people match in {_MOST_BY_CHANCE:.0%}" if threshold < point.distance else ""
    matched = np.where(np.isfinite(blocks), blocks < threshold, np.nan)
    other = np.where(panel.rivals, matched, np.nan)
    own = np.diagonal(matched, axis1=1, axis2=2) == 1
    chance = _explained(other)
    bound = excess(own, chance, confidence=policy.confidence)
    shown = (
        f"{panel.attack}: {int(own.sum())} of {own.size} mated comparisons match at the threshold {point.name} (FMR "
        f"{point.fmr:.1%} on originals{tightened}); by chance, from other people's comparisons of the same scans, "
        f"{chance.sum():.1f} would. Matches beyond chance: {bound.value:.1%}"
    )
    decision, text = compare(bound, policy.max_match_rate, policy.confidence, shown)
    return _check("match_rate", decision, text, bound, policy.max_match_rate, panel)


def _explained(other: Floats) -> Floats:
    """(b, n): expected share of matches of each mated comparison, from its row and column of non-mated ones."""
    known = np.isfinite(other)

    def mean(axis: int | tuple[int, int]) -> Floats:
        count = np.maximum(known.sum(axis=axis), 1)
        return np.asarray(np.where(known, other, 0.0).sum(axis=axis) / count)

    return np.clip(mean(2) + mean(1) - mean((1, 2))[:, None], 0.0, 1.0)


def check_strata(panel: Panel, panels: Panels, policy: Policy) -> list[Check]:
    """Find cells that are linked beyond the limit, and small cells whose people are clearly found.

    A cell only ever fails: its confidence is shared out among the cells so that false alarms stay rare.
    """
    from scipy.special import bdtrc

    cells = cells_of(panels.strata)
    checks: list[Check] = []
    for cell in cells:
        confidence = 1 - (1 - policy.confidence) / len(cells) / 5
        limit, place = policy.max_linkability, f"{panel.attack}, {cell}"
        bound = linkability(panel.mated[:, cell.members], confidence=confidence)
        first = np.atleast_1d(panel.found_first[:, cell.members].any(axis=0))
        luck = 1 - (1 - panel.chance_first) ** len(panel.pairs)
        if len(cell.members) >= MINIMUM and bound.at_least > limit:
            shown = f"{place}: linkability {bound.value:.2f} of {len(cell.members)} people"
            decision, text = compare(bound, limit, confidence, shown)
            checks.append(_check("stratum", decision, text, bound, limit, panel))
        elif len(cell.members) < MINIMUM and bdtrc(first.sum() - 1, len(first), luck) < _CLEAR / len(cells):
            text = (
                f"{place}: {int(first.sum())} of its {len(first)} people are found first among {len(panel.subjects)}; "
                f"by chance {luck * len(first):.1f} would be. Too few people for a rate, and no accident."
            )
            checks.append(_check("stratum", Decision.FAIL, text, bound, limit, panel))
    return checks


def describe_sex(panel: Panel) -> Check | None:
    """Say how far defaced scans give away the sex: attribute inference, which no rule judges as identity."""
    if panel.group is None:
        return None
    likeness = alike(panel.group)
    off = ~np.eye(len(panel.group), dtype=bool)
    nearer = []
    for block in panel.blocks:
        for i in range(len(block)):
            own, other = block[i, (likeness[i] == 1) & off[i]], block[i, likeness[i] == 0]
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
