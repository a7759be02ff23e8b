"""How good and how varied the generated images are, in the embedder's own space.

Names say ``kd`` and ``fd``, never KID or FID: those words mean Inception features. The pure functions take raw feature
rows [n, d]; the metrics call them on the embedder's unit vectors scaled by sqrt(d), so that the kernel sees features of
unit variance, as KID's does. Everything of n x m is computed in blocks of rows, so that ten thousand rows fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.metrics.metric import Evidence, Metric, Value
from replication_bench.statistics import percentile_interval

Rows = NDArray[np.floating]
BLOCK = 1024
NEIGHBOURS = 5
KID = "arXiv 1801.01401, equation 4, in the embedder's space"


def polynomial_kernel(a: Rows, b: Rows) -> NDArray[np.float64]:
    """k(x, y) = (x.y / d + 1)^3, float64 [len(a), len(b)]."""
    kernel: NDArray[np.float64] = (a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1) ** 3
    return kernel


def weighted_within(kernel: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Mean of the kernel over ordered pairs of different rows, rows counted ``weights`` times.

    A pair of a row with its own copy is dropped: its distance of 0 would bias a bootstrap draw. ``weights`` must
    count at least two different rows.
    """
    own = float((weights**2 * np.diag(kernel)).sum())
    pairs = weights.sum() ** 2 - (weights**2).sum()
    return (float(weights @ kernel @ weights) - own) / pairs


def draw_weights(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each of n rows is in a bootstrap draw; a draw of one row alone has no pair and is drawn again."""
    while True:
        weights = np.bincount(rng.integers(n, size=n), minlength=n)
        if np.count_nonzero(weights) > 1:
            return weights.astype(np.float64)


class KernelDistance:
    """Unbiased squared maximum mean discrepancy between two sets, kernels computed once."""

    def __init__(self, a: Rows, b: Rows):
        self.aa, self.bb, self.ab = polynomial_kernel(a, a), polynomial_kernel(b, b), polynomial_kernel(a, b)

    def value(self, u: NDArray[np.float64] | None = None, v: NDArray[np.float64] | None = None) -> float:
        """MMD^2 with rows of a counted ``u`` and rows of b counted ``v`` times (once each by default)."""
        u = np.ones(len(self.aa)) if u is None else u
        v = np.ones(len(self.bb)) if v is None else v
        cross = float(u @ self.ab @ v) / (u.sum() * v.sum())
        return weighted_within(self.aa, u) + weighted_within(self.bb, v) - 2 * cross

    def interval(self, rng: np.random.Generator, resamples: int, confidence: float) -> tuple[float, float]:
        """Bootstrap interval over the rows of both sets."""
        draws = [
            self.value(draw_weights(len(self.aa), rng), draw_weights(len(self.bb), rng))
            for _ in range(resamples)
        ]
        return percentile_interval(draws, confidence)


def frechet_distance(a: Rows, b: Rows) -> float:
    """Frechet distance of two Gaussians fitted to the rows; unbiased covariances, float64, eigenvalue form.

    Eigenvalues are cast to complex before the root: a real-typed tiny negative one would give NaN.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    return frechet_of_moments(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))


def frechet_of_moments(
    mean_a: NDArray[np.float64],
    cov_a: NDArray[np.float64],
    mean_b: NDArray[np.float64],
    cov_b: NDArray[np.float64],
) -> float:
    """||mu_A - mu_B||^2 + tr(S_A) + tr(S_B) - 2 tr((S_A S_B)^(1/2))."""
    root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(np.complex128)).real.sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * root)


def distances(a: Rows, b: Rows) -> NDArray[np.float64]:
    """Euclidean distances, float64 [len(a), len(b)]."""
    from sklearn.metrics import pairwise_distances

    result: NDArray[np.float64] = pairwise_distances(a.astype(np.float64), b.astype(np.float64))
    return result


def blocks(n: int) -> Iterator[slice]:
    """Slices of at most ``BLOCK`` rows that cover n rows in order."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def radii(rows: Rows, k: int) -> NDArray[np.float64]:
    """Distance of each row to its k-th neighbour within its own set, self excluded: float64 [n].

    Raises:
        DataError: not more than k rows.
    """
    if len(rows) <= k:
        raise DataError("too few rows", got=len(rows), want=f"more than {k}")
    result = np.empty(len(rows))
    for block in blocks(len(rows)):
        within = distances(rows[block], rows)
        within[np.arange(len(within)), np.arange(block.start, block.stop)] = np.inf
        result[block] = np.partition(within, k - 1, axis=1)[:, k - 1]
    return result


def prdc(train: Rows, generated: Rows, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density, coverage with strict ``<`` (clovaai/generative-evaluation-prdc).

    Args:
        train: features [t, d].
        generated: features [g, d].
        k: neighbours that span a row's ball.

    Raises:
        DataError: not more than k rows on a side.
    """
    train_radii, generated_radii = radii(train, k), radii(generated, k)
    balls = np.zeros(len(generated))
    recalled, covered = np.empty(len(train), dtype=bool), np.empty(len(train), dtype=bool)
    for block in blocks(len(train)):
        between = distances(train[block], generated)
        inside = between < train_radii[block, None]
        balls += inside.sum(axis=0)
        recalled[block] = (between < generated_radii).any(axis=1)
        covered[block] = inside.any(axis=1)
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(balls.mean() / k),
        "coverage": float(covered.mean()),
    }


def authpct(train: Rows, generated: Rows) -> float:
    """Percentage of generated rows further from their nearest training row than that row is from its own nearest.

    0 to 100, low = copying (arXiv 2102.08921; layer6ai-labs/dgm-eval; marcojira/fld subtracts 50).

    Raises:
        DataError: fewer than two training rows.
    """
    own, authentic = radii(train, 1), 0
    for block in blocks(len(generated)):
        between = distances(generated[block], train)
        authentic += int((own[between.argmin(axis=1)] < between.min(axis=1)).sum())
    return 100 * authentic / len(generated)


def scaled(rows: Rows) -> Rows:
    """Unit vectors brought to unit variance a feature."""
    return rows * np.sqrt(rows.shape[1])


def against(evidence: Evidence, name: str) -> Rows | str:
    """The real rows to compare with, or why there are too few."""
    rows: Rows = getattr(evidence, name)
    return rows if len(rows) >= 2 and len(evidence.generated) >= 2 else "needs at least 2 images on each side"


def kernel_metric(name: str, real: str) -> Metric:
    """Kernel distance x 1000 between the generated and the ``real`` vectors."""

    def distance(evidence: Evidence) -> KernelDistance | str:
        rows = against(evidence, real)
        return rows if isinstance(rows, str) else KernelDistance(scaled(evidence.generated), scaled(rows))

    def value(evidence: Evidence) -> Value:
        found = distance(evidence)
        return found if isinstance(found, str) else 1000 * found.value()

    def interval(
        evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
    ) -> tuple[float, float]:
        found = distance(evidence)
        assert not isinstance(found, str), "an interval is asked for only where there is a value"
        low, high = found.interval(rng, resamples, confidence)
        return 1000 * low, 1000 * high

    return Metric(
        name,
        "MMD^2 x 1000",
        "down",
        value,
        KID,
        lambda e: len(e.generated),
        interval="own",
        own_interval=interval,
    )


def frechet_metric(name: str, real: str) -> Metric:
    """Frechet distance between the generated and the ``real`` vectors, where both sets have more than 2 d rows."""

    def value(evidence: Evidence) -> Value:
        rows, least = getattr(evidence, real), 2 * evidence.generated.shape[1]
        n = min(len(rows), len(evidence.generated))
        if n <= least:
            return f"needs more than 2d = {least} images on each side, got {n}; see the kernel distance"
        return frechet_distance(evidence.generated, rows)

    return Metric(
        name,
        "squared distance",
        "down",
        value,
        "arXiv 1706.08500, equation 6",
        lambda e: len(e.generated),
        interval=None,
    )


def neighbour_metric(
    name: str, unit: str, fn: Callable[[Rows, Rows], float], source: str, k: int = NEIGHBOURS
) -> Metric:
    """A nearest-neighbour statistic of the generated against the training vectors.

    It has no interval: a row drawn twice is its own neighbour at distance 0, so a bootstrap over rows is biased.
    """

    def value(evidence: Evidence) -> Value:
        n = min(len(evidence.train), len(evidence.generated))
        if n <= k:
            return f"needs more than {k} images on each side, got {n}"
        return fn(evidence.train, evidence.generated)

    return Metric(name, unit, "up", value, source, lambda e: len(e.generated), interval=None)


def prdc_metric(name: str, unit: str) -> Metric:
    """One of the four numbers of ``prdc``."""
    source = "arXiv 2002.09797; clovaai/generative-evaluation-prdc, prdc/prdc.py"
    return neighbour_metric(name, unit, lambda train, generated: prdc(train, generated)[name], source)


METRICS: tuple[Metric, ...] = (
    kernel_metric("kd_heldout", "heldout"),
    kernel_metric("kd_train", "train"),
    frechet_metric("fd_heldout", "heldout"),
    frechet_metric("fd_train", "train"),
    prdc_metric("precision", "share"),
    prdc_metric("recall", "share"),
    prdc_metric("density", "ratio"),
    prdc_metric("coverage", "share"),
    neighbour_metric("authpct", "percent", authpct, "arXiv 2102.08921; layer6ai-labs/dgm-eval, authpct", k=1),
)
