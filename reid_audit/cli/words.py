"""A result in words: one screen, more with -v and -vv. Computes nothing."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reid_audit.accuracy import list_recognisers
from reid_audit.attack import find_attack
from reid_audit.audit import RunPlan
from reid_audit.records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    Decision,
    Estimate,
    Rate,
    ScanRow,
    Status,
    group_by,
    listed,
)
from reid_audit.report import rows
from reid_audit.report.words import counted, estimate_text, mend_text, percent, rate_text, test_text
from reid_audit.work import Store


class _Console(Console):
    def say(self, text: str) -> None:
        """Print a line that the terminal may break and this program does not: a path in it stays whole."""
        self.print(text, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """End as an error where nobody reads on, as behind `| head`: by itself it would be 1, which reads as FAIL."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(2) from None


out = _Console(highlight=False)
err = _Console(stderr=True, highlight=False)

COLOURS = {
    Decision.PASS: "bold green",
    Decision.REVIEW: "bold yellow",
    Decision.FAIL: "bold red",
    Decision.INCOMPLETE: "bold magenta",
}
_WIDE = 110
"""From so many columns on, numbers are written with their counts."""


def say_unacquired(scans: Sequence[ScanRow]) -> None:
    """Count the scans that gave no clear face, by condition and reason."""
    lost = [scan for scan in scans if scan.status is not Status.OK]
    out.print(f"{len(lost)} of {len(scans)} scans without a clear face")
    table = _make_table("scans", "condition", "outcome", "reason")
    add_groups(table, ((f"{s.subject}/{s.session}", s.condition, s.status.value, s.reason) for s in lost))
    if lost:
        out.print(table)


def add_groups(table: Table, rows: Iterable[tuple[str, str, str, str]]) -> None:
    """Add a line for all scans of one condition, outcome and reason, with the first of their names."""
    for (condition, outcome, reason), same in group_by(rows, lambda row: row[1:]).items():
        which = ", ".join(name for name, *_ in same[:3]) + (" ..." if len(same) > 3 else "")
        table.add_row(f"{len(same)}: {escape(which)}", escape(condition), outcome, escape(reason))


def say_block(heading: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print a heading and, indented, names with their values."""
    out.print(heading)
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(f"  {name}", escape(value))
    out.print(table)


def _make_table(*columns: str) -> Table:
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in table.columns:
        column.overflow = "fold"
    return table


def _word(decision: Decision) -> str:
    return f"[{COLOURS[decision]}]{decision.value}[/]"


def _short(number: Rate | Estimate) -> str:
    """Write a number with its interval as the width allows: ``"90 % (73-98)"`` or ``"0.86 (0.80-0.91)"``."""
    if number.value != number.value:
        return "not measured"
    if out.width >= _WIDE:
        return rate_text(number) if isinstance(number, Rate) else estimate_text(number)
    scale, digits, unit = (100, 0, " %") if isinstance(number, Rate) else (1, 2, "")
    text = f"{scale * number.value:.{digits}f}{unit}"
    known = number.low == number.low
    return f"{text} ({scale * number.low:.{digits}f}-{scale * number.high:.{digits}f})" if known else text


def _first_sentence(text: str) -> str:
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


def _say_defacers(result: AuditResult) -> None:
    """Print a line per defacer, then the control, then the scans without a vector."""
    listed, exposed = rows.list_rows(result), rows.list_exposed(result)
    strongest = rows.find_strongest(listed)
    chance = f"chance: rank 1 {percent(rows.chance_of(listed), 0)}, linkability 0.5"
    out.print(f"The strongest attacker on each defacer ({chance}):")
    table = _make_table("defacer", "verdict", "attacker", "rank 1", "linkability", "exposed")
    for verdict in result.verdict.conditions:
        row = strongest.get(verdict.condition)
        cells = ("none", "-", "-") if row is None else (row.who, _short(row.search.rank1), _short(row.linkability))
        count = str(len(exposed[verdict.condition]))
        table.add_row(escape(verdict.condition), _word(verdict.decision), *map(escape, cells), count)
    out.print(table)
    controls = [row for row in listed if row.condition == ORIGINAL and find_attack(row.attack).judged]
    measured_first = sorted(controls, key=lambda row: (math.isnan(row.linkability.value), row.linkability.value))
    for row in measured_first[:1]:  # the others with -v
        numbers = f"rank 1 {_short(row.search.rank1)}, linkability {_short(row.linkability)}"
        out.print(f"Control (originals, {escape(row.who)}): {numbers}")
    canaries = [(value, who) for seen in rows.list_canaries(result).values() for who, value in seen.items()]
    measured = [(value, who) for value, who in canaries if math.isfinite(value.value)]
    if measured:
        least, who = min(measured, key=lambda item: item[0].value)
        bound = f"at least {least.at_least:.2f}" if math.isfinite(least.at_least) else "too few people for a bound"
        out.print(f"Canaries (weak defacing): linkability {least.value:.2f} or more, {bound} ({escape(who)})")
    elif canaries:
        out.print("Canaries (weak defacing): too few people to tell whether the attackers see")
    else:
        out.print("Canaries: none, so that nothing shows whether the attackers see")
    lost = [f"{flow.listed - flow.acquired} of {flow.listed} {flow.condition}" for flow in rows.count_flow(result)]
    lost = [text for text in lost if not text.startswith("0 ")]
    if lost:
        out.print(f"No vector: {escape(', '.join(lost))}")


def _say_blocks(result: AuditResult, *, every: bool) -> None:
    """Print the rules that were not met, the gravest of each defacer unless ``every``, and what would mend them."""
    blocks = rows.list_blocks(result)
    for concerns, checks in blocks.items():
        for check in checks if every else checks[:1]:
            text = check.text if every else _first_sentence(check.text)
            out.print(f"{_word(check.decision)} {escape(concerns)}: {escape(text)}")
    hidden = sum(len(checks) - 1 for checks in blocks.values())
    if hidden and not every:
        out.print(f"and {counted(hidden, 'further reason')} (-v)")
    if blocks:
        mends = dict.fromkeys(mend_text(checks[0]) for checks in blocks.values())
        out.print(f"To mend: {'; '.join(mends)}.")


def say_result(result: AuditResult, *, verbosity: int = 0, report: Path | None = None) -> None:
    """Print a result on one screen.

    Parameters
    ----------
    result : AuditResult
    verbosity : int
        1 adds every attacker, every rule that was not met and the scans without a clear face; 2 adds thresholds,
        the attackers' controls and the tests.
    report : Path, optional
        Where the report is.
    """
    subjects = max((row.subjects for row in rows.list_rows(result)), default=0)
    scans = rows.count_scans(result)
    counts = [counted(subjects, "subject"), counted(scans, "scan") if scans else ""]
    what = [result.cohort, *counts, *list_recognisers(result.evidence)]
    head = f"[{COLOURS[result.verdict.decision]}]{escape(rows.headline(result))}[/]"
    out.print(f"{head}  {escape(', '.join(filter(None, what)))}")
    for notice in rows.list_notices(result):
        out.print(f"[yellow]Note:[/] {escape(notice if verbosity else _first_sentence(notice))}")
    out.print()
    _say_defacers(result)
    out.print()
    _say_blocks(result, every=verbosity > 0)
    if verbosity:
        _say_attackers(result)
        say_unacquired(result.scans)
        if result.scans:
            out.print(f"{median(scan.seconds for scan in result.scans):.1f} s a scan (median)")
    if verbosity > 1:
        _say_everything(result)
    if report is not None:
        out.say(f"Report: {escape(str(report))}")


def _say_attackers(result: AuditResult) -> None:
    name, distance = result.verdict.policy.threshold, rows.tell_threshold(result)
    rule = f"cosine distance below {escape(distance)} ({name})" if distance else f"never: no {name} threshold"
    out.print(f"\nMatch = {rule}. Two-sided {100 * result.evidence.confidence:g} % intervals.")
    listed = rows.list_rows(result)
    for condition in dict.fromkeys(row.condition for row in listed):
        out.print(f"\n[bold]{escape(condition)}[/]")
        accuracy = _make_table("attacker", "TMR", "FMR", "rank 1", "linkability")
        rest = _make_table("attacker", "bits left", "FTA")
        for row in (row for row in listed if row.condition == condition):
            numbers: tuple[Rate | Estimate, ...] = (row.mated, row.non_mated, row.search.rank1, row.linkability)
            left = "-" if row.measures is None else f"{_short(row.measures.bits)} of {row.measures.possible_bits:.2f}"
            accuracy.add_row(escape(row.who), *map(_short, numbers))
            rest.add_row(escape(row.who), left, _short(row.fta))
        out.print(accuracy)
        out.print(rest)


def _say_everything(result: AuditResult) -> None:
    for calibration in result.calibrations:
        say_calibration(calibration)
    evidence = result.evidence
    say_block("Controls of the attackers", [(f"{w}, {n}", text) for w, n, text in rows.compare_attackers(evidence)])
    tests = [test for control in evidence.controls for test in control.tests]
    tests += [test for attack in evidence.attacks for test in attack.tests]
    named = ((f"{t.condition} {t.attack} {t.encoder} {t.name}: {t.compared}".strip(), test_text(t)) for t in tests)
    say_block("Tests", list(named))


def say_calibration(calibration: Calibration) -> None:
    """Print each threshold and what it does on the originals."""
    encoder = calibration.fingerprint.encoder or "Encoder not known"
    out.print(
        f"{escape(encoder)}: thresholds from {calibration.subjects} subjects, {calibration.same_pairs} mated and "
        f"{calibration.different_pairs} non-mated comparisons; AUC {estimate_text(calibration.auc)}, "
        f"EER {percent(calibration.eer)}.\n"
    )
    for point in calibration.thresholds:
        if point.distance != point.distance:
            out.print(f"[bold]{point.name}[/]: not offered, {escape(point.reason)}")
            continue
        interval = f" ({point.low:.4f} to {point.high:.4f})" if point.low == point.low else ""
        say_block(
            f"[bold]{point.name}[/]: distance {point.distance:.4f}{interval}",
            [
                ("TMR", f"{rate_text(point.tmr)}; held out: {rate_text(point.tmr_held_out)}"),
                ("FMR", f"{rate_text(point.fmr)}; held out: {rate_text(point.fmr_held_out)}"),
            ],
        )


def say_plan(plan: RunPlan, store: Store | None) -> None:
    """Print what a run would do."""
    table = _make_table("", "scans", "in the store")
    table.add_row("originals", str(plan.originals), str(plan.originals_kept))
    table.add_row("defaced", str(plan.defaced), str(plan.defaced_kept))
    if plan.canaries:
        table.add_row("canaries", str(plan.canaries), str(plan.canaries_kept))
    out.print(table)
    if plan.absent:
        out.say(f"[yellow]Without a file:[/] {escape(listed(plan.absent))}")
    where = "no store" if store is None else f"store: {store.folder}"
    out.say(f"{plan.to_do} scans would be read; {escape(where)}")
