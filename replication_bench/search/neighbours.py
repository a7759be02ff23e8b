"""Matches of many queries, and how they are ordered, merged and cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Neighbours(NamedTuple):
    """The ``k`` nearest gallery rows of each query: ``ids`` int64 [n, k], ``similarity`` float32 [n, k], best first.

    An approximate index that found fewer than ``k`` fills up with id -1 and similarity -inf.
    """

    ids: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nothing(queries: int, k: int = 0) -> Neighbours:
    """``k`` places without a match for each query."""
    return Neighbours(np.full((queries, k), -1), np.full((queries, k), -np.inf, np.float32))


def without(found: Neighbours, exclude: NDArray[np.int64]) -> Neighbours:
    """Drop the excluded id of each row (or its last neighbour where it was not found): one column fewer."""
    keep = found.ids != exclude[:, None]
    keep[keep.all(axis=1), -1] = False
    shape = (len(found.ids), found.ids.shape[1] - 1)
    return Neighbours(found.ids[keep].reshape(shape), found.similarity[keep].reshape(shape))


def ordered(found: Neighbours) -> Neighbours:
    """Best first, equal similarities by lowest id: FAISS leaves the order of ties open."""
    order = np.lexsort((found.ids, -found.similarity), axis=1)
    return Neighbours(np.take_along_axis(found.ids, order, 1), np.take_along_axis(found.similarity, order, 1))


def cut(found: Neighbours, k: int) -> Neighbours:
    """The first ``k`` of each row."""
    return Neighbours(found.ids[:, :k], found.similarity[:, :k])


def merged(first: Neighbours, second: Neighbours, k: int) -> Neighbours:
    """The best ``k`` of two sets of neighbours of the same queries."""
    ids = np.concatenate([first.ids, second.ids], axis=1)
    return cut(ordered(Neighbours(ids, np.concatenate([first.similarity, second.similarity], axis=1))), k)
