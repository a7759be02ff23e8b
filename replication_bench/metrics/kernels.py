"""Maximum mean discrepancies: KID's polynomial kernel and CMMD's Gaussian, in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import Rows
from replication_bench.statistics.intervals import percentile_interval

Weights = NDArray[np.float64]
Kernel = Callable[[Rows, Rows], NDArray[np.float64]]
BLOCK = 1024
KEPT = 4096 * 4096
CMMD_SIGMA = 10.0


def polynomial_kernel(a: Rows, b: Rows) -> NDArray[np.float64]:
    """k(x, y) = (x.y / d + 1)^3, float64 [len(a), len(b)] (arXiv 1801.01401, section 4)."""
    kernel: NDArray[np.float64] = (a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1) ** 3
    return kernel


def gaussian_kernel(a: Rows, b: Rows) -> NDArray[np.float64]:
    """k(x, y) = exp(-||x - y||^2 / (2 sigma^2)) with sigma = 10 (arXiv 2401.09603, section 4.2)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    kernel: NDArray[np.float64] = np.exp(-np.clip(squared, 0, None) / (2 * CMMD_SIGMA**2))
    return kernel


def blocks(n: int) -> Iterator[slice]:
    """Slices of at most ``BLOCK`` rows that cover n rows in order."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


class Gram:
    """The kernel between two sets; kept where it is small, else computed block by block."""

    def __init__(self, a: Rows, b: Rows, kernel: Kernel):
        self.a, self.b, self.kernel = a, b, kernel
        self.kept = kernel(a, b) if len(a) * len(b) <= KEPT else None

    def times(self, weights: Weights) -> Weights:
        """weights [r, len(a)] @ kernel: [r, len(b)]."""
        if self.kept is not None:
            return weights @ self.kept
        total = np.zeros((len(weights), len(self.b)))
        for block in blocks(len(self.a)):
            total += weights[:, block] @ self.kernel(self.a[block], self.b)
        return total

    def diagonal(self) -> Weights:
        """k(x, x) of every row of a set against itself: [len(a)]."""
        return np.array([self.kernel(row[None], row[None])[0, 0] for row in self.a])


def draw_weights(n: int, rng: np.random.Generator) -> Weights:
    """How often each of n rows is in a bootstrap draw; a draw of one row alone has no pair and is drawn again."""
    while True:
        weights = np.bincount(rng.integers(n, size=n), minlength=n)
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

    def __init__(self, a: Rows, b: Rows, kernel: Kernel = polynomial_kernel, biased: bool = False):
        self.aa, self.bb, self.ab = Gram(a, a, kernel), Gram(b, b, kernel), Gram(a, b, kernel)
        self.diagonals = self.aa.diagonal(), self.bb.diagonal()
        self.biased = biased

    def within(self, gram: Gram, diagonal: Weights, weights: Weights) -> Weights:
        """Mean of the kernel over pairs of different rows, rows counted ``weights`` [r, n] times: [r].

        A pair of a row with its own copy is dropped: its distance of 0 would bias a bootstrap draw. The pairs with
        itself that a biased estimate holds are added once, as they are in the sample.
        """
        n = weights.sum(axis=1)
        own = (weights**2) @ diagonal
        pairs = n**2 - (weights**2).sum(axis=1)
        mean: Weights = ((gram.times(weights) * weights).sum(axis=1) - own) / pairs
        return ((n - 1) * mean + weights @ diagonal / n) / n if self.biased else mean

    def values(self, u: Weights, v: Weights) -> Weights:
        """MMD^2 with rows of a counted ``u`` [r, n] and rows of b counted ``v`` [r, m] times: [r]."""
        cross = (self.ab.times(u) * v).sum(axis=1) / (u.sum(axis=1) * v.sum(axis=1))
        within = self.within(self.aa, self.diagonals[0], u) + self.within(self.bb, self.diagonals[1], v)
        return within - 2 * cross

    def value(self) -> float:
        """MMD^2 of the sets as they are."""
        return float(self.values(np.ones((1, len(self.aa.a))), np.ones((1, len(self.bb.a))))[0])

    def interval(self, rng: np.random.Generator, resamples: int, confidence: float) -> tuple[float, float]:
        """Bootstrap interval over the rows of both sets."""
        u = np.stack([draw_weights(len(self.aa.a), rng) for _ in range(resamples)])
        v = np.stack([draw_weights(len(self.bb.a), rng) for _ in range(resamples)])
        return percentile_interval(self.values(u, v), confidence)
