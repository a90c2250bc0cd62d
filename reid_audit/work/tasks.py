"""One task per scan, on whatever executor there is."""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future
from itertools import islice
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from reid_audit.records import EngineError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``."""

WINDOW = 1024
"""Tasks that an executor holds at once where each is small. What a defaced scan is told of its original takes half a
MB: a scheduler of 100,000 scans would hold 50 GB of them."""

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
    progress: Progress | None = None,
    stage: str = "",
    window: int = WINDOW,
) -> list[R]:
    """Run one task per tuple of arguments and return the results in the order of the arguments.

    Parameters
    ----------
    executor : Executor
    task : callable
        A function at the top of a module, so that it can be sent to another process.
    arguments : iterable of tuple
        Taken as the executor takes them; all at once where ``progress`` must be told how many there are.
    done : callable, optional
        Called in this process with each result as it arrives, in any order.
    lost : callable, optional
        Gives the result of a task, from its arguments, whose process was ended from outside each time it was tried.
    progress : callable, optional
        Then called as ``progress(stage, results so far, tasks)``.
    stage : str
    window : int
        Tasks that the executor holds at once.

    Raises
    ------
    EngineError
        Where that happens and ``lost`` is not given.
    Exception
        Whatever a task raised; the tasks that have not begun are cancelled.
    """
    calls, total = arguments, 0
    if progress is not None:
        calls = list(arguments)
        total = len(calls)
    count = 0

    def take(result: R) -> R:
        nonlocal count
        count += 1
        if done is not None:
            done(result)
        if progress is not None:
            progress(stage, count, total)
        return result

    if isinstance(executor, SerialExecutor):  # one by one, so that each result is told before the next task begins
        return [take(executor.submit(task, *call).result()) for call in calls]
    waiting = iter(enumerate(calls))
    finished: SimpleQueue[Future[R]] = SimpleQueue()
    running: dict[Future[R], tuple[int, tuple[Any, ...]]] = {}
    by_place: dict[int, R] = {}

    def hand_on(count: int) -> None:
        for place, call in islice(waiting, count):
            future = executor.submit(task, *call)
            running[future] = place, call
            future.add_done_callback(finished.put)

    try:
        hand_on(window)
        while running:
            future = finished.get()
            place, call = running.pop(future)
            hand_on(1)
            error = future.exception()
            if error is None:
                by_place[place] = take(future.result())
            elif not _is_lost(error):
                raise error
            elif lost is None:
                raise EngineError(
                    "a worker process was ended from outside, as a rule because memory ran out; give fewer with "
                    "--workers and run the same command again: what was finished is in the store"
                ) from error
            else:
                by_place[place] = take(lost(*call))
        return [by_place[place] for place in sorted(by_place)]
    finally:
        for future in running:
            future.cancel()


def take_result(future: Future[R], instead: Callable[[], R]) -> R:
    """Return the result of a task; where its process was ended from outside, that of another function, run here."""
    error = future.exception()
    return future.result() if error is None or not _is_lost(error) else instead()


def _is_lost(error: BaseException) -> bool:
    """Whether a task ended because its process did: here, or on a Dask worker."""
    distributed = sys.modules.get("distributed")
    return isinstance(error, BrokenExecutor) or (
        distributed is not None and isinstance(error, distributed.KilledWorker)
    )
