"""Commands that pages name, parsed as the program parses them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer
from places import ROOT

from reid_audit.cli import app


def list_pages() -> list[Path]:
    """Return the pages that a reader may follow."""
    top = (ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT"))
    return sorted([*top, *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])


def list_commands(page: Path) -> list[str]:
    """Return the lines of a page's code blocks that call the program."""
    blocks = re.findall(r"```(?:\w+)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    whole = (re.sub(r"\\\n\s*", "", block) for block in blocks)  # a line that goes on in the next
    lines = [re.split("  #| > ", line.strip())[0] for block in whole for line in block.splitlines()]
    return [line[call.start() :] for line in lines if (call := re.search(r"(?:^|(?<=\s))reid-audit (?=\w)", line))]


def parse_command(line: str) -> None:
    """Check a line that calls the program: its options exist, and nothing that is required is missing."""
    program, *words = shlex.split(line[line.index("reid-audit ") :])
    command: Any = typer.main.get_command(app)
    while hasattr(command, "get_command"):
        name = words.pop(0)
        command = command.get_command(None, name)
        assert command is not None, f"{line}: there is no {name}"
    command.make_context(f"{program} {name}", words)
