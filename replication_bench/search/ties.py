"""Ties settled by lowest id: candidates scored again in float64, and crowds of near-equal rows looked through.

A product of float32 rows depends in its last bits on the block it was computed in. Where more rows lie within that
noise of the last place than there are candidates, which of them were chosen is chance; such queries are few (copies in
the gallery make them) and get one more pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from replication_bench.search.neighbours import Neighbours, cut, merged, nothing, ordered
from replication_bench.search.rows import Rows, read_block

NOISE = 2e-6  # of |query| |row|: about ten times the float32 error of a product of 512 terms
CHUNK = 256
PAIRS = 4096
BLOCK = 16384


def products(queries: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products of [n, d] and [n, k, d], summed in float64 and rounded: float32 [n, k]."""
    wide = np.einsum("nd,nkd->nk", queries.astype(np.float64), rows.astype(np.float64))
    return wide.astype(np.float32)


def rescored(queries: NDArray[np.float32], gallery: Rows, ids: NDArray[np.int64]) -> Neighbours:
    """Gallery rows by id, scored again and ordered: best first, ties by lowest id. Id -1 stays at -inf.

    Args:
        queries: float32 [n, d].
        gallery: where the rows are read.
        ids: int64 [n, k].
    """
    similarity = np.empty(ids.shape, np.float32)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        # sorted, each row once: a memory map is read forwards
        unique, place = np.unique(np.maximum(chunk, 0), return_inverse=True)
        rows = np.asarray(gallery[unique], np.float32)[place.reshape(chunk.shape)]
        similarity[start : start + CHUNK] = products(queries[start : start + CHUNK], rows)
    similarity[ids < 0] = -np.inf
    return ordered(Neighbours(ids, similarity))


def merged_pairs(
    row: NDArray[np.int64], ids: NDArray[np.int64], similarity: NDArray[np.float32], queries: int, keep: int
) -> Neighbours:
    """Loose pairs (row of query, id, similarity) as the best ``keep`` of each query, filled up with -inf."""
    order = np.lexsort((ids, -similarity, row))
    row, ids, similarity = row[order], ids[order], similarity[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < keep
    out = Neighbours(
        np.full((queries, keep), np.iinfo(np.int64).max), np.full((queries, keep), -np.inf, np.float32)
    )
    out.ids[row[kept], rank[kept]] = ids[kept]
    out.similarity[row[kept], rank[kept]] = similarity[kept]
    return out


@dataclass
class Crowd:
    """The queries whose last place is contested by more rows than there were candidates.

    Args:
        queries: the queries.
        gallery: the gallery.
        keep: neighbours that are kept.
        norm: the largest norm in the gallery.
    """

    queries: Rows
    gallery: Rows
    keep: int
    norm: float
    rows: list[int] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)

    def watch(self, first: int, part: NDArray[np.float32], fast: Neighbours, found: Neighbours) -> Neighbours:
        """Remember the contested queries of a block; returns the best ``keep`` of ``found``.

        Args:
            first: number of the block's first query.
            part: float32 [n, d], the queries of the block.
            fast: their candidates as they were chosen.
            found: the same, scored again.
        """
        noise = NOISE * self.norm * np.linalg.norm(part, axis=1)
        bound = found.similarity[:, self.keep - 1] - noise
        if fast.ids.shape[1] < len(self.gallery):  # else every row was a candidate
            contested = np.flatnonzero(fast.similarity[:, -1] >= bound)
            self.rows += (contested + first).tolist()
            self.bounds += bound[contested].tolist()
        return cut(found, self.keep)

    def settle(self, answer: Neighbours) -> None:
        """Look through the gallery once more for the contested queries, and put what is found into ``answer``."""
        starts = range(0, len(self.rows), CHUNK)
        chunks = [np.array(self.rows[start : start + CHUNK]) for start in starts]
        bounds = [np.array(self.bounds[start : start + CHUNK], np.float32) for start in starts]
        best = [nothing(len(chunk)) for chunk in chunks]
        for first in range(0, len(self.gallery) if chunks else 0, BLOCK):
            block = read_block(self.gallery, first, BLOCK, "gallery")
            for number, chunk in enumerate(chunks):
                part = np.asarray(self.queries[chunk], np.float32)
                best[number] = self.looked_through(best[number], part, bounds[number], block, first)
        for chunk, found in zip(chunks, best, strict=True):
            answer.ids[chunk], answer.similarity[chunk] = found.ids, found.similarity

    def looked_through(
        self,
        best: Neighbours,
        part: NDArray[np.float32],
        bounds: NDArray[np.float32],
        block: NDArray[np.float32],
        first: int,
    ) -> Neighbours:
        """``best`` with all rows of a gallery block that reach ``bounds`` in fast arithmetic."""
        row, column = np.nonzero(part @ block.T >= bounds[:, None])
        for start in range(0, len(row), PAIRS):
            r, c = row[start : start + PAIRS], column[start : start + PAIRS]
            scores = products(part[r], block[c][:, None])[:, 0]
            best = merged(best, merged_pairs(r, c + first, scores, len(part), self.keep), self.keep)
        return best
