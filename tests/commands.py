"""Commands that pages name, parsed as the program parses them."""

from __future__ import annotations

import shlex
from typing import Any

import typer

from reid_audit.cli import app


def parse_command(line: str) -> None:
    """Check a line that calls the program: its options exist, and nothing that is required is missing."""
    program, *words = shlex.split(line[line.index("reid-audit ") :])
    command: Any = typer.main.get_command(app)
    while hasattr(command, "get_command"):
        name = words.pop(0)
        command = command.get_command(None, name)
        assert command is not None, f"{line}: there is no {name}"
    command.make_context(f"{program} {name}", words)
