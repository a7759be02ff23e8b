"""Near-duplicates within one set of images: chains of pairs above a threshold, found in tiles of the similarity matrix.

The matrix is symmetric, so half of its tiles are enough, and never more than one of them is in memory. The same pass
tells how alike each image is to its nearest other one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]

from replication_bench.errors import ConfigError

ROWS = 2048
THRESHOLD = 0.75
SAME = 0.95
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Pairs = NDArray[np.int64]  # [2, pairs]


@dataclass(frozen=True)
class Alike:
    """How the images of one set resemble each other.

    Attributes:
        labels: number of each image's group, int64 [n], numbered by first member; an image alone is a group too.
        closest: similarity of each image to its nearest other one, float32 [n]; -1 for an only image.
        threshold: two images are linked where their similarity is above it (strict).
        same: images above ``SAME`` of each one, itself included, int64 [n].
    """

    labels: Ints
    closest: Floats
    threshold: float
    same: Ints

    @property
    def sizes(self) -> Ints:
        """Size of each image's group, int64 [n]."""
        return np.bincount(self.labels)[self.labels] if len(self.labels) else self.labels

    def groups(self) -> list[list[int]]:
        """Rows of every group of two or more, the largest first, then by first member."""
        order = np.argsort(self.labels, kind="stable")
        starts = np.flatnonzero(np.diff(self.labels[order])) + 1
        found = [rows.tolist() for rows in np.split(order, starts) if len(rows) > 1]
        return sorted(found, key=lambda rows: (-len(rows), rows[0]))


def check_threshold(threshold: float, where: str) -> None:
    """Refuse what is no cosine.

    Raises:
        ConfigError: not within [-1, 1].
    """
    if not -1 <= threshold <= 1:
        raise ConfigError("no such similarity", where=where, got=threshold, want="-1 to 1")


def tiles(n: int) -> Iterator[tuple[slice, slice]]:
    """The tiles of the upper triangle, row by row."""
    starts = range(0, n, ROWS)
    for start in starts:
        for other in range(start, n, ROWS):
            yield slice(start, min(start + ROWS, n)), slice(other, min(other + ROWS, n))


def joined(labels: Ints, pairs: Sequence[Pairs]) -> Ints:
    """Labels after the groups that ``pairs`` of labels name have become one."""
    if not pairs:
        return labels
    first, second = np.concatenate(pairs, axis=1)
    ones = np.ones(len(first), dtype=bool)
    graph = sparse.coo_array((ones, (first, second)), shape=(len(labels), len(labels)))
    merged: Ints = sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return merged[labels]


def numbered(labels: Ints) -> Ints:
    """The same groups, numbered in the order of their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def find_alike(
    vectors: Floats, threshold: float = THRESHOLD, progress: Callable[[int], None] = lambda done: None
) -> Alike:
    """Groups and nearest others of unit ``vectors`` float32 [n, d].

    Args:
        vectors: one row an image.
        threshold: cosine similarity, strict.
        progress: told how many rows are done.

    Raises:
        ConfigError: see ``check_threshold``.
    """
    check_threshold(threshold, "threshold")
    labels, closest = np.arange(len(vectors)), np.full(len(vectors), -1, dtype=np.float32)
    pairs: list[Pairs] = []
    same = np.ones(len(vectors), dtype=np.int64)
    for rows, columns in tiles(len(vectors)):
        tile = vectors[rows] @ vectors[columns].T
        if rows == columns:
            np.fill_diagonal(tile, -np.inf)
        np.maximum(closest[rows], tile.max(axis=1), out=closest[rows])
        np.maximum(closest[columns], tile.max(axis=0), out=closest[columns])
        count_same(tile > SAME, same[rows], same[columns] if rows != columns else None)
        pairs += linked(tile > threshold, labels[rows], labels[columns])
        if columns.stop == len(vectors):  # the last tile of a row of tiles
            labels, pairs = joined(labels, pairs), []
            progress(rows.stop)
    return Alike(numbered(labels), closest, threshold, same)


def count_same(above: NDArray[np.bool_], rows: Ints, columns: Ints | None) -> None:
    """Add the pairs of a tile to the counts of both sides; a tile on the diagonal holds every pair twice."""
    if above.any():
        rows += above.sum(axis=1)
        if columns is not None:
            columns += above.sum(axis=0)


def linked(above: NDArray[np.bool_], first: Ints, second: Ints) -> list[Pairs]:
    """The different pairs of labels that ``above`` [rows, columns] links; none for pairs of one label."""
    if not above.any():
        return []
    i, j = np.nonzero(above)
    found = np.unique(np.stack([first[i], second[j]]), axis=1)
    return [found[:, found[0] != found[1]]]


def connected(vectors: Floats, threshold: float) -> list[int]:
    """The number of each row's group, rows of unit ``vectors`` [n, d] linked where similarity > ``threshold``."""
    labels: list[int] = find_alike(vectors, threshold).labels.tolist()
    return labels
