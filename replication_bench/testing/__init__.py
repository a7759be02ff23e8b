"""For tests, here and in other packages: a tiny backbone, planted near-duplicates, ``check_method``."""

from __future__ import annotations

from replication_bench.testing.case import Case, CheckFailed, load_backbone
from replication_bench.testing.checks import check_method, method_checks
from replication_bench.testing.tiny import picture, planted_folder, tiny_backbone

__all__ = [
    "Case",
    "CheckFailed",
    "check_method",
    "load_backbone",
    "method_checks",
    "picture",
    "planted_folder",
    "tiny_backbone",
]
