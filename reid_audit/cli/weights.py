"""Model files: `weights list`, `fetch`, `import`, `verify`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from reid_audit import weights
from reid_audit.cli.options import show_progress
from reid_audit.cli.words import out, say_block

weights_app = typer.Typer(
    help="List, fetch, import and verify the encoders' model files.", no_args_is_help=True, rich_markup_mode="rich"
)
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Take the new file where another one is recorded.")]


def _say_weights(files: Sequence[weights.WeightsFile]) -> None:
    for file in files:
        size = "" if file.size_bytes is None else f"{file.size_bytes / 1e6:.1f} MB"
        digest = "no digest published or recorded yet"
        if file.sha256 is not None:
            digest = f"SHA-256 {file.sha256} ({'pinned' if file.pinned else 'recorded'})"
        lines = [("file", f"{file.file_name} {size}".strip()), ("digest", digest), ("licence", file.licence)]
        lines.append(("source", file.source))
        say_block(f"[bold]{file.name}[/]: {file.state.value}", lines + ([("note", file.reason)] if file.reason else []))


@weights_app.command("list")
def list_weights() -> None:
    """List every model file that the package can use, and whether it is there.

    Example: [bold]reid-audit weights list[/]
    """
    out.say(f"Files are looked for in {escape(str(weights.weights_home()))}")
    _say_weights(weights.list_weights())


def _move_bytes(progress: Callable[[str, int, int], None], name: str, done: int, total: int | None) -> None:
    progress(f"{name} (bytes)", done, total or done)


@weights_app.command("fetch")
def fetch_weights(
    names: Annotated[list[str], typer.Argument(help="Names from `weights list`.")], replace: ReplaceOption = False
) -> None:
    """Download model files: the only command that opens a connection.

    Example: [bold]reid-audit weights fetch Facenet512 RetinaFace[/]
    """
    for name in names:
        with show_progress() as progress:
            move = partial(_move_bytes, progress, name)
            path = weights.fetch_weights(name, override=replace, progress=move)
        out.say(f"{escape(name)}: {escape(str(path))}")


@weights_app.command("import")
def import_weights(
    source: Annotated[Path, typer.Argument(help="A model file, or a folder or stick that holds some.")],
    replace: ReplaceOption = False,
) -> None:
    """Take model files from a folder or USB stick, where a machine has no network.

    Example: [bold]reid-audit weights import /media/stick[/]
    """
    for path in weights.import_weights(source, override=replace):
        out.say(f"imported {escape(str(path))}")


@weights_app.command("verify")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="All that are there, if left out.")] = None,
) -> None:
    """Check model files against their pinned or recorded digests. Exit code 1 where one is wrong.

    Example: [bold]reid-audit weights verify[/]
    """
    files = weights.verify_weights(names)
    _say_weights(files)
    wrong = [file for file in files if file.state.value == "wrong"]
    out.print(f"{len(files)} files, {len(wrong)} wrong")
    raise typer.Exit(1 if wrong else 0)
