"""Two methods on the same prompts and noise: differences of pairs, not of two separate samples."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.statistics.intervals import percentile_interval

Rows = NDArray[np.floating]
Statistic = Callable[[Rows], float]
EXACT_PAIRS = 12


class Paired(NamedTuple):
    """A statistic of two methods on the same n prompts and noise.

    Attributes:
        a: the statistic of the first method.
        b: of the second.
        difference: b - a.
        low: lower end of the bootstrap interval of the difference, pairs kept together.
        high: upper end.
        p: two-sided p-value of 'it does not matter which method made which image of a pair'.
        n: pairs.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int


class Flips(NamedTuple):
    """How many images a second method turned from copy to original, and back.

    Attributes:
        threshold: above it (strictly) an image counts as a copy.
        to_original: copies of the first method that are none of the second.
        to_copy: originals of the first method that are copies of the second.
        both: copies of both.
        neither: copies of none.
        p: two-sided exact p-value of as many flips in either direction (McNemar).
    """

    threshold: float
    to_original: int
    to_copy: int
    both: int
    neither: int
    p: float


def signs(n: int, rng: np.random.Generator, flips: int) -> tuple[NDArray[np.bool_], bool]:
    """Which pairs are swapped, bool [r, n], and whether these are all there are."""
    if n <= EXACT_PAIRS:
        return np.array(list(product((False, True), repeat=n)), dtype=bool), True
    return rng.random((flips, n)) < 0.5, False


def permutation_p(
    a: Rows, b: Rows, statistic: Statistic, rng: np.random.Generator, permutations: int
) -> float:
    """Share of swaps of methods within pairs that differ at least as much as what was found; never 0."""
    observed = abs(statistic(b) - statistic(a))
    swaps, exact = signs(len(a), rng, permutations)
    found = [abs(statistic(np.where(s, a, b)) - statistic(np.where(s, b, a))) for s in swaps]
    # rounding must not turn a tie with what was found into a miss
    hits = int((np.array(found) >= observed - 1e-12).sum())
    return hits / len(found) if exact else (hits + 1) / (len(found) + 1)


def paired(
    a: Rows,
    b: Rows,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Paired:
    """Compare ``statistic`` of two rows of similarities that belong together.

    Args:
        a: float [n], the first method's top-1 similarity by generated image.
        b: float [n], the second's on the same prompts and noise.
        statistic: rows -> number, such as the mean or a percentile.
        rng: of bootstrap and permutations.
        resamples: bootstrap draws, and permutations; with at most 12 pairs all swaps are tried instead.
        confidence: of the interval.

    Raises:
        DataError: unequal or empty rows.
    """
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise DataError("pairs need as many rows on both sides", got=f"{a.shape} and {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    rows = (rng.integers(len(a), size=len(a)) for _ in range(resamples))
    draws = [statistic(b[i]) - statistic(a[i]) for i in rows]
    first, second = statistic(a), statistic(b)
    low, high = percentile_interval(draws, confidence)
    p = permutation_p(a, b, statistic, rng, resamples)
    return Paired(first, second, second - first, low, high, p, len(a))


def flips(a: Rows, b: Rows, threshold: float) -> Flips:
    """Count the images that are a copy of one method and not of the other.

    Args:
        a: float [n], the first method's top-1 similarities.
        b: float [n], the second's, in the same order.
        threshold: strict.
    """
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    before, after = a > threshold, b > threshold
    away, back = int((before & ~after).sum()), int((~before & after).sum())
    p = float(binomtest(away, away + back).pvalue) if away + back else 1.0
    return Flips(threshold, away, back, int((before & after).sum()), int((~before & ~after).sum()), p)
