"""Metrics turned into measurements: value, interval, note; or the reason for absence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from replication_bench.metrics.metric import Evidence, Metric
from replication_bench.results import Measurement
from replication_bench.statistics.intervals import Interval, hull, percentile_interval, wilson_interval

if TYPE_CHECKING:  # seeds needs torch; reports read metrics without it
    from replication_bench.seeds import Seeds

Step = Callable[[str, int], Callable[[int], None]]


def no_step(name: str, total: int) -> Callable[[int], None]:
    """Nobody watches."""
    return lambda done: None


@dataclass(frozen=True)
class Plan:
    """How intervals are computed.

    Attributes:
        seeds: of the random draws.
        resamples: bootstrap draws; 0 for no bootstrap.
        confidence: of the intervals, in (0, 1).
        advance: called with the number of units done.
    """

    seeds: Seeds
    resamples: int
    confidence: float
    advance: Callable[[int], None] = lambda done: None


def in_spaces(metrics: Sequence[Metric], evidence: Evidence) -> Iterator[tuple[str, list[Metric]]]:
    """Which metrics are taken in which further space, by its name; ``name:space`` unless the metric asks for it."""
    for name in evidence.spaces:
        roles = [m for m in metrics if m.role and evidence.space(m.role) is evidence.spaces[name]]
        general = [replace(m, name=f"{m.name}:{name}") for m in metrics if m.everywhere]
        yield name, roles + general


def plays(embedder: str | None, role: str) -> bool:
    """Whether the embedder is the one that a metric asks for."""
    return embedder is not None and embedder.startswith(role)


def missing_space(metric: Metric) -> Measurement:
    """A metric whose embedder was not used."""
    reason = f"no embedder '{metric.role}' was used"
    return Measurement(
        name=metric.name, value=None, reason=reason, unit=metric.unit, better=metric.better, n=None
    )


def measure(
    metrics: Sequence[Metric],
    evidence: Evidence,
    *,
    seeds: Seeds,
    resamples: int,
    confidence: float,
    embedder: str | None = None,
    protocol: str | None = None,
    step: Step = no_step,
) -> tuple[Measurement, ...]:
    """Every metric on ``evidence`` and on its further spaces, with its interval, or the reason for its absence.

    Args:
        metrics: declared metrics; their names are the keys of the result.
        evidence: what they look at.
        seeds: of the bootstrap.
        resamples: bootstrap draws an interval.
        confidence: of the intervals.
        embedder: name of the embedder of ``evidence`` itself.
        protocol: hash of its protocol.
        step: begins a progress bar, as ``pipeline.Watcher.step``.
    """
    own = [m for m in metrics if not m.role or plays(embedder, m.role)]
    groups: list[tuple[str, list[Metric], Evidence]] = [("", own, evidence)]
    groups += [(name, group, evidence.spaces[name]) for name, group in in_spaces(metrics, evidence)]
    total = sum(len(group) + resamples for _, group, _ in groups)
    advance, done = step("measure", total), 0
    found: list[Measurement] = []
    for name, group, rows in groups:
        plan = Plan(seeds, resamples, confidence, lambda k, done=done: advance(done + k))  # type: ignore[misc]
        first = found == []
        found += measure_group(
            group, rows, plan, name, *((embedder, protocol) if first else (name, rows.protocol))
        )
        done += len(group) + resamples
    found += [missing_space(m) for m in metrics if m not in own and evidence.space(m.role) is None]
    order = {metric.name: place for place, metric in enumerate(metrics)}
    return tuple(sorted(found, key=lambda m: order.get(m.name, len(order))))


def measure_group(
    metrics: Sequence[Metric],
    evidence: Evidence,
    plan: Plan,
    stream: str,
    embedder: str | None,
    protocol: str | None,
) -> list[Measurement]:
    """Metrics of one space; ``stream`` names its random draws."""
    values: dict[str, float | str] = {}
    for done, metric in enumerate(metrics, 1):
        values[metric.name] = checked(metric.fn(evidence))
        plan.advance(done)
    wanted = [m for m in metrics if not isinstance(values[m.name], str)]
    resampled = [m for m in wanted if needs_draws(m, evidence)]
    rng = plan.seeds.numpy(*(["bootstrap", "space", stream] if stream else ["bootstrap"]))
    after = replace(plan, advance=lambda done: plan.advance(len(metrics) + done))
    drawn = bootstrap_intervals(resampled, evidence, rng, after)
    plan.advance(len(metrics) + plan.resamples)
    return [
        as_measurement(
            metric,
            values[metric.name],
            interval_of(metric, values[metric.name], drawn.get(metric.name), evidence, plan),
            evidence,
            embedder,
            protocol,
        )
        for metric in metrics
    ]


def checked(value: float | str) -> float | str:
    """A number that is not finite is no number: it becomes the reason."""
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else f"the computation gave {value}"


def needs_draws(metric: Metric, evidence: Evidence) -> bool:
    """Whether the bootstrap serves ``metric``: Wilson's interval holds for independent images only."""
    shared = metric.interval == "wilson" and evidence.repeated_prompts and metric.redrawn
    return metric.interval == "bootstrap" or shared


def bootstrap_intervals(
    metrics: Sequence[Metric], evidence: Evidence, rng: np.random.Generator, plan: Plan
) -> dict[str, Interval]:
    """Percentile-bootstrap intervals of all metrics at once: each draw serves every metric."""
    draws: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    for done in range(1, plan.resamples + 1 if metrics else 1):
        resampled = evidence.resample(rng)
        for metric in metrics:
            value = checked(metric.fn(resampled))
            if not isinstance(value, str):
                draws[metric.name].append(value)
        plan.advance(done)
    return {name: percentile_interval(values, plan.confidence) for name, values in draws.items() if values}


def interval_of(
    metric: Metric, value: float | str, drawn: Interval | None, evidence: Evidence, plan: Plan
) -> Interval | None:
    """The interval that ``metric`` declares, or None."""
    if isinstance(value, str):
        return None
    if metric.interval == "wilson":
        scale = 100 if metric.unit == "percent" else 1
        low, high = wilson_interval(value / scale, metric.n(evidence), plan.confidence)
        drawn = drawn or each_interval(metric, evidence, plan)
        wilson = scale * low, scale * high
        return hull(wilson, drawn) if drawn else wilson
    if metric.interval == "own" and metric.own_interval is not None and plan.resamples:
        rng = plan.seeds.numpy("bootstrap", metric.name)
        return metric.own_interval(evidence, rng, plan.resamples, plan.confidence)
    return drawn


def each_interval(metric: Metric, evidence: Evidence, plan: Plan) -> Interval | None:
    """Bootstrap over prompts of a mean that is slow to compute anew; None where images are independent."""
    if metric.each is None or not evidence.repeated_prompts or not plan.resamples:
        return None
    rows, rng = metric.each(evidence), plan.seeds.numpy("bootstrap", metric.name)
    scale = 100 if metric.unit == "percent" else 1
    draws = [scale * float(rows[evidence.draw(rng)].mean()) for _ in range(plan.resamples)]
    return percentile_interval(draws, plan.confidence)


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
    embedder, protocol = metric.whose(evidence) or (embedder, protocol)
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
