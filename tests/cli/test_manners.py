"""What an audit does to the process that runs it: nothing. In a process of its own, whose sockets raise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import reid_audit
from reid_audit import ScanRef, testing
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import write_manifest
from reid_audit.phantom import make_phantom
from reid_audit.volume import write_volume

PROGRAM = """
import logging, os, signal, socket, sys, warnings
def refuse(*_): raise AssertionError("connects")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import numpy  # adds filters of its own
def state():
    root = logging.getLogger()
    return {
        "warnings": {str(each) for each in warnings.filters}, "order": list(warnings.filters),
        "environment": set(os.environ.items()), "logging": (root.level, list(root.handlers), root.manager.disable),
        "streams": (sys.stdout, sys.stderr), "timeout": socket.getdefaulttimeout(), "folder": os.getcwd(),
        "signal": signal.getsignal(signal.SIGINT),
    }
before = state()
def check(when):
    changed = {name: (old ^ new if isinstance(old, set) else (old, new))
               for (name, old), new in zip(before.items(), state().values()) if old != new}
    assert not changed, (when, changed)
from pathlib import Path
import reid_audit
from reid_audit.surface import SurfaceSettings
check("importing")
settings = reid_audit.Settings(surface=SurfaceSettings(voxel_mm=3.0), detector="dlib",
                               encoders=("dlib", "ArcFace"))
cohort = reid_audit.read_cohort(Path("heads/manifest.csv"))
result = reid_audit.audit(cohort, settings=settings, draws=20)
check("auditing")
reid_audit.write_result(result, Path("out"))
check("writing")
statuses = {row.status for row in result.scans}
assert statuses <= {"ok", "many_faces", "low_confidence", "no_face"}, statuses
assert any("STAND-IN" in notice for notice in result.notices)
"""


@pytest.mark.slow
def test_an_audit_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    heads.mkdir()
    scans = []
    for person in range(2):
        for visit, condition in ((1, "original"), (2, "original"), (1, "tool")):
            scan = make_phantom(person, visit, spacing_mm=4.0)
            path = heads / f"p{person}_{visit}_{condition}.nii"
            write_volume(scan.volume, path)
            scans.append(ScanRef(f"p{person}", str(visit), condition, path, scan.volume.modality))
    write_manifest(heads / "manifest.csv", scans)
    weights = testing.write_weights(tmp_path / "home")
    there = sorted(weights.parent.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "DEEPFACE_HOME": str(tmp_path / "home"),
            "HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(Path(reid_audit.__file__).parents[1]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr[-2000:]
    assert sorted(weights.parent.rglob("*")) == there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heads", "home", "out"]


def count_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_while_an_audit_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with threadpool_limits(2, "blas"):
        asked = count_threads()
        with contain_side_effects():
            assert count_threads() == {1}
        assert count_threads() == asked
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        with contain_side_effects():
            assert count_threads() == asked


def test_a_command_has_one_thread_of_linear_algebra_and_hands_none_of_it_on() -> None:
    program = """
import os
from threadpoolctl import threadpool_info
from reid_audit.cli import main
main(["store", "--help"])
print({each["num_threads"] for each in threadpool_info()}, "OMP_NUM_THREADS" in os.environ)
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "{1} False"
