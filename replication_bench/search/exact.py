"""Exact nearest-neighbour search that streams both sides: blocks of queries against blocks of the gallery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.search.library import block_neighbours, library
from replication_bench.search.neighbours import Neighbours, cut, merged, nothing, without
from replication_bench.search.rows import Rows, check_shape, read_block
from replication_bench.search.ties import Crowd, rescored

QUERY_BLOCK = 4096
GALLERY_BLOCK = 16384
SPARE = 3  # candidates beyond those asked for: near-ties at the edge are settled among them

Progress = Callable[[int], None]


def check_excluded(exclude: NDArray[np.int64] | None, queries: int) -> None:
    """Refuse ``exclude`` unless it names one gallery row a query.

    Raises:
        DataError: another shape, or not integers.
    """
    if exclude is None:
        return
    if exclude.shape != (queries,) or not np.issubdtype(exclude.dtype, np.integer):
        got = f"{exclude.dtype} {list(exclude.shape)}"
        raise DataError("exclude must name one gallery row a query", got=got, want=f"int64 [{queries}]")


def check_search(queries: Rows, gallery: Rows, k: int, exclude: NDArray[np.int64] | None) -> None:
    """Refuse what cannot be searched; see ``nearest``."""
    if k < 1:
        raise DataError("too few neighbours asked for", got=k, want="at least 1")
    check_shape(gallery, "gallery", least=k + (exclude is not None))
    check_shape(queries, "query", width=gallery.shape[1])
    check_excluded(exclude, len(queries))


def widest_norm(block: NDArray[np.float32]) -> float:
    """The largest Euclidean norm of a block's rows, which bounds the rounding error of its products."""
    return float(np.sqrt(np.einsum("ij,ij->i", block, block).max(initial=0.0)))


def candidates(
    queries: Rows, gallery: Rows, wide: int, progress: Progress | None
) -> tuple[list[Neighbours], float]:
    """The ``wide`` best rows of each query block, in fast arithmetic, and the largest norm in the gallery.

    The gallery is the outer loop: it may lie on a slow disk, and each of its rows is read once.
    """
    starts = range(0, len(queries), QUERY_BLOCK)
    best = [nothing(min(QUERY_BLOCK, len(queries) - start)) for start in starts]
    norm = 0.0
    for first in range(0, len(gallery), GALLERY_BLOCK):
        block = read_block(gallery, first, GALLERY_BLOCK, "gallery")
        norm = max(norm, widest_norm(block))
        for number, start in enumerate(starts):
            part = read_block(queries, start, QUERY_BLOCK, "query")
            found = block_neighbours(part, block, min(wide, len(block)))
            best[number] = merged(best[number], Neighbours(found.ids + first, found.similarity), wide)
        if progress:
            progress(first + len(block))
    return best, norm


def nearest(
    queries: Rows | NDArray[Any],
    gallery: Rows | NDArray[Any],
    k: int = 1,
    *,
    exclude: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> Neighbours:
    """The ``k`` gallery rows with the largest inner product for each query; exact, ties by lowest id.

    Both sides are read in blocks, so memory grows neither with n x m nor with m. Candidates come from float32
    arithmetic; they are scored again in float64 and rounded to float32, so that the answer does not depend on the
    blocks, on threads or on the device, and equal rows have equal similarities.

    Args:
        queries: float [n, d], unit rows for cosine similarity: an array, a memory map, or what ``open_rows`` opens.
        gallery: float [m, d], likewise; float16 is computed with as float32.
        k: neighbours a query, at least 1 and at most m (m - 1 with ``exclude``).
        exclude: int64 [n]; the gallery row that query i must not match. Self is excluded by id because with
            duplicates in the gallery the first neighbour need not be the row itself.
        progress: told the number of gallery rows that are done.

    Raises:
        DataError: shapes that do not fit, too few gallery rows, rows that are not finite, k below 1.
        WeightsError: FAISS is not installed.
    """
    library()
    check_search(queries, gallery, k, exclude)
    keep = k + (exclude is not None)
    best, norm = candidates(queries, gallery, min(keep + SPARE, len(gallery)), progress)
    crowd = Crowd(queries, gallery, keep, norm)
    blocks = []
    for number, found in enumerate(best):
        part = read_block(queries, number * QUERY_BLOCK, QUERY_BLOCK, "query")
        blocks.append(crowd.watch(number * QUERY_BLOCK, part, found, rescored(part, gallery, found.ids)))
    if not blocks:
        return nothing(0, k)
    answer = Neighbours(
        np.concatenate([b.ids for b in blocks]), np.concatenate([b.similarity for b in blocks])
    )
    crowd.settle(answer)
    return answer if exclude is None else cut(without(answer, exclude), k)
