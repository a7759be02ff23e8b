"""One number of a row: its interval, and the reason where it is missing; and the mean of one over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import NamedTuple

from scipy.stats import t as student

from replication_bench.results import Measurement

BOUNDS = {
    "share": (0.0, 1.0),
    "percent": (0.0, 100.0),
    "p-value": (0.0, 1.0),
    "cosine": (-1.0, 1.0),
    "correlation": (-1.0, 1.0),
    "Pearson r": (-1.0, 1.0),
    "count": (0.0, math.inf),
}
NOT_MEASURED = "not measured in this run"


class Value(NamedTuple):
    """A number with its interval.

    Attributes:
        value: None where it is missing; then ``reason`` says why.
        low: lower end of the interval.
        high: upper end.
        n: rows of each seed that it rests on, or seeds.
        reason: why there is no value.
        note: a warning that belongs beside it.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    reason: str | None = None
    note: str | None = None


def missing(reason: str) -> Value:
    """No value, and why."""
    return Value(None, reason=reason)


def of_measurement(found: Measurement | None) -> Value:
    """A measurement as a value."""
    if found is None:
        return missing(NOT_MEASURED)
    if found.value is None:
        return missing(found.reason or NOT_MEASURED)
    return Value(found.value, found.low, found.high, found.n, note=found.note)


def over_seeds(found: Sequence[Value], unit: str = "", confidence: float = 0.95) -> Value:
    """The mean over seeds; missing where one seed is missing, since a mean of the others would flatter.

    Its interval is the wider of two: Student's over the seeds, and what the seeds' own intervals say of a mean. What is
    the same in all seeds, such as the floor, was measured on the same images: more seeds make it no surer.
    """
    lost = [value for value in found if value.value is None]
    if lost:
        part = "" if len(lost) == len(found) else f" ({len(lost)} of {len(found)} seeds)"
        return missing(f"{lost[0].reason or NOT_MEASURED}{part}")
    if len(found) == 1:
        return found[0]
    values = [value.value for value in found if value.value is not None]
    notes = dict.fromkeys(value.note for value in found if value.note)
    mean = fmean(values)
    half = max(spread(values, confidence), own_width(found))
    low, high = clipped(mean - half, mean + half, unit, mean)
    return Value(mean, low, high, found[0].n, note="; ".join(notes) or None)


def spread(values: Sequence[float], confidence: float) -> float:
    """Half of Student's interval of the mean of at least two values."""
    factor = float(student.ppf(0.5 + confidence / 2, len(values) - 1))
    return factor * math.sqrt(variance(values) / len(values))


def own_width(found: Sequence[Value]) -> float:
    """Half the interval of the mean if the seeds' own intervals told all of it; 0 where one has none."""
    halves = [(value.high - value.low) / 2 for value in found if None not in (value.low, value.high)]  # type: ignore[operator]
    if len(halves) < len(found):
        return 0.0
    sets = 1 if len({value.value for value in found}) == 1 else len(found)
    return math.sqrt(fmean(half**2 for half in halves) / sets)


def clipped(low: float, high: float, unit: str, mean: float) -> tuple[float, float]:
    """An interval stays within what its unit allows; none leaves out its own mean."""
    least, most = BOUNDS.get(unit, (-math.inf, math.inf))
    return min(max(low, least), mean), max(min(high, most), mean)
