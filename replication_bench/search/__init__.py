"""Nearest neighbours: exact and streamed, or through an index on disk whose recall was measured."""

from replication_bench.search.exact import check_excluded, nearest
from replication_bench.search.index import KINDS, Index, IndexFacts, build_index, open_index
from replication_bench.search.library import flat_index
from replication_bench.search.neighbours import Neighbours, ordered, without
from replication_bench.search.recall import Recall, measured_recall, own_recall, record_recall
from replication_bench.search.rows import NpyRows, Rows, ShardedRows, check_rows, open_rows
from replication_bench.search.sharded import ShardedIndex, open_shards

__all__ = [
    "KINDS",
    "Index",
    "IndexFacts",
    "Neighbours",
    "NpyRows",
    "Recall",
    "Rows",
    "ShardedIndex",
    "ShardedRows",
    "build_index",
    "check_excluded",
    "check_rows",
    "flat_index",
    "measured_recall",
    "nearest",
    "open_index",
    "open_rows",
    "open_shards",
    "ordered",
    "own_recall",
    "record_recall",
    "without",
]
