"""Which figures a page shows, with the words for readers who do not see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid_audit import plots
from reid_audit.plots.canvas import style
from reid_audit.records import AttackEvidence, AuditResult, ControlEvidence, Distribution, Group
from reid_audit.report.words import distance_at, estimate_text, match_at, percent, rank1_text, rate_text

_MOST_CURVES = 6
"""A picture with more lines is not read; the tables hold all."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture: a name for files, a caption, a description in words, and what draws it."""

    name: str
    caption: str
    alt: str
    columns: int
    draw: Callable[[list[Any]], None]
    width_inches: float = 5.0
    height_inches: float = 3.6

    def make(self) -> Any:
        """Return the matplotlib figure."""
        with style():
            figure, axes = plots.new_figure(
                self.columns, width_inches=self.width_inches, height_inches=self.height_inches
            )
            self.draw(axes)
            return figure

    def svg(self) -> str:
        """Return the figure for a page that gives ink and paper."""
        return plots.to_svg(self.make(), name=self.name, themed=True)


def _name(attack: AttackEvidence) -> str:
    return f"{attack.condition}, {attack.attack}"


def _binned(result: AuditResult, attack: AttackEvidence, group: Group) -> Distribution | None:
    return next(
        (
            each
            for each in result.distributions
            if (each.group, each.condition, each.attack) == (group, attack.condition, attack.attack)
        ),
        None,
    )


def _worst_attacks(result: AuditResult) -> list[AttackEvidence]:
    """Return for each defacer the attacker that links most, so that curves stay readable."""
    worst: dict[str, AttackEvidence] = {}
    for one in result.evidence.attacks:
        old = worst.get(one.condition)
        if (
            old is None
            or one.linkability.value > old.linkability.value
            or old.linkability.value != old.linkability.value
        ):
            worst[one.condition] = one
    return list(worst.values())


def _left_over(result: AuditResult) -> list[tuple[str, Distribution, Distribution]]:
    found = []
    for one in _worst_attacks(result)[:_MOST_CURVES]:
        own, non_mated = _binned(result, one, one.group), _binned(result, one, Group.DEFACED_DIFFERENT)
        if own is not None and non_mated is not None:
            found.append((_name(one), own, non_mated))
    return found


def list_overview(result: AuditResult) -> Iterator[Figure]:
    """Yield the figures that show all defacers together."""
    evidence, policy = result.evidence, result.verdict.policy
    attacks, controls = evidence.attacks, evidence.controls
    rows = max(1, len({one.condition for one in attacks}))
    height = 1.5 + 0.62 * rows

    def rates(axes: list[Any]) -> None:
        plots.draw_match_rates(
            axes[0], attacks, threshold=policy.threshold, limit=policy.max_match_rate, controls=controls
        )
        plots.draw_attacks(axes[1], attacks, measure="rank1")

    described = "; ".join(
        f"{_name(one)}: matched {rate_text(match_at(one, policy.threshold).subjects)}, first {rank1_text(one.search)}"
        for one in attacks
    )
    yield Figure(
        "rates",
        "People matched (left) and found first in a search (right), per defacer and attacker, with 95 % intervals. "
        "A search finds linkage that a threshold does not see.",
        f"Match rates and rank-1 rates. {described or 'There are no defaced scans.'}",
        2,
        rates,
        height_inches=height + 0.5,
    )

    def linked(axes: list[Any]) -> None:
        plots.draw_attacks(axes[0], attacks, measure="linkability", limit=policy.max_linkability)
        plots.draw_tradeoff(axes[1], attacks, result.utility)

    yield Figure(
        "linkability",
        "Left: probability that a person's own original is nearer than a stranger's, per attacker; one half is chance. "
        "Right: the same for the worst attacker against what the protection cost.",
        "Linkability. "
        + ("; ".join(f"{_name(one)}: AUC {estimate_text(one.linkability)}" for one in attacks) or "No defaced scans.")
        + (" The cost was not measured." if not result.utility else ""),
        2,
        linked,
        height_inches=max(height, 3.0),
    )
    after = _left_over(result)

    def curves(axes: list[Any]) -> None:
        plots.draw_roc(axes[0], result.calibrations[0], after=after)
        plots.draw_det(axes[1], result.calibrations[0], after=after)

    yield Figure(
        "roc",
        "ROC (left) and DET (right): originals with the operating points, and what the worst attacker still has after "
        "each defacer. A curve on the dotted diagonal links nobody.",
        f"ROC and DET curves. Originals: AUC {estimate_text(result.calibrations[0].auc)}, equal error rate "
        f"{percent(result.calibrations[0].eer)}.",
        2,
        curves,
        height_inches=4.2,
    )
    searched: list[tuple[str, ControlEvidence | AttackEvidence]] = [(f"original, {c.attack}", c) for c in controls]
    searched += [(_name(one), one) for one in _worst_attacks(result)[:_MOST_CURVES]]

    def settle(axes: list[Any]) -> None:
        plots.draw_cmc(axes[0], searched)
        plots.draw_threshold_by_size(axes[1], result.calibrations[0].stability)

    yield Figure(
        "search",
        "Left: searches with the own person among the first r, with chance. Right: the threshold that smaller cohorts "
        "of the same people would have set.",
        "Cumulative match characteristic. "
        + "; ".join(f"{name}: first in {rank1_text(one.search)}" for name, one in searched),
        2,
        settle,
        height_inches=3.4,
    )


def draw_attack(result: AuditResult, attack: AttackEvidence) -> Figure:
    """Return the distances of one attack beside its before-and-after plot."""
    threshold = distance_at(result)
    marked = None if threshold != threshold else threshold
    shown: Sequence[Distribution] = [
        *(each for each in result.distributions if each.condition == "original"),
        *(
            each
            for each in result.distributions
            if (each.condition, each.attack) == (attack.condition, attack.attack)
            and each.group in (attack.group, Group.DEFACED_DIFFERENT)
        ),
    ]
    people = [p for p in result.subjects if (p.condition, p.attack) == (attack.condition, attack.attack)]
    match = match_at(attack, result.verdict.policy.threshold)

    def both(axes: list[Any]) -> None:
        plots.draw_distributions(axes[0], shown, threshold=marked)
        plots.draw_pairs(axes[1], people, threshold=marked)

    return Figure(
        f"distances {attack.condition} {attack.attack}",
        f"{attack.condition}, {attack.attack} attacker. Left: distances of all comparisons. Right: each person before "
        "and after defacing.",
        f"Distances for {attack.condition} under the {attack.attack} attacker: matched after defacing "
        f"{rate_text(match.counted)}; strangers {rate_text(match.non_mated)}.",
        2,
        both,
        height_inches=4.0,
    )


def list_figures(result: AuditResult) -> Iterator[Figure]:
    """Yield every figure of a result: the overview, then each attack."""
    yield from list_overview(result)
    for attack in result.evidence.attacks:
        yield draw_attack(result, attack)


def write_figures(result: AuditResult, folder: Path) -> list[Path]:
    """Write every figure as SVG and PNG into a folder that is there, numbered in the order of the page.

    The figures show no portrait; each person's distances are points without names.
    """
    written = []
    for number, figure in enumerate(list_figures(result), 1):
        drawn = figure.make()
        stem = folder / f"figure{number:02d}"
        stem.with_suffix(".svg").write_text(plots.to_svg(drawn, name=figure.name) + "\n", encoding="utf-8")
        stem.with_suffix(".png").write_bytes(plots.to_png(drawn))
        written += [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    return written
