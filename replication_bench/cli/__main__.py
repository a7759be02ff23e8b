"""``python -m replication_bench.cli``."""

from replication_bench.cli import main

main()
