"""A process pool on this machine: as many workers as there are cores, and no more than fit into its memory."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reid_audit.records import EngineError, InputError
from reid_audit.work.pool import MendingPool
from reid_audit.work.tasks import SerialExecutor

WORKER_BYTES = 3 * 2**29
"""What one worker is taken to need: 1.5 GB, the peak for a head of 256 voxels a side with its models loaded."""

# One scan keeps one core busy; a library that spreads over all of them only makes its neighbours wait.
_THREAD_LIMITS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
) | {"LP_NUM_THREADS": "0"}  # Mesa's software renderer: threads beside the one that draws, which cost a tenth more

# Where Linux says how much memory a container or batch job may have: cgroup v2, then v1.
_CGROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How many processes a run gets.

    Attributes
    ----------
    count : int
        At least 1.
    notice : str
        Why there are fewer than asked for or than there are cores; "" where there are not.
    """

    count: int
    notice: str = ""


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_bytes() -> int:
    """Return how much memory new processes may take: of the machine, or of the container if that leaves less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUP_FILES:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return max(free, 0)


def plan_workers(asked: int | None = None, *, worker_bytes: int = WORKER_BYTES) -> WorkerPlan:
    """Settle how many processes to start.

    Parameters
    ----------
    asked : int, optional
        As many as there are cores by default.
    worker_bytes : int
        What one of them needs.

    Raises
    ------
    InputError
        Where ``asked`` is smaller than 1.
    """
    wanted = default_workers() if asked is None else asked
    if wanted < 1:
        raise InputError(f"--workers must be at least 1. Got {wanted} instead.")
    free = free_memory_bytes()
    fitting = max(free // worker_bytes, 1)
    if wanted <= fitting:
        return WorkerPlan(wanted)
    plural = "worker runs" if fitting == 1 else "workers run"
    return WorkerPlan(
        fitting,
        f"{fitting} {plural} instead of {wanted}: {free / 1e9:.1f} GB of memory are free, and each takes up to "
        f"{worker_bytes / 1e9:.1f} GB.",
    )


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that never learn of Ctrl-C, not even while they import: it is the parent that ends them.

    A new process keeps the mask that it is started with. In this one a Ctrl-C meanwhile takes effect afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # changes the mask itself when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare_worker() -> None:
    """Do not outlive the parent: a killed run must not leave processes that wait for ever."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _idle() -> None:
    """Do nothing, in a worker: makes a pool start its processes."""


@contextmanager
def local_executor(workers: int | None = None, *, say: Callable[[str], None] | None = None) -> Iterator[Executor]:
    """Give an executor on this machine for the length of a ``with`` block.

    An error or Ctrl-C inside the block ends the processes at once; what they were doing is lost.

    Parameters
    ----------
    workers : int, optional
        Number of processes; as many as there are cores by default, and never more than fit into memory. With 1
        everything runs in this process.
    say : callable, optional
        Told in a sentence where there are fewer than asked for.

    Raises
    ------
    InputError
        Where ``workers`` is smaller than 1.
    EngineError
        Where the processes could not be started.
    """
    plan = plan_workers(workers)
    if plan.notice and say is not None:
        say(plan.notice)
    if plan.count == 1:
        yield SerialExecutor()
        return
    earlier = set(multiprocessing.active_children())
    pool = None
    try:
        pool = MendingPool(partial(_start_processes, plan.count), plan.count)
        yield pool
    except BaseException as error:
        if pool is not None:
            pool.close()
        _terminate_all_but(earlier)
        if isinstance(error, BrokenProcessPool):
            raise EngineError(
                f"{plan.count} worker processes could not be started, as a rule because memory is short; "
                "give fewer with --workers"
            ) from error
        raise
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _terminate_all_but(earlier: Iterable[object]) -> None:
    for process in set(multiprocessing.active_children()).difference(earlier):
        process.terminate()


def _start_processes(count: int) -> ProcessPoolExecutor:
    earlier = set(multiprocessing.active_children())
    # Spawned, not forked: OpenGL contexts and ONNX sessions do not survive a fork.
    context = multiprocessing.get_context("spawn")
    try:
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_prepare_worker)
    except OSError as error:
        raise EngineError(
            f"{count} worker processes could not be started: {error.strerror}; they need shared memory (on Linux "
            "/dev/shm, writable by everybody), or give --workers 1"
        ) from error
    try:
        with _environment({name: n for name, n in _THREAD_LIMITS.items() if name not in os.environ}):
            with _interrupts_held():
                started = [pool.submit(_idle) for _ in range(count)]
            for future in started:
                future.result()
    except BaseException:
        _terminate_all_but(earlier)
        pool.shutdown(wait=True, cancel_futures=True)  # else its thread may still be ending when the program does
        raise
    return pool
