"""Maximum mean discrepancies: KID's polynomial kernel and CMMD's Gaussian, in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import Ints, Rows, draw_groups, draw_rows, members_of
from replication_bench.statistics.clusters import variance_of_mean
from replication_bench.statistics.intervals import normal_interval, percentile_interval

Weights = NDArray[np.float64]
BLOCK = 1024
KEPT = 4096 * 4096
CMMD_SIGMA = 10.0


class Kernel(NamedTuple):
    """A kernel between two sets of rows, float64 [len(a), len(b)], and of each row with itself, [len(a)]."""

    between: Callable[[Rows, Rows], Weights]
    own: Callable[[Rows], Weights]


def polynomial(a: Rows, b: Rows) -> Weights:
    """k(x, y) = (x.y / d + 1)^3 (arXiv 1801.01401, section 4)."""
    base: Weights = a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1
    return base * base * base  # a power is many times slower


def gaussian(a: Rows, b: Rows) -> Weights:
    """k(x, y) = exp(-||x - y||^2 / (2 sigma^2)) with sigma = 10 (arXiv 2401.09603, section 4.2)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    kernel: Weights = np.exp(-np.clip(squared, 0, None) / (2 * CMMD_SIGMA**2))
    return kernel


POLYNOMIAL = Kernel(polynomial, lambda a: ((a.astype(np.float64) ** 2).sum(1) / a.shape[1] + 1) ** 3)
GAUSSIAN = Kernel(gaussian, lambda a: np.ones(len(a)))


def blocks(n: int) -> Iterator[slice]:
    """Slices of at most ``BLOCK`` rows that cover n rows in order."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


class Sums(NamedTuple):
    """Sums over a kernel matrix: of each row, of each column, and of all squares."""

    rows: Weights
    columns: Weights
    squares: float


class Gram:
    """The kernel between two sets, or within one: kept where it is small, else only summed, block by block."""

    def __init__(self, a: Rows, b: Rows, kernel: Kernel):
        self.a, self.b, self.kernel, self.within = a, b, kernel, a is b
        self.kept = kernel.between(a, b) if len(a) * len(b) <= KEPT else None

    @property
    def matrix(self) -> Weights:
        """The whole kernel, where it is kept."""
        assert self.kept is not None, "asked only where every matrix is kept"
        return self.kept

    @cached_property
    def sums(self) -> Sums:
        """One pass over the matrix; of a symmetric one, half."""
        rows, columns, squares = np.zeros(len(self.a)), np.zeros(len(self.b)), 0.0
        for i in blocks(len(self.a)):
            for j in blocks(len(self.b)):
                if self.within and j.start < i.start:
                    continue
                part = self.kernel.between(self.a[i], self.b[j]) if self.kept is None else self.kept[i, j]
                twice = self.within and j.start > i.start
                rows[i] += part.sum(axis=1)
                columns[j] += part.sum(axis=0)
                squares += (1 + twice) * float((part * part).sum())
                if twice:
                    rows[j] += part.sum(axis=0)
                    columns[i] += part.sum(axis=1)
        return Sums(rows, columns, squares)

    @cached_property
    def own(self) -> Weights:
        """k(x, x) of every row of a set against itself: [len(a)]."""
        return self.kernel.own(self.a)

    @property
    def mean_between(self) -> float:
        """Mean over all pairs of two sets."""
        return float(self.sums.rows.sum()) / (len(self.a) * len(self.b))

    @property
    def mean_others(self) -> Weights:
        """For each row of one set, the mean of its kernel with every other row: [len(a)]."""
        return (self.sums.rows - self.own) / (len(self.a) - 1)

    @property
    def variance(self) -> float:
        """Variance of the kernel over pairs; within one set, of different rows."""
        n, m, own = len(self.a), len(self.b), self.own if self.within else np.zeros(0)
        pairs = n * (n - 1) if self.within else n * m
        mean = (float(self.sums.rows.sum()) - float(own.sum())) / pairs
        return max(0.0, (self.sums.squares - float((own**2).sum())) / pairs - mean**2)


def draw_weights(n: int, rng: np.random.Generator, members: Sequence[Ints] | None = None) -> Weights:
    """How often each of n rows is in a bootstrap draw; a draw of one row alone has no pair and is drawn again.

    ``members`` are the rows of each group where whole groups are drawn.
    """
    while True:
        rows = draw_rows(n, rng) if members is None else draw_groups(members, rng)
        weights = np.bincount(rows, minlength=n)
        if np.count_nonzero(weights) > 1:
            return weights.astype(np.float64)


class KernelDistance:
    """Squared maximum mean discrepancy between two sets of at least two rows each.

    Args:
        a: features [n, d].
        b: features [m, d].
        kernel: of two sets of rows.
        biased: whether a row's pair with itself counts, as in CMMD; KID leaves it out.
    """

    def __init__(self, a: Rows, b: Rows, kernel: Kernel = POLYNOMIAL, biased: bool = False):
        self.aa, self.bb, self.ab = Gram(a, a, kernel), Gram(b, b, kernel), Gram(a, b, kernel)
        self.biased = biased

    def mean_within(self, gram: Gram) -> float:
        """Mean of the kernel over the pairs of one set."""
        n, others = len(gram.a), float(gram.mean_others.mean())
        return ((n - 1) * others + float(gram.own.mean())) / n if self.biased else others

    def value(self) -> float:
        """MMD^2 of the sets as they are."""
        return self.mean_within(self.aa) + self.mean_within(self.bb) - 2 * self.ab.mean_between

    def drawn_within(self, gram: Gram, weights: Weights, groups: Ints | None = None) -> Weights:
        """Mean of the kernel over pairs of different rows, rows counted ``weights`` [r, n] times: [r].

        A pair of a row with its own copy is dropped: its distance of 0 would bias a bootstrap draw. So would the pairs
        of one copy of a group with another copy of it: within a group, which is drawn as a whole, each copy has its own
        pairs alone. The pairs with itself that a biased estimate holds are added once, as they are in the sample.
        """
        n, own = weights.sum(axis=1), gram.own
        members = members_of(np.arange(len(own)) if groups is None else groups)
        times = weights[:, [rows[0] for rows in members]]
        sizes = np.array([len(rows) for rows in members])
        sums = np.array([gram.matrix[np.ix_(rows, rows)].sum() for rows in members])
        others = sums - np.array([own[rows].sum() for rows in members])
        total = ((weights @ gram.matrix) * weights).sum(axis=1) - times**2 @ sums + times @ others
        pairs = n**2 - times**2 @ sizes**2 + times @ (sizes * (sizes - 1))
        mean: Weights = total / pairs
        return ((n - 1) * mean + weights @ own / n) / n if self.biased else mean

    def drawn(self, u: Weights, v: Weights, groups: Ints | None = None) -> Weights:
        """MMD^2 with rows of a counted ``u`` [r, n] and rows of b counted ``v`` [r, m] times, matrices kept: [r].

        Rows of a that belong together (``groups``, [n]) are counted equally often.
        """
        cross = ((u @ self.ab.matrix) * v).sum(axis=1) / (u.sum(axis=1) * v.sum(axis=1))
        return self.drawn_within(self.aa, u, groups) + self.drawn_within(self.bb, v) - 2 * cross

    def error(self, groups: Ints | None = None) -> float:
        """Standard error in closed form: that of a two-sample U-statistic, to second order.

        Rows of a that belong together (``groups``, [n]) are summed; infinite where all are of one group.

        To first order the value is a sum of influences, each row's mean kernel with its own set minus that with the
        other. Where the sets are alike these vanish; what is left is the variance of the kernel itself over the number
        of pairs (Hoeffding 1948; arXiv 1611.04488, equation 5). Influences are means over few rows: the noise that this
        adds to their variance is taken out.
        """
        n, m = len(self.aa.a), len(self.bb.a)
        kernels = self.aa.variance, self.bb.variance, self.ab.variance
        of_a = 2 * (self.aa.mean_others - self.ab.sums.rows / m)
        of_b = 2 * (self.bb.mean_others - self.ab.sums.columns / n)
        of_a_alone = max(0.0, variance_of_mean(of_a, groups) - 4 * (kernels[0] / n + kernels[2] / m) / n)
        of_b_alone = max(0.0, variance_of_mean(of_b) - 4 * (kernels[1] / m + kernels[2] / n) / m)
        pairs = 2 * kernels[0] / n**2 + 2 * kernels[1] / m**2 + 4 * kernels[2] / (n * m)
        return float(np.sqrt(of_a_alone + of_b_alone + pairs))

    def interval(
        self,
        rng: np.random.Generator,
        resamples: int,
        confidence: float,
        groups: Ints | None = None,
    ) -> tuple[float, float] | None:
        """Bootstrap interval over the rows of both sets; in closed form where a matrix is too large to be kept.

        Args:
            rng: of the draws.
            resamples: draws.
            confidence: of the interval.
            groups: which rows of a belong together and are drawn as one; None where they are independent.

        Returns:
            None where all rows of a belong together, so that nothing tells how another group would differ.
        """
        if groups is not None and len(np.unique(groups)) < 2:
            return None
        if any(gram.kept is None for gram in (self.aa, self.bb, self.ab)):
            return normal_interval(self.value(), self.error(groups), confidence)
        members = None if groups is None else members_of(groups)
        u = np.stack([draw_weights(len(self.aa.a), rng, members) for _ in range(resamples)])
        v = np.stack([draw_weights(len(self.bb.a), rng) for _ in range(resamples)])
        return percentile_interval(self.drawn(u, v, groups), confidence)
