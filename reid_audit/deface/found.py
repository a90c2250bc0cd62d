"""Other people's defacers on this machine: whether they are there, and which version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from reid_audit.deface.tools import Tool

_VERSION_LIMIT_S = 20.0
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")


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
    """Return the Python that a script names in its first line; this machine's where it names none."""
    with open(executable, "rb") as stream:
        first = stream.readline(512)
    words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
    if words and "python" in words[-1]:
        return shutil.which(words[-1]) or words[-1]
    return shutil.which("python3") or "python3"


def _ask_version(tool: Tool, executable: str) -> str:
    if not tool.version:
        return ""
    words = [word.replace("{python}", _interpreter(executable)) for word in tool.version]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_VERSION_LIMIT_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout + done.stderr) if done.returncode == 0 else None
    return found[0] if found else ""


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
