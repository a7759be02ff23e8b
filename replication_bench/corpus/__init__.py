"""Corpus-scale embedding: shards of images in, a shard of vectors for each out, merged into one index."""

from replication_bench.corpus.job import Outcome, ShardJob, process
from replication_bench.corpus.local import run_local
from replication_bench.corpus.merge import merge
from replication_bench.corpus.ray_driver import run_ray
from replication_bench.corpus.shard import embed_shard, finished
from replication_bench.corpus.tar import Member, find_shards, read_shard

__all__ = [
    "Member",
    "Outcome",
    "ShardJob",
    "embed_shard",
    "find_shards",
    "finished",
    "merge",
    "process",
    "read_shard",
    "run_local",
    "run_ray",
]
