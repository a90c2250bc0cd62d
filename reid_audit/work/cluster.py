"""Executors of a Dask cluster: a running scheduler, or one on this machine with its dashboard.

Dask is not needed for anything else, so it is an extra: ``pip install reid-audit[cluster]``.
"""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any

from reid_audit.records import EngineError, InputError
from reid_audit.work.local import plan_workers

LOCAL = "local"
"""The scheduler's name for a cluster of this machine's own processes."""

_WAIT_S = 60.0
_DASHBOARD = "127.0.0.1:8787"  # for this machine's users alone; another port where this one is taken


def _import_distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise EngineError(
            "--scheduler needs Dask, which is not installed; install it with: pip install 'reid-audit[cluster]'"
        ) from error
    return distributed


def _check_address(address: str) -> None:
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    if kind not in ("tcp", "tls", "ucx", "ws", "wss") or not host or not port.isdecimal():
        raise InputError(f"--scheduler must be 'local' or an address such as tcp://host:8786. Got {address!r} instead.")


def _check_workers(client: Any, address: str) -> None:
    """Refuse a cluster whose workers would fail, or would measure with another program."""
    try:
        client.wait_for_workers(1, timeout=_WAIT_S)
    except TimeoutError as error:
        raise EngineError(
            f"the scheduler {address} has no worker after {_WAIT_S:.0f} s; start some with: "
            f"dask worker {address} --nworkers 4 --nthreads 1"
        ) from error
    threads = client.nthreads()
    if any(n != 1 for n in threads.values()):
        raise EngineError(
            f"workers of {address} run {max(threads.values())} tasks in one process, which the recognisers and OpenGL "
            "do not bear; start them with --nthreads 1"
        )


@contextmanager
def cluster_executor(
    scheduler: str, *, workers: int | None = None, say: Callable[[str], None] | None = None
) -> Iterator[Executor]:
    """Give an executor of a Dask cluster for the length of a ``with`` block.

    Tasks of a worker that dies are done again by another one.

    Parameters
    ----------
    scheduler : str
        ``"tcp://host:port"`` of a running scheduler whose workers have this package, the model files and the scans
        under the same paths; or ``"local"`` for a cluster of this machine's processes.
    workers : int, optional
        For ``"local"``: as in `local_executor`.
    say : callable, optional
        Told in a sentence where the work runs, and where the dashboard is.

    Raises
    ------
    InputError
        Where the address is none.
    EngineError
        Where Dask is not installed, nobody answers, or no worker that can be used is there.
    """
    if scheduler != LOCAL:
        _check_address(scheduler)
    distributed = _import_distributed()
    with ExitStack() as stack:
        if scheduler == LOCAL:
            plan = plan_workers(workers)
            if plan.notice and say is not None:
                say(plan.notice)
            with warnings.catch_warnings():  # the port that is taken instead is said below
                warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
                cluster = distributed.LocalCluster(
                    n_workers=plan.count,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=_DASHBOARD,
                )
            client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        else:
            try:
                client = stack.enter_context(distributed.Client(scheduler, timeout=_WAIT_S, set_as_default=False))
            except (OSError, TimeoutError) as error:
                raise EngineError(
                    f"no Dask scheduler answers at {scheduler} within {_WAIT_S:.0f} s; start one with: dask scheduler"
                ) from error
        _check_workers(client, scheduler)
        if say is not None:
            count = len(client.nthreads())
            say(f"{count} Dask worker{'s' if count > 1 else ''}; dashboard: {client.dashboard_link}")
        executor = stack.enter_context(client.get_executor(pure=False, retries=2))
        yield executor
