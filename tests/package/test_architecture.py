"""The house: which room may know which, and which room alone may touch what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reid_audit
from reid_audit.attack import PHOTOS, Crossed, list_attacks

PACKAGE = Path(reid_audit.__file__).parent

PIPELINE = {"records", "dataset", "volume", "surface", "render", "face", "match"}

# room -> the rooms that it may import. An arrow that is not here is a change of the design: make it on purpose.
ARROWS: dict[str, set[str]] = {
    "records": set(),
    "weights": {"records"},
    "work": {"records"},
    "volume": {"records"},
    "dataset": {"records", "volume"},  # volume: headers of DICOM files, no pixels
    "surface": {"records"},
    "render": {"records"},
    "alteration": {"records", "volume", "surface", "render"},
    "face": {"records", "weights"},
    "portrait": {"records", "volume", "surface", "render", "face"},
    # The fill-in attacker lays the average synthetic head; a canary is cut as the eye-plane defacer cuts.
    "attack": {"records", "volume", "surface", "render", "face", "portrait", "phantom", "deface"},
    "match": {"records", "face", "attack", "work"},  # work: the comparisons of a costly attacker are tasks
    "stats": {"records"},
    "accuracy": {"records", "stats", "face", "attack", "work"},  # work: attempts are measured as tasks
    "verdict": {"accuracy", "records", "stats", "attack"},
    "phantom": {"records", "volume", "dataset"},
    # A defacer that needs no label map finds the face by laying the average synthetic head on the skin.
    "deface": {"records", "volume", "surface", "dataset", "phantom", "work"},
    "screen": {"records", "volume", "dataset", "surface", "render", "face", "portrait", "phantom", "attack", "work"},
    "audit": PIPELINE | {"alteration", "stats", "accuracy", "attack", "portrait", "verdict", "work"},
    "release": {"records", "volume", "surface", "render", "phantom", "deface"},
    "demo": {"records", "volume", "dataset", "phantom", "deface", "work", "attack", "audit"},
    "validation": {
        "records",
        "accuracy",
        "alteration",
        "audit",
        "deface",
        "demo",
        "face",
        "phantom",
        "render",
        "surface",
        "verdict",
    },
    "plots": {"records"},
    # attack: what each attacker says of itself; accuracy: the ranking behind `result.compare`; utility: its page.
    "report": {"records", "match", "accuracy", "plots", "attack", "utility"},
    "testing": {"records", "weights", "dataset", "match", "attack", "audit"},
    "utility": {"records", "volume", "surface", "dataset", "stats", "work"},
    # pictures on demand, after alteration undid what protects nobody; report, screen: what needs a look, and the page.
    "review": {"records", "volume", "dataset", "alteration", "render", "portrait", "report", "screen"},
    # screen: which images there are in a release. It draws nothing and shows nothing.
    "certificate": {"records", "volume", "screen", "work"},
    "bids_app": {"records", "dataset", "attack", "audit", "work", "report"},
}
TELLS = {"cli", "__init__", "__main__"}  # these may import any room

ONLY = {
    "deepface": {"face"},
    "retinaface": {"face"},
    "dlib": {"face"},
    "cv2": {"face"},
    "onnxruntime": {"face"},
    "vtk": {"render"},
    "vtkmodules": {"render"},
    "pyrender": {"render"},
    "embreex": {"render"},
    "OpenGL": {"render"},
    "starlette": {"review"},
    "uvicorn": {"review"},
    "subprocess": {"deface", "certificate"},  # other people's defacers; ssh-keygen
    "multiprocessing": {"work"},
    "distributed": {"work"},
    "dask": {"work"},
    "socket": {"weights"},
    "urllib": {"weights"},
    "requests": {"weights"},
    "pooch": {"weights"},
}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> list[tuple[str, int]]:
    """Return every imported module as an absolute dotted name, with its line, wherever in the file it stands."""
    package = ["reid_audit", *path.relative_to(PACKAGE).parts[:-1]]
    actual: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            actual += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if module == "reid_audit":
                actual += [(f"reid_audit.{alias.name}", node.lineno) for alias in node.names]
            else:
                actual.append((module, node.lineno))
    return actual


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_one_way(path: Path) -> None:
    room = _room(path)
    if room in TELLS:
        return
    assert room in ARROWS, f"{room} is a new room: say here whom it may know"
    for name, line in _imports(path):
        parts = name.split(".")
        if parts[0] != "reid_audit" or len(parts) == 1 or parts[1] == room:
            continue
        assert parts[1] in ARROWS[room], f"{path.name}:{line} {room} -> {parts[1]} is no arrow of the design"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_engines_stay_in_their_room(path: Path) -> None:
    room = _room(path)
    for name, line in _imports(path):
        owners = ONLY.get(name.split(".")[0])
        assert owners is None or room in owners, f"{path.name}:{line} imports {name}; only {owners} may"


def _strings_compared(path: Path) -> list[tuple[str, int]]:
    """Return every text that a file compares something with, also among others: ``x == "a"``, ``x in ("a", "b")``."""
    actual = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if isinstance(node, ast.MatchValue):
            sides = [node.value]
        for side in sides:
            parts = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
            actual += [
                (part.value, node.lineno)
                for part in parts
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
    return actual


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_room_but_theirs_compares_an_attackers_name_with_a_text(path: Path) -> None:
    names = {name for attack in (*list_attacks(), PHOTOS, Crossed()) for name in (attack.name, attack.family) if name}
    for text, line in _strings_compared(path) if _room(path) != "attack" else ():
        assert text not in names, f"{path.name}:{line} asks for the attacker {text!r}: ask for a property of it"


def test_comparisons_with_a_text_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('x == "a"\n"b" != x\nx in ("c", y)\nmatch x:\n    case "d":\n        "e"\n')
    assert [text for text, _ in _strings_compared(tmp_path / "a.py")] == ["a", "b", "c", "d"]


def test_records_name_one_room_above_them_and_import_it_when_a_view_is_asked_for() -> None:
    """``result.rates`` and ``result.plot`` are the only way up: by name, so that reading a record loads no report."""
    named = {
        node.value
        for path in (PACKAGE / "records").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and str(node.value).startswith("reid_audit.") and " " not in str(node.value)
    }
    assert named == {"reid_audit.report.views"}
    program = "import sys, reid_audit.records; assert not any(n.startswith('reid_audit.report') for n in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_arrows_make_no_circle() -> None:
    order: list[str] = []
    while len(order) < len(ARROWS):
        ready = [room for room, known in ARROWS.items() if room not in order and known <= set(order)]
        assert ready, f"these rooms know each other in a circle: {sorted(set(ARROWS) - set(order))}"
        order += ready


def test_importing_the_package_is_quiet_and_light(tmp_path: Path) -> None:
    program = """
import logging, os, sys, warnings
import numpy  # adds filters of its own
before = list(warnings.filters), dict(os.environ), logging.root.level, list(logging.root.handlers)
import reid_audit
for name in reid_audit.__all__:
    getattr(reid_audit, name)
assert before == (list(warnings.filters), dict(os.environ), logging.root.level, list(logging.root.handlers))
heavy = {"vtk", "vtkmodules", "dlib", "deepface", "cv2", "onnxruntime", "pyrender", "trimesh", "SimpleITK",
         "matplotlib", "scipy", "sklearn", "skimage", "statsmodels", "embreex"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
