"""Two methods on the same prompts and noise: differences of pairs, not of two separate samples."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.metrics.metric import members_of
from replication_bench.statistics.clusters import Ints, sums
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
        low: lower end of the bootstrap interval of the difference, pairs and images of one prompt kept together.
        high: upper end.
        p: two-sided p-value of 'it does not matter which method made which images of a prompt'.
        n: pairs.
        prompts: sets of pairs that were drawn and swapped together.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int
    prompts: int


class Flips(NamedTuple):
    """How many images a second method turned from copy to original, and back.

    Attributes:
        threshold: above it (strictly) an image counts as a copy.
        to_original: copies of the first method that are none of the second.
        to_copy: originals of the first method that are copies of the second.
        both: copies of both.
        neither: copies of none.
        p: two-sided p-value of as many flips in either direction: McNemar's exact test where every prompt has one
            image, else of swapping whole prompts.
    """

    threshold: float
    to_original: int
    to_copy: int
    both: int
    neither: int
    p: float


def signs(n: int, rng: np.random.Generator, flips: int) -> tuple[NDArray[np.bool_], bool]:
    """Which of n sets of pairs are swapped, bool [r, n], and whether these are all there are."""
    if n <= EXACT_PAIRS:
        return np.array(list(product((False, True), repeat=n)), dtype=bool), True
    return rng.random((flips, n)) < 0.5, False


def permutation_p(
    a: Rows, b: Rows, numbers: Ints, statistic: Statistic, rng: np.random.Generator, permutations: int
) -> float:
    """Share of swaps of methods, prompt by prompt, that differ at least as much as what was found; never 0."""
    swaps, exact = signs(int(numbers.max()) + 1, rng, permutations)
    rows = (swap[numbers] for swap in swaps)
    found = [abs(statistic(np.where(s, a, b)) - statistic(np.where(s, b, a))) for s in rows]
    return share_of(np.array(found), abs(statistic(b) - statistic(a)), exact)


def share_of(found: Rows, observed: float, exact: bool) -> float:
    """The share of swaps at least as large as what was observed, which counts as one of them unless all were tried."""
    # rounding must not turn a tie with what was found into a miss
    hits = int((found >= observed - 1e-12).sum())
    return hits / len(found) if exact else (hits + 1) / (len(found) + 1)


def paired(
    a: Rows,
    b: Rows,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    numbers: Ints | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Paired:
    """Compare ``statistic`` of two rows of similarities that belong together.

    Args:
        a: float [n], the first method's top-1 similarity by generated image.
        b: float [n], the second's on the same prompts and noise.
        statistic: rows -> number, such as the mean or a percentile.
        rng: of bootstrap and permutations.
        numbers: of each row's prompt, int64 [n], 0 to the number of prompts (see ``clusters``); each row has its own
            where None.
        resamples: bootstrap draws, and permutations; with at most 12 prompts all swaps are tried instead.
        confidence: of the interval.

    Raises:
        DataError: unequal or empty rows.
    """
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise DataError("pairs need as many rows on both sides", got=f"{a.shape} and {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    numbers = np.arange(len(a)) if numbers is None else numbers
    members = members_of(numbers)
    picks = (rng.integers(len(members), size=len(members)) for _ in range(resamples))
    rows = (np.concatenate([members[i] for i in pick]) for pick in picks)
    draws = [statistic(b[i]) - statistic(a[i]) for i in rows]
    first, second = statistic(a), statistic(b)
    low, high = percentile_interval(draws, confidence)
    p = permutation_p(a, b, numbers, statistic, rng, resamples)
    return Paired(first, second, second - first, low, high, p, len(a), len(members))


def flips(
    a: Rows, b: Rows, threshold: float, numbers: Ints | None = None, seed: int = 0, resamples: int = 10_000
) -> Flips:
    """Count the images that are a copy of one method and not of the other.

    Args:
        a: float [n], the first method's top-1 similarities.
        b: float [n], the second's, in the same order.
        threshold: strict.
        numbers: of each row's prompt, as for ``paired``.
        seed: of the swaps.
        resamples: swaps; with at most 12 prompts all are tried instead.
    """
    before, after = a > threshold, b > threshold
    away, back = before & ~after, ~before & after
    to_original, to_copy = int(away.sum()), int(back.sum())
    net = back.astype(np.float64) - away
    net = net if numbers is None else sums(net, numbers)
    p = mcnemar(to_original, to_copy) if len(net) == len(a) else swapped_p(net, seed, resamples)
    both, neither = int((before & after).sum()), int((~before & ~after).sum())
    return Flips(threshold, to_original, to_copy, both, neither, p)


def mcnemar(away: int, back: int) -> float:
    """McNemar's exact two-sided test."""
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    return float(binomtest(away, away + back).pvalue) if away + back else 1.0


def swapped_p(net: Rows, seed: int, resamples: int) -> float:
    """Two-sided p-value of the sum of ``net`` [prompts] under swaps of whole prompts."""
    changed = net[net != 0]
    if not len(changed):
        return 1.0
    swaps, exact = signs(len(changed), np.random.default_rng(seed), resamples)
    return share_of(np.abs(np.where(swaps, -changed, changed).sum(axis=1)), abs(float(changed.sum())), exact)
