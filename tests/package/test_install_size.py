"""What an install brings, as examples/measure_install.py counts it."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from places import EXAMPLES


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_install", EXAMPLES / "measure_install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_install_holds_what_is_needed_and_an_extra_only_where_it_is_asked_for(script: ModuleType) -> None:
    default, deepface = script.find_needed("reid-audit"), script.find_needed("reid-audit", frozenset({"deepface"}))
    assert {"numpy", "scikit-image", "contourpy"} <= set(default)  # contourpy by way of matplotlib
    assert not {"pytest", "opencv-contrib-python-headless", "deepface", "dask", "vtk"} & set(default)
    assert [name for name in deepface if name.startswith("opencv")] == ["opencv-contrib-python-headless"]
    assert set(default) < set(deepface)


def test_the_files_of_a_package_are_counted(script: ModuleType) -> None:
    needed = script.find_needed("reid-audit")
    assert sum(map(script.measure_bytes, needed.values())) < 1200e6
    assert script.measure_bytes(needed["simpleitk"]) > script.measure_bytes(needed["typer"]) > 1e5
