"""Intervals: percentile bootstrap over rows, Wilson for shares; and metrics turned into measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from replication_bench.metrics.metric import Evidence, Metric
from replication_bench.results import Measurement

if TYPE_CHECKING:  # seeds needs torch; reports read metrics without it
    from replication_bench.seeds import Seeds

Interval = tuple[float, float]


def wilson_interval(share: float, n: int, confidence: float) -> Interval:
    """Wilson's interval of a share of ``n``; 0 of n has an upper end above 0 (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def percentile_interval(draws: Sequence[float], confidence: float) -> Interval:
    """The middle ``confidence`` of bootstrap draws."""
    low, high = np.percentile(draws, (50 * (1 - confidence), 50 * (1 + confidence)))
    return float(low), float(high)


def bootstrap_intervals(
    metrics: Sequence[Metric], evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> dict[str, Interval]:
    """Percentile-bootstrap intervals of all metrics at once: each draw serves every metric."""
    draws: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    for _ in range(resamples):
        resampled = evidence.resample(rng)
        for metric in metrics:
            value = metric.fn(resampled)
            if not isinstance(value, str):
                draws[metric.name].append(value)
    return {name: percentile_interval(values, confidence) for name, values in draws.items() if values}


def measure(
    metrics: Sequence[Metric],
    evidence: Evidence,
    *,
    seeds: Seeds,
    resamples: int,
    confidence: float,
    embedder: str | None = None,
    protocol: str | None = None,
) -> tuple[Measurement, ...]:
    """Every metric on ``evidence``, with its interval, or the reason for its absence."""
    values = {metric.name: metric.fn(evidence) for metric in metrics}
    resampled = [m for m in metrics if m.interval == "bootstrap" and not isinstance(values[m.name], str)]
    intervals = bootstrap_intervals(resampled, evidence, seeds.numpy("bootstrap"), resamples, confidence)
    for metric in metrics:
        value, n = values[metric.name], metric.n(evidence)
        if isinstance(value, str):
            continue
        if metric.interval == "wilson":
            intervals[metric.name] = wilson_interval(value, n, confidence)
        elif metric.interval == "own" and metric.own_interval is not None and resamples:
            rng = seeds.numpy("bootstrap", metric.name)
            intervals[metric.name] = metric.own_interval(evidence, rng, resamples, confidence)
    return tuple(
        as_measurement(metric, values[metric.name], intervals.get(metric.name), evidence, embedder, protocol)
        for metric in metrics
    )


def as_measurement(
    metric: Metric,
    value: float | str,
    interval: Interval | None,
    evidence: Evidence,
    embedder: str | None,
    protocol: str | None,
) -> Measurement:
    """One metric's value as it stands in a result."""
    low, high = interval or (None, None)
    missing = isinstance(value, str)
    return Measurement(
        name=metric.name,
        value=None if isinstance(value, str) else value,
        reason=value if isinstance(value, str) else None,
        n=metric.n(evidence),
        low=low,
        high=high,
        unit=metric.unit,
        better=metric.better,
        note=None if missing else metric.note(evidence),
        embedder=embedder,
        protocol=protocol,
    )
