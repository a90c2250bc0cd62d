"""A process pool that survives the death of a worker: the task that it ran is tried once more, alone.

`concurrent.futures.ProcessPoolExecutor` gives up all its tasks where one process is ended from outside, and does not
say which task it was: a scan on which a library crashes would end every run over its cohort.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Task:
    """What somebody waits for. ``alone`` = it was running when a process died, and is given its last chance."""

    outer: Future[Any]
    call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
    alone: bool = False


class MendingPool(Executor):
    """A pool that starts its processes anew where one of them died.

    A task whose process died is done again with no other beside it, so that a lack of memory is not blamed on it. Where
    its process dies again, its future raises `BrokenProcessPool`, and the rest goes on.

    Parameters
    ----------
    make : callable
        Starts the processes.
    count : int
        Of processes: no more tasks are handed on at once, so that few are in doubt where one dies.
    """

    def __init__(self, make: Callable[[], ProcessPoolExecutor], count: int) -> None:
        self._make, self._count = make, count
        self._pool = make()
        self._lock = threading.RLock()
        self._waiting: deque[_Task] = deque()
        self._in_doubt: deque[_Task] = deque()
        self._running: dict[Future[Any], _Task] = {}
        self._closed = False

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have ``fn`` called in a process."""
        outer: Future[R] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("this pool is closed")
            self._waiting.append(_Task(outer, (fn, args, kwargs)))
            self._feed()
        return outer

    def close(self) -> None:
        """Take no more tasks and cancel what was not begun; processes that die from now on stay dead."""
        with self._lock:
            self._closed = True
            waiting = [task.outer for task in self._waiting]
            self._waiting.clear()
        for outer in waiting:
            outer.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; end the processes when they are done, or what was not begun is cancelled."""
        if cancel_futures:
            self.close()
        with self._lock:
            self._closed = True
            waiting = [task.outer for task in self._waiting]
        if wait:
            for outer in waiting:
                outer.exception()
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _feed(self) -> None:
        """Hand on what may run now; called with the lock."""
        while True:
            if self._in_doubt:
                if self._running:
                    return
                task = self._in_doubt.popleft()
                task.alone = True
            elif self._waiting and self._has_room():
                task = self._waiting.popleft()
                if not task.outer.set_running_or_notify_cancel():
                    continue
            else:
                return
            fn, args, kwargs = task.call
            try:
                inner = self._pool.submit(fn, *args, **kwargs)
            except BrokenProcessPool:  # died while nothing ran in it, or is about to tell of what ran
                if task.alone:
                    self._in_doubt.appendleft(task)
                    task.alone = False
                else:
                    self._in_doubt.append(task)
                if not self._running:
                    self._mend()
                continue
            self._running[inner] = task
            inner.add_done_callback(self._ended)

    def _has_room(self) -> bool:
        return len(self._running) < self._count and not any(task.alone for task in self._running.values())

    def _mend(self) -> None:
        """Start new processes; where that fails, fail everything that waits for them."""
        self._pool.shutdown(wait=False)
        try:
            self._pool = self._make()
        except (BrokenProcessPool, OSError) as error:
            self._closed = True
            for task in (*self._in_doubt, *self._waiting):
                if task.outer.running() or task.outer.set_running_or_notify_cancel():
                    task.outer.set_exception(BrokenProcessPool(f"no new process could be started: {error}"))
            self._in_doubt.clear()
            self._waiting.clear()

    def _ended(self, inner: Future[Any]) -> None:
        error = None if inner.cancelled() else inner.exception()
        with self._lock:
            task = self._running.pop(inner)
            broken = isinstance(error, BrokenProcessPool) and not self._closed
            once_more = broken and not task.alone
            if once_more:
                self._in_doubt.append(task)
            if broken and not self._running:
                self._mend()
            if not self._closed:
                self._feed()  # before anybody is told, so that no process waits for what is done with a result
        if inner.cancelled():
            task.outer.set_exception(BrokenProcessPool("the pool was closed"))
        elif error is None:
            task.outer.set_result(inner.result())
        elif not once_more:
            task.outer.set_exception(error)
