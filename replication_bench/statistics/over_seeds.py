"""Several seeds of one configuration: seeds are drawn first, then the images within each."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from replication_bench.errors import DataError
from replication_bench.metrics.metric import Evidence, Metric
from replication_bench.results import Measurement
from replication_bench.statistics.intervals import (
    Interval,
    hull,
    percentile_interval,
    student_interval,
    wilson_interval,
)
from replication_bench.statistics.measuring import checked


def draw_mean(metric: Metric, draws: Sequence[Evidence]) -> float | None:
    """The mean of a metric over the drawn seeds; None where one of them has no value."""
    values = [checked(metric.fn(draw)) for draw in draws]
    return None if any(isinstance(v, str) for v in values) else fmean(map(float, values))


def hierarchical_draws(
    metrics: Sequence[Metric], seeds: Sequence[Evidence], rng: np.random.Generator, resamples: int
) -> dict[str, list[float]]:
    """Means over seeds of bootstrap draws: seeds with replacement, then images within each drawn seed."""
    found: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    for _ in range(resamples if metrics else 0):
        draws = [seeds[i].resample(rng) for i in rng.integers(len(seeds), size=len(seeds))]
        for metric in metrics:
            value = draw_mean(metric, draws)
            if value is not None:
                found[metric.name].append(value)
    return found


def seeds_interval(
    metric: Metric, values: Sequence[float], draws: Sequence[float], n: int, confidence: float
) -> Interval | None:
    """Percentiles of the draws (a share: never narrower than Wilson's of all images); else Student's over seeds."""
    if not draws:
        return student_interval(values, confidence)
    drawn = percentile_interval(draws, confidence)
    if metric.interval != "wilson" or metric.unit != "share":
        return drawn
    return hull(drawn, wilson_interval(fmean(values), n, confidence))


def measure_seeds(
    metrics: Sequence[Metric],
    seeds: Sequence[Evidence],
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> tuple[Measurement, ...]:
    """The mean over seeds of every metric, with an interval over seeds and images.

    A metric with a bootstrap or Wilson interval gets the hierarchical bootstrap; one with another or no interval of
    its own gets Student's interval over the seeds' values. With one seed the first says nothing of the spread
    between seeds, and the second is missing.

    Args:
        metrics: those of the run's own embedder; metrics of further spaces are left out.
        seeds: the evidence of each seed, same data, method and protocol.
        rng: of the draws.
        resamples: draws.
        confidence: of the intervals.

    Raises:
        DataError: no seeds.
    """
    if not seeds:
        raise DataError("there are no seeds to combine")
    own = [m for m in metrics if not m.role]
    found = {m.name: [checked(m.fn(seed)) for seed in seeds] for m in own}
    drawn = [
        m for m in own if m.redrawn and m.interval in ("bootstrap", "wilson") and complete(found[m.name])
    ]
    draws = hierarchical_draws(drawn, seeds, rng, resamples)
    return tuple(
        combined(m, found[m.name], draws.get(m.name, []), sum(m.n(s) for s in seeds), confidence) for m in own
    )


def complete(values: Sequence[float | str]) -> bool:
    """Whether every seed has a value."""
    return not any(isinstance(value, str) for value in values)


def combined(
    metric: Metric, found: Sequence[float | str], draws: Sequence[float], n: int, confidence: float
) -> Measurement:
    """One metric over all seeds; the first reason where one of them has no value."""
    missing = [value for value in found if isinstance(value, str)]
    values = [value for value in found if not isinstance(value, str)]
    low, high = (None, None)
    if not missing:
        low, high = seeds_interval(metric, values, draws, n, confidence) or (None, None)
    return Measurement(
        name=metric.name,
        value=None if missing else fmean(values),
        reason=missing[0] if missing else None,
        n=n,
        low=low,
        high=high,
        unit=metric.unit,
        better=metric.better,
        note=None if missing else f"mean of {len(found)} seed{'s' * (len(found) > 1)}",
    )
