"""Metrics: pure functions of evidence, each declared once with unit, direction, interval and source."""

from replication_bench.metrics.metric import Alignment, Complexity, Evidence, Features, Metric

__all__ = ["Alignment", "Complexity", "Evidence", "Features", "Metric", "all_metrics"]


def all_metrics() -> list[Metric]:
    """Every metric behind the door: replication first, the other groups in name order."""
    from replication_bench import plugins

    names = sorted(plugins.available("metrics"), key=lambda name: (name != "replication", name))
    return [metric for name in names for metric in plugins.load("metrics", name)]
