"""What the documents say of the package: the default policy, links, commands, and no word of version 0.1."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import list_commands, list_pages, parse_command
from markdown_it import MarkdownIt
from markdown_it.token import Token

from reid_audit import Policy
from reid_audit.cli import app
from reid_audit.deface import list_defacers
from reid_audit.testing import make_result
from reid_audit.verdict.policy import format_policy

ROOT = Path(__file__).parents[2]
PAGES = list_pages()
_OLD = re.compile(
    r"stranger|parrot|paper \d|paper\d|own person|judge_scores|audit_cohort|reid_audit\.notebook", re.IGNORECASE
)


def test_the_defaults_of_the_policy_are_those_that_the_page_shows() -> None:
    page = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert blocks == [format_policy(Policy())]


def _read_tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


@cache
def _list_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page; two of one text are numbered."""
    tokens = _read_tokens(page)
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    names = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {f"{name}-{names[:k].count(name)}" if name in names[:k] else name for k, name in enumerate(names)}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    inline = [child for token in _read_tokens(page) for child in token.children or ()]
    for link in (str(child.attrGet("href") or child.attrGet("src")) for child in inline if child.attrs):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert re.match(r"https?:|mailto:", link) or target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in _list_anchors(target), link
    if page.name == "CHANGELOG.md":  # it names what is gone
        return
    for name in re.findall(r"`((?:examples|docs|tests)/[\w/.]+\.\w+)", text):
        assert (ROOT / name).exists(), name
    defined = set(re.findall(r"^\[([^]]+)\]:", text, re.MULTILINE))
    assert set(re.findall(r"\[(docs/[\w.]+)\](?!\()", text)) <= defined


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_write_the_words_of_the_standard(page: Path) -> None:
    text = page.read_text(encoding="utf-8").partition("## Words of version 0.1")[0]
    assert _OLD.findall(text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_pages_are_commands_of_the_program(page: Path) -> None:
    for line in list_commands(page):
        parse_command(line)


def test_python_on_pages_runs_in_a_test_or_needs_a_cluster() -> None:
    """README and tutorial run below, those of the architecture page in its own test."""
    found = {
        page.name: re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) for page in PAGES
    }
    assert {name for name, snippets in found.items() if snippets} == {
        "README.md",
        "architecture.md",
        "cluster.md",
        "tutorial.md",
    }
    for snippet in found["cluster.md"]:  # SLURM and Kubernetes, whose packages are no dependency
        compile(snippet, "docs/cluster.md", "exec")


@pytest.mark.slow
def test_the_notebook_snippet_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every line but the audit itself, whose result is made up; the README's lines are among the tutorial's."""
    snippets = []
    for page in ("README.md", "docs/tutorial.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        snippets += re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    short, whole = snippets
    assert set(short.splitlines()) <= set(whole.splitlines())
    result, _ = make_result(6, draws=20)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reid_audit.audit", lambda manifest: result)
    exec(compile(whole, "docs/tutorial.md", "exec"), {})
    assert (tmp_path / "result" / "report.html").is_file()


def test_every_command_stands_in_the_table_of_commands() -> None:
    table = (ROOT / "docs/tasks.md").read_text(encoding="utf-8")
    group: Any = typer.main.get_command(app)
    assert [name for name in group.list_commands(None) if not re.search(rf"`{name}[ `]", table)] == []


def test_the_page_of_defacers_lists_those_of_the_package() -> None:
    page = (ROOT / "docs/defacers.md").read_text(encoding="utf-8")
    for defacer in list_defacers():
        needs = ", ".join(f"`{name}`" for name in defacer.needs) or "-"
        assert f"| `{defacer.name}` | {needs} | {defacer.description} |\n" in page


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_every_page_is_reached_from_the_front_page() -> None:
    listed = re.findall(r"^([\w/]+)$", (ROOT / "docs/index.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {path.stem for path in ROOT.glob("docs/*.md")} - {"index"}
    assert sorted(listed) == sorted([*pages, "made/commands"])
