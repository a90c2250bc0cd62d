"""What `pip install reid-audit` alone can do, and what each missing extra is told to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from reid_audit.testing import write_weights

EXTRAS = {
    "deepface": ("deepface", "retinaface", "werkzeug", "onnxruntime", "cv2"),
    "vtk": ("vtk", "vtkmodules"),
    "pyrender": ("pyrender", "OpenGL", "pyglet"),
    "cluster": ("distributed", "dask", "bokeh"),
    "notebook": ("ipykernel", "IPython"),
    "review": ("starlette", "uvicorn"),
    "dev": ("statsmodels", "faiss", "nbclient", "hypothesis"),
}


def run_without(packages: tuple[str, ...], program: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a process in which importing these packages fails as if they were not installed."""
    blocker = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules |= dict.fromkeys({packages!r})  # None: it cannot be imported, and has no spec
"""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", blocker + program],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={"DEEPFACE_HOME": str(home), "HOME": str(home), "PATH": ""},
    )


@pytest.mark.slow
def test_the_default_path_runs_without_any_extra(tmp_path: Path) -> None:
    blocked = tuple(name for names in EXTRAS.values() for name in names)
    program = """
from pathlib import Path
from reid_audit import write_result
from reid_audit.cli import main
from reid_audit.demo import run_demo
write_result(run_demo(subjects=2, spacing_mm=3.0, attacks=["naive"]), Path("result"))
assert main(["report", "result", "-o", "again.html"]) == 0
assert Path("again.html").read_bytes() == Path("result/report.html").read_bytes()
"""
    done = run_without(blocked, program, tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("extra", "program"),
    [
        ("deepface", "from reid_audit.face import make_encoder; make_encoder('Facenet512')"),
        ("vtk", "from reid_audit.render.with_vtk import VtkRenderer; VtkRenderer()"),
        ("pyrender", "from reid_audit.render.with_pyrender import PyrenderRenderer; PyrenderRenderer()"),
        ("review", "from reid_audit.review.server import make_app; make_app(None, None)"),
        ("cluster", "from reid_audit.work import cluster_executor\nwith cluster_executor('local'): pass"),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_brings_it(extra: str, program: str, tmp_path: Path) -> None:
    write_weights(tmp_path)
    done = run_without(EXTRAS[extra], program, tmp_path)
    assert done.returncode == 1
    assert f"pip install 'reid-audit[{extra}]'" in done.stderr.splitlines()[-1]
