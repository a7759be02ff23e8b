"""Tests that compare generated with training rows in the light of held-out ones: C_T, FLD."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import Rows
from replication_bench.metrics.neighbours import distances

CELLS = 3
LEAST_IN_CELL = 20
COMPONENTS = 64
FITTED_ROWS = 2048
EPOCHS = 50
RATE = 0.5


def cell_statistic(heldout: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    """Mann-Whitney z of 'generated lie further from the training rows than held-out rows do'; 1-D distances."""
    from scipy.stats import mannwhitneyu  # type: ignore[import-untyped]

    n, m = len(heldout), len(generated)
    u = float(mannwhitneyu(generated, heldout, alternative="less").statistic)
    return (u - (n * m / 2 - 0.5)) / float(np.sqrt(n * m * (n + m + 1) / 12))


def reduced(train: Rows, heldout: Rows, generated: Rows) -> tuple[Rows, Rows, Rows]:
    """All three on the 64 main axes of the training rows, where they have more features than that."""
    if train.shape[1] <= COMPONENTS:
        return train, heldout, generated
    from sklearn.decomposition import PCA

    found = PCA(min(COMPONENTS, len(train)), random_state=0).fit(train)
    return found.transform(train), found.transform(heldout), found.transform(generated)


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
    from sklearn.cluster import KMeans

    train, heldout, generated = reduced(train, heldout, generated)
    if len(train) < cells:
        return f"needs at least {cells} training images, got {len(train)}"
    means = KMeans(cells, n_init=10, random_state=seed).fit(train)
    members = [means.predict(rows) for rows in (train, heldout, generated)]
    total, weights = 0.0, 0.0
    for cell in range(cells):
        t, h, g = (rows[m == cell] for rows, m in zip((train, heldout, generated), members, strict=True))
        if not len(h):
            return f"one of {cells} cells of training images holds no held-out image"
        if len(g) > LEAST_IN_CELL:
            share = len(h) / len(heldout)
            total += share * cell_statistic(distances(h, t).min(1), distances(g, t).min(1))
            weights += share
    return total / weights if weights else f"no cell holds more than {LEAST_IN_CELL} generated images"


class Likelihood(NamedTuple):
    """FLD and its generalisation gap, with the numbers of Gaussians and of training rows they rest on."""

    fld: float
    gap: float
    components: int
    train: int


def squared(points: Rows, centres: Rows) -> NDArray[np.float32]:
    """Squared distances float32 [n, m]."""
    return (distances(points, centres) ** 2).astype(np.float32)


def negative_log_likelihood(apart: object, log_sigma: object, d: int, origin: object = None) -> object:
    """Mean over points of -log p / d of a mixture of equal weights with one Gaussian a centre.

    Args:
        apart: squared distances, tensor [n, m].
        log_sigma: tensor [m].
        d: features.
        origin: squared norms of the points, tensor [n], where a standard Gaussian at 0 joins the mixture.
    """
    import torch

    assert isinstance(apart, torch.Tensor)
    assert isinstance(log_sigma, torch.Tensor)
    terms = -apart / 2 * torch.exp(-2 * log_sigma) - d * log_sigma
    if isinstance(origin, torch.Tensor):
        terms = torch.cat([terms, -origin[:, None] / 2], dim=1)
    log_p = torch.logsumexp(terms, dim=1) - float(np.log(terms.shape[1])) - d / 2 * float(np.log(2 * np.pi))
    return -log_p.mean() / d


def fit_widths(centres: Rows, points: Rows) -> object:
    """Log widths [m] of Gaussians at ``centres`` under which ``points`` are most likely; Adam, at most 50 epochs."""
    import torch

    apart = torch.from_numpy(squared(points, centres))
    origin = torch.from_numpy((points**2).sum(1).astype(np.float32))
    d = points.shape[1]
    start = torch.log((apart.min(dim=0).values / d).clamp_min(1e-6)) / 2
    log_sigma = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([log_sigma], lr=RATE)
    best, least = start, float("inf")
    for _ in range(EPOCHS):
        loss = negative_log_likelihood(apart, log_sigma, d, origin)
        assert isinstance(loss, torch.Tensor)
        if float(loss.detach()) < least:
            best, least = log_sigma.detach().clone(), float(loss.detach())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return best


def score_of(centres: Rows, widths: object, points: Rows) -> float:
    """Nats a feature of ``points`` under the mixture."""
    import torch

    with torch.no_grad():
        found = negative_log_likelihood(torch.from_numpy(squared(points, centres)), widths, points.shape[1])
    assert isinstance(found, torch.Tensor)
    return float(found)


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
    on_heldout, on_train = score_of(centres, widths, heldout), score_of(centres, widths, train)
    baseline = score_of(base, base_widths, heldout)
    return Likelihood(100 * (on_heldout - baseline), 100 * (on_train - on_heldout), m, len(train))
