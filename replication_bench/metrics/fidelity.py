"""How good and how varied the generated images are, in the embedder's own space.

Names say ``kd`` and ``fd``, never KID or FID: those words mean Inception features. The pure functions take raw feature
rows [n, d]; the metrics call them on the embedder's unit vectors scaled by sqrt(d), so that the kernel sees features of
unit variance, as KID's does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import Evidence, Metric, Value

Rows = NDArray[np.floating]
KID = "arXiv 1801.01401, equation 4, in the embedder's space"


def polynomial_kernel(a: Rows, b: Rows) -> NDArray[np.float64]:
    """k(x, y) = (x.y / d + 1)^3, float64 [len(a), len(b)]."""
    kernel: NDArray[np.float64] = (a.astype(np.float64) @ b.astype(np.float64).T / a.shape[1] + 1) ** 3
    return kernel


def weighted_within(kernel: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Mean of the kernel over ordered pairs of different rows, rows counted ``weights`` times.

    A pair of a row with its own copy is dropped: its distance of 0 would bias a bootstrap draw.
    """
    own = float((weights**2 * np.diag(kernel)).sum())
    pairs = weights.sum() ** 2 - (weights**2).sum()
    return (float(weights @ kernel @ weights) - own) / pairs


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
            self.value(
                np.bincount(rng.integers(n, size=n), minlength=n).astype(float),
                np.bincount(rng.integers(m, size=m), minlength=m).astype(float),
            )
            for n, m in [self.ab.shape] * resamples
        ]
        low, high = np.percentile(draws, (50 * (1 - confidence), 50 * (1 + confidence)))
        return float(low), float(high)


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


def radii(rows: Rows, k: int) -> NDArray[np.float64]:
    """Distance of each row to its k-th neighbour within its own set, self excluded."""
    within = distances(rows, rows)
    np.fill_diagonal(within, np.inf)
    result: NDArray[np.float64] = np.partition(within, k - 1, axis=1)[:, k - 1]
    return result


def prdc(train: Rows, generated: Rows, k: int = 5) -> dict[str, float]:
    """Precision, recall, density, coverage with strict ``<`` (clovaai/generative-evaluation-prdc)."""
    between = distances(train, generated)
    train_radii, generated_radii = radii(train, k), radii(generated, k)
    inside_train = between < train_radii[:, None]
    return {
        "precision": float(inside_train.any(axis=0).mean()),
        "recall": float((between < generated_radii[None]).any(axis=1).mean()),
        "density": float(inside_train.sum(axis=0).mean() / k),
        "coverage": float((between.min(axis=1) < train_radii).mean()),
    }


def authpct(train: Rows, generated: Rows) -> float:
    """Percentage of generated rows that are further from their nearest training row than that row is from its own

    nearest one (arXiv 2102.08921; layer6ai-labs/dgm-eval, which reports 0..100). Low = copying.
    """
    between = distances(train, generated)
    nearest = between.argmin(axis=0)
    return float(100 * (radii(train, 1)[nearest] < between.min(axis=0)).mean())


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


METRICS: tuple[Metric, ...] = (
    kernel_metric("kd_heldout", "heldout"),
    kernel_metric("kd_train", "train"),
    frechet_metric("fd_heldout", "heldout"),
    frechet_metric("fd_train", "train"),
)
