"""Figures of what the protection cost: boxes by structure and place, dose before and after, volumes, the trade-off."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

from reid_audit import plots
from reid_audit.records import AuditResult, TradeOff, natural_key
from reid_audit.report.figure import Figure
from reid_audit.report.utility_tables import number
from reid_audit.report.utility_words import list_conditions, list_measures
from reid_audit.utility import (
    CURVE_PERCENT,
    Place,
    Position,
    Utility,
    average_curves,
    metric_of,
    pareto_front,
    trade_offs,
)

_MOST_COLUMNS = 5
_MOST_DOSES = 6
_MOST_VOLUMES = 8
_METRIC_TEXT = {
    "dice": "Dice",
    "surface_dice": "surface Dice",
    "hd95": "HD95, mm",
    "dose_d0.01cc_absolute": "D0.01cc moved, cGy",
}
BOXES = ("dice", "hd95", "surface_dice")
"""Agreements of segmentations that are drawn by structure."""


def _sort_structures(utility: Utility, metric: str) -> list[str]:
    """Sort the structures from the face backwards, those that were deleted on purpose last."""
    order = [*(p.value for p in (Position.ON_FACE, Position.SAME_SLICES, Position.ELSEWHERE)), Position.DELETED.value]
    position: dict[str, str] = {}
    for value in utility.values:
        if value.metric == metric and value.structure != "all":
            position.setdefault(value.structure, value.position)
    return sorted(position, key=lambda name: (order.index(position[name]), natural_key(name)))


def _draw_boxes(
    utility: Utility, name: str, caption: str, rows: Callable[[str], dict[str, list[float]]], label: str, *, share: bool
) -> Iterator[Figure]:
    """Yield a figure with a panel per defacer that has a number, and a line per row of its table."""
    tables = {condition: rows(condition) for condition in list_conditions(utility)}
    tables = {condition: table for condition, table in tables.items() if any(table.values())}
    if not tables:
        return

    def draw(axes: Any, condition: str) -> None:
        plots.draw_boxes(axes, tables[condition], label=label, share=share)
        axes.set_title(plots.shorten(condition, most=28))

    def say(condition: str) -> str:
        known = {row: [v for v in values if v == v] for row, values in tables[condition].items()}
        return ", ".join(f"{row} {number(median(values))}" for row, values in known.items() if values)

    lines = max(map(len, tables.values()))
    yield Figure(
        name,
        caption,
        f"{label}, medians. " + "; ".join(f"{condition}: {say(condition)}" for condition in tables),
        tuple(partial(draw, condition=condition) for condition in tables),
        columns=min(len(tables), _MOST_COLUMNS),
        height_inches=1.3 + 0.17 * lines,
        share=True,
        legend=False,
    )


def draw_structures(utility: Utility, metric: str) -> Iterator[Figure]:
    """Yield boxes of a metric by structure, those on the face first; a surface Dice at the tolerance it has."""
    text = _METRIC_TEXT[metric]
    if metric == "surface_dice":
        metric = next((v.metric for v in utility.values if v.metric.startswith(metric)), metric)
        text = f"{text} at {utility.tolerance_mm:g} mm"
    structures = _sort_structures(utility, metric)

    def rows(condition: str) -> dict[str, list[float]]:
        table: dict[str, list[float]] = {name: [] for name in structures}
        for m in list_measures(utility, metric, condition):
            table[m.structure].append(m.value)
        return table

    caption = (
        "Each box holds the middle half of the scans, its line the median; points lie far out. Structures on the face "
        "stand first, those that were deleted on purpose last."
    )
    yield from _draw_boxes(
        utility,
        f"{text} by structure",
        f"{text[:1].upper()}{text[1:]}. {caption}",
        rows,
        text,
        share=metric_of(metric).is_share,
    )


def draw_places(utility: Utility) -> Iterator[Figure]:
    """Yield boxes of Dice by where the structures lie against the change (O'Sullivan-Steben 2025)."""

    def rows(condition: str) -> dict[str, list[float]]:
        cases = [case for case in utility.kept if case.condition == condition]
        table: dict[str, list[float]] = {place.value.replace("_", " "): [] for place in Place}
        for case in cases:
            place = {p.structure: p.place for p in case.places}
            for m in case.measures:
                if m.metric == "dice" and m.position != Position.DELETED.value and m.structure in place:
                    table[place[m.structure].replace("_", " ")].append(m.value)
        return {name: values for name, values in table.items() if values}

    caption = "Dice of every structure of every scan, by where it lies against the changed voxels, slice by slice."
    yield from _draw_boxes(utility, "Dice by place", caption, rows, "Dice", share=True)


def draw_doses(utility: Utility) -> Iterator[Figure]:
    """Yield dose-volume histograms before and after of the structures whose hottest dose moves most."""
    panels: list[Callable[[Any], None]] = []
    told = []
    for condition in list_conditions(utility):
        averages = average_curves(utility.kept, condition)
        moved = {
            v.structure: v.mean
            for v in utility.values
            if (v.condition, v.metric) == (condition, "dose_d0.01cc_absolute") and v.structure in averages
        }
        names = sorted(averages, key=lambda name: (-moved[name] if moved.get(name, -1) >= 0 else 1, natural_key(name)))
        curves = {
            name: (
                plots.DvhCurve(averages[name].before, CURVE_PERCENT),
                plots.DvhCurve(averages[name].after, CURVE_PERCENT),
            )
            for name in names[:_MOST_DOSES]
        }
        if curves:

            def draw(axes: Any, condition: str = condition, curves: dict[str, Any] = curves) -> None:
                plots.draw_dvh(axes, curves)
                axes.set_title(plots.shorten(condition, most=28))

            panels.append(draw)
            told.append(
                f"{condition}: " + ", ".join(f"{name} {number(moved.get(name, math.nan), 1)}" for name in curves)
            )
    if panels:
        yield Figure(
            "dose before and after",
            "Dose-volume histograms, each the mean over scans of the dose at each volume: solid before, dashed after "
            f"defacing. The {_MOST_DOSES} structures whose hottest 0.01 cm3 moves most.",
            "Mean absolute difference of D0.01cc in cGy. " + "; ".join(told),
            tuple(panels),
            columns=2,
            height_inches=3.2,
            legend=False,
        )


def draw_volumes(utility: Utility, *, most: int | None = _MOST_VOLUMES) -> Iterator[Figure]:
    """Yield Bland-Altman plots, a figure per structure, the least repeatable first (Molchanova 2023, Figure 4)."""
    conditions = list_conditions(utility)
    pairs: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for condition in conditions:
        for m in list_measures(utility, "volume_difference", condition):
            if m.position != Position.DELETED.value:
                before, after = pairs.setdefault(m.structure, {}).setdefault(condition, ([], []))
                before.append(m.before)
                after.append(m.after)
    cr = {(row.structure, row.condition): row for row in utility.volumes}

    def loss(structure: str) -> float:
        """Largest CR of a structure as a share of its mean volume, so that small structures count as large ones."""
        shares = []
        for condition, (before, _) in pairs[structure].items():
            seen = [value for value in before if value == value]
            row = cr.get((structure, condition))
            if row is not None and row.cr == row.cr and seen and sum(seen) > 0:
                shares.append(row.cr / (sum(seen) / len(seen)))
        return max(shares, default=0.0)

    def draw(axes: Any, structure: str, condition: str) -> None:
        plots.draw_bland_altman(axes, *pairs[structure][condition], unit="cm3")
        axes.set_title(f"{plots.shorten(condition)}: {axes.get_title()}", fontsize="small")

    ranked = sorted(pairs, key=lambda name: (-loss(name), natural_key(name)))
    for rank, structure in enumerate(ranked[:most]):
        known: Sequence[str] = list(pairs[structure])
        yield Figure(
            f"volume of {structure}",
            f"{structure}: volume after minus before against the mean of both, with the bias and the 95 % limits of "
            "agreement (Bland and Altman 1986).",
            "; ".join(
                f"{c}: bias {number(cr[structure, c].bias)} cm3, CR {number(cr[structure, c].cr)} cm3" for c in known
            ),
            tuple(partial(draw, structure=structure, condition=condition) for condition in known),
            columns=min(len(known), 3),
            height_inches=2.8,
            legend=False,
            folded=rank > 1,
        )


def draw_preserved(utility: Utility) -> Iterator[Figure]:
    """Yield bars of the share of voxels that is left, by structure and defacer (Sahlsten 2023, Figure 2)."""
    bars = [
        plots.Bar(v.structure, v.condition, v.mean, v.sd, v.cases)
        for name in _sort_structures(utility, "preserved")
        for v in utility.values
        if (v.metric, v.structure) == ("preserved", name)
    ]
    if bars:
        yield Figure(
            "voxels that were not removed",
            "Share of the voxels of each structure that was not removed: means with standard deviations over scans, "
            "and their number.",
            "; ".join(f"{bar.group}, {bar.series}: {number(bar.mean)} ({number(bar.sd)})" for bar in bars),
            (partial(plots.draw_bars, bars=bars, label="share of voxels"),),
            height_inches=3.8,
            legend=False,
        )


def draw_models(utility: Utility) -> Iterator[Figure]:
    """Yield bars of model scores by structure, with stars against the originals (Sahlsten 2023, Figures 3 and 4)."""
    matrix = utility.matrix
    if matrix is None:
        return
    for name, rows, told, series in (
        ("models on originals", matrix.training, "Models of each condition, evaluated on originals", "trained_on"),
        ("models of originals", matrix.testing, "The model of originals, evaluated on each condition", "evaluated_on"),
    ):
        bars = [
            plots.Bar(
                *(row.structure, getattr(row, series), row.mean, row.sd, row.scores),
                plots.stars(row.test.p_adjusted) if row.test else "",
            )
            for row in rows
        ]
        if len({bar.series for bar in bars}) > 1:
            yield Figure(
                name,
                f"{told}: means with standard deviations and the number of scores; empty outputs are left out. Stars, "
                "by Wilcoxon against the originals and Benjamini-Hochberg over all structures and models: ns above "
                "0.05, then to 0.05, 0.01, 1e-4 and 1e-5.",
                "; ".join(f"{b.group}, {b.series}: {number(b.mean)} ({number(b.sd)}) {b.mark}" for b in bars),
                (partial(plots.draw_bars, bars=bars, label="score"),),
                height_inches=3.8,
                legend=False,
            )


def draw_risk(points: Sequence[TradeOff]) -> Iterator[Figure]:
    """Yield risk against cost (Molchanova 2023, Figure 5); nothing where no defacer has both."""
    known = [point for point in points if point.risk == point.risk and point.cost == point.cost]
    if known:
        best = [point.condition for point in pareto_front(points)]
        yield Figure(
            "risk against repeatability of the volumes",
            "Mean inverse distance of defaced scans to their own originals against nCR; whiskers are standard "
            "deviations, over comparisons and over structures. Filled: no other defacer is better in both. Scans "
            "without a face are in no mean of the risk; the table of distances counts them.",
            "; ".join(f"{point.condition}: {number(point.risk, 2)}, nCR {number(point.cost)}" for point in known),
            (partial(plots.draw_risk, points=known, best=best),),
            legend=False,
        )


def list_utility_figures(utility: Utility, audited: AuditResult | None = None) -> Iterator[Figure]:
    """Yield every figure of a utility result, of all structures; that of the risk where an audit is given."""
    for metric in BOXES:
        yield from draw_structures(utility, metric)
    yield from draw_preserved(utility)
    yield from draw_places(utility)
    yield from draw_doses(utility)
    yield from draw_structures(utility, "dose_d0.01cc_absolute")
    yield from draw_volumes(utility, most=None)
    yield from draw_models(utility)
    if audited is not None:
        yield from draw_risk(trade_offs(audited))
