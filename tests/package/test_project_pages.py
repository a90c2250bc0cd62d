"""What stands around the package: workflows, citation and hooks say what pyproject.toml, the lock and the Makefile say.

`make published` checks the same files against their published schemas.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def _read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_citation_names_this_software_and_its_version() -> None:
    citation, archive = _read("CITATION.cff"), json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == archive["license"] == PROJECT["license"]
    assert citation["title"] == archive["title"]
    names = [author["name"] for author in PROJECT["authors"]]
    assert [author["name"] for author in citation["authors"]] == names
    assert [creator["name"] for creator in archive["creators"]] == names


def test_changelog_and_pages_name_this_version() -> None:
    """What else names it is held by `test_containers`."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.findall(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert dated[0] == (PROJECT["version"], str(_read("CITATION.cff")["date-released"]))
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for named in re.findall(r"reid-audit(?::|==)(\d[\w.]*)", page.read_text(encoding="utf-8")):
            assert named == PROJECT["version"], page.name


def test_the_matrix_begins_with_the_oldest_python_that_is_allowed() -> None:
    pythons = _read(".github/workflows/ci.yml")["jobs"]["quick"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    assert pythons == [f"3.{minor}" for minor in range(11, 11 + len(pythons))]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_pin_what_they_use_and_call_targets_that_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = path.read_text(encoding="utf-8")
    for used in re.findall(r"uses: (\S+)", text):
        assert used.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", used), used
        assert not used.startswith("./") or (ROOT / used).exists(), used
    for called in re.findall(r"run: make (.+)", text):
        assert set(called.split()) <= targets, called
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def test_the_hook_runs_the_ruff_of_the_lock() -> None:
    (ruff,) = (repo for repo in _read(".pre-commit-config.yaml")["repos"] if "ruff" in repo["repo"])
    locked = re.search(r"^ruff==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert locked is not None
    assert ruff["rev"] == f"v{locked[1]}"


def test_locks_name_no_index_and_agree() -> None:
    pins: dict[str, set[str]] = {}
    extra = ["docs/requirements.lock", "containers/requirements.lock", "containers/build.lock"]
    for lock in ("requirements.lock", *extra):
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert "://" not in text
        assert not re.search(r"^-", text, re.MULTILINE)
        pins[lock] = set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))
    names = {pin.partition("==")[0] for pin in pins["requirements.lock"]}
    for lock in extra:
        shared = {pin for pin in pins[lock] if pin.partition("==")[0] in names}
        assert shared <= pins["requirements.lock"], lock


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[0-9]-*.yml")), ids=lambda p: p.name)
def test_issue_forms_ask_for_no_patient_data(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    labels = " ".join(field["attributes"].get("label", "") for field in form["body"])
    assert not re.search(r"scan|attach|upload|patient", labels, re.IGNORECASE)
    if any(field["type"] == "textarea" and "render" in field["attributes"] for field in form["body"]):
        assert any("No patient data" in field["attributes"].get("value", "") for field in form["body"])
