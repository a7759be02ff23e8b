"""Metrics: pure functions of evidence, each declared once with unit, direction, interval and source."""

from replication_bench.metrics.metric import Evidence, Metric

__all__ = ["Evidence", "Metric"]
