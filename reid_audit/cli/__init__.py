"""The command line: translates words into one call of the public API, and its result into words. Computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.cli.audit import calibrate, plan, score, stats
from reid_audit.cli.bids_app import ManyLabels, bids
from reid_audit.cli.choose import choose_model
from reid_audit.cli.compare import compare
from reid_audit.cli.deface import deface
from reid_audit.cli.inventory import inventory
from reid_audit.cli.report import report
from reid_audit.cli.scan import mesh, render
from reid_audit.cli.store import store_app
from reid_audit.cli.synthetic import demo, phantom
from reid_audit.cli.utility import utility
from reid_audit.cli.weights import weights_app
from reid_audit.cli.words import err, out
from reid_audit.records import ReidAuditError

EXIT_USAGE = 2

app = typer.Typer(
    name="reid-audit",
    help="Can a face-recognition attacker still link your head CT and MRI scans to people?",
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 wrong use or input, 3 REVIEW, 4 INCOMPLETE, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

_COMMANDS: tuple[Callable[..., None], ...] = (
    *(demo, phantom, inventory, render, mesh, deface, choose_model, calibrate, score),
    *(compare, report, utility, stats, plan),
)
for command in _COMMANDS:
    app.command()(command)
app.command(cls=ManyLabels)(bids)
app.add_typer(store_app, name="store")
app.add_typer(weights_app, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"reid-audit {reid_audit.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the program's name; ``sys.argv[1:]`` by default.
    """
    try:
        app(args=None if argv is None else list(argv))
    except ReidAuditError as error:
        err.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        return EXIT_USAGE
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0
    return 0
