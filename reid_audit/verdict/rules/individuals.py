"""Rules about single people: an average never hides a person."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.panels import Originals, Panel, Panels
from reid_audit.records import Check, Decision
from reid_audit.stats.residuals import agreement, best_assignment, order_score, residuals
from reid_audit.verdict.rules.words import count_people, join_names

_FLOOR_OF_VISITS = 0.05
"""Share of the distance between two visits within which a file was only written anew."""
_FLOOR_OF_CANARY = 0.25
"""The same as a share of what a weak defacing changes."""
_ACCIDENT = 1e-2
"""Probability by chance, over all pairs of a cohort, of two people who are said to be one."""
_APART = -5.0
"""Residual, in standard deviations, from which on two labels are one person whoever lies near to them."""
NEAR = 0.9
"""Share of mated comparisons within whose distance two labels of one person lie."""
_ALONE = 0.5
_SAME_PERSON = 0.9
"""Mate percentile that somebody who is the same person reaches in at least one of the comparisons."""
_ORDERS = 6.0
_AGREEMENT = 4.5
"""Standard deviations from which on another assignment is said to fit: one false alarm in more than 10^5 by chance."""


def check_unaltered(panel: Panel, panels: Panels) -> list[Check]:
    """Name scans as near to their own original as a file that was only written anew."""
    weak = [np.nanmedian(c.same_scan) for c in panels.canaries(panel) if np.isfinite(c.same_scan).any()]
    lightest = min(weak, default=np.nan)
    floors = [_FLOOR_OF_VISITS * panels.originals_of(panel).typical_mated, _FLOOR_OF_CANARY * lightest]
    floors = [f for f in floors if np.isfinite(f)]
    same = panel.same_scan
    hit = (same <= max(floors, default=0.0)).any(axis=0)
    if not hit.any():
        return []
    who = np.array(panel.subjects)[hit]
    text = (
        f"{panel.attack}: scans of {count_people(len(who))} ({join_names(who)}) are not altered: they lie as near to "
        f"their own originals as a file that was only written anew (distance at most {max(floors, default=0.0):.2g})."
    )
    return [_finding("unaltered", Decision.FAIL, text, who, panel)]


def check_standing_out(panel: Panel, typical_mated: float) -> list[Check]:
    """Name people who are found first, as near as two visits of one person, and nearer than any two people here."""
    residual, n = panel.residual, len(panel.subjects)
    if not residual.size or not np.isfinite(typical_mated):
        return []
    mate = np.diagonal(residual, axis1=1, axis2=2)
    raw = np.diagonal(panel.blocks, axis1=1, axis2=2)
    off = np.where(np.eye(n, dtype=bool), np.nan, residual)
    beyond = mate < np.fmin.reduce(off, axis=None)  # no other distance: nobody
    hit = (beyond & (raw <= typical_mated)).any(axis=0)
    if not hit.any():
        return []
    who = np.array(panel.subjects)[hit]
    text = (
        f"{panel.attack}: {join_names(who)} are found first and lie as near as two original visits of one person, "
        "nearer than any two people here. Look at these scans."
    )
    return [_finding("exposed", Decision.REVIEW, text, who, panel)]


def check_labels(panel: Panel, near: float, rng: np.random.Generator) -> list[Check]:
    """Look for an assignment of defaced scans to people that fits better than the labels."""
    names, n = panel.subjects, len(panel.subjects)
    if not panel.pairs or n < 6:
        return []
    orders, percentile = _orders(n), panel.percentile
    scores = {name: order_score(percentile, order) for name, order in orders.items()}
    likely = max(scores, key=lambda name: scores[name])
    order = orders[likely] if scores[likely] > _ORDERS else None
    pairs = [] if order is not None else _near_somebody_else(panel, near)
    agreed = not pairs and order is None and _parts_agree(panel, rng)
    if agreed:
        order = best_assignment(panel.residual)
    if order is not None:
        pairs = [(i, int(order[i])) for i in range(n) if order[i] != i]
    if not pairs:
        return []
    said = join_names(f"{names[i]} -> {names[j]}" for i, j in pairs)
    text = (
        f"{panel.attack}: defaced scans of several sessions agree on whom they resemble, and it is not the person they "
        f"are listed under: {said}. Either the list of files is wrong, or the defacer leaves something that sessions "
        "of one person share: check the list first."
        if agreed
        else f"{panel.attack}: the labels do not fit the faces: {said}. These defaced scans resemble another person's "
        "originals better than those of the person they are listed under: check the list of files."
    )
    return [_finding("labels", Decision.REVIEW, text, [names[i] for i, _ in pairs], panel)]


def check_people(originals: Originals, canaries: list[Panel]) -> list[Check]:
    """Look for two labels of one person, and for one label of two, in what the attackers see of weakly defaced scans.

    Originals and all canary panels of one encoder are averaged. Two labels are one person where each is the other's
    nearest, as near as visits of one person, and at less than half the distance of anybody else or far beyond what
    chance brings. One label is two people where its visits are as far from each other as two people are, for originals
    and for every canary.
    """
    if not np.isfinite(originals.typical_mated):
        return []
    names, n = originals.subjects, len(originals.subjects)
    blocks = [block for canary in canaries for block in canary.blocks]
    sides = np.array([originals.between, *blocks, *(block.T for block in blocks)])
    count = np.isfinite(sides).sum(axis=0)
    mean = np.where(count > 0, np.nan_to_num(sides).sum(axis=0) / np.maximum(count, 1), np.inf)
    near = float(np.nanquantile(originals.mated, NEAR))
    others = np.where(np.eye(n, dtype=bool), np.inf, mean)
    rest = residuals(np.where(np.isfinite(others), others, np.nan)[None])[0]
    standing = np.nan_to_num(rest / max(float(np.nanstd(rest)), 1e-12)) if np.isfinite(rest).any() else np.zeros((n, n))
    nearest, second = others.argmin(axis=1), np.sort(others, axis=1)[:, 1]
    distance = others.min(axis=1)
    twins = [
        f"{names[i]} and {names[j]}"
        for i, j in enumerate(nearest)
        if i < j
        and nearest[j] == i
        and distance[i] <= near
        and (distance[i] < _ALONE * min(second[i], second[j]) or standing[i, j] < _APART)
    ]
    apart = np.array(names)[_unlike_visits(originals, canaries)]
    checks = []
    if twins:
        text = f"Two labels look like one person: {join_names(twins)}. Check the list of subjects."
        checks.append(Check("two_labels", Decision.REVIEW, text, len(twins), encoder=originals.encoder))
    if len(apart):
        text = (
            f"The visits of {join_names(apart)} lie as far apart as two people: an unlike visit, or another "
            "person. Look at the list of files."
        )
        checks.append(Check("one_label", Decision.PASS, text, len(apart), encoder=originals.encoder))
    return checks


def _unlike_visits(originals: Originals, canaries: list[Panel]) -> NDArray[np.bool_]:
    """Return whose visits are as far apart as those of two people, in originals and every canary."""
    if not np.isfinite(originals.non_mated).any():
        return np.zeros(len(originals.subjects), dtype=bool)
    far = np.nanmedian(originals.non_mated)
    both = np.fmin(originals.mated, originals.mated.swapaxes(0, 1))
    nearest_visit = np.fmin.reduce(both, axis=1)  # of each visit, its nearest other visit
    apart: NDArray[np.bool_] = np.asarray((nearest_visit > far).any(axis=0))
    for canary in canaries:
        if canary.pairs:
            apart &= ~(np.fmin.reduce(canary.mated) >= _SAME_PERSON)
    return apart


def _near_somebody_else(panel: Panel, near: float) -> list[tuple[int, int]]:
    """Pairs (defaced, original) of two people as near as visits of one, each the other's nearest in every block."""
    if not np.isfinite(near):
        return []
    from scipy.special import ndtri

    n, blocks = len(panel.subjects), panel.blocks
    known = np.isfinite(blocks).all(axis=0)
    mean = np.where(known, np.nan_to_num(blocks).mean(axis=0), np.inf)
    spread = np.nanstd(panel.residual[:, ~np.eye(n, dtype=bool)], axis=1)
    standing = np.where(known, np.nan_to_num(panel.residual), 0.0) / np.maximum(spread, 1e-12)[:, None, None]
    together = standing.sum(axis=0) / np.sqrt(len(standing))
    beyond = ndtri(_ACCIDENT / max(n * (n - 1), 1))
    nearest, probe = mean.argmin(axis=1), mean.argmin(axis=0)
    return [
        (i, int(j))
        for i, j in enumerate(nearest)
        if j != i and probe[j] == i and mean[i, j] <= near and together[i, j] < beyond
    ]


def _orders(n: int) -> dict[str, np.ndarray]:
    """Errors that lists have: off by a line or two, neighbours exchanged, the other way round."""
    line = np.arange(n)
    shifts = {f"shift {k}": np.roll(line, k) for k in (-2, -1, 1, 2)}
    even = line ^ 1
    odd = ((line + 1) ^ 1) - 1
    swaps = {"swap": np.where(even < n, even, line), "swap odd": np.where((odd >= 0) & (odd < n), odd, line)}
    return shifts | swaps | {"reverse": line[::-1]}


def _parts_agree(panel: Panel, rng: np.random.Generator) -> bool:
    """Whether two blocks without a common scan agree on one assignment that is not the labels'."""
    for k, (a, b) in enumerate(panel.pairs):
        for m in range(k + 1, len(panel.pairs)):
            if panel.pairs[m] == (b, a) and a != b:
                first, second = (np.array(panel.residual[x]) for x in (k, m))
                for part in (first, second):
                    np.fill_diagonal(part, 0.0)  # what the labels themselves link is no evidence against them
                return agreement(first, second, rng) > _AGREEMENT
    return False


def _finding(name: str, decision: Decision, text: str, subjects: Iterable[object], panel: Panel) -> Check:
    people = tuple(str(subject) for subject in subjects)
    who = panel.attack, panel.encoder, panel.condition
    return Check(name, decision, text, len(people), np.nan, np.nan, *who, people)
