"""What several tests share: the folder of real scans where there is one, and a small cohort of synthetic heads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from places import SHARED

from reid_audit import Settings, local_executor
from reid_audit.attack import choose_attacks
from reid_audit.audit import Engines, acquire_faces, start_engines
from reid_audit.dataset import Cohort, read_manifest
from reid_audit.demo import write_demo_cohort
from reid_audit.records import FaceRecord


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that no process is left alone with one of them at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real scans; a test that asks for it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of real scans, ../shared, beside the checkout")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep finished faces of tests away from those of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REID_AUDIT_STORE", str(tmp_path_factory.mktemp("store") / "faces"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _wide_terminal() -> None:
    """Let no table break its words, whichever test was the first to print."""
    from reid_audit.cli.words import err, out

    out.width = err.width = 250


@pytest.fixture(scope="session")
def demo_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four synthetic people in two visits, the first defaced by the three reference defacers: 20 scans."""
    with local_executor(2) as executor:
        return write_demo_cohort(tmp_path_factory.mktemp("demo"), subjects=4, spacing_mm=2.2, seed=3, executor=executor)


@pytest.fixture(scope="session")
def demo_faces(demo_manifest: Path) -> tuple[Cohort, Engines, list[FaceRecord]]:
    """The same cohort with a face from each scan, by dlib."""
    cohort, engines = read_manifest(demo_manifest), start_engines(Settings(encoders=("dlib",)))
    with local_executor(2) as executor:
        return cohort, engines, acquire_faces(cohort, engines, attacks=choose_attacks(), executor=executor)
