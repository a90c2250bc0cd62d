"""docs/architecture.md says what is: its rooms are the arrows, its walk follows the calls, its examples run."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from test_architecture import ARROWS, PACKAGE

PAGE = Path(__file__).parents[2] / "docs/architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
_ROOMS = re.compile(r"(?<=\| may import \|\n\|---\|---\|---\|\n).*(?=\n<!-- end of rooms -->)", re.DOTALL)
_STEP = re.compile(r"^\| (\d+) \| `([\w.]+)` \| (?:`([\w.]+)`)? ?\| (.+) \|$", re.MULTILINE)
WALK = [(function, caller) for _, function, caller, _ in _STEP.findall(TEXT)]
EXAMPLES = re.findall(r"^### (.+?)\n.*?^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def write_rooms() -> str:
    """Return the rows of the table of rooms: the arrows, and the first sentence of each room's docstring."""
    rows = []
    for room, known in ARROWS.items():
        folder = PACKAGE / room
        source = (folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")).read_text(encoding="utf-8")
        what = " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].split()).rstrip(".")
        rows.append(f"| `{room}` | {what} | {', '.join(f'`{name}`' for name in sorted(known)) or 'none'} |\n")
    return "".join(rows)


def test_the_table_of_rooms_is_that_of_the_arrows() -> None:
    match = _ROOMS.search(TEXT)
    assert match is not None
    rows = [line.split(" | ") for line in match[0].splitlines()]
    expected = [line.split(" | ") for line in write_rooms().splitlines()]
    told = [(row[0], row[-1]) for row in rows]  # what a room does may be said in other words than its docstring's
    assert told == [(row[0], row[-1]) for row in expected], f"write it anew: python {Path(__file__).name}"


def _split(name: str) -> tuple[ModuleType, list[str]]:
    """Split ``room.module.Class.method`` into the module and the rest."""
    parts = name.split(".")
    places = [k for k in range(len(parts)) if PACKAGE.joinpath(*parts[:k], "__init__.py").is_file()]
    places += [k for k in range(len(parts)) if k and PACKAGE.joinpath(*parts[:k]).with_suffix(".py").is_file()]
    last = max(places)
    return import_module(".".join(["reid_audit", *parts[:last]])), parts[last:]


def _find(name: str) -> object:
    module, rest = _split(name)
    return reduce(getattr, rest, module)


@pytest.mark.parametrize(("function", "caller"), WALK, ids=[function for function, _ in WALK])
def test_each_step_of_the_walk_is_called_by_the_one_that_the_page_names(function: str, caller: str) -> None:
    step = _find(function)
    assert inspect.isfunction(step)
    assert step.__qualname__ == ".".join(_split(function)[1]), f"{function} is defined elsewhere"
    if not caller:
        assert function == WALK[0][0]
        return
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(_find(caller))))  # type: ignore[arg-type]
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    if "." in step.__qualname__:  # a method, of an object that the syntax tree does not name
        assert step.__name__ in {node.attr for node in called if isinstance(node, ast.Attribute)}
    else:
        assert any(_resolve(node, _split(caller)[0]) is step for node in called)


def _resolve(node: ast.expr, module: ModuleType) -> object:
    """Return what ``name`` or ``module.name`` means in a module; None for other expressions."""
    if isinstance(node, ast.Attribute):
        return getattr(_resolve(node.value, module), node.attr, None)
    return getattr(module, node.id, None) if isinstance(node, ast.Name) else None


def test_the_walk_is_short_and_each_caller_is_reached() -> None:
    """A caller is a step before, or a private helper in the module of one; no step comes out of nowhere."""
    assert 15 <= len(WALK) <= 25
    for place, (function, caller) in enumerate(WALK[1:], 1):
        before = [name for name, _ in WALK[:place]]
        module = _split(caller)[0].__name__
        assert caller in before or module in {_split(name)[0].__name__ for name in before}, function


def test_every_kind_of_extension_has_an_example_of_30_lines_at_most() -> None:
    titles = {title for title, _ in EXAMPLES}
    assert titles == {"An attacker", "A defacer", "A reader", "A rule of the verdict", "A figure"}
    assert all(len(source.splitlines()) <= 30 for _, source in EXAMPLES)


@pytest.mark.parametrize(("title", "source"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_the_example_runs(title: str, source: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), title


if __name__ == "__main__":
    PAGE.write_text(_ROOMS.sub(lambda _: write_rooms(), TEXT), encoding="utf-8")
