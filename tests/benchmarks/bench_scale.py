"""What 100,000 scans on a Dask cluster cost, measured with fake tasks on the loopback address.

Run: ``python tests/benchmarks/bench_scale.py [--tasks 20000] [--workers 2] [--scans 100000]``; docs/scale.md says what
its numbers mean. A scheduler and workers run as processes of their own, as `docs/cluster.md` starts them; tasks do
nothing and go through `reid_audit.work.run_all`, as an audit's do. Prints

- the scheduler's rate for tasks of an original (some bytes out, half a MB back) and of a defaced scan (the other way
  round), messages and bytes for each on the wire, CPU time and memory of scheduler and parent;
- how fast the store takes and gives such entries, and what walking it costs;
- how fast the gallery is searched, and its memory;

each with what it comes to for ``--scans``: a quarter originals, three quarters what three defacers made of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil

from reid_audit.match import search_gallery
from reid_audit.work import Store, cluster_executor, digest_of, run_all, tasks

PARTNER_BYTES = 510_000
"""What an original hands on to its defaced scans (`bench_engine.py` prints it)."""
DEFACED_BYTES = 5_000
DEFACERS = 3
SCAN_S = 0.5


def pass_on(payload: bytes, answer_bytes: int) -> bytes:
    """Stand in for a scan, on a worker: bytes come, bytes go."""
    return os.urandom(64) + bytes(answer_bytes)


@contextmanager
def start_cluster(workers: int, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start a scheduler and workers on the loopback address; yield the address and the scheduler's process."""
    place = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    where = ["--scheduler-file", str(place), "--no-dashboard", "--host", "127.0.0.1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with ExitStack() as stack:
        log = stack.enter_context(open(folder / "dask.log", "w"))

        def start(*words: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([*dask, *words], stderr=log, cwd=folder, env=environment)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        scheduler = start("scheduler", *where, "--port", "0")
        for _ in range(workers):
            start("worker", *where, "--nthreads", "1", "--no-nanny")
        while not (place.exists() and place.stat().st_size):
            time.sleep(0.1)
            if scheduler.poll() is not None:
                raise SystemExit((folder / "dask.log").read_text())
        yield json.loads(place.read_text())["address"], psutil.Process(scheduler.pid)


def count_messages(dask_scheduler: object) -> int:
    """Count, on the scheduler, what it was sent and what it did: every change of state of a task is one message."""
    return int(dask_scheduler.transition_counter)  # type: ignore[attr-defined]


def _wire() -> tuple[int, int]:
    counters = psutil.net_io_counters(pernic=True)["lo"]
    return counters.bytes_sent, counters.packets_sent


def time_tasks(address: str, scheduler: psutil.Process, name: str, sizes: tuple[int, int], count: int) -> float:
    """Send tasks through the scheduler; print what that costs; return seconds of CPU of scheduler or parent, a task."""
    import distributed

    sent, answered = sizes
    me, peak, done = psutil.Process(), [0], [0]

    def note(result: bytes) -> None:
        done[0] += 1
        if done[0] % 200 == 0:
            peak[0] = max(peak[0], scheduler.memory_info().rss)

    with cluster_executor(address) as executor, distributed.Client(address, set_as_default=False) as client:
        executor.submit(len, b"").result()
        states = client.run_on_scheduler(count_messages)
        spent, mine, wire = sum(scheduler.cpu_times()[:2]), sum(me.cpu_times()[:2]), _wire()
        began = time.perf_counter()
        calls = ((os.urandom(32) + bytes(sent), answered) for _ in range(count))
        run_all(executor, pass_on, calls, done=note)
        seconds = time.perf_counter() - began
        spent, mine = sum(scheduler.cpu_times()[:2]) - spent, sum(me.cpu_times()[:2]) - mine
        states = client.run_on_scheduler(count_messages) - states
        bytes_sent, packets = (after - before for after, before in zip(_wire(), wire, strict=True))
    print(
        f"{name}: {count / seconds:,.0f} tasks per second; per task {states / count:.1f} changes of state in the "
        f"scheduler, {packets / count:.0f} packets and {bytes_sent / count / 1e3:,.1f} kB on the wire, "
        f"{1e3 * spent / count:.2f} ms of CPU of the scheduler and {1e3 * mine / count:.2f} ms of the parent; "
        f"the scheduler took up to {peak[0] / 1e6:.0f} MB",
        flush=True,
    )
    return max(spent, mine) / count


def time_store(folder: Path, originals: int, scans: int) -> None:
    """Put and get entries as large as those of an audit."""
    store = Store(folder / "store", max_bytes=1 << 40)
    entries = [PARTNER_BYTES] * originals + [2 * DEFACED_BYTES] * (DEFACERS * originals)
    rng = np.random.default_rng(0)
    keys = [digest_of(k) for k in range(len(entries))]
    began = time.perf_counter()
    for key, size in zip(keys, entries, strict=True):
        store.put(key, rng.bytes(size))
    put = time.perf_counter() - began
    began = time.perf_counter()
    for key in keys:
        store.get(key)
    got = time.perf_counter() - began
    began = time.perf_counter()
    size = store.info().size_bytes
    walked = time.perf_counter() - began
    times = scans / len(entries)
    print(
        f"store: {len(entries) / put:,.0f} entries per second put, {len(entries) / got:,.0f} got, "
        f"{1e6 * walked / len(entries):.0f} microseconds an entry to walk; {scans:,} scans take "
        f"{times * size / 1e9:.1f} GB, {times * put / 60:.1f} min to put, {times * got / 60:.1f} min to get again, "
        f"{times * walked:.1f} s to walk",
        flush=True,
    )


def time_gallery(people: int, scans: int) -> None:
    """Search everybody among everybody, and tell what the whole cohort comes to."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((people, 128), dtype=np.float32)
    first, second = (base + 1.5 * rng.standard_normal(base.shape, dtype=np.float32) for _ in range(2))
    names = [str(k) for k in range(people)]
    before = psutil.Process().memory_info().rss
    began = time.process_time()
    search_gallery(first, second, probe_people=names, reference_people=names)
    rate = people**2 / (time.process_time() - began)
    whole = scans // (2 * (1 + DEFACERS))
    pairs = whole**2 * 2 * DEFACERS
    print(
        f"gallery: {rate / 1e6:.0f} million comparisons per second of CPU, {people} x {people} took "
        f"{max(psutil.Process().memory_info().rss - before, 0) / 1e6:.0f} MB more; {whole:,} people with 2 visits and "
        f"{DEFACERS} defacers are {pairs / 1e9:.2f} billion mated and non-mated comparisons: {pairs / rate:.0f} s for "
        f"each attacker and encoder, and a table of them {18 * pairs / 1e9:.0f} GB"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scans", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=5_000)
    options = parser.parse_args(argv)
    large = max(options.tasks // 10, 1)
    print(f"{tasks.WINDOW} tasks at most are with the scheduler at once")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with start_cluster(options.workers, folder) as (address, scheduler):
            empty = time_tasks(address, scheduler, "empty tasks", (0, 0), options.tasks)
            original = time_tasks(address, scheduler, "originals", (250, PARTNER_BYTES), large)
            defaced = time_tasks(address, scheduler, "defaced", (PARTNER_BYTES, DEFACED_BYTES), large)
        share = 1 / (1 + DEFACERS)
        busy = share * original + (1 - share) * defaced
        print(
            f"{options.scans:,} scans: scheduler or parent, whichever has more to do, is busy for "
            f"{options.scans * empty / 60:.1f} min if nothing were sent and {options.scans * busy / 60:.1f} min as "
            f"they are; at {SCAN_S} s per scan it keeps {SCAN_S / busy:.0f} workers busy, and the parent holds "
            f"{options.scans * share * PARTNER_BYTES / 1e9:.1f} GB of what originals hand on"
        )
        time_store(folder, max(large // 4, 1), options.scans)
    time_gallery(options.people, options.scans)
    return 0


if __name__ == "__main__":
    sys.exit(main())
