"""Watch a running process: time, peak memory, and the end of all its children."""

import contextlib
import os
import signal
import subprocess
import time
from typing import Any

import numpy as np

_WATCH_S = 0.1


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended, without taking its number from it where the system can tell so."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def watch(process: subprocess.Popen[bytes], deadline: float) -> tuple[bool, float]:
    """Wait for a process; return whether it ended in time, and the peak of its and its children's memory in MB."""
    import psutil

    peak, pause, family = float("nan"), 0.01, {}
    try:
        root = psutil.Process(process.pid)
        family[process.pid] = root
    except psutil.NoSuchProcess:
        root = None
    while True:
        total = 0
        if root is not None:
            try:
                family |= {child.pid: child for child in root.children(recursive=True)}
            except psutil.NoSuchProcess:
                root = None
        for member in family.values():
            try:
                total += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        if total:
            peak = float(np.fmax(peak, total / 1e6))
        ended = _has_ended(process)
        if ended or time.monotonic() > deadline:
            end_family(process, family.values())
            return ended, peak
        time.sleep(pause)
        pause = min(2 * pause, _WATCH_S)


def end_family(process: subprocess.Popen[bytes], family: Any = ()) -> None:
    """End a process and whatever it started: its group, and children that left the group."""
    import psutil

    if process.returncode is None:  # its number is still its own: it has not been asked how it ended
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
