"""Metrics: pure functions of evidence, each declared once with unit, direction, interval and source."""

from replication_bench import plugins
from replication_bench.metrics.metric import Evidence, Metric

__all__ = ["Evidence", "Metric", "all_metrics"]


def all_metrics() -> list[Metric]:
    """Every metric behind the door, groups in name order."""
    return [
        metric
        for name in sorted(plugins.available("metrics"), reverse=True)
        for metric in plugins.load("metrics", name)
    ]
