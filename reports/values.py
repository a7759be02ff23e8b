"""One number of a row: its interval, and the reason where it is missing; and the mean of one over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance
from typing import NamedTuple

from scipy.stats import t as student

from replication_bench.results import Measurement

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

    Its interval: the standard error is the larger of what the seeds' own intervals say and what the spread between
    seeds says. Without own intervals it is Student's over the seeds.
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
    half = half_width(found, values, confidence)
    low, high = clipped(mean - half, mean + half, unit, mean)
    return Value(mean, low, high, found[0].n, note="; ".join(notes) or None)


def half_width(found: Sequence[Value], values: Sequence[float], confidence: float) -> float:
    """Half the interval of a mean over seeds."""
    between = variance(values) / len(values)
    widths = [
        (value.high - value.low) / 2 for value in found if value.high is not None and value.low is not None
    ]
    if len(widths) < len(found):
        return float(student.ppf(0.5 + confidence / 2, len(values) - 1)) * math.sqrt(between)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    within = fmean((width / z) ** 2 for width in widths) / len(widths)
    return z * math.sqrt(max(between, within))


def clipped(low: float, high: float, unit: str, mean: float) -> tuple[float, float]:
    """An interval of a share stays within [0, 1]; none leaves out its own mean."""
    if unit == "share":
        low, high = max(low, 0.0), min(high, 1.0)
    return min(low, mean), max(high, mean)
