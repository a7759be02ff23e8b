"""Exact nearest-neighbour search with FAISS, self excluded by id."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError, WeightsError

BLOCK = 4096


class Neighbours(NamedTuple):
    """The ``k`` nearest gallery rows of each query: ``ids`` int64 [n, k], ``similarity`` float32 [n, k], best first."""

    ids: NDArray[np.int64]
    similarity: NDArray[np.float32]


def check_rows(
    rows: NDArray[Any], name: str, least: int = 0, width: int | None = None
) -> NDArray[np.float32]:
    """Feature rows as contiguous float32 [n, d].

    Raises:
        DataError: not two-dimensional, another width, too few rows, or a row that is not finite.
    """
    if rows.ndim != 2:
        raise DataError(f"{name} rows must be a matrix", got=f"shape {rows.shape}", want="[rows, features]")
    if width is not None and rows.shape[1] != width:
        raise DataError(f"{name} rows have another width", got=f"{rows.shape[1]} features", want=f"{width}")
    if len(rows) < least:
        raise DataError(f"too few {name} rows", got=len(rows), want=f"at least {least}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity and is told below
        rows = np.ascontiguousarray(rows, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DataError(f"{name} rows hold NaN or infinity", got=f"{len(bad)} such rows, first {bad[0]}")
    return rows


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


def flat_index(gallery: NDArray[np.float32]) -> Any:
    """An exact inner-product index over ``gallery``, on the GPU where FAISS and torch both see one."""
    try:
        import faiss
    except ImportError as error:
        raise WeightsError(
            "the package faiss is missing",
            hint="pip install 'replbench[cpu]', or 'replbench[gpu]' on a CUDA machine.",
        ) from error
    index: Any = faiss.IndexFlatIP(gallery.shape[1])
    if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus():
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(gallery)
    return index


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


def nearest(
    queries: NDArray[Any], gallery: NDArray[Any], k: int = 1, *, exclude: NDArray[np.int64] | None = None
) -> Neighbours:
    """The ``k`` gallery rows with the largest inner product for each query; exact.

    Queries are streamed in blocks, so memory does not grow with n x m.

    Args:
        queries: float [n, d], unit rows for cosine similarity.
        gallery: float [m, d].
        k: neighbours a query, at least 1 and at most m (m - 1 with ``exclude``).
        exclude: int64 [n]; the gallery row that query i must not match. Self is excluded by id because with
            duplicates in the gallery the first neighbour need not be the row itself.

    Raises:
        DataError: shapes that do not fit, too few gallery rows, rows that are not finite, k below 1.
        WeightsError: FAISS is not installed.
    """
    if k < 1:
        raise DataError("too few neighbours asked for", got=k, want="at least 1")
    extra = 0 if exclude is None else 1
    gallery = check_rows(gallery, "gallery", least=k + extra)
    queries = check_rows(queries, "query", width=gallery.shape[1])
    check_excluded(exclude, len(queries))
    index = flat_index(gallery)
    blocks = []
    for start in range(0, len(queries), BLOCK):
        # one neighbour more than asked for lets a tie at the edge be resolved by id
        wide = min(k + extra + 1, len(gallery))
        similarity, ids = index.search(queries[start : start + BLOCK], wide)
        found = ordered(Neighbours(ids, similarity))
        if exclude is not None:
            found = without(found, exclude[start : start + BLOCK])
        blocks.append(Neighbours(found.ids[:, :k], found.similarity[:, :k]))
    if not blocks:
        return Neighbours(np.zeros((0, k), np.int64), np.zeros((0, k), np.float32))
    return Neighbours(np.concatenate([b.ids for b in blocks]), np.concatenate([b.similarity for b in blocks]))
