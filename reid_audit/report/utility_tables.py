"""What the protection cost, as tables that the command prints and the page shows."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from reid_audit.records import ORIGINAL, TradeOff, UtilityValue
from reid_audit.utility import (
    ChangeKind,
    Criterion,
    Place,
    SameScanRisk,
    Utility,
    compare_programs,
    count_targets,
    metric_of,
    pareto_front,
)

_ALPHA = 0.05
POSITION_TEXT = {
    "on_face": "on the face",
    "same_slices": "same slices",
    "elsewhere": "elsewhere",
    "deleted": "deleted on purpose",
    "all": "all",
}
_DIGITS = {"": 3, "mm": 2, "cm3": 2, "HU": 1, "cGy": 1}
_NAMES: dict[str, Callable[[UtilityValue], str]] = {
    "defacer": lambda value: value.condition,
    "structure": lambda value: "all structures" if value.structure == "all" else value.structure,
    "position": lambda value: POSITION_TEXT[value.position],
    "tissue": lambda value: value.structure.replace("_", " "),
}


class Listing(NamedTuple):
    """A table, or a sentence where it has no header."""

    title: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def number(value: float, digits: int = 3) -> str:
    """Write a number to some digits; a dash for NaN. What is not quite 0 or 1 is not rounded to it."""
    if value != value:
        return "-"
    text, least = f"{value:.{digits}f}", 10**-digits
    if digits > 2 and 0 < value < least / 2:
        return f"<{least:.{digits}f}"
    return f">{1 - least:.{digits}f}" if digits > 2 and value < 1 and float(text) == 1 else text


def p_text(p: float) -> str:
    """Write a p-value to two digits; a dash where the test could not be run."""
    return "-" if p != p else f"{p:.2g}"


def mean_text(value: UtilityValue, digits: int = 3) -> str:
    """Write a mean with its interval and what is undefined: ``"0.981 (0.960 to 0.990), 2 undefined"``."""
    interval = "" if value.low != value.low else f" ({number(value.low, digits)} to {number(value.high, digits)})"
    return f"{number(value.mean, digits)}{interval}{_undefined(value.undefined)}"


def _undefined(count: int) -> str:
    return f", {count} undefined" if count else ""


def _conditions(utility: Utility) -> list[str]:
    return list(dict.fromkeys(case.condition for case in utility.cases))


def _pivot(utility: Utility, title: str, names: Sequence[str], *metrics: str) -> Iterator[Listing]:
    """List a row per combination of names with a column per metric; a table per defacer, unless that is a name."""

    def base(metric: str) -> str:
        return "surface_dice" if metric.startswith("surface_dice") else metric

    values = [value for value in utility.values if base(value.metric) in metrics]
    values.sort(key=lambda v: (v.structure == "all", v.structure == "all" and v.position == "all"))
    units = {value.metric: value.unit for value in values}
    columns = sorted(units, key=lambda metric: metrics.index(base(metric)))
    headings = [c.removeprefix("dose_").replace("_", " ") + (f" [{units[c]}]" if units[c] else "") for c in columns]
    tables: dict[str, dict[tuple[str, ...], dict[str, str]]] = {}
    for value in sorted(values, key=lambda v: _conditions(utility).index(v.condition)):
        table = tables.setdefault(title if "defacer" in names else f"{title}: {value.condition}", {})
        row = table.setdefault(tuple(_NAMES[name](value) for name in names), {})
        row[value.metric] = mean_text(value, _DIGITS.get(value.unit, 1))
    for heading, table in tables.items():
        rows = [[*key, *(row.get(column, "-") for column in columns)] for key, row in table.items()]
        yield Listing(heading, [*names, *headings], rows)


def _list_changes(utility: Utility) -> Iterator[Listing]:
    """List into what connected regions the changes fall, and of what kind they are (Nohel 2025)."""
    rows = []
    for condition in _conditions(utility):
        regions = [part for case in utility.cases if case.condition == condition for part in case.components]
        whole = sum(part.volume_cm3 for part in regions)
        if regions:
            shares = [sum(p.volume_cm3 for p in regions if p.kind is kind) / whole for kind in ChangeKind]
            rows.append([condition, str(len(regions)), f"{whole:.1f}", *(f"{100 * share:.1f} %" for share in shares)])
    header = ("defacer", "regions", "volume [cm3]", *(f"{kind.value}, by volume" for kind in ChangeKind))
    yield Listing("Regions of change in all scans", header, rows)


def _list_places(utility: Utility) -> Iterator[Listing]:
    """List Dice by where the structures lie against the change (O'Sullivan-Steben 2025)."""
    rows = []
    for row in utility.places:
        whole, ends = row.structure == "all", dict.fromkeys((number(row.smallest), number(row.largest)))
        rows.append(
            [
                row.condition,
                row.place.replace("_", " ") if whole else "",
                "all" if whole else f"  {row.structure}",
                f"{row.cases}{_undefined(row.undefined)}",
                f"{number(row.mean)} ({number(row.sd)})",
                " to ".join(ends),
            ]
        )
    header = ("defacer", "place", "structure", "cases", "Dice, mean (SD)", "single structures")
    yield Listing("Dice by place against the changed voxels", header, rows)


def _list_volumes(utility: Utility) -> Iterator[Listing]:
    """List bias, limits of agreement, repeatability and tests of the volumes (Molchanova 2023, Tables 3 and 4)."""
    tests = {(v.condition, v.structure): v.p_adjusted for v in utility.values if v.metric == "volume_difference"}
    rows = [
        [
            row.condition,
            "all (nCR)" if row.structure == "all" else row.structure,
            row.unit or "scaled",
            f"{row.cases}{_undefined(row.undefined)}",
            number(row.bias),
            f"{number(row.low)} to {number(row.high)}" if row.low == row.low else "-",
            number(row.cr),
            p_text(tests.get((row.condition, row.structure), math.nan)),
        ]
        for row in utility.volumes
    ]
    header = ("defacer", "structure", "unit", "cases", "bias", "limits of agreement", "CR", "p (Wilcoxon)")
    yield Listing("Volumes, after - before", header, rows)
    told = []
    for condition in _conditions(utility):
        if own := [p for (who, _), p in tests.items() if who == condition]:
            told.append(f"{sum(p <= _ALPHA for p in own)} of {len(own)} after {condition}")
    if told:
        yield Listing(f"Volumes that differ (Wilcoxon, Benjamini-Hochberg at {_ALPHA:g}): {', '.join(told)}.")


def _list_targets(utility: Utility) -> Iterator[Listing]:
    """List where the planning target volumes lie against the change, by scan and by volume (O'Sullivan-Steben 2025)."""
    rows = []
    for condition in _conditions(utility):
        count = count_targets(utility.kept, condition)
        for what, places in (("scans", count.scans), ("PTVs", count.structures)):
            if total := sum(places.values()):
                shares = (f"{n} ({100 * n / total:.1f} %)" for n in places.values())
                rows.append([condition if what == "scans" else "", f"{total} {what}", *shares])
    header = ("defacer", "of", *(place.value.replace("_", " ") for place in Place))
    yield Listing("Planning target volumes against the changed voxels", header, rows)


def _list_comparisons(utility: Utility) -> Iterator[Listing]:
    """List the comparisons of two defacers that differ (Ammar 2025)."""
    clear = [c for c in utility.comparisons if c.t.p_adjusted <= _ALPHA or c.wilcoxon.p_adjusted <= _ALPHA]
    if not utility.comparisons:
        return
    yield Listing(
        f"{len(clear)} of {len(utility.comparisons)} comparisons of two defacers differ (paired t or Wilcoxon, "
        f"Benjamini-Hochberg at {_ALPHA:g} within a metric)."
    )
    rows = []
    for c in clear:
        difference = number(c.difference, _DIGITS[metric_of(c.metric).unit])
        p_values = p_text(c.t.p_adjusted), p_text(c.wilcoxon.p_adjusted)
        rows.append([c.metric, c.structure, f"{c.second} - {c.first}", difference, *p_values])
    header = ("metric", "structure", "defacers", "mean difference", "p (t)", "p (Wilcoxon)")
    yield Listing("Defacers that differ", header, rows)


def _list_exclusions(utility: Utility) -> Iterator[Listing]:
    """List how many scans fail each criterion (Molchanova 2023, Table 2; Sahlsten 2023)."""
    rows = []
    for condition in _conditions(utility):
        cases = [case for case in utility.cases if case.condition == condition and not case.reason]
        failed = [row.criterion for row in utility.exclusions if row.condition == condition]
        kept = sum(case.condition == condition and not case.reason for case in utility.kept)
        rows.append([condition, str(len(cases)), *(str(failed.count(c)) for c in Criterion), str(kept)])
    used = ", ".join(utility.excluded_by) or "none"
    common = "; visits that every defacer passes alone" if utility.common else ""
    header = ("defacer", "scans", *(f"fail {c}" for c in Criterion), f"summarised (left out by: {used}{common})")
    yield Listing("Scans that fail a criterion", header, rows)


def _list_available(utility: Utility) -> Iterator[Listing]:
    """List which structures were lost, and which cannot be used (Sahlsten 2023, Table 1)."""
    rows = [
        [
            row.structure,
            row.condition,
            *(f"{n} ({n / row.total:.0%})" for n in (row.lost, row.unavailable)),
            str(row.total),
        ]
        for row in utility.available
        if row.unavailable
    ]
    header = ("structure", "defacer", "lost after successful defacing", "unavailable: lost, or defacing failed", "of")
    yield Listing("Structures that cannot be used", header, rows)


def _list_matrix(utility: Utility) -> Iterator[Listing]:
    """List the train x test matrix with its tests (Sahlsten 2023)."""
    matrix = utility.matrix
    if matrix is None:
        return
    rows = []
    for trained in matrix.conditions:
        texts = []
        for cell in (matrix.cell(trained, evaluated) for evaluated in matrix.conditions):
            lost = f"; {cell.undefined} empty, {number(cell.mean_with_empty)} with them as 0" if cell.undefined else ""
            texts.append(f"{number(cell.mean)} ({number(cell.sd)}), N={cell.scores}{lost}")
        rows.append([f"trained on {trained}", *texts])
    yield Listing("Models: mean score (SD)", ["", *(f"evaluated on {c}" for c in matrix.conditions)], rows)
    same = [t for t in matrix.tests if not t.p_adjusted <= _ALPHA]
    differ = len(matrix.tests) - len(same)
    yield Listing(f"{differ} of {len(matrix.tests)} pairs of models differ within their evaluation.")
    for test in same:
        p = "not testable" if test.p_adjusted != test.p_adjusted else f"p = {test.p_adjusted:.2g}"
        yield Listing(f"  not shown to differ: {test.compared}, evaluated on {test.condition} ({p})")


def _list_findings(utility: Utility) -> Iterator[Listing]:
    """List how many scans were measured, and what was noticed."""
    failed = [case for case in utility.cases if case.reason]
    yield Listing(f"{len(utility.cases) - len(failed)} of {len(utility.cases)} defaced scans were measured.")
    for case in failed:
        yield Listing(f"  {case.subject}/{case.session}/{case.condition}: {case.reason}")
    texts: dict[tuple[str, str], list[str]] = {}
    for case in utility.cases:
        for finding in case.findings:
            if finding.severity != "info":
                texts.setdefault((case.condition, finding.code), []).append(finding.text)
    rows = [[*key, str(len(told)), told[0]] for key, told in texts.items()]
    yield Listing("Findings", ("defacer", "finding", "times", "for example"), rows)


_PLACED = ("structure", "position")
_TABLES: dict[str, tuple[Any, ...]] = {
    "findings": (_list_findings,),
    "exclusions": (_list_exclusions,),
    "available": (_list_available,),
    "segmentation": (
        *(_pivot, "Segmentations before and after", _PLACED),
        *("dice", "surface_dice", "hd95", "mean_hd95", "msd"),
    ),
    "voxels": (_pivot, "Voxels of the original's structures", _PLACED, "unchanged", "preserved", "lost"),
    "tissue": (
        *(_pivot, "Intensities by tissue, after - before", ("defacer", "tissue")),
        *("hu_shift", "hu_shift_median", "hu_absolute", "tissue_unchanged"),
    ),
    "scan": (
        *(_pivot, "The scan as a whole", ("defacer",)),
        *("brain_intact", "brain_changed", "changed_volume", "front_changed", "depth_max", "depth_p95"),
    ),
    "changes": (_list_changes,),
    "dose": (
        *(_pivot, "Dose in cGy", _PLACED),
        *("dose_d0.01cc_difference", "dose_d0.01cc_absolute", "dose_max_difference", "dose_mean_difference"),
    ),
    "places": (_list_places,),
    "targets": (_list_targets,),
    "volumes": (_list_volumes,),
    "comparisons": (_list_comparisons,),
    "matrix": (_list_matrix,),
}
"""What lists each table, with its arguments."""


def list_tables(utility: Utility, *names: str) -> Iterator[Listing]:
    """Yield the tables of those names, or every table, of a utility result; those without rows are left out."""
    for name in names or _TABLES:
        make, *arguments = _TABLES[name]
        yield from (listing for listing in make(utility, *arguments) if listing.rows or not listing.header)


def list_programs(utility: Utility, other: Utility, name: str) -> Iterator[Listing]:
    """List two segmentation programs side by side, by defacer, in the structures that both have (Ammar 2025)."""
    here = "these segmentations"
    for condition, rows in compare_programs(utility.kept, other.kept, (here, name)).items():
        means = {
            (who, v.metric, v.structure): v
            for who, result in ((here, utility), (name, other))
            for v in result.values
            if v.condition == condition and v.structure != "all"
        }
        cells = []
        for row in rows:
            digits = _DIGITS[metric_of(row.metric).unit]
            both = [means[who, row.metric, row.structure] for who in (here, name)]
            values = [f"{number(v.mean, digits)} ({number(v.sd, digits)})" for v in both]
            place, gap = POSITION_TEXT[both[0].position], number(row.difference, digits)
            p_values = p_text(row.t.p_adjusted), p_text(row.wilcoxon.p_adjusted)
            cells.append([row.metric, row.structure, place, *values, gap, *p_values])
        header = ("metric", "structure", "position", here, name, "difference", "p (t)", "p (Wilcoxon)")
        yield Listing(f"Two segmentation programs, {condition}: mean (SD)", header, cells)


def list_risks(risks: Sequence[SameScanRisk]) -> Listing:
    """List the distances of defaced scans to their own originals (Molchanova 2023, Table 5)."""
    rows = [
        [
            f"{row.condition}{' (two sessions)' if row.condition == ORIGINAL else ''}",
            row.encoder,
            f"{row.comparisons}{_undefined(row.undefined)}",
            f"{number(row.mean)} ({number(row.sd)})",
            f"{number(row.inverse_mean, 2)} ({number(row.inverse_sd, 2)})",
            "-" if row.identifiable != row.identifiable else f"{row.identifiable:.1%}",
        ]
        for row in risks
        if row.comparisons
    ]
    header = ("defacer", "encoder", "comparisons", "cosine distance (SD)", "inverse distance (SD)", "identifiable")
    return Listing("Distance of defaced scans to their own originals", header, rows)


def list_trade_off(points: Sequence[TradeOff]) -> Listing:
    """List risk and cost of each defacer, and which no other one beats in both (Molchanova 2023, Figure 5)."""
    front = pareto_front(points)
    rows = [
        [
            point.condition,
            f"{number(point.risk, 2)} ({number(point.risk_sd, 2)})",
            f"{number(point.cost)} ({number(point.cost_sd)})",
            "yes" if point in front else "no",
        ]
        for point in points
    ]
    header = ("defacer", "risk: mean inverse distance (SD)", "cost: nCR (SD over structures)", "beaten by none")
    return Listing("Trade-off of risk and cost: smaller is better in both", header, rows)
