"""docs/papers.md: each command parses, each test exists, and no row is without one of both or a reason."""

from __future__ import annotations

import re

import pytest
from commands import parse_command
from places import ROOT

PAGE = (ROOT / "docs/papers.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("## What version")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_has_a_command_that_parses_or_a_reason(row: list[str]) -> None:
    what, where, made_by, held_by = row
    assert what
    assert where
    if made_by.startswith("decided against: "):
        assert held_by == "-"
        return
    parse_command(made_by.strip("`"))
    assert held_by != "-"


def test_a_command_that_is_none_is_seen() -> None:
    with pytest.raises(Exception, match="No such option: --segmentation"):
        parse_command("reid-audit utility manifest.csv --segmentation labels -o out")


@pytest.mark.parametrize("node", sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE))))
def test_each_test_that_the_page_names_exists(node: str) -> None:
    path, _, name = node.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_paper_has_its_rows() -> None:
    papers = ["Sahlsten 2023", "O'Sullivan-Steben 2025", "Ammar 2025", "Molchanova 2023", "Nohel 2025"]
    assert re.findall(r"^## (\w.* \d{4})$", PAGE, re.MULTILINE) == papers
