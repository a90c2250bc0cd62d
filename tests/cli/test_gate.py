"""The gate: three states, one exit code, and nothing that went wrong looks like a pass."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from places import ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def _run_gate(folder: Path, code: int, **variables: str) -> tuple[int, str, list[str]]:
    """Run the gate with a program that ends with this code; return the gate's code, its words and the program's."""
    program = folder / "bin" / "reid-audit"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@"\nexit {code}\n', encoding="utf-8")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "examples/gate.sh")],
        cwd=folder,
        env={"PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    junit = folder / "reid-audit-gate" / "junit.xml"
    return done.returncode, done.stdout + done.stderr, junit.read_text().splitlines() if junit.is_file() else []


@pytest.mark.parametrize(
    ("code", "state", "stops", "stops_where_review_is_allowed"),
    [
        (0, "pass", 0, 0),
        (1, "fail", 1, 1),
        (2, "error", 1, 1),
        (3, "review", 1, 0),
        (4, "incomplete", 1, 1),
        (70, "error", 1, 1),
        (130, "error", 1, 1),
    ],
)
def test_only_a_pass_goes(
    tmp_path: Path, code: int, state: str, stops: int, stops_where_review_is_allowed: int
) -> None:
    stopped, told, words = _run_gate(tmp_path, code, GATE_PATH="a release")
    assert stopped == stops
    assert f"screen: {state}" in told
    assert words == ["screen", "a release", "--expect-defaced", "--format", "junit"]
    allowed, told, _ = _run_gate(tmp_path, code, GATE_PATH="a release", GATE_ALLOW_REVIEW="true")
    assert allowed == stops_where_review_is_allowed
    assert ("::warning::" in told) == (state == "review")


def test_the_gate_of_score_hands_on_policy_and_calibration_and_tells_its_state(tmp_path: Path) -> None:
    variables = {"GATE_PATH": "m.csv", "GATE_COMMAND": "score", "GATE_POLICY": "p.toml", "GATE_CALIBRATION": "c.json"}
    stopped, _, words = _run_gate(tmp_path, 4, **variables, GITHUB_OUTPUT=str(tmp_path / "outputs"))
    assert stopped == 1
    assert words[:4] == ["score", "m.csv", "--output", "reid-audit-gate/result"]
    assert words[4:9] == ["--overwrite", "--policy", "p.toml", "--calibration", "c.json"]
    assert (tmp_path / "outputs").read_text() == "state=incomplete\n"
    assert (tmp_path / "reid-audit-gate/junit.xml").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("variables", [{}, {"GATE_PATH": "x", "GATE_COMMAND": "demo"}])
def test_a_gate_that_is_set_up_wrongly_stops(tmp_path: Path, variables: dict[str, str]) -> None:
    stopped, told, words = _run_gate(tmp_path, 0, **variables)
    assert (stopped, words) == (1, [])
    assert "GATE_" in told


def test_the_action_hands_every_input_to_the_script() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    handed = {name: value for step in action["runs"]["steps"] for name, value in step["env"].items()}
    script = (ROOT / "examples/gate.sh").read_text(encoding="utf-8")
    for name in action["inputs"]:
        variable = name.upper().replace("-", "_")
        variable = variable if name == "requirement" else f"GATE_{variable}"
        assert handed[variable] == f"${{{{ inputs.{name} }}}}"
        assert name == "requirement" or f"${{{variable}:-" in script
