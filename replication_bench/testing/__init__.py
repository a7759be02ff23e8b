"""For tests, here and in other packages: a tiny backbone, planted near-duplicates, and the contracts as checks."""

from __future__ import annotations

from replication_bench.testing.case import Case, CheckFailed, load_backbone
from replication_bench.testing.checks import check_method, method_checks
from replication_bench.testing.embedder_checks import check_embedder, embedder_checks
from replication_bench.testing.tiny import picture, planted_folder, slim_backbone, tiny_backbone

__all__ = [
    "Case",
    "CheckFailed",
    "check_embedder",
    "check_method",
    "embedder_checks",
    "load_backbone",
    "method_checks",
    "picture",
    "planted_folder",
    "slim_backbone",
    "tiny_backbone",
]
