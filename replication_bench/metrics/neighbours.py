"""What nearest neighbours say: precision, recall, density, coverage, AuthPct, MiFID's distance; in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.metrics.kernels import blocks
from replication_bench.metrics.metric import Rows

NEIGHBOURS = 5


def squared_distances(a: Rows, b: Rows) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Squared Euclidean distances, float64 [block, len(b)], for blocks of rows of a."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = (b**2).sum(axis=1)
    for block in blocks(len(a)):
        product = a[block] @ b.T
        product *= -2
        product += (a[block] ** 2).sum(axis=1)[:, None]
        product += lengths
        yield block, np.maximum(product, 0, out=product)


def distances(a: Rows, b: Rows) -> NDArray[np.float64]:
    """Euclidean distances, float64 [len(a), len(b)]."""
    found = [np.sqrt(part) for _, part in squared_distances(a, b)]
    return np.concatenate(found) if found else np.zeros((0, len(b)))


def squared_radii(rows: Rows, *ks: int) -> NDArray[np.float64]:
    """Squared distance of each row to its k-th neighbour within its own set, itself left out: float64 [len(ks), n].

    Raises:
        DataError: not more than k rows.
    """
    if len(rows) <= max(ks):
        raise DataError("too few rows", got=len(rows), want=f"more than {max(ks)}")
    places = [k - 1 for k in ks]
    result = np.empty((len(ks), len(rows)))
    for block, within in squared_distances(rows, rows):
        within[np.arange(len(within)), np.arange(block.start, block.stop)] = np.inf
        result[:, block] = np.partition(within, sorted(set(places)), axis=1)[:, places].T
    return result


class Balls(NamedTuple):
    """What each row adds to precision, recall, density and coverage.

    Attributes:
        precise: whether a generated row lies in the ball of some training row, bool [g].
        balls: in how many, int64 [g].
        recalled: whether a training row lies in the ball of some generated row, bool [t].
        covered: whether a training row's own ball holds a generated row, bool [t].
        k: neighbours that span a ball.
    """

    precise: NDArray[np.bool_]
    balls: NDArray[np.int64]
    recalled: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    k: int

    def values(self) -> dict[str, float]:
        """The four numbers by name."""
        return {
            "precision": float(self.precise.mean()),
            "recall": float(self.recalled.mean()),
            "density": float(self.balls.mean() / self.k),
            "coverage": float(self.covered.mean()),
        }


def balls(
    train: Rows, generated: Rows, k: int = NEIGHBOURS, train_radii: NDArray[np.float64] | None = None
) -> Balls:
    """Which rows lie in whose ball, strict ``<`` (arXiv 2002.09797; clovaai/generative-evaluation-prdc).

    Args:
        train: features [t, d].
        generated: features [g, d].
        k: neighbours that span a row's ball.
        train_radii: ``squared_radii(train, k)[0]``, where it is known.

    Raises:
        DataError: not more than k rows on a side.
    """
    train_radii = squared_radii(train, k)[0] if train_radii is None else train_radii
    generated_radii = squared_radii(generated, k)[0]
    count = np.zeros(len(generated), dtype=np.int64)
    recalled, covered = np.empty(len(train), dtype=bool), np.empty(len(train), dtype=bool)
    for block, between in squared_distances(train, generated):
        inside = between < train_radii[block, None]
        count += inside.sum(axis=0)
        recalled[block] = (between < generated_radii).any(axis=1)
        covered[block] = inside.any(axis=1)
    return Balls(count > 0, count, recalled, covered, k)


def prdc(train: Rows, generated: Rows, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density, coverage; see ``balls``."""
    return balls(train, generated, k).values()


def authentic(train: Rows, generated: Rows, own: NDArray[np.float64] | None = None) -> NDArray[np.bool_]:
    """Whether a generated row is further from its nearest training row than that one is from its own nearest: [g].

    ``own`` is ``squared_radii(train, 1)[0]``, where it is known.

    Raises:
        DataError: fewer than two training rows.
    """
    own = squared_radii(train, 1)[0] if own is None else own
    found = np.empty(len(generated), dtype=bool)
    for block, between in squared_distances(generated, train):
        found[block] = own[between.argmin(axis=1)] < between.min(axis=1)
    return found


def authpct(train: Rows, generated: Rows) -> float:
    """Percentage of authentic rows, 0 to 100, low = copying.

    arXiv 2102.08921; layer6ai-labs/dgm-eval (marcojira/fld subtracts 50).

    Raises:
        DataError: fewer than two training rows.
    """
    return 100 * float(authentic(train, generated).mean())


def memorization_distance(train: Rows, generated: Rows) -> float:
    """Mean over training rows of the smallest 1 - |cosine| to a generated row (torchmetrics, image/mifid.py).

    Rows whose features sum to 0 have no direction there and are left out. NaN where none is left.
    """
    a, b = (rows[rows.sum(axis=1) != 0].astype(np.float64) for rows in (train, generated))
    if not len(a) or not len(b):
        return float("nan")
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    smallest = [(1 - np.abs(a[block] @ b.T)).min(axis=1) for block in blocks(len(a))]
    return float(np.concatenate(smallest).mean())
