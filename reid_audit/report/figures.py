"""Which figures a page shows, with the words for readers who do not see them. A figure without data is left out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reid_audit import plots
from reid_audit.accuracy import list_recognisers
from reid_audit.attack import find_attack
from reid_audit.records import ORIGINAL, AuditResult, Distribution, Estimate, Group, Rate, SubjectEvidence
from reid_audit.report.figure import Figure
from reid_audit.report.leak_figures import draw_channels, draw_leak_maps
from reid_audit.report.rows import Row, chance_of, find_strongest, list_canaries, list_rows
from reid_audit.report.words import counted, estimate_text, percent, rank1_text, rate_text

_MOST_CURVES = 6
"""A picture with more lines is not read; the tables hold all."""
_MOST_COLUMNS = 5
_WEAKEST = "least linked canary"
_BETTER = {True: "more is better", False: "less is better", None: "0 is best"}


def _draw_attackers(
    name: str,
    caption: str,
    rows: Sequence[Row],
    measure: Callable[[Row], Rate | Estimate],
    *,
    limit: float = float("nan"),
    chance: float = float("nan"),
    canaries: Mapping[str, Mapping[str, Estimate]] = MappingProxyType({}),
    folded: bool | None = True,
) -> Figure:
    """Return a figure of a panel per defacer with a line per attacker, the control first, on shared axes."""
    conditions = list(dict.fromkeys(row.condition for row in rows if row.condition != ORIGINAL))
    apart = {row.attack for row in rows if find_attack(row.attack).stands_apart}
    several = len({row.encoder for row in rows if row.attack not in apart}) > 1

    def number(row: Row) -> plots.Number:
        line = f"control: {row.attack}" if row.condition == ORIGINAL else row.attack
        return line, row.encoder if several and row.attack not in apart else "", measure(row)

    lines = list(dict.fromkeys(number(row)[0] for row in rows))
    series = list(dict.fromkeys(number(row)[1] for row in rows))

    least: dict[str, Estimate] = {}
    for who, value in (item for seen in canaries.values() for item in seen.items()):
        least[who] = min(value, least.get(who, value), key=lambda estimate: estimate.value)
    place = {row.who: number(row)[:2] for row in rows if row.condition != ORIGINAL}

    def draw(axes: Any, condition: str) -> None:
        shown = [number(row) for row in rows if row.condition in (ORIGINAL, condition)]
        if condition == _WEAKEST:
            shown = [(*place[who], value) for who, value in least.items() if who in place]
        plots.draw_intervals(axes, shown, label=name, lines=lines, series=series, chance=chance, limit=limit)
        axes.set_title(plots.shorten(condition, most=28))

    conditions = [*[_WEAKEST][: len(least)], *conditions]
    return Figure(
        f"{name} by attacker",
        caption,
        f"{name}. " + "; ".join(f"{row.condition}, {row.who}: {percent(measure(row).value)}" for row in rows),
        tuple(partial(draw, condition=condition) for condition in conditions),
        columns=min(len(conditions), _MOST_COLUMNS),
        height_inches=1.3 + (0.16 + 0.09 * len(series)) * len(lines),
        share=True,
        folded=folded,
    )


def _find_distributions(result: AuditResult, row: Row) -> dict[Group, Distribution]:
    """Return the histograms of one attacker on one defacer and of its encoder's originals, by group."""
    return {
        each.group: each
        for each in result.distributions
        if each.encoder == row.encoder
        and (each.condition == ORIGINAL or (each.condition, each.attack) == (row.condition, row.attack))
    }


def _list_leftovers(result: AuditResult, rows: Sequence[Row]) -> Iterator[plots.Leftover]:
    for row in rows:
        groups = _find_distributions(result, row)
        mated = [groups[group] for group in (Group.DEFACED_SAME, Group.DEFACED_SAME_SCAN) if group in groups]
        if mated and Group.DEFACED_DIFFERENT in groups:
            yield f"{row.condition}, {row.who}", mated[0], groups[Group.DEFACED_DIFFERENT]


def list_overview(result: AuditResult) -> Iterator[Figure]:
    """Yield the figures that show all defacers together, that of the first screen first."""
    policy, rows = result.verdict.policy, list_rows(result)
    strongest = list(find_strongest(rows).values())[:_MOST_CURVES]
    if any(row.linkability.value == row.linkability.value for row in strongest):
        yield _draw_attackers(
            "linkability",
            "What each attacker still links after each defacer: the probability that a defaced scan lies nearer to an "
            "original of its own subject than to another's, with intervals. Dotted: chance. "
            "Dashed: the limit. Canaries are weak defacings that an attacker who sees must link.",
            rows,
            lambda row: row.linkability,
            chance=0.5,
            limit=policy.max_linkability,
            canaries=list_canaries(result),
            folded=None,
        )
        yield _draw_attackers(
            "rank 1",
            "Searches that put the probe's own subject first. Dotted: chance.",
            rows,
            lambda row: row.search.rank1,
            chance=chance_of(rows),
        )
        yield _draw_attackers(
            "true match rate",
            f"Mated comparisons below the {policy.threshold} threshold. A search finds links that no threshold sees.",
            rows,
            lambda row: row.mated,
        )
    recognisers = list_recognisers(result.evidence)
    of_encoder = zip(result.encoders, result.calibrations, strict=False)
    calibrations = [each for encoder, each in of_encoder if encoder in recognisers and each.roc.fmr]
    if calibrations:
        after = list(_list_leftovers(result, strongest))
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
    searches = [
        (f"{row.condition}, {row.who}", row.search)
        for row in rows
        if row.search.cmc and (row in strongest or (row.condition == ORIGINAL and row.encoder in recognisers))
    ]
    settled = [p for each in calibrations[:1] for p in each.stability if p.name == "youden" and p.median == p.median]
    panels: list[Callable[[Any], None]] = []
    if searches:
        panels.append(lambda axes: plots.draw_cmc(axes, searches))
    if settled:
        panels.append(lambda axes: plots.draw_threshold_by_size(axes, settled))
    if panels:
        yield Figure(
            "CMC and threshold",
            "Searches that have the mate among the first r, with chance; and the threshold that smaller cohorts of the "
            "same subjects would have set.",
            "; ".join(f"{name}: first in {rank1_text(search)}" for name, search in searches),
            tuple(panels),
            height_inches=4.2,
        )
    yield from draw_channels(rows)
    places = {row.condition: place for place, row in enumerate(rows)}
    yield from draw_leak_maps(sorted(result.leaks, key=lambda leak: places.get(leak.condition, len(rows))))
    yield from _draw_cost(result, strongest)


def _draw_cost(result: AuditResult, strongest: Sequence[Row]) -> Iterator[Figure]:
    """Yield risk against the first measure of what protection cost, the whole scan before single structures."""
    known = [value for value in result.utility if value.mean == value.mean]
    known.sort(key=lambda value: (value.structure, value.position) != ("all", "all"))
    key = [(value.metric, value.structure, value.position) for value in known]
    chosen = [value for value, own in zip(known, key, strict=True) if own == key[0]]
    costs = {value.condition: Estimate(value.mean, value.low, value.high) for value in chosen}
    points = {row.condition: (row.linkability, costs[row.condition]) for row in strongest if row.condition in costs}
    if points:
        title = ", ".join(word.replace("_", " ") for word in (*key[0], chosen[0].unit) if word not in ("", "all"))
        yield Figure(
            "risk against cost",
            "Linkability by the strongest attacker against what the protection cost, with both intervals.",
            "; ".join(f"{name}: {estimate_text(risk)}, {estimate_text(cost)}" for name, (risk, cost) in points.items()),
            (lambda axes: plots.draw_tradeoff(axes, points, cost=f"{title}: {_BETTER[chosen[0].larger_is_better]}"),),
            legend=False,
            folded=True,
        )


def list_details(result: AuditResult, rows: Sequence[Row]) -> Iterator[Figure]:
    """Yield the distances of each attacker beside each subject before and after; equal axes for equal measures."""
    shown = []
    most: dict[str, tuple[float, float]] = {}  # by measure, the largest share and distance
    for row in rows:
        groups = _find_distributions(result, row)
        who = row.condition, row.attack, row.encoder
        subjects = [
            s
            for s in result.subjects
            if (s.condition, s.attack, s.encoder) == who and s.distance_before + s.distance_after >= 0
        ]
        if any(sum(each.counts) for each in groups.values() if each.condition != ORIGINAL):
            measure = f"distance by {row.attack}" if find_attack(row.attack).stands_apart else "cosine distance"
            shown.append((row, measure, list(groups.values()), subjects))
            share, distance = most.get(measure, (0.0, 0.0))
            totals = [(max(each.counts), sum(each.counts)) for each in groups.values()]
            share = max(share, *(largest / total for largest, total in totals if total))
            ends = (edge for each in groups.values() for edge, n in zip(each.edges[1:], each.counts, strict=True) if n)
            distance = max([distance, *ends, *(max(s.distance_before, s.distance_after) for s in subjects)])
            most[measure] = share, distance

    def draw_groups(axes: Any, groups: Sequence[Distribution], threshold: float, measure: str) -> None:
        share, distance = most[measure]
        plots.draw_distributions(axes, groups, threshold=threshold, measure=measure)
        axes.set_ylim(0, 1.05 * share)
        axes.set_xlim(0, 1.05 * distance)  # as the other panel's y axis (O'Sullivan-Steben 2025, Figure 4)

    def draw_subjects(axes: Any, subjects: Sequence[SubjectEvidence], threshold: float, measure: str) -> None:
        plots.draw_pairs(axes, subjects, threshold=threshold, measure=measure)
        axes.set_ylim(0, 1.05 * most[measure][1])

    places: dict[str, plots.Places] = {measure: {} for measure in most}
    for row, measure, distributions, subjects in shown:
        left = partial(draw_groups, groups=distributions, threshold=row.distance, measure=measure)
        right = partial(draw_subjects, subjects=subjects, threshold=row.distance, measure=measure)
        yield Figure(
            f"distances, {row.condition}, {row.who}",
            f"{row.condition}, {row.who}: distances of all comparisons, and of {counted(len(subjects), 'subject')}.",
            f"Matched after defacing {rate_text(row.mated)}; non-mated {rate_text(row.non_mated)}.",
            (left, right) if subjects else (left,),
            height_inches=4.0,
            legend=False,
            places=places[measure],
        )


def list_figures(result: AuditResult) -> Iterator[Figure]:
    """Yield every figure of a result: the overview, then each attack."""
    yield from list_overview(result)
    yield from list_details(result, [row for row in list_rows(result) if row.condition != ORIGINAL])


def write_figures(result: AuditResult, folder: Path) -> list[Path]:
    """Write every figure of a result; see `save_figures`.

    The figures show no portrait; each subject's distances are points without names.
    """
    return save_figures(list_figures(result), folder)


def save_figures(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """Write figures as SVG and PNG into a folder that is there, numbered in their order."""
    written = []
    for number, figure in enumerate(figures, 1):
        drawn = figure.make()
        words = "".join(c if c.isascii() and c.isalnum() else "-" for c in figure.name.lower())
        stem = f"{number:02d}-{'-'.join(filter(None, words.split('-')))[:60]}"
        for form, content in (
            ("svg", f"{plots.to_svg(drawn, name=figure.name)}\n".encode()),
            ("png", plots.to_png(drawn)),
        ):
            written.append(folder / f"{stem}.{form}")
            written[-1].write_bytes(content)
    return written
