"""What a user gets: the built wheel, installed elsewhere beside the locked dependencies of this environment."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build wheel and sdist; each by its ending."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return {path.suffix: path for path in folder.iterdir()}


@pytest.mark.slow
def test_another_copy_of_the_checkout_builds_the_same_bytes(built: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    hidden = shutil.ignore_patterns(".git", ".venv", ".hypothesis", ".*_cache", "__pycache__", "build", "dist")
    shutil.copytree(ROOT, copy, ignore=hidden, copy_function=shutil.copy)  # files of another time
    _run(sys.executable, "-m", "hatchling", "build", "-d", tmp_path / "again", cwd=copy)
    assert set(built) == {".whl", ".gz"}
    for first in built.values():
        again = tmp_path / "again" / first.name
        assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(first.read_bytes()).digest(), first.name


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment_outside_the_checkout(built: dict[str, Path], tmp_path: Path) -> None:
    wheel = built[".whl"]
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert _run(command, "--version", cwd=tmp_path).split() == ["reid-audit", project["version"]]
    assert "score" in _run(command, "--help", cwd=tmp_path)
    told = _run(command, "demo", "--subjects", "2", "--output", "result", cwd=tmp_path)
    assert "strongest attacker" in told
    assert (tmp_path / "result" / "report.html").is_file()
