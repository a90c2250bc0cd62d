"""What a user gets: the built wheel, installed elsewhere beside the locked dependencies of this environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from places import ROOT


def _run(*command: str | Path, cwd: Path, timeout_s: int = 900) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment_outside_the_checkout(tmp_path: Path) -> None:
    _run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", tmp_path, ROOT),
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("reid_audit-*.whl")
    venv = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    pip = (venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, "--no-deps", wheel, cwd=tmp_path)
    site = Path(
        _run(venv / "bin" / "python", "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path).strip()
    )
    (site / "locked.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n"
    )  # such a line brings no editable install along
    _run(*pip[:3], "check", "--disable-pip-version-check", cwd=tmp_path)

    command = venv / "bin" / "reid-audit"
    place = _run(venv / "bin" / "python", "-c", "import reid_audit; print(reid_audit.__file__)", cwd=tmp_path)
    assert place.startswith(str(venv))
    assert "score" in _run(command, "--help", cwd=tmp_path)
    told = _run(command, "demo", "--subjects", "2", "--output", "result", cwd=tmp_path)
    assert "strongest attacker" in told
    assert (tmp_path / "result" / "report.html").is_file()
