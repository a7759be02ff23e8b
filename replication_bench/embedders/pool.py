"""Fresh processes on this machine that each hold one embedder."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from threading import Thread

from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import ConfigError

MakeEmbedder = Callable[[], Embedder]

state: dict[str, Embedder] = {}


def check_workers(workers: int | None) -> None:
    """ConfigError for a number of processes that cannot be meant; None leaves the number to the program."""
    if workers is not None and workers < 1:
        raise ConfigError("no such number of workers", where="--workers", got=workers, want="1 or more")


def end_with_parent() -> None:
    """Exit once the process that made the pool is gone: one that was killed cannot tell its workers to stop."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker"
    wait([parent.sentinel])
    os._exit(1)


def prepare(make: MakeEmbedder, threads: int) -> None:
    """Make a worker's embedder once; its share of the cores is set before the numeric libraries are loaded."""
    Thread(target=end_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    state["embedder"] = make()


def new_pool(make: MakeEmbedder, workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes: a fork of one that has used OpenMP may hang.

    Args:
        make: builds the embedder; called once in every process.
        workers: number of processes, which share the cores among them.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, prepare, (make, threads))
