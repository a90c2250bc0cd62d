"""One task per scan, on whatever executor there is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from typing import Any, ParamSpec, TypeVar

from reid_audit.records import EngineError

P = ParamSpec("P")
R = TypeVar("R")


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


def run_all(
    executor: Executor,
    task: Callable[..., R],
    arguments: Iterable[tuple[Any, ...]],
    *,
    done: Callable[[R], None] | None = None,
    lost: Callable[..., R] | None = None,
) -> list[R]:
    """Run one task per tuple of arguments and return the results in the order of the arguments.

    Parameters
    ----------
    executor : Executor
    task : callable
        A function at the top of a module, so that it can be sent to another process.
    arguments : iterable of tuple
    done : callable, optional
        Called in this process with each result as it arrives, in any order: for progress, and to keep it.
    lost : callable, optional
        Gives the result of a task, from its arguments, whose process was ended from outside each time it was tried.

    Raises
    ------
    EngineError
        Where that happens and ``lost`` is not given.
    Exception
        Whatever a task raised; the tasks that have not begun are cancelled.
    """
    if isinstance(executor, SerialExecutor):  # one by one, so that each result is told before the next task begins
        results = []
        for each in arguments:
            results.append(executor.submit(task, *each).result())
            if done is not None:
                done(results[-1])
        return results
    tasks = {executor.submit(task, *each): each for each in arguments}
    by_future: dict[Future[R], R] = {}
    try:
        for future in as_completed(tasks):
            error = future.exception()
            if error is None:
                by_future[future] = future.result()
            elif not _is_lost(error):
                raise error
            elif lost is None:
                raise EngineError(
                    "a worker process was ended from outside, as a rule because memory ran out; give fewer with "
                    "--workers and run the same command again: what was finished is in the store"
                ) from error
            else:
                by_future[future] = lost(*tasks[future])
            if done is not None:
                done(by_future[future])
        return [by_future[future] for future in tasks]
    finally:
        for future in tasks:
            future.cancel()


def _is_lost(error: BaseException) -> bool:
    """Whether a task ended because its process did: here, or on a Dask worker."""
    distributed = sys.modules.get("distributed")
    return isinstance(error, BrokenExecutor) or (
        distributed is not None and isinstance(error, distributed.KilledWorker)
    )
