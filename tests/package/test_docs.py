"""What the documents say of the package: the default policy, links, and no word of version 0.1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reid_audit import Policy
from reid_audit.verdict import format_policy

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT")),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*.md"),
    ]
)
_OLD = re.compile(
    r"stranger|parrot|paper \d|paper\d|own person|judge_scores|audit_cohort|reid_audit\.notebook", re.IGNORECASE
)


def test_the_defaults_of_the_policy_are_those_that_the_page_shows() -> None:
    page = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert blocks == [format_policy(Policy())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r"^\[[^]]+\]: (\S+)", text, re.MULTILINE)
    for target in targets:
        assert target.startswith("http") or (page.parent / target).exists(), target
    for name in re.findall(r"`((?:examples|docs|tests)/[\w/.]+\.\w+)", text):
        assert (ROOT / name).exists(), name
    defined = set(re.findall(r"^\[([^]]+)\]:", text, re.MULTILINE))
    assert set(re.findall(r"\[(docs/[\w.]+)\](?!\()", text)) <= defined


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_write_the_words_of_the_standard(page: Path) -> None:
    text = page.read_text(encoding="utf-8").partition("## Words of version 0.1")[0]
    assert _OLD.findall(text) == []
