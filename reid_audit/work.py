"""Where the work runs. The only room that starts processes.

Parallelism is an argument everywhere else: any `concurrent.futures.Executor` will do. A task is a picklable function
of one scan, and what it gives back is a few kB.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from .records import InputError

P = ParamSpec("P")
R = TypeVar("R")

# One scan keeps one core busy; a library that spreads over all of them only makes its neighbours wait.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


class SerialExecutor(Executor):
    """Runs each task at once in the calling process: for one worker, for tests and for a debugger."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run ``fn`` now and return a future that is already done."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor hands every error on to whoever asks for the result
            future.set_exception(error)
        return future


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def _idle() -> None:
    """Do nothing, in a worker: makes a pool start its processes."""


@contextmanager
def local_executor(workers: int | None = None) -> Iterator[Executor]:
    """Give an executor on this machine for the length of a ``with`` block.

    Parameters
    ----------
    workers : int, optional
        Number of processes; as many as there are cores by default. With 1 everything runs in this process.

    Raises
    ------
    InputError
        Where ``workers`` is smaller than 1.
    """
    n = default_workers() if workers is None else workers
    if n < 1:
        raise InputError(f"--workers must be at least 1. Got {n} instead.")
    if n == 1:
        yield SerialExecutor()
        return
    # Spawned, not forked: OpenGL contexts and ONNX sessions do not survive a fork.
    pool = ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))
    try:
        with _environment({name: "1" for name in _THREAD_LIMITS if name not in os.environ}):
            for future in [pool.submit(_idle) for _ in range(n)]:
                future.result()
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_all(
    executor: Executor,
    task: Callable[..., R],
    arguments: Iterable[tuple[Any, ...]],
    *,
    done: Callable[[R], None] | None = None,
) -> list[R]:
    """Run one task per tuple of arguments and return the results in the order of the arguments.

    Parameters
    ----------
    executor : Executor
    task : callable
        A function at the top of a module, so that it can be sent to another process.
    arguments : iterable of tuple
    done : callable, optional
        Called in this process with each result as it arrives, in any order: for progress.

    Raises
    ------
    Exception
        Whatever a task raised; the tasks that have not begun are cancelled.
    """
    futures = [executor.submit(task, *each) for each in arguments]
    try:
        for future in as_completed(futures):
            if done is not None:
                done(future.result())
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
