from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from reid_audit import EngineError, InputError, local_executor
from reid_audit.work import SerialExecutor, run_all, take_result


def _square(number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return number * number


def _threads() -> str:
    return os.environ.get("OMP_NUM_THREADS", "")


def test_results_come_in_the_order_of_the_arguments() -> None:
    seen: list[int] = []
    assert run_all(SerialExecutor(), _square, [(3,), (1,), (2,)], done=seen.append) == [9, 1, 4]
    assert sorted(seen) == [1, 4, 9]


def test_nothing_to_do() -> None:
    assert run_all(SerialExecutor(), _square, []) == []


def test_progress_counts_the_results_of_a_stage() -> None:
    told: list[tuple[str, int, int]] = []
    run_all(SerialExecutor(), _square, [(3,), (1,)], stage="squares", progress=lambda *counts: told.append(counts))
    assert told == [("squares", 1, 2), ("squares", 2, 2)]


class _Counting(ThreadPoolExecutor):
    """Counts the tasks that it holds."""

    held = most = 0

    def submit(self, fn, /, *args, **kwargs):
        self.held += 1
        self.most = max(self.most, self.held)
        return super().submit(fn, *args, **kwargs)


def test_an_executor_holds_a_window_of_a_large_job_which_is_made_as_it_goes() -> None:
    made = []

    def arguments() -> Iterator[tuple[int]]:
        for n in range(100):
            made.append(n)
            assert len(made) <= told + 9  # 8, and the next one is handed on before a result is told
            yield (n,)

    told = 0
    with _Counting(2) as executor:

        def count(result: int) -> None:
            nonlocal told
            executor.held -= 1
            told += 1

        assert run_all(executor, _square, arguments(), done=count, window=8) == [n * n for n in range(100)]
    assert executor.most == 9


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="negative"):
        run_all(SerialExecutor(), _square, [(1,), (-1,)])


def test_one_worker_is_this_process() -> None:
    with local_executor(1) as executor:
        assert executor.submit(os.getpid).result() == os.getpid()


def test_two_workers_are_others_with_one_thread_each_and_leave_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with local_executor(2) as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        assert executor.submit(_threads).result() == "1"
        assert run_all(executor, _square, [(n,) for n in range(10)]) == [n * n for n in range(10)]
    assert "OMP_NUM_THREADS" not in os.environ


def test_without_shared_memory_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("reid_audit.work.local.ProcessPoolExecutor", refuse)
    with pytest.raises(EngineError, match=r"2 worker .* Permission denied; .*/dev/shm.*--workers 1"), local_executor(2):
        pass


def test_no_workers_is_an_error() -> None:
    with pytest.raises(InputError, match="--workers must be at least 1"), local_executor(0):
        pass


def _square_unless_seven(number: int) -> int:
    if number == 7:
        os._exit(1)  # as where a library crashes
    return number * number


@pytest.mark.slow
def test_a_task_that_takes_its_process_down_costs_no_other_task_its_result() -> None:
    with local_executor(2) as executor:
        numbers = [(n,) for n in range(20)]
        actual = run_all(executor, _square_unless_seven, numbers, lost=lambda number: -number)
        assert actual == [n * n if n != 7 else -7 for n in range(20)]
        assert run_all(executor, _square, [(3,)]) == [9]  # and the pool goes on
        with pytest.raises(EngineError, match=r"memory ran out.*--workers"):
            run_all(executor, _square_unless_seven, [(7,), (8,)])


def _die_once(flag: str) -> str:
    if not os.path.exists(flag):
        open(flag, "w").close()
        os._exit(1)
    return "done"


@pytest.mark.slow
def test_a_task_whose_process_is_ended_once_is_done_again(tmp_path: Path) -> None:
    with local_executor(2) as executor:
        assert run_all(executor, _die_once, [(str(tmp_path / "flag"),)]) == ["done"]


def test_a_result_whose_process_was_ended_is_made_here_and_errors_are_handed_on() -> None:
    there, lost = Future[int](), Future[int]()
    there.set_result(4)
    lost.set_exception(BrokenProcessPool("ended"))
    assert [take_result(future, lambda: 9) for future in (there, lost)] == [4, 9]
    with pytest.raises(ValueError, match="negative"):
        take_result(SerialExecutor().submit(_square, -1), lambda: 9)
