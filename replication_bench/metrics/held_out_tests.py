"""Tests that compare generated with training rows in the light of held-out ones: C_T, FLD."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import Rows
from replication_bench.metrics.neighbours import distances

Floats = NDArray[np.float32]

CELLS = 3
LEAST_IN_CELL = 20
COMPONENTS = 64
FITTED_ROWS = 2048
EPOCHS = 50
RATE = 0.5


def cell_statistic(heldout: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    """Mann-Whitney z of 'generated lie further from the training rows than held-out rows do'; 1-D distances."""
    from scipy.stats import rankdata  # type: ignore[import-untyped]

    n, m = len(heldout), len(generated)
    # ranks alone: scipy's test adds p-values, and a bootstrap calls this some thousand times
    u = float(rankdata(np.concatenate([generated, heldout]))[:m].sum()) - m * (m + 1) / 2
    return (u - (n * m / 2 - 0.5)) / float(np.sqrt(n * m * (n + m + 1) / 12))


def reduced(train: Rows, heldout: Rows, generated: Rows) -> tuple[Rows, Rows, Rows]:
    """All three on the 64 main axes of the training rows, where they have more features than that."""
    if train.shape[1] <= COMPONENTS:
        return train, heldout, generated
    from sklearn.decomposition import PCA

    found = PCA(min(COMPONENTS, len(train)), random_state=0).fit(train)
    return found.transform(train), found.transform(heldout), found.transform(generated)


class Cells(NamedTuple):
    """Where held-out and generated rows lie among the training rows.

    Attributes:
        number: of cells.
        heldout: the cell of each held-out row, int64 [h].
        generated: of each generated row, [g].
        heldout_far: distance of each held-out row to its nearest training row in its cell, [h].
        generated_far: the same, [g].
    """

    number: int
    heldout: NDArray[np.int64]
    generated: NDArray[np.int64]
    heldout_far: NDArray[np.float64]
    generated_far: NDArray[np.float64]

    def drawn(self, heldout: NDArray[np.int64], generated: NDArray[np.int64]) -> Cells:
        """The rows of a bootstrap draw; training rows and cells stay."""
        kept = self.heldout[heldout], self.generated[generated]
        return Cells(self.number, *kept, self.heldout_far[heldout], self.generated_far[generated])

    def score(self) -> float | str:
        """The mean of the cells' statistics, weighted by their share of held-out rows; or why there is none."""
        total, weights = 0.0, 0.0
        for cell in range(self.number):
            h, g = self.heldout_far[self.heldout == cell], self.generated_far[self.generated == cell]
            if not len(h):
                return f"one of {self.number} cells of training images holds no held-out image"
            if len(g) > LEAST_IN_CELL:
                share = len(h) / len(self.heldout)
                total += share * cell_statistic(h, g)
                weights += share
        return total / weights if weights else f"no cell holds more than {LEAST_IN_CELL} generated images"


def in_cells(train: Rows, heldout: Rows, generated: Rows, cells: int = CELLS, seed: int = 0) -> Cells | str:
    """The rows in cells of the training rows; arguments as of ``ct_score``."""
    from sklearn.cluster import KMeans

    train, heldout, generated = reduced(train, heldout, generated)
    if len(train) < cells:
        return f"needs at least {cells} training images, got {len(train)}"
    means = KMeans(cells, n_init=10, random_state=seed).fit(train)
    members = [means.predict(rows).astype(np.int64) for rows in (train, heldout, generated)]
    far = [np.zeros(len(rows)) for rows in (heldout, generated)]
    for cell in range(cells):
        near = train[members[0] == cell]
        for rows, member, distance in zip((heldout, generated), members[1:], far, strict=True):
            if (member == cell).any():
                distance[member == cell] = distances(rows[member == cell], near).min(1)
    return Cells(cells, *members[1:], *far)


def ct_score(train: Rows, heldout: Rows, generated: Rows, cells: int = CELLS, seed: int = 0) -> float | str:
    """C_T: a z-score, far below 0 where generated rows crowd the training rows (arXiv 2004.05675, section 4).

    Conventions of layer6ai-labs/dgm-eval, metrics/ct.py: PCA(64), 3 cells of k-means with 10 starts, cells of more
    than 20 generated rows, weighted by their share of held-out rows.

    Args:
        train: float [t, d].
        heldout: float [h, d], of the same source.
        generated: float [g, d].
        cells: of k-means.
        seed: of k-means.
    """
    found = in_cells(train, heldout, generated, cells, seed)
    return found if isinstance(found, str) else found.score()


class Likelihood(NamedTuple):
    """FLD and its generalisation gap, with what they rest on.

    Attributes:
        fld: 100 nats a feature.
        gap: 100 nats a feature.
        fld_error: standard error over the held-out rows, both mixtures fixed.
        gap_error: the same over held-out and training rows.
        components: Gaussians in each mixture.
        train: training rows of the fit.
    """

    fld: float
    gap: float
    fld_error: float
    gap_error: float
    components: int
    train: int


def squared(points: Rows, centres: Rows) -> Floats:
    """Squared distances float32 [n, m]."""
    return (distances(points, centres) ** 2).astype(np.float32)


def log_terms(apart: Floats, log_sigma: Floats, d: int) -> Floats:
    """log of sigma^-d exp(-||x - c||^2 / (2 sigma^2)) for points and centres [n, m], from squared distances."""
    terms = -apart / 2 * np.exp(-2 * log_sigma) - d * log_sigma
    return np.asarray(terms)


def log_sum(terms: Floats) -> Floats:
    """log of the sum of exp over centres: [n]."""
    top = terms.max(axis=1, keepdims=True)
    return np.asarray(top[:, 0] + np.log(np.exp(terms - top).sum(axis=1)))


def loss_and_gradient(apart: Floats, origin: Floats, log_sigma: Floats, d: int) -> tuple[float, Floats]:
    """Mean over points of -log p / d without constants, and its derivative in the log widths [m].

    Args:
        apart: squared distances of points and centres, [n, m].
        origin: squared norms of the points, [n]: a standard Gaussian at 0 joins the mixture, so that one far point
            cannot blow up a width.
        log_sigma: of the centres, [m].
        d: features.
    """
    terms = log_terms(apart, log_sigma, d)
    total = log_sum(np.concatenate([terms, -origin[:, None] / 2], axis=1))
    owned = np.exp(terms - total[:, None])
    slope = (owned * (apart * np.exp(-2 * log_sigma) - d)).mean(axis=0) / d
    return float(-total.mean() / d), -slope


def fit_widths(centres: Rows, points: Rows) -> Floats:
    """Log widths [m] of Gaussians at ``centres`` under which ``points`` are most likely; the best of 50 Adam steps."""
    apart, d = squared(points, centres), points.shape[1]
    origin = (points**2).sum(1).astype(np.float32)
    log_sigma: Floats = (np.log(np.maximum(apart.min(axis=0) / d, 1e-6)) / 2).astype(np.float32)
    best, least = log_sigma, float("inf")
    speed, square = np.zeros_like(log_sigma), np.zeros_like(log_sigma)
    for step in range(1, EPOCHS + 1):
        loss, gradient = loss_and_gradient(apart, origin, log_sigma, d)
        if loss < least:
            best, least = log_sigma, loss
        # Adam (arXiv 1412.6980, algorithm 1); importing torch's costs more than the whole fit
        speed, square = 0.9 * speed + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        move = speed / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        log_sigma = (log_sigma - RATE * move).astype(np.float32)
    return best


def scores(centres: Rows, log_sigma: Floats, points: Rows) -> NDArray[np.float64]:
    """Negative log-likelihood of each point under the mixture, 100 nats a feature: [n]."""
    d = points.shape[1]
    total = log_sum(log_terms(squared(points, centres), log_sigma, d)) - np.log(len(centres))
    return -100 * (total - d / 2 * np.log(2 * np.pi)).astype(np.float64) / d


def likelihood(
    gen: NDArray[np.float64], base: NDArray[np.float64], train: NDArray[np.float64]
) -> dict[str, float]:
    """Both numbers with their errors.

    Args:
        gen: scores of the held-out rows under the mixture at the generated rows.
        base: their scores under the baseline.
        train: scores of the training rows under the mixture at the generated rows.
    """
    apart, n = gen - base, len(gen)
    return {
        "fld": float(apart.mean()),
        "gap": float(train.mean() - gen.mean()),
        "fld_error": float(apart.std(ddof=1) / np.sqrt(n)),
        "gap_error": float(np.sqrt(train.var(ddof=1) / len(train) + gen.var(ddof=1) / n)),
    }


def draw(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """n rows at random, without replacement, in their order; all of them where there are no more."""
    return rows if len(rows) <= n else rows[np.sort(rng.choice(len(rows), n, replace=False))]


def fld(train: Rows, heldout: Rows, generated: Rows, seed: int = 0) -> Likelihood | str:
    """Feature likelihood divergence and its generalisation gap (arXiv 2302.04440, section 4; marcojira/fld).

    Rows are standardised on the held-out ones. A mixture of Gaussians at the generated rows gets the widths under which
    the training rows are most likely: a copy becomes a spike. The baseline is the same mixture at half of the training
    rows, fitted to the other half. Both mixtures have as many components, since the value depends on it.

    Args:
        train: float [t, d].
        heldout: float [h, d], of the same source.
        generated: float [g, d].
        seed: of the halves and of the rows used, at most 2048 a set.
    """
    if min(len(train) // 2, len(heldout), len(generated)) < 2:
        return "needs at least 4 training, 2 held-out and 2 generated images"
    rng = np.random.default_rng(seed)
    mean, std = heldout.mean(0), heldout.std(0)
    scale = np.where(std > 0, std, 1)
    train, heldout, generated = ((r.astype(np.float64) - mean) / scale for r in (train, heldout, generated))
    train, heldout = (draw(r, FITTED_ROWS, rng) for r in (train, heldout))
    order = rng.permutation(len(train))
    first, second = train[order[: len(train) // 2]], train[order[len(train) // 2 :]]
    m = min(len(generated), len(first))
    centres, base = draw(generated, m, rng), draw(first, m, rng)
    widths, base_widths = fit_widths(centres, train), fit_widths(base, second)
    on_heldout, on_train = scores(centres, widths, heldout), scores(centres, widths, train)
    found = likelihood(on_heldout, scores(base, base_widths, heldout), on_train)
    return Likelihood(**found, components=m, train=len(train))
