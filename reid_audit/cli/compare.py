"""Defacers side by side: `compare`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from reid_audit.accuracy import rank_defacers
from reid_audit.cli.options import OverwriteOption
from reid_audit.cli.words import COLOURS, out
from reid_audit.deface import read_defacing
from reid_audit.records import Comparison, DefaceRun, UtilityValue, prepare_folder
from reid_audit.report import COMPARISON_FILE, read_result, write_comparison
from reid_audit.report.words import estimate_text, p_text, percent, rate_text
from reid_audit.utility import read_utility


def compare(
    results: Annotated[list[Path], typer.Argument(help="Folders that `score` wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the comparison.")] = None,
    cost: Annotated[
        str | None, typer.Option("--cost", help="Which measure of what was lost stands beside the risk.")
    ] = None,
    defacing: Annotated[
        Path | None, typer.Option("--defacing", help="defacing.json that `deface` wrote: seconds, failures.")
    ] = None,
    utility: Annotated[
        Path | None, typer.Option("--utility", help="Folder or file that `utility` wrote: what was lost.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Put defacers side by side, best first, with tests between them, and seconds and failures where they are known.

    Results of several runs must share fingerprint and thresholds: score them with one --calibration.

    Example: [bold]reid-audit compare result-a result-b -o comparison[/]
    """
    compare_results(
        results,
        output,
        defacing=() if defacing is None else read_defacing(defacing),
        utility=() if utility is None else read_utility(utility).values,
        cost=cost,
        overwrite=overwrite,
    )


def compare_results(
    folders: list[Path],
    output: Path | None,
    *,
    defacing: Iterable[DefaceRun] = (),
    utility: Iterable[UtilityValue] = (),
    cost: str | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Compare the results in folders, print the comparison and write it where a folder for it is given."""
    if output is not None:
        prepare_folder(output, COMPARISON_FILE, overwrite=overwrite)
    comparison = rank_defacers(
        [read_result(folder) for folder in folders],
        names=[folder.name or str(folder) for folder in folders],
        defacing=defacing,
        utility=utility,
        cost_metric=cost,
    )
    say_comparison(comparison)
    if output is not None:
        page = write_comparison(comparison, output, overwrite=True)
        out.say(f"Report: {escape(str(page))}")
    return comparison


def say_comparison(comparison: Comparison) -> None:
    """Print the defacers, best first, and the tests between them."""
    for note in comparison.notes:
        out.print(f"[yellow]Note:[/] {escape(note)}")
    for place, row in enumerate(comparison.rows, 1):
        word = f"[{COLOURS[row.decision]}]{row.decision.value}[/]"
        out.print(f"{place}. [bold]{escape(row.condition)}[/]: {word}")
        several = len(comparison.fingerprints) > 1 and row.worst_encoder
        worst = f"{row.worst_encoder}, {row.worst_attack}" if several else row.worst_attack
        lines = [
            ("linkability", f"{estimate_text(row.linkability)} by {worst or 'nobody'}; 0.5 = no link left"),
            ("subjects matched", rate_text(row.matched)),
            ("rank 1", f"{rate_text(row.rank1)}; chance {percent(row.chance1)}"),
        ]
        if row.runs:
            seconds = "not known" if row.seconds != row.seconds else f"{row.seconds:.3g} (median)"
            why = ", ".join(f"{count} {status}" for status, count in row.failed)
            failures = f"{row.failures} of {row.runs} runs" + (f": {why}" if why else "")
            lines += [("seconds a scan", seconds), ("failed", failures)]
        if comparison.cost_metric:
            best = "not known" if row.best_choice is None else "yes" if row.best_choice else "no"
            lost = "not measured" if row.cost != row.cost else f"{row.cost:.4g}"
            lines += [(f"lost ({comparison.cost_metric})", lost), ("nothing beats it in both", best)]
        table = Table.grid(padding=(0, 2))
        for name, value in lines:
            table.add_row(f"   {escape(name)}", escape(value))
        out.print(table)
    if comparison.tests:
        table = Table("test", "compared", "attacker", "effect", "adjusted p", title="Between defacers, by person")
        table.title_justify = "left"
        for test in comparison.tests:
            effect = test.reason if test.effect != test.effect else f"{test.effect:+.3f} {test.effect_name}"
            name = test.name.replace("_", " ")
            table.add_row(name, escape(test.compared), escape(test.attack), effect, p_text(test.p_adjusted))
        out.print(table)
