"""What a worker is given, does and answers; the same for every driver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replication_bench.corpus.shard import embed_shard, read_shard_facts
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import DataError, ReplbenchError

ATTEMPTS = 3  # workers that a shard may kill before it is given up


@dataclass(frozen=True)
class ShardJob:
    """One shard to embed.

    Attributes:
        shard: the tar.
        out: the folder of all shards.
        dtype: how vectors are stored.
    """

    shard: Path
    out: Path
    dtype: str = "float16"


@dataclass(frozen=True)
class Outcome:
    """What became of a shard.

    Attributes:
        shard: its name.
        rows: images embedded.
        skipped: samples without a readable image.
        seconds: time the worker spent.
        error: why the shard has no vectors; empty where it has.
    """

    shard: str
    rows: int = 0
    skipped: int = 0
    seconds: float = 0.0
    error: str = ""


def process(job: ShardJob, embedder: Embedder) -> Outcome:
    """Embed one shard; one that cannot be read is an outcome, so that the others go on.

    Raises:
        StoreError: the disk is full or cannot be written: that stops them all.
    """
    try:
        folder = embed_shard(job.shard, embedder, job.out, job.dtype)
    except DataError as error:
        return Outcome(job.shard.stem, error=str(error))
    facts = read_shard_facts(folder)
    assert facts is not None, "the shard was just written"
    return Outcome(job.shard.stem, facts["rows"], len(facts["skipped"]), facts["seconds"])


def lost(job: ShardJob, attempts: int) -> Outcome:
    """The outcome of a shard whose workers died, each time it was tried."""
    line = ReplbenchError(
        "the worker died", where=job.shard, got=f"{attempts} attempts", hint="Out of memory?"
    )
    return Outcome(job.shard.stem, error=str(line))
