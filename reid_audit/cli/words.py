"""A result in words. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reid_audit import RunPlan, Store
from reid_audit.records import AuditResult, Calibration, Decision, Status
from reid_audit.report import (
    by_encoder,
    control_at,
    distance_at,
    estimate_text,
    match_at,
    of_strongest,
    percent,
    rank1_text,
    rate_text,
    rivals_text,
    tell_encoders,
    test_text,
)

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say_unacquired(rows: Sequence[tuple[str, str, Status, str]]) -> None:
    """Count the scans that gave no clear face by condition and reason; rows are (scan, condition, status, reason)."""
    groups: dict[tuple[str, Status, str], list[str]] = {}
    for key, condition, status, reason in rows:
        if status is not Status.OK:
            groups.setdefault((condition, status, reason), []).append(key)
    if not groups:
        out.print(f"A face was found in each of {len(rows)} scans.")
        return
    lost = sum(len(keys) for keys in groups.values())
    table = Table("scans", "condition", "outcome", "reason", title=f"{lost} of {len(rows)} scans to know of")
    table.title_justify = "left"
    for (condition, status, reason), keys in groups.items():
        which = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
        table.add_row(f"{len(keys)}: {escape(which)}", escape(condition), status.value, escape(reason))
    out.print(table)


COLOURS = {
    Decision.PASS: "bold green",
    Decision.REVIEW: "bold yellow",
    Decision.FAIL: "bold red",
    Decision.INCOMPLETE: "bold magenta",
}


def say_block(heading: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print a heading and, indented, names with their values."""
    out.print(heading)
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(f"  {name}", escape(value))
    out.print(table)


def say_result(result: AuditResult) -> None:
    """Print attack, control and chance together, and the verdict with its reasons."""
    name = result.verdict.policy.threshold
    shown = of_strongest(result)
    distance = distance_at(shown)
    rule = f"cosine distance below {distance:.4f} ({name})" if distance == distance else f"never: no {name} threshold"
    whose = f"By {escape(shown.encoders[0])}: match" if len(result.encoders) > 1 else "Match"
    out.print(f"\n{whose} = {rule}. Counts, shares, 95 % intervals.\n")
    for control in shown.evidence.controls:
        tmr, fmr = control_at(control, name)
        say_block(
            f"[bold]before defacing[/] ({control.attack} attacker): the control",
            [
                ("originals matched", rate_text(tmr)),
                ("different people matched", rate_text(fmr)),
                ("own person first", rank1_text(control.search)),
                ("AUC same/different", estimate_text(control.auc)),
                ("no face found", rate_text(control.fta)),
            ],
        )
    for verdict in result.verdict.conditions:
        out.print(f"\n[bold]{escape(verdict.condition)}[/]: {_word(verdict.decision)}")
        for attack in (one for one in shown.evidence.attacks if one.condition == verdict.condition):
            match = match_at(attack, name)
            matched = [
                ("  matched after defacing", rate_text(match.counted)),
                ("  different people matched", rate_text(match.non_mated)),
            ]
            say_block(
                f"  {attack.attack} attacker",
                [
                    *(matched if attack.matches else []),
                    ("  own person first", rank1_text(attack.search)),
                    ("  AUC own/other originals", f"{estimate_text(attack.linkability)}; 0.5 = no link left"),
                    ("  no vector to compare", rate_text(attack.fta)),
                ],
            )
        rivals = rivals_text(shown.evidence, verdict.condition)
        if rivals:
            say_block("  attackers beside each other", [(f"  {what}", value) for what, value in rivals])
        if verdict.encoders:
            out.print(f"  bound by {escape(' and '.join(verdict.encoders))}")
        reasons = [check for check in verdict.checks if check.decision is verdict.decision]
        say_block("  because", [("-", check.text) for check in reasons])
        others = [check for check in verdict.checks if check.condition and check not in reasons]
        if others:
            say_block("  found as well", [("-", check.text) for check in others])
    out.print()
    for check in result.verdict.checks:
        if check.decision is not Decision.PASS:
            out.print(f"{_word(check.decision)} for {escape(check.condition or 'all')}: {escape(check.text)}")
    out.print(f"Verdict: {_word(result.verdict.decision)}")


def say_encoders(result: AuditResult) -> None:
    """Print what each of several encoders can still do, side by side."""
    name = result.verdict.policy.threshold
    table = Table("encoder", "defacer", "attacker", "own person matched", "own person first", "AUC own/other", "")
    for one in by_encoder(result):
        verdicts = {verdict.condition: verdict.decision for verdict in one.verdict.conditions}
        for control in one.evidence.controls:
            tmr, _ = control_at(control, name)
            cells = (rate_text(tmr), rank1_text(control.search), estimate_text(control.auc))
            table.add_row(escape(one.encoders[0]), "none (control)", escape(control.attack), *cells, "")
        for attack in one.evidence.attacks:
            match = match_at(attack, name)
            cells = (rate_text(match.counted), rank1_text(attack.search), estimate_text(attack.linkability))
            word = _word(verdicts[attack.condition])
            table.add_row("", escape(attack.condition), escape(attack.attack), *cells, word)
    out.print(table)


def _word(decision: Decision) -> str:
    return f"[{COLOURS[decision]}]{decision.value}[/]"


def say_audit(result: AuditResult) -> None:
    """Print what was run, what was not seen, and the result."""
    settings = result.settings
    out.print(f"Recogniser {settings['encoder']}, detector {settings['detector']}, renderer {settings['renderer']}.")
    for notice in (*tell_encoders(result), *result.notices, *result.mismatches):
        out.print(f"[yellow]Note:[/] {escape(notice)}")
    for one in by_encoder(result):
        if len(result.encoders) > 1:
            out.print(f"[bold]{escape(one.encoders[0])}[/]")
        say_unacquired([(f"{r.subject}/{r.session}", r.condition, r.status, r.reason) for r in one.scans])
    if len(result.encoders) > 1:
        say_encoders(result)
    say_result(result)


def say_calibration(calibration: Calibration) -> None:
    """Print each threshold and what it does on the originals."""
    out.print(
        f"Thresholds from {calibration.subjects} people, {calibration.same_pairs} same and "
        f"{calibration.different_pairs} different comparisons; AUC {estimate_text(calibration.auc)}, "
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
                ("same people matched", f"{rate_text(point.tmr)}; held out: {rate_text(point.tmr_held_out)}"),
                ("different people matched", f"{rate_text(point.fmr)}; held out: {rate_text(point.fmr_held_out)}"),
            ],
        )


def say_tests(result: AuditResult) -> None:
    """Print every rank test, control and attacks."""
    tests = [test for control in result.evidence.controls for test in control.tests]
    tests += [test for attack in result.evidence.attacks for test in attack.tests]
    lines = [(f"{test.condition} {test.name}: {test.compared}".strip(), test_text(test)) for test in tests]
    say_block("\nTests", lines)


def say_plan(plan: RunPlan, store: Store | None) -> None:
    """Print what a run would do."""
    table = Table("", "scans", "in the store")
    table.add_row("originals", str(plan.originals), str(plan.originals_kept))
    table.add_row("defaced", str(plan.defaced), str(plan.defaced_kept))
    out.print(table)
    if plan.absent:
        more = f" and {len(plan.absent) - 5} more" if len(plan.absent) > 5 else ""
        out.print(f"[yellow]Without a file:[/] {escape(', '.join(plan.absent[:5]))}{more}", soft_wrap=True)
    where = "no store" if store is None else f"store: {store.folder}"
    out.print(f"{plan.to_do} scans would be read; {escape(where)}", soft_wrap=True)
