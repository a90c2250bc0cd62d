"""How Sphinx builds the site: `make docs`."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.util.logging import getLogger

import reid_audit

project = "reid-audit"
author = "The reid-audit developers"
copyright = f"2026, {author}"  # noqa: A001  Sphinx asks for this name
release = version = reid_audit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "code"  # docstrings name things in single backticks
myst_heading_anchors = 3
autodoc_preserve_defaults = True  # as the source writes them: a default policy is `Policy()`
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say them, and more: shapes, units, ranges
napoleon_custom_sections = ["Words", "Which pairs"]
napoleon_use_ivar = True  # attributes are told in the text of their class, not again as members
highlight_language = "bash"  # of blocks that name none
suppress_warnings = ["ref.python"]  # a record is a member of its own room and of `reid_audit`: either target is right

html_theme = "furo"
html_title = f"reid-audit {version}"
html_copy_source = False
html_static_path = ["site"]
html_css_files = ["site.css"]


MADE = Path(__file__).parent / "made"


def write_page(page: Path, text: str) -> None:
    """Write a page where it says something else: an untouched page is not built again."""
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.is_file() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def write_commands_page() -> None:
    """Write the page of all commands, as Typer tells it of the program, so that it says what `--help` says."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "reid_audit.cli", "utils", "docs", "--name", "reid-audit"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = re.sub(r'<span style="font-weight: bold">(.+?)</span>', r"`\1`", done.stdout)
    told = told.replace("# `reid-audit`\n", "# Commands\n", 1).replace("=*AXIAL*", "=\\*AXIAL\\*")
    first = dict(re.findall(r"^##+ `reid-audit (?:\w+ )?([\w-]+)`\n\n(.+)$", told, re.MULTILINE))
    told = re.sub(r"(`[^`]*`)|--(\w[\w-]*)", lambda word: word[1] or f"`--{word[2]}`", told)  # options stay as they are
    told = re.sub(r"^(\* `([\w-]+)`: ).*\.\.\.$", lambda row: row[1] + first[row[2]], told, flags=re.MULTILINE)
    write_page(MADE / "commands.md", told)


def write_room_pages() -> None:
    """Write a page for each room of the package; those of rooms that are gone are removed."""
    rooms = {each.name for each in pkgutil.iter_modules(reid_audit.__path__)} - {"cli", "__main__"}
    for room in rooms:
        automodule = f".. automodule:: reid_audit.{room}\n   :members:"
        write_page(MADE / "rooms" / f"{room}.md", f"# {room}\n\n```{{eval-rst}}\n{automodule}\n```\n")
    for page in (MADE / "rooms").glob("*.md"):
        if page.stem not in rooms:
            page.unlink()


def keep_percent(app: Any, name: str, source: list[str]) -> None:
    """Keep a number and its percent sign in one line of a table's cell."""
    source[0] = re.sub(r"^\|.*", lambda row: re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", row[0]), source[0], flags=re.M)


def join_names(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Let napoleon take no text for a type: it looks for one before the first colon of a property.

    And before a comma among names: attributes that share a line are written as ``low/high : float``.
    """
    if what == "property":
        lines[0] = lines[0].replace(": ", " -- ", 1)
    in_attributes = False
    for place, line in enumerate(lines):
        if line and set(line) == {"-"}:
            in_attributes = lines[place - 1] == "Attributes"
        elif in_attributes and re.match(r"\w+(, \w+)+( :|$)", line):
            names, colon, kind = line.partition(" :")
            lines[place] = names.replace(", ", "/") + colon + kind


def skip_fields(app: Any, what: str, name: str, obj: object, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, of which Python says no more than their number."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def check_links(app: Any, failed: Exception | None) -> None:
    """Fail the build where a link leads to no page, file or anchor of the site."""
    texts = {page: page.read_text(encoding="utf-8") for page in Path(app.outdir).resolve().rglob("*.html")}
    anchors = {page: {unescape(name) for name in re.findall(r'\sid="([^"]+)"', texts[page])} for page in texts}
    for page in [] if failed else texts:
        for link in sorted(set(re.findall(r'\shref="([^"]+)"', texts[page]))):
            parts = urlsplit(unquote(unescape(link)))
            target = (page.parent / parts.path).resolve() if parts.path else page
            there = target.exists() and (not parts.fragment or parts.fragment in anchors.get(target, {parts.fragment}))
            if not parts.scheme and not there:
                getLogger(__name__).warning("%s: %s leads nowhere", page.name, link)
                app.statuscode = 1


def setup(app: Any) -> None:
    """Let pages and docstrings pass by before MyST and napoleon see them, and look at the links of the site."""
    app.connect("source-read", keep_percent)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("build-finished", check_links)
    app.connect("autodoc-process-docstring", join_names, priority=400)


write_commands_page()
write_room_pages()
