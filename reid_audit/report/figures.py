"""Which figures a page shows, with the words for readers who do not see them. A figure without data is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid_audit import plots
from reid_audit.records import ORIGINAL, AuditResult, Distribution, Estimate, Group, Rate, SubjectEvidence
from reid_audit.report.rows import Row, distance_at, find_strongest, list_rows
from reid_audit.report.words import estimate_text, percent, rank1_text, rate_text

_MOST_CURVES = 6
"""A picture with more lines is not read; the tables hold all."""
_MOST_COLUMNS = 4
_WIDTH_INCHES = 10.0
_BETTER = {True: "more is better", False: "less is better", None: "0 is best"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture of one or more panels.

    Attributes
    ----------
    name : str
        Stands in the picture and names its file.
    caption, alt : str
        What it shows, and the same in words and numbers.
    panels : tuple of callables
        Each draws on the Axes that it is given.
    columns : int
        Panels beside each other; 0 = all.
    share : bool
        All panels have one x and one y axis.
    legend : bool
        One legend below for all panels.
    folded : bool or None
        Whether the page shows it only when asked; None = it stands on the first screen.
    """

    name: str
    caption: str
    alt: str
    panels: tuple[Callable[[Any], None], ...]
    columns: int = 0
    height_inches: float = 3.6
    share: bool = False
    legend: bool = True
    folded: bool | None = False

    def make(self) -> Any:
        """Return the matplotlib figure."""
        columns = self.columns or len(self.panels)
        with plots.style():
            figure, axes = plots.new_figure(
                columns,
                rows=-(-len(self.panels) // columns),
                width_inches=_WIDTH_INCHES / columns,
                height_inches=self.height_inches,
                share=self.share,
            )
            for draw, panel in zip(self.panels, axes, strict=False):
                draw(panel)
                panel.xaxis.set_tick_params(labelbottom=True)
            for spare in axes[len(self.panels) :]:
                spare.remove()
            figure.suptitle(plots.shorten(self.name, most=80), fontsize="medium", fontweight="bold", x=0.01, ha="left")
            if self.legend:
                plots.show_common_legend(figure)
            return figure

    def svg(self) -> str:
        """Return the figure for a page that gives ink and paper."""
        return plots.to_svg(self.make(), name=self.name, themed=True)


def _draw_attackers(
    name: str,
    caption: str,
    rows: Sequence[Row],
    measure: Callable[[Row], Rate | Estimate],
    chance: float,
    limit: float,
    *,
    folded: bool | None = True,
) -> Figure:
    """Return a figure of a panel per defacer with a line per attacker, the control first, on shared axes."""
    conditions = list(dict.fromkeys(row.condition for row in rows if row.condition != ORIGINAL))
    encoders = list(dict.fromkeys(row.encoder for row in rows))
    series = encoders if len(encoders) > 1 else [""]

    def line(row: Row) -> str:
        return f"{ORIGINAL} (control)" if row.condition == ORIGINAL else row.attack

    lines = list(dict.fromkeys(line(row) for row in rows))

    def panel(condition: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            shown = [row for row in rows if row.condition in (ORIGINAL, condition)]
            numbers = [(line(row), row.encoder if len(series) > 1 else "", measure(row)) for row in shown]
            plots.draw_intervals(axes, numbers, label=name, lines=lines, series=series, chance=chance, limit=limit)
            axes.set_title(plots.shorten(condition, most=28))

        return draw

    columns = min(len(conditions), _MOST_COLUMNS)
    told = (f"{row.condition}, {row.who}: {percent(measure(row).value)}" for row in rows)
    return Figure(
        f"{name} by attacker",
        caption,
        f"{name}. " + "; ".join(told),
        tuple(map(panel, conditions)),
        columns=columns,
        height_inches=1.3 + (0.16 + 0.12 * len(series)) * len(lines),
        share=True,
        folded=folded,
    )


def _find_distributions(result: AuditResult, row: Row) -> dict[Group, Distribution]:
    """Return the histograms of one attacker on one defacer and of its encoder's originals, by group."""
    wanted = (ORIGINAL, ""), (row.condition, row.attack)
    return {
        each.group: each
        for each in result.distributions
        if each.encoder == row.encoder and (each.condition, each.attack if each.condition != ORIGINAL else "") in wanted
    }


def _mated(groups: dict[Group, Distribution]) -> Distribution | None:
    wanted = (Group.DEFACED_SAME, Group.DEFACED_SAME_SCAN, Group.DEFACED_DEFACED_SAME)
    return next((groups[group] for group in wanted if group in groups), None)


def _list_leftovers(result: AuditResult, rows: Sequence[Row]) -> list[tuple[str, Distribution, Distribution]]:
    leftovers = []
    for row in rows:
        groups = _find_distributions(result, row)
        mated, non_mated = _mated(groups), groups.get(Group.DEFACED_DIFFERENT)
        if mated is not None and non_mated is not None:
            leftovers.append((f"{row.condition}, {row.who}", mated, non_mated))
    return leftovers


def list_overview(result: AuditResult) -> Iterator[Figure]:
    """Yield the figures that show all defacers together, that of the first screen first."""
    policy, rows = result.verdict.policy, list_rows(result)
    strongest = list(find_strongest(rows).values())[:_MOST_CURVES]
    chance1 = max((row.search.chance1 for row in rows if row.search.chance1 == row.search.chance1), default=0.0)
    if any(row.linkability.value == row.linkability.value for row in strongest):
        yield _draw_attackers(
            "linkability",
            "What each attacker still links after each defacer: the probability that a defaced scan lies nearer to an "
            "original of its own subject than to another's, with intervals. Dotted: chance. Dashed: the limit.",
            rows,
            lambda row: row.linkability,
            0.5,
            policy.max_linkability,
            folded=None,
        )
        yield _draw_attackers(
            "rank 1",
            "Searches that put the probe's own subject first. Dotted: chance. Dashed: the policy's limit.",
            rows,
            lambda row: row.search.rank1,
            chance1,
            policy.max_rank1_over_chance + chance1,
        )
        yield _draw_attackers(
            "true match rate",
            f"Mated comparisons below the {policy.threshold} threshold. Dashed: the policy's limit. A search finds "
            "links that a threshold does not see.",
            rows,
            lambda row: row.mated,
            float("nan"),
            policy.max_match_rate,
        )
    calibrations = [each for each in result.calibrations if each.roc.fmr]
    if calibrations:
        after = _list_leftovers(result, strongest)
        yield Figure(
            "ROC and DET",
            "Error rates over all thresholds: the originals, and what the strongest attacker still has after each "
            "defacer. A curve on the dotted diagonal links nobody.",
            f"Originals: AUC {estimate_text(calibrations[0].auc)}, equal error rate {percent(calibrations[0].eer)}.",
            (
                lambda axes: plots.draw_roc(axes, calibrations, after=after),
                lambda axes: plots.draw_det(axes, calibrations, after=after),
            ),
            height_inches=4.4,
        )
    searches = [row for row in rows if row.condition == ORIGINAL or row in strongest]
    panels: list[Callable[[Any], None]] = []
    if any(row.search.cmc for row in searches):
        panels.append(lambda axes: plots.draw_cmc(axes, [(f"{r.condition}, {r.who}", r.search) for r in searches]))
    stability = calibrations[0].stability if calibrations else ()
    if any(point.name == "youden" and point.median == point.median for point in stability):
        panels.append(lambda axes: plots.draw_threshold_by_size(axes, stability))
    if panels:
        yield Figure(
            "CMC and threshold",
            "Searches that have the mate among the first r, with chance; and the threshold that smaller cohorts of the "
            "same subjects would have set.",
            "; ".join(f"{row.condition}, {row.who}: first in {rank1_text(row.search)}" for row in searches),
            tuple(panels),
            height_inches=4.2,
        )
    yield from _draw_cost(result, strongest)


def _draw_cost(result: AuditResult, strongest: Sequence[Row]) -> Iterator[Figure]:
    """Yield risk against the first measure of what protection cost, the whole scan before single structures."""
    known = [value for value in result.utility if value.mean == value.mean]
    known.sort(key=lambda value: (value.structure, value.position) != ("all", "all"))
    if not known:
        return
    key = known[0].metric, known[0].structure, known[0].position
    chosen = [value for value in known if (value.metric, value.structure, value.position) == key]
    costs = {value.condition: Estimate(value.mean, value.low, value.high) for value in chosen}
    points = {row.condition: (row.linkability, costs[row.condition]) for row in strongest if row.condition in costs}
    title = ", ".join(word.replace("_", " ") for word in (*key, chosen[0].unit) if word not in ("", "all"))
    yield Figure(
        "risk against cost",
        "Linkability by the strongest attacker against what the protection cost, with both intervals.",
        "; ".join(f"{name}: {estimate_text(risk)}, {estimate_text(cost)}" for name, (risk, cost) in points.items()),
        (lambda axes: plots.draw_tradeoff(axes, points, cost=f"{title}: {_BETTER[chosen[0].larger_is_better]}"),),
        legend=False,
        folded=True,
    )


def list_details(result: AuditResult, rows: Sequence[Row]) -> Iterator[Figure]:
    """Yield the distances of each attacker beside each subject before and after, on the same axes throughout."""
    threshold, shown = distance_at(result), []
    for row in rows:
        groups = _find_distributions(result, row)
        who = row.condition, row.attack, row.encoder
        subjects = [s for s in result.subjects if (s.condition, s.attack, s.encoder) == who]
        if any(sum(each.counts) for group, each in groups.items() if group not in (Group.SAME, Group.DIFFERENT)):
            shown.append((row, groups, subjects))
    shares = [n / sum(d.counts) for _, groups, _ in shown for d in groups.values() if sum(d.counts) for n in d.counts]
    distances = [
        distance
        for _, _, subjects in shown
        for subject in subjects
        for distance in (subject.distance_before, subject.distance_after)
        if distance == distance
    ]
    for row, groups, subjects in shown:
        yield _draw_detail(row, groups, subjects, threshold, 1.05 * max(shares), 1.05 * max(distances, default=1.0))


def _draw_detail(
    row: Row,
    groups: dict[Group, Distribution],
    subjects: Sequence[SubjectEvidence],
    threshold: float,
    most_share: float,
    most_distance: float,
) -> Figure:
    def distributions(axes: Any) -> None:
        plots.draw_distributions(axes, list(groups.values()), threshold=threshold)
        axes.set_ylim(0, most_share)

    def pairs(axes: Any) -> None:
        plots.draw_pairs(axes, subjects, threshold=threshold)
        axes.set_ylim(0, most_distance)

    both = any(s.distance_before == s.distance_before and s.distance_after == s.distance_after for s in subjects)
    return Figure(
        f"distances, {row.condition}, {row.who}",
        f"{row.condition}, {row.who}: distances of all comparisons" + (", and of each subject." if both else "."),
        f"Matched after defacing {rate_text(row.mated)}; non-mated {rate_text(row.non_mated)}.",
        (distributions, pairs) if both else (distributions,),
        height_inches=4.0,
        legend=False,
    )


def list_figures(result: AuditResult) -> Iterator[Figure]:
    """Yield every figure of a result: the overview, then each attack."""
    yield from list_overview(result)
    yield from list_details(result, [row for row in list_rows(result) if row.condition != ORIGINAL])


def write_figures(result: AuditResult, folder: Path) -> list[Path]:
    """Write every figure as SVG and PNG into a folder that is there, numbered in the order of the page.

    The figures show no portrait; each subject's distances are points without names.
    """
    written = []
    for number, figure in enumerate(list_figures(result), 1):
        drawn = figure.make()
        words = "".join(c if c.isascii() and c.isalnum() else "-" for c in figure.name.lower())
        stem = folder / f"{number:02d}-{'-'.join(filter(None, words.split('-')))[:60]}"
        stem.with_name(f"{stem.name}.svg").write_text(plots.to_svg(drawn, name=figure.name) + "\n", encoding="utf-8")
        stem.with_name(f"{stem.name}.png").write_bytes(plots.to_png(drawn))
        written += [stem.with_name(f"{stem.name}.{form}") for form in ("svg", "png")]
    return written
