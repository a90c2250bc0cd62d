"""What the protection cost, in tables. Computes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from reid_audit.cli.words import out
from reid_audit.records import TradeOff, UtilityValue
from reid_audit.utility import ChangeKind, Place, Utility, count_targets, metric_of, pareto_front

_ALPHA = 0.05
_POSITIONS = {"on_face": "on the face", "same_slices": "same slices", "elsewhere": "elsewhere", "all": "all"}
SEGMENTATION = ("dice", "surface_dice", "hd95", "mean_hd95", "msd")
VOXELS = ("unchanged", "preserved", "lost")
SCAN = ("brain_intact", "brain_changed", "changed_volume", "depth_max", "depth_p95")
DOSE = ("dose_d0.01cc_difference", "dose_d0.01cc_absolute", "dose_max_difference", "dose_mean_difference")
TISSUE = ("hu_shift", "hu_shift_median", "hu_absolute", "tissue_unchanged")


def number(value: float, digits: int = 3) -> str:
    """Write a number to some digits; a dash for NaN."""
    return "-" if value != value else f"{value:.{digits}f}"


def p_text(p: float) -> str:
    """Write a p-value to two digits; a dash where the test could not be run."""
    return "-" if p != p else f"{p:.2g}"


def mean_text(value: UtilityValue, digits: int = 3) -> str:
    """Write a mean with its interval and what is undefined: ``"0.981 (0.960 to 0.990), 2 undefined"``."""
    interval = "" if value.low != value.low else f" ({number(value.low, digits)} to {number(value.high, digits)})"
    lost = f", {value.undefined} undefined" if value.undefined else ""
    return f"{number(value.mean, digits)}{interval}{lost}"


def _base(metric: str) -> str:
    return "surface_dice" if metric.startswith("surface_dice") else metric


def _digits(metric: str) -> int:
    unit = metric_of(metric).unit
    return {"": 3, "mm": 2, "cm3": 2, "HU": 1, "cGy": 1}[unit]


def _conditions(utility: Utility) -> list[str]:
    return list(dict.fromkeys(case.condition for case in utility.cases))


def _print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(*header, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)
    out.print()


def _heading(metric: str, values: Sequence[UtilityValue]) -> str:
    """Write a metric's name with its unit, so that it may wrap between words."""
    unit = next(value.unit for value in values if value.metric == metric)
    return escape(metric.removeprefix("dose_").replace("_", " ") + (f" [{unit}]" if unit else ""))


def _columns(values: Sequence[UtilityValue], metrics: Sequence[str]) -> list[str]:
    return sorted({v.metric for v in values}, key=lambda m: metrics.index(_base(m)))


def say_structures(utility: Utility, title: str, metrics: Sequence[str]) -> None:
    """Print one table per defacer: a row per structure, then one per position, a column per metric."""
    for condition in _conditions(utility):
        mine = [v for v in utility.values if v.condition == condition and _base(v.metric) in metrics]
        columns = _columns(mine, metrics)
        keys = dict.fromkeys((v.structure, v.position) for v in mine)
        rows = []
        for structure, position in sorted(keys, key=lambda k: (k[0] == "all", k[0] == "all" and k[1] == "all")):
            found = {v.metric: v for v in mine if (v.structure, v.position) == (structure, position)}
            cells = [mean_text(found[c], _digits(c)) if c in found else "-" for c in columns]
            rows.append(["all structures" if structure == "all" else structure, _POSITIONS[position], *cells])
        _print_table(
            f"{title}: {escape(condition)}", ["structure", "position", *(_heading(c, mine) for c in columns)], rows
        )


def say_scans(utility: Utility, title: str, metrics: Sequence[str], *, tissues: bool) -> None:
    """Print one table: a row per defacer (and tissue), a column per metric."""
    mine = [v for v in utility.values if _base(v.metric) in metrics]
    columns = _columns(mine, metrics)
    rows = []
    for condition in _conditions(utility):
        for tissue in dict.fromkeys(v.structure for v in mine):
            found = {v.metric: v for v in mine if (v.condition, v.structure) == (condition, tissue)}
            cells = [mean_text(found[c], _digits(c)) if c in found else "-" for c in columns]
            if found:
                rows.append([condition, *([tissue.replace("_", " ")] if tissues else []), *cells])
    _print_table(title, ["defacer", *(["tissue"] if tissues else []), *(_heading(c, mine) for c in columns)], rows)


def say_changes(utility: Utility) -> None:
    """Print into what connected regions the changes fall, and of what kind they are (Nohel 2025)."""
    rows = []
    for condition in _conditions(utility):
        regions = [part for case in utility.cases if case.condition == condition for part in case.components]
        whole = sum(part.volume_cm3 for part in regions)
        if not regions:
            continue
        shares = [sum(p.volume_cm3 for p in regions if p.kind is kind) / whole for kind in ChangeKind]
        rows.append([condition, str(len(regions)), f"{whole:.1f}", *(f"{100 * share:.1f} %" for share in shares)])
    header = ("defacer", "regions", "volume [cm3]", *(f"{kind.value}, by volume" for kind in ChangeKind))
    _print_table("Regions of change in all scans", tuple(map(escape, header)), rows)


def say_places(utility: Utility) -> None:
    """Print Dice by where the structures lie against the change (O'Sullivan-Steben 2025)."""
    rows = []
    for row in utility.places:
        span = (
            number(row.smallest) if row.smallest == row.largest else f"{number(row.smallest)} to {number(row.largest)}"
        )
        counts = f"{row.cases}" + (f", {row.undefined} undefined" if row.undefined else "")
        place = row.place.replace("_", " ") if row.structure == "all" else ""
        name = "all" if row.structure == "all" else f"  {row.structure}"
        rows.append([row.condition, place, name, counts, f"{number(row.mean)} ({number(row.sd)})", span])
    header = ("defacer", "place", "structure", "cases", "Dice, mean (SD)", "single structures")
    _print_table("Dice by place against the changed voxels", header, rows)


def say_volumes(utility: Utility) -> None:
    """Print bias, limits of agreement and repeatability of the volumes (Molchanova 2023)."""
    rows = []
    for row in utility.volumes:
        unit = row.unit or "scaled"
        limits = f"{number(row.low)} to {number(row.high)}" if row.low == row.low else "-"
        name = "all (nCR)" if row.structure == "all" else row.structure
        counts = f"{row.cases}" + (f", {row.undefined} undefined" if row.undefined else "")
        rows.append([row.condition, name, unit, counts, number(row.bias), limits, number(row.cr)])
    header = ("defacer", "structure", "unit", "cases", "bias", "limits of agreement", "CR")
    _print_table("Volumes, after - before", header, rows)


def say_targets(utility: Utility) -> None:
    """Print where the planning target volumes lie against the change (O'Sullivan-Steben 2025)."""
    rows = []
    for condition in _conditions(utility):
        counts = count_targets(utility.cases, condition)
        total = sum(counts.values())
        if total:
            rows.append([condition, str(total), *(f"{n} ({100 * n / total:.1f} %)" for n in counts.values())])
    header = ("defacer", "PTVs", *(place.value.replace("_", " ") for place in Place))
    _print_table("Planning target volumes against the changed voxels", header, rows)


def say_comparisons(utility: Utility) -> None:
    """Print the comparisons of two defacers that differ (Ammar 2025)."""
    clear = [c for c in utility.comparisons if c.t.p_adjusted <= _ALPHA or c.wilcoxon.p_adjusted <= _ALPHA]
    if not utility.comparisons:
        return
    out.print(
        f"{len(clear)} of {len(utility.comparisons)} comparisons of two defacers differ (paired t or Wilcoxon, "
        f"Benjamini-Hochberg at {_ALPHA:g} within a metric)."
    )
    rows = [
        [
            c.metric,
            c.structure,
            f"{c.second} - {c.first}",
            number(c.difference, _digits(c.metric)),
            p_text(c.t.p_adjusted),
            p_text(c.wilcoxon.p_adjusted),
        ]
        for c in clear
    ]
    header = ("metric", "structure", "defacers", "mean difference", "p (t)", "p (Wilcoxon)")
    _print_table("Defacers that differ", header, rows)


def say_matrix(utility: Utility) -> None:
    """Print the train x test matrix with its tests."""
    matrix = utility.matrix
    if matrix is None:
        return
    rows = []
    for trained in matrix.conditions:
        cells = [matrix.cell(trained, evaluated) for evaluated in matrix.conditions]
        lost = [
            f"; {c.undefined} empty, {number(c.mean_with_empty)} with them as 0" if c.undefined else "" for c in cells
        ]
        texts = [f"{number(c.mean)} ({number(c.sd)}), N={c.scores}{x}" for c, x in zip(cells, lost, strict=True)]
        rows.append([f"trained on {trained}", *texts])
    _print_table("Models: mean score (SD)", ["", *(f"evaluated on {c}" for c in matrix.conditions)], rows)
    same = [t for t in matrix.tests if not t.p_adjusted <= _ALPHA]
    out.print(f"{len(matrix.tests) - len(same)} of {len(matrix.tests)} pairs of models differ within their evaluation.")
    for test in same:
        p = "not testable" if test.p_adjusted != test.p_adjusted else f"p = {test.p_adjusted:.2g}"
        out.print(f"  not shown to differ: {escape(test.compared)}, evaluated on {escape(test.condition)} ({p})")
    out.print()


def say_trade_off(points: Sequence[TradeOff]) -> None:
    """Print risk and cost of each defacer, and which no other one beats in both (Molchanova 2023)."""
    front = pareto_front(points)
    rows = []
    for point in points:
        risk = f"{number(point.risk)} ({number(point.risk_sd)})"
        cost = f"{number(point.cost)} ({number(point.cost_sd)})"
        rows.append([point.condition, risk, cost, "yes" if point in front else "no"])
    header = ("defacer", "risk: mean inverse distance (SD)", "cost: nCR (SD over structures)", "beaten by none")
    _print_table("Trade-off of risk and cost: smaller is better in both", header, rows)


def say_findings(utility: Utility) -> None:
    """Print how many scans were measured, and what was noticed."""
    failed = [case for case in utility.cases if case.reason]
    out.print(f"{len(utility.cases) - len(failed)} of {len(utility.cases)} defaced scans were measured.")
    for case in failed:
        out.print(f"  {escape(f'{case.subject}/{case.session}/{case.condition}: {case.reason}')}", soft_wrap=True)
    counts: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for case in utility.cases:
        for finding in case.findings:
            if finding.severity != "info":
                counts[case.condition, finding.code] += 1
                example.setdefault((case.condition, finding.code), finding.text)
    rows = [[condition, code, str(n), example[condition, code]] for (condition, code), n in counts.items()]
    _print_table("Findings", ("defacer", "finding", "times", "for example"), rows)


def say_utility(utility: Utility) -> None:
    """Print every table of a utility result."""
    say_findings(utility)
    say_structures(utility, "Segmentations before and after", SEGMENTATION)
    say_structures(utility, "Voxels of the original's structures", VOXELS)
    say_scans(utility, "Intensities by tissue, after - before", TISSUE, tissues=True)
    say_scans(utility, "The scan as a whole", SCAN, tissues=False)
    say_changes(utility)
    say_structures(utility, "Dose in cGy", DOSE)
    say_places(utility)
    say_targets(utility)
    say_volumes(utility)
    say_comparisons(utility)
    say_matrix(utility)
