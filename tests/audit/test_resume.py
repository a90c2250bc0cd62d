"""Runs that are stopped, killed, started twice, or done on many machines come to what one undisturbed run comes to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from places import TESTS
from resumed_run import COARSE, describe, write_small_cohort

from reid_audit.attack import choose_attacks
from reid_audit.audit import acquire_faces, start_engines
from reid_audit.dataset import read_manifest

SCANS = 9
PROGRAM = TESTS / "resumed_run.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_cohort(tmp_path_factory.mktemp("cohort"), people=3)


@pytest.fixture(scope="module")
def undisturbed(manifest: Path) -> dict[str, str]:
    """The faces without a store, a pool or a cluster."""
    actual = describe(acquire_faces(read_manifest(manifest), start_engines(COARSE), attacks=choose_attacks(["naive"])))
    assert len(actual) == SCANS
    return actual


def _start(*arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def _finish(run: subprocess.Popen[str]) -> dict:
    text, _ = run.communicate(timeout=180)
    assert run.returncode == 0
    return json.loads(text)


def _faces_in(store: Path) -> list[Path]:
    """Entries that are faces; those of files are digests, much smaller."""
    entries = [path for path in store.glob("entries-1/*/*") if not path.name.startswith(".")]
    return [path for path in entries if path.stat().st_size > 1000]


def _wait(until: Callable[[], object], *, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_run_that_was_killed_twice_continues_and_nothing_finished_is_done_again(
    manifest: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    finished = 0
    for _ in range(2):
        run = _start(manifest, store, "--workers", 2)
        _wait(lambda: len(_faces_in(store)) >= finished + 2)  # noqa: B023 - called at once
        workers = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert workers
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive, "workers outlived the run that was killed"
        before, finished = finished, len(_faces_in(store))
        assert before < finished < SCANS
    result = _finish(_start(manifest, store))
    assert result == {"faces": undisturbed, "computed": SCANS - finished, "kept": finished}
    damaged = _faces_in(store)[0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    assert _finish(_start(manifest, store)) == {"faces": undisturbed, "computed": 1, "kept": SCANS - 1}


def test_two_runs_at_once_on_one_store_are_both_right(
    manifest: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    both = [_finish(run) for run in [_start(manifest, store), _start(manifest, store)]]
    assert [result["faces"] for result in both] == [undisturbed, undisturbed]
    assert len(_faces_in(store)) == SCANS
    assert not list(store.rglob(".*"))


def test_a_cluster_comes_to_the_same_also_when_a_worker_is_killed(
    manifest: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    dask, place = [sys.executable, "-m", "dask"], str(tmp_path / "scheduler.json")
    local = ["--scheduler-file", place, "--no-dashboard"]
    log = open(tmp_path / "dask.log", "w")  # noqa: SIM115 - closed below, after its writers
    started = [
        subprocess.Popen([*dask, "scheduler", *local, "--host", "127.0.0.1", "--port", "0"], stderr=log, cwd=tmp_path)
    ]
    worker = [*dask, "worker", *local, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
    try:
        started += [subprocess.Popen([*worker], stderr=log, cwd=tmp_path) for _ in range(2)]
        _wait(lambda: Path(place).exists() and Path(place).stat().st_size)
        address = json.loads(Path(place).read_text())["address"]
        run = _start(manifest, tmp_path / "store", "--scheduler", address)
        _wait(lambda: len(_faces_in(tmp_path / "store")) >= 2)
        started[1].send_signal(signal.SIGKILL)
        result = _finish(run)
        assert result == {"faces": undisturbed, "computed": SCANS, "kept": 0}
        local_again = _finish(_start(manifest, tmp_path / "store"))
        assert local_again == {"faces": undisturbed, "computed": 0, "kept": SCANS}
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()
        log.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_says_how_to_continue(
    manifest: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = ["-m", "reid_audit", "score", str(manifest), "-o", str(tmp_path / "result"), "--workers", "2"]
    words += ["--encoder", "dlib", "--store", str(tmp_path / "store"), "--log", str(tmp_path / "run.log")]
    run = subprocess.Popen(
        [sys.executable, *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it
    )
    _wait(lambda: psutil.Process(run.pid).children() and (tmp_path / "run.log").exists())
    time.sleep(1.0)
    workers = psutil.Process(run.pid).children(recursive=True)
    os.killpg(run.pid, number) if number is signal.SIGINT else run.send_signal(number)  # a terminal tells all of them
    _, text = run.communicate(timeout=60)
    assert run.returncode == code, text
    assert "Run the same command again to continue." in text
    assert "Traceback" not in text
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert f"ended with exit code {code}" in (tmp_path / "run.log").read_text()
