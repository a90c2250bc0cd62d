"""What every long command has in common: where the work runs, what is kept, what is logged, and how it is stopped."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape

import reid_audit
from reid_audit.cli.options import WorkersOption, show_progress
from reid_audit.cli.words import err
from reid_audit.records import InputError, ReidAuditError
from reid_audit.work import Store

EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM

SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="tcp://host:port of a Dask scheduler, or `local` for one on this machine with a dashboard. "
        "Needs reid-audit\\[cluster].",
    ),
]
LogOption = Annotated[Path | None, typer.Option("--log", help="Append what becomes of each scan to this file.")]


@dataclass(frozen=True, slots=True)
class Run:
    """Where a command's work is done, who is told of it, and where it is kept."""

    executor: Executor
    progress: Callable[[str, int, int], None]
    store: Store | None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a long command works, how much of it, and what it keeps."""

    workers: WorkersOption = None
    scheduler: SchedulerOption = None
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            help="Private folder for finished faces; REID_AUDIT_STORE or the user's cache folder if left out.",
        ),
    ] = None
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep no face on disk: a stopped run starts anew.")] = (
        False
    )
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first so many people: to try things out.")] = (
        None
    )
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how much of it is in the store; do nothing.")
    ] = False
    log: LogOption = None

    def open_store(self) -> Store | None:
        """Return the store that the options stand for.

        Raises
        ------
        InputError
            Where there is to be one and none.
        """
        if self.no_store and self.store is not None:
            raise InputError("--store and --no-store exclude each other; give one of them")
        return None if self.no_store else Store(self.store)

    def start(self, store: Store | None) -> AbstractContextManager[Run]:
        """Start the run; see `start_run`."""
        return start_run(workers=self.workers, scheduler=self.scheduler, store=store, log=self.log)


@contextmanager
def start_run(
    *, workers: int | None, scheduler: str | None = None, store: Store | None = None, log: Path | None = None
) -> Iterator[Run]:
    """Start what a long command needs, and end it cleanly: also after Ctrl-C and after a batch system's SIGTERM."""
    with (
        _write_log(log),
        _stop_cleanly(store),
        _open_executor(workers, scheduler) as executor,
        show_progress() as progress,
    ):
        yield Run(executor, progress, store)


def _open_executor(workers: int | None, scheduler: str | None) -> AbstractContextManager[Executor]:
    def say(text: str) -> None:
        err.say(f"[yellow]Note:[/] {escape(text)}")

    if scheduler is None:
        return reid_audit.local_executor(workers, say=say)
    return reid_audit.cluster_executor(scheduler, workers=workers, say=say)


@contextmanager
def _stop_cleanly(store: Store | None) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into one sentence and an exit code."""
    code = EXIT_INTERRUPTED

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal code
        code = EXIT_TERMINATED
        raise KeyboardInterrupt

    is_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if is_main_thread else None
    try:
        yield
    except KeyboardInterrupt as stop:
        rest = "Nothing was kept: --no-store." if store is None else "Run the same command again to continue."
        err.print(f"Stopped. {rest}")
        raise typer.Exit(code) from stop
    finally:
        if is_main_thread:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _write_log(path: Path | None) -> Iterator[None]:
    """Append the package's log to a file for its owner alone: it names subjects."""
    if path is None:
        yield
        return
    try:
        stream = open(path, "a", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    except OSError as error:
        raise InputError(f"--log: {path.name} cannot be written: {error.strerror}") from error
    logger, handler = logging.getLogger("reid_audit"), logging.StreamHandler(stream)
    lines = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    lines.converter = time.gmtime
    handler.setFormatter(lines)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.info("reid-audit %s begins", reid_audit.__version__)
    try:
        yield
        logger.info("ended")
    except typer.Exit as leave:
        logger.info("ended with exit code %d", leave.exit_code)
        raise
    except ReidAuditError as error:
        logger.error("%s", error)
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        stream.close()
