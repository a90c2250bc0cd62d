"""How Sphinx builds the site: `make docs`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import reid_audit

project = "reid-audit"
author = "The reid-audit developers"
copyright = f"2026, {author}"  # noqa: A001  Sphinx asks for this name
release = version = reid_audit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "code"  # docstrings name things in single backticks
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say them, and more: shapes, units, ranges
napoleon_custom_sections = ["Words", "Which pairs"]
napoleon_use_ivar = True  # attributes are told in the text of their class, not again as members
suppress_warnings = ["ref.python"]  # a record is a member of its own room and of `reid_audit`: either target is right

html_theme = "furo"
html_title = f"reid-audit {version}"
html_copy_source = False
html_static_path = ["site"]
html_css_files = ["site.css"]


def write_commands_page(page: Path) -> None:
    """Write the page of all commands, as Typer tells it of the program, so that it says what `--help` says."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "reid_audit.cli", "utils", "docs", "--name", "reid-audit"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = re.sub(r'<span style="font-weight: bold">(.+?)</span>', r"`\1`", done.stdout)
    told = told.replace("# `reid-audit`\n", "# Commands\n", 1)
    page.parent.mkdir(exist_ok=True)
    if not page.is_file() or page.read_text(encoding="utf-8") != told:  # an untouched page is not built again
        page.write_text(told, encoding="utf-8")


def join_names(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Write attributes that share a line as ``low/high : float``: napoleon takes what is before a comma for a type."""
    in_attributes = False
    for place, line in enumerate(lines):
        if line and set(line) == {"-"}:
            in_attributes = lines[place - 1] == "Attributes"
        elif in_attributes and re.match(r"\w+(, \w+)+( :|$)", line):
            names, colon, kind = line.partition(" :")
            lines[place] = names.replace(", ", "/") + colon + kind


def setup(app: Any) -> None:
    """Let docstrings pass by `join_names` before napoleon sees them."""
    app.connect("autodoc-process-docstring", join_names, priority=400)


write_commands_page(Path(__file__).parent / "made" / "commands.md")
