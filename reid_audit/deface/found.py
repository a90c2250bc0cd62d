"""External defacers on this machine: whether each is installed, and in which version."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from reid_audit.deface.tools import Tool

_VERSION_LIMIT_S = 20.0
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_STARTED = re.compile(r"""'''exec' "?([^"]+?)"? "\$0\"""")


@dataclass(frozen=True, slots=True)
class FoundTool:
    """A tool on this machine, or why it is not there.

    Attributes
    ----------
    executable : str
        Absolute path; ``""`` where it is not there.
    version : str
        ``""`` where it does not say.
    reason : str
        Why it cannot be run here; ``""`` where it can.
    """

    tool: Tool
    executable: str = ""
    version: str = ""
    reason: str = ""

    @property
    def is_available(self) -> bool:
        """Whether it can be run."""
        return not self.reason


def _interpreter(executable: str) -> str:
    """Return the Python that a script names in its first line, or that its shell starts; ``""`` where there is none.

    Installers write ``#!/bin/sh``, and an ``exec`` in the second line, where the path of the Python is long or has
    blanks.
    """
    with open(executable, "rb") as stream:
        first, second = (stream.readline(4096).decode(errors="replace").strip() for _ in range(2))
    if not first.startswith("#!"):
        return ""
    started = _STARTED.match(second)
    words = [started[1]] if started else first[2:].split()
    named = next((word for word in words if "python" in os.path.basename(word)), "")
    return shutil.which(named) or named


def _ask_version(tool: Tool, executable: str) -> str:
    if not tool.version:
        return ""
    try:
        python = _interpreter(executable)
        if "{python}" in tool.version and not python:
            return ""
        words = [word.replace("{python}", python) for word in tool.version]
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_VERSION_LIMIT_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    number = _VERSION.search(done.stdout + done.stderr) if done.returncode == 0 else None
    return number[0] if number else ""


def find_tool(tool: Tool) -> FoundTool:
    """Look whether a tool can be run on this machine, and ask for its version. Never an error."""
    executable = shutil.which(tool.words[0])
    unset = [name for name in tool.environment if not os.environ.get(name)]
    absent = [name for name in tool.requires if shutil.which(name) is None]
    if executable is None:
        return FoundTool(tool, reason=f"{tool.words[0]} is not on the PATH")
    if unset:
        return FoundTool(tool, reason=f"the variable {unset[0]} is not set")
    if absent:
        return FoundTool(tool, reason=f"it needs {', '.join(absent)} on the PATH")
    return FoundTool(tool, executable, _ask_version(tool, executable))
