"""Executors and the store. The only room that starts processes or knows Dask.

Words
-----
executor
    Parallelism is an argument everywhere else: any `concurrent.futures.Executor` will do. `local_executor` gives
    processes on this machine, `cluster_executor` those of a Dask cluster.
task
    A picklable function of one scan; what it gives back is a few kB.
store
    A private folder of finished results. The key of an entry is a digest of everything that it depends on, so that a
    changed setting, file or program never meets an old result, and a run that was killed continues where it was.
"""

from reid_audit.work.cluster import cluster_executor
from reid_audit.work.digests import digest_files, digest_of, digest_of_state, files_of
from reid_audit.work.local import default_workers, free_memory_bytes, local_executor
from reid_audit.work.packing import pack, unpack
from reid_audit.work.store import Store
from reid_audit.work.tasks import Progress, SerialExecutor, run_all, take_result

__all__ = [
    "Progress",
    "SerialExecutor",
    "Store",
    "cluster_executor",
    "default_workers",
    "digest_files",
    "digest_of",
    "digest_of_state",
    "files_of",
    "free_memory_bytes",
    "local_executor",
    "pack",
    "run_all",
    "take_result",
    "unpack",
]
