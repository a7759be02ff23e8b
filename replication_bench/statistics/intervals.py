"""Intervals: Wilson for shares, percentiles of bootstrap draws, normal and Student for estimates with an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]


def wilson_interval(share: float, n: int, confidence: float) -> Interval:
    """Wilson's interval of a share of ``n``; 0 of n has an upper end above 0 (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # rounding must not leave a share of 0 or 1 outside
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def percentile_interval(draws: Sequence[float] | NDArray[np.float64], confidence: float) -> Interval:
    """The middle ``confidence`` of bootstrap draws."""
    low, high = np.percentile(draws, (50 * (1 - confidence), 50 * (1 + confidence)))
    return float(low), float(high)


def normal_interval(value: float, error: float, confidence: float) -> Interval:
    """``value`` plus and minus the normal quantile times its standard error."""
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    return value - half, value + half


def student_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """Student's interval of the mean of a few independent values, such as seeds; None for fewer than two."""
    from scipy.stats import t  # type: ignore[import-untyped]

    if len(values) < 2:
        return None
    half = float(t.ppf(0.5 + confidence / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def hull(*intervals: Interval) -> Interval:
    """The smallest interval that holds all of ``intervals``."""
    return min(low for low, _ in intervals), max(high for _, high in intervals)
