"""The names that ``import reid_audit`` gives: which, where they come from, and what they cost."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import reid_audit

PACKAGE = Path(reid_audit.__file__).parent
NAMES = [
    *(
        "AuditResult",
        "CalibrationError",
        "Cohort",
        "Decision",
        "EngineError",
        "Face",
        "Group",
        "InputError",
        "Policy",
        "Portrait",
        "Rate",
        "ReidAuditError",
    ),
    *(
        "RenderError",
        "ScanRef",
        "Settings",
        "Skin",
        "Status",
        "StoreError",
        "View",
        "Volume",
        "WeightsError",
        "__version__",
    ),
    *(
        "assess_scores",
        "audit",
        "calibrate",
        "cluster_executor",
        "compare_faces",
        "encode_face",
        "extract_skin",
        "find_frontal_view",
        "local_executor",
    ),
    *("read_cohort", "read_result", "read_scores", "read_volume", "render_portrait", "write_result"),
]
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "cli")


def test_the_public_names_are_these() -> None:
    assert sorted(reid_audit.__all__) == sorted(NAMES)
    for name in NAMES:
        assert getattr(reid_audit, name) is not None


def test_a_function_is_not_shadowed_by_the_room_of_its_name() -> None:
    program = "import reid_audit.audit.settings, reid_audit; assert callable(reid_audit.audit)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_lists_its_names(room: str) -> None:
    module = getattr(__import__(f"reid_audit.{room}"), room) if room != "audit" else sys.modules["reid_audit.audit"]
    assert module.__all__
    for name in module.__all__:
        assert hasattr(module, name), name


def test_no_public_name_has_two_meanings() -> None:
    """A function or class of one name stands in one file; what rooms hand on is imported from there."""
    places: dict[str, list[str]] = {}
    for room in ROOMS:
        listed = set(sys.modules[f"reid_audit.{room}"].__all__)
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in listed:
                    places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize(
    ("command", "limit_s"),
    [(["-c", "import reid_audit"], 0.5), (["-m", "reid_audit", "--version"], 0.6)],
    ids=["import", "version"],
)
def test_starting_is_quick(command: list[str], limit_s: float) -> None:
    def run_s() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(run_s() for _ in range(3)) < limit_s


def test_a_room_is_imported_when_it_is_first_used() -> None:
    program = """
import sys, reid_audit
assert not any(name.startswith("reid_audit.") for name in sys.modules)
assert reid_audit.stats.subjects_needed(0.05, 0.95, 0) == 59
assert "reid_audit.render" not in sys.modules
assert not hasattr(reid_audit, "no_such_room")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
