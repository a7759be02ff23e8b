"""Shards over the processes of one machine. A process that dies costs only the shard it had in hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from replication_bench.corpus.job import ATTEMPTS, Outcome, ShardJob, lost, process
from replication_bench.embedders.pool import MakeEmbedder, new_pool, state


def work(job: ShardJob) -> Outcome:
    """One shard in a worker."""
    return process(job, state["embedder"])


def run_serial(jobs: Sequence[ShardJob], make: MakeEmbedder) -> Iterator[Outcome]:
    """One shard after the other, in this process."""
    embedder = make() if jobs else None
    for job in jobs:
        assert embedder is not None, "made for the first job"
        yield process(job, embedder)


def run_pool(
    jobs: Sequence[ShardJob], make: MakeEmbedder, workers: int, dead: list[ShardJob]
) -> Iterator[Outcome]:
    """Outcomes until all is done or a worker dies; then ``dead`` holds the jobs that were in hand."""
    waiting = list(reversed(jobs))
    hands: dict[Future[Outcome], ShardJob] = {}
    pool = new_pool(make, workers)
    try:
        while waiting or hands:
            while waiting and len(hands) < workers:  # no more than are worked on: only those are suspects
                job = waiting.pop()
                hands[pool.submit(work, job)] = job
            for future in wait(hands, return_when=FIRST_COMPLETED).done:
                outcome = future.result()
                del hands[future]
                yield outcome
    except BrokenProcessPool:
        dead += hands.values()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run_alone(job: ShardJob, make: MakeEmbedder) -> Outcome:
    """A job that was in hand when a worker died, tried again with no other beside it, so that it alone is to blame."""
    for _ in range(ATTEMPTS - 1):
        for outcome in run_pool([job], make, 1, []):
            return outcome
    return lost(job, ATTEMPTS)


def run_local(jobs: Sequence[ShardJob], make: MakeEmbedder, workers: int = 1) -> Iterator[Outcome]:
    """Outcomes of all jobs, as they come.

    Args:
        jobs: the shards to embed.
        make: builds the embedder; called once in every process.
        workers: number of processes; 1 works in this one.

    Raises:
        ReplbenchError: the embedder cannot be built, or a folder cannot be written.
    """
    if workers == 1:
        yield from run_serial(jobs, make)
        return
    make()  # what is wrong with the embedder is told here, and once
    todo = list(jobs)
    while todo:
        dead: list[ShardJob] = []
        done = set()
        for outcome in run_pool(todo, make, min(workers, len(todo)), dead):
            done.add(outcome.shard)
            yield outcome
        for job in dead:
            yield run_alone(job, make)
        todo = [job for job in todo if job.shard.stem not in done and job not in dead]
