"""Shards over a Ray cluster by Ray Data: one row a shard, an actor a worker, files on a folder that all nodes share.

Only the names of shards and their outcomes travel through Ray; vectors go to disk where they are made. Ray restarts an
actor that dies and tries its row again, so a lost worker costs the shard it had in hand; a row that keeps killing
actors is given up.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from replication_bench.corpus.job import ATTEMPTS, Outcome, ShardJob, lost, process
from replication_bench.embedders.pool import MakeEmbedder
from replication_bench.errors import ConfigError, ReplbenchError, WeightsError


def ray_library() -> Any:
    """The package ``ray`` with its Data part.

    Raises:
        WeightsError: it is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise WeightsError("the package ray is missing", hint="pip install 'replbench[ray]'.") from error
    return ray


class Worker:
    """An actor of the pool: builds its embedder once, then takes shard after shard."""

    def __init__(self, make: MakeEmbedder, jobs: Sequence[ShardJob]):
        self.embedder = make()
        self.jobs = jobs

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The outcome of the shard of this number; what stops everything is carried in ``stop`` or ``bug``."""
        job = self.jobs[int(row["id"])]
        try:
            return {**asdict(process(job, self.embedder)), "stop": "", "bug": ""}
        except ReplbenchError as error:
            return {**asdict(Outcome(job.shard.stem)), "stop": str(error), "bug": ""}
        except Exception:  # raised here it would count as a worker that died
            return {**asdict(Outcome(job.shard.stem)), "stop": "", "bug": traceback.format_exc()}


def connect(ray: Any, workers: int | None) -> int:
    """Join the cluster of RAY_ADDRESS, or start one on this machine; returns the number of workers.

    Raises:
        ConfigError: the cluster cannot be reached.
    """
    if not ray.is_initialized():
        try:
            options = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers or os.cpu_count()}
            ray.init(logging_level="WARNING", include_dashboard=False, log_to_driver=False, **options)
        except (
            Exception
        ) as error:  # Ray raises a bare Exception where a node of its own does not come up in time
            where = os.environ.get("RAY_ADDRESS", "a cluster of its own on this machine")
            got = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            hint = "Run the same command again, or use --workers."
            raise ConfigError("Ray cannot be reached or started", where=where, got=got, hint=hint) from error
    return workers or max(1, int(ray.cluster_resources().get("CPU", 1)))


def run_ray(
    jobs: Sequence[ShardJob], make: MakeEmbedder, workers: int | None = None, gpus: float = 0
) -> Iterator[Outcome]:
    """Outcomes of all jobs, as they come, from a pool of actors.

    Args:
        jobs: the shards to embed; their paths must mean the same on every node.
        make: builds the embedder; called once in every actor.
        workers: number of actors; None for one a CPU of the cluster.
        gpus: GPUs an actor reserves.

    Raises:
        WeightsError: Ray is not installed.
        ConfigError: the cluster cannot be reached.
        ReplbenchError: a folder cannot be written.
        RuntimeError: a bug in a worker, with its traceback.
    """
    if not jobs:
        return
    ray = ray_library()
    count = min(connect(ray, workers), len(jobs))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a row whose actors all died is left out, and told of below
    # one block a shard: a block is what a lost worker loses. Made here: a task that reads would wait for a CPU, which
    # the actors may have taken all of
    shards = ray.data.from_items([{"id": i} for i in range(len(jobs))], override_num_blocks=len(jobs))
    outcomes = shards.map(
        Worker,
        fn_constructor_args=(make, list(jobs)),
        compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=1),
        num_cpus=1,
        num_gpus=gpus,
        max_restarts=-1,
        max_task_retries=ATTEMPTS - 1,
    )
    missing = {job.shard.stem: job for job in jobs}
    for row in outcomes.iter_rows():
        stop, bug = row.pop("stop"), row.pop("bug")
        if bug:
            raise RuntimeError(bug)
        if stop:
            raise ReplbenchError(stop)
        del missing[row["shard"]]
        yield Outcome(**row)
    yield from (lost(job, ATTEMPTS) for job in missing.values())
