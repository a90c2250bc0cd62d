"""The container and its descriptors: they call commands that exist, agree with each other, and run as nobody special.

`make published` lints them and validates the descriptor by Boutiques; no test builds an image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import parse_command
from places import ROOT

FOLDER = ROOT / "containers"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def _read_json(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("/data", "/out", "participant", "--n-procs", "2"), "bids /data /out participant --n-procs 2"),
        (("/data", "/out", "group"), "bids /data /out group"),
        (("screen", "/data", "--expect-defaced"), "screen /data --expect-defaced"),
        (("--help",), "--help"),
    ],
)
def test_the_entry_point_is_that_of_a_bids_app_and_of_every_command(
    tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "reid-audit").write_text('#!/bin/sh\necho "$@"\nexit 3\n', encoding="utf-8")
    (tmp_path / "reid-audit").chmod(0o755)
    done = subprocess.run(
        ["sh", str(FOLDER / "entrypoint.sh"), *words],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (3, expected)


def test_the_last_stage_has_no_compiler_and_no_root() -> None:
    *_, last = (FOLDER / "Containerfile").read_text(encoding="utf-8").split("\nFROM ")
    assert not re.search(r"apt|gcc|build-essential|pip install|curl|wget", last)
    (user,) = re.findall(r"^USER (\S+)", last, re.MULTILINE)
    assert int(user) > 0
    assert last.index("\nUSER ") < last.index("\nENTRYPOINT ")


def test_what_is_copied_into_the_build_is_not_ignored() -> None:
    kept = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    recipe = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    for copied in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", recipe, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert name.partition("/")[0] in kept, name


def test_the_descriptor_calls_the_bids_app_with_options_that_it_has() -> None:
    descriptor = _read_json("boutiques.json")
    assert descriptor["tool-version"] == VERSION
    line = descriptor["command-line"]
    assert re.findall(r"\[\w+\]", line) == [entry["value-key"] for entry in descriptor["inputs"]]
    for entry in descriptor["inputs"]:
        value = {"Number": "2"}.get(entry["type"], entry.get("value-choices", ["x"])[0])
        line = line.replace(entry["value-key"], f"{entry.get('command-line-flag', '')} {value}")
    parse_command(line)


def test_the_command_of_xnat_is_one_and_its_parts_fit() -> None:
    command = _read_json("xnat_command.json")
    assert command["version"] == VERSION
    assert command["image"].endswith(f":{VERSION}")
    line = command["command-line"]
    for entry in command["inputs"]:
        assert entry["replacement-key"] in line
        line = line.replace(entry["replacement-key"], f"{entry['command-line-flag']} {entry['default-value']}")
    parse_command(line)
    mounts = {mount["name"]: mount for mount in command["mounts"]}
    assert all(mount["path"] in line for mount in mounts.values())
    outputs = {output["name"]: output for output in command["outputs"]}
    assert all(mounts[output["mount"]]["writable"] for output in outputs.values())
    (wrapper,) = command["xnat"]
    inputs = {entry["name"]: entry for entry in wrapper["external-inputs"]}
    assert all(not mounts[entry["provides-files-for-command-mount"]]["writable"] for entry in inputs.values())
    for handler in wrapper["output-handlers"]:
        assert handler["accepts-command-output"] in outputs
        assert handler["as-a-child-of-wrapper-input"] in inputs


def test_the_recipe_is_of_this_version() -> None:
    recipe = yaml.safe_load((FOLDER / "neurodesk.yaml").read_text(encoding="utf-8"))
    assert recipe["version"] == VERSION
    assert recipe["deploy"]["bins"] == ["reid-audit"]
