"""The command line: translates words into one call of the public API, and its result into words. Computes nothing."""

import ast
import errno
import os
import traceback
from collections.abc import Sequence
from importlib import import_module, resources
from pathlib import PurePath
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import reid_audit

EXIT_USAGE = 2
EXIT_INTERNAL = 70
"""As sysexits.h has it: a fault of this program must not read as FAIL."""
EXIT_BROKEN_PIPE = 141

_PLACES = {
    "demo": "synthetic",
    "phantom": "synthetic",
    "inventory": "inventory",
    "screen": "screen",
    "render": "scan",
    "mesh": "scan",
    "deface": "deface",
    "choose-model": "choose",
    "calibrate": "audit",
    "score": "audit",
    "compare": "compare",
    "report": "report",
    "review": "review",
    "certify": "certify",
    "utility": "utility",
    "stats": "audit",
    "plan": "plan",
    "bids": "bids_app",
    "validate": "validate",
    "store": "store",
    "weights": "weights",
}
"""Commands in the order of the help, and the module of each, which is imported when its command is run."""


def _read_help(name: str) -> str:
    """Read what a command says of itself from its source: to import them all takes a second."""
    source = resources.files("reid_audit.cli").joinpath(f"{_PLACES[name]}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name.replace("-", "_"):
            return ast.get_docstring(node) or ""
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.targets[0]) == f"{name}_app"
        ):
            return str(ast.literal_eval(next(word.value for word in node.value.keywords if word.arg == "help")))
    raise LookupError(f"cli/{_PLACES[name]}.py has no command {name}")


def _load_numpy() -> None:
    """Load NumPy with one thread of linear algebra: products of one scan are small, and a second thread spins for them.

    The library asks the environment once, so what other programs are started with stays as it was.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            import numpy  # noqa: F401
        finally:
            del os.environ["OMP_NUM_THREADS"]


class Commands(TyperGroup):
    """The commands, each imported when it is asked for: ``--version`` and the list of ``--help`` need none of them."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(_PLACES)

    def get_command(self, ctx: Any, name: str) -> Any:
        """Import a command; None where there is none of this name."""
        if name not in _PLACES:
            return None
        if self._listing:
            return TyperCommand(name, help=_read_help(name))
        _load_numpy()
        module = import_module(f"reid_audit.cli.{_PLACES[name]}")
        group: typer.Typer | None = getattr(module, f"{name}_app", None)
        if group is None:
            group = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
            group.command(cls=getattr(module, "COMMAND_CLASS", None))(getattr(module, name.replace("-", "_")))
        command = typer.main.get_command(group)
        command.name = name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page that lists the commands."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what the system refuses becomes an error with its mend before Typer makes it exit code 1."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise typer.Exit(EXIT_BROKEN_PIPE) from error
            name = PurePath(str(error.filename)).name if error.filename else "a file"
            from reid_audit.records import mend_of

            raise reid_audit.ReidAuditError(f"{name}: {error.strerror or error}; {mend_of(error)}") from error
        except EOFError as error:
            raise RuntimeError("a file ended too early") from error


app = typer.Typer(
    name="reid-audit",
    cls=Commands,
    help="Can a face-recognition attacker still link your head CT and MRI scans to people?",
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 wrong use or input, 3 REVIEW, 4 INCOMPLETE, 70 a fault, 130 stopped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def say_version(wanted: bool) -> None:
    """Print the version where it is asked for, and leave."""
    if wanted:
        typer.echo(f"reid-audit {reid_audit.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and exit.")
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
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0
    except reid_audit.ReidAuditError as error:
        from rich.markup import escape

        from reid_audit.cli.words import err

        err.say(f"[bold red]Error:[/] {escape(str(error))}")
        return EXIT_USAGE
    except Exception:  # noqa: BLE001  Python would end with 1, which reads as FAIL
        traceback.print_exc()
        return EXIT_INTERNAL
    return 0
