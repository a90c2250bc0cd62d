"""Finished faces on disk: `store info`, `prune`, `clear`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape

from reid_audit.cli.words import out
from reid_audit.work import Store

store_app = typer.Typer(
    help="Look at, shrink or empty the private folder of finished faces.", no_args_is_help=True, rich_markup_mode="rich"
)
FolderOption = Annotated[
    Path | None, typer.Option("--store", help="The folder; REID_AUDIT_STORE or the user's cache folder if left out.")
]


def _say_store(store: Store) -> None:
    info = store.info()
    size = f"{decimal(info.size_bytes)} of at most {decimal(info.max_bytes)}"
    out.say(f"{info.entries} entries, {size}, in {escape(str(info.folder))}")


@store_app.command("info")
def info_store(folder: FolderOption = None) -> None:
    """Say where the store lies and what it holds.

    Example: [bold]reid-audit store info[/]
    """
    _say_store(Store(folder))


@store_app.command("prune")
def prune_store(
    max_megabytes: Annotated[
        float | None, typer.Option("--max-mb", min=0, help="Size to come down to; the usual limit if left out.")
    ] = None,
    folder: FolderOption = None,
) -> None:
    """Drop the entries that were not used for longest.

    Example: [bold]reid-audit store prune --max-mb 100[/]
    """
    store = Store(folder)
    dropped = store.prune(None if max_megabytes is None else int(max_megabytes * 1e6))
    out.print(f"{dropped} entries dropped")
    _say_store(store)


@store_app.command("clear")
def clear_store(folder: FolderOption = None) -> None:
    """Drop every entry: no face stays on disk.

    Example: [bold]reid-audit store clear[/]
    """
    store = Store(folder)
    out.say(f"{store.clear()} entries dropped from {escape(str(store.folder))}")
