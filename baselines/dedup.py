"""The method ``dedup``: near-duplicates leave the training set before training begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from replication_bench.data.example import Examples
from replication_bench.embedders.protocol import Vectors
from replication_bench.errors import ConfigError
from replication_bench.method import Context, Method
from replication_bench.ranges import number
from replication_bench.results import Measurement
from replication_bench.search import nearest

BLOCK = 1024


def first_of_each(vectors: Vectors, threshold: float) -> list[int]:
    """Positions in ``vectors`` that have no kept one before them at a similarity above ``threshold``.

    For small n: no n x n matrix is made.

    Args:
        vectors: float32 [n, d], unit rows.
        threshold: cosine similarity.
    """
    chosen: list[int] = []
    similar = vectors @ vectors.T > threshold
    for row in range(len(vectors)):
        if not similar[row, chosen].any():
            chosen.append(row)
    return chosen


def kept_rows(vectors: Vectors, threshold: float, block: int = BLOCK) -> list[int]:
    """Rows that stay: no two of them are similar above ``threshold``, and each dropped row is to an earlier kept one.

    Rows are taken in order and in blocks: exact search against the kept ones, then within the block. Memory grows with
    n x d and block x block.
    """
    kept: list[int] = []
    for start in range(0, len(vectors), block):
        rows = np.arange(start, min(start + block, len(vectors)))
        if kept:
            rows = rows[nearest(vectors[rows], vectors[kept]).similarity[:, 0] <= threshold]
        kept += rows[first_of_each(vectors[rows], threshold)].tolist()
    return kept


@dataclass(frozen=True)
class Dedup(Method):
    """Trains on the first image of each group of near-duplicates, as the run's embedder sees them.

    Prompts and the search for copies still know the dropped images: they are private like the others.

    Attributes:
        threshold: cosine similarity above which two images are near-duplicates, in [-1, 1).

    Raises:
        ConfigError: a threshold outside [-1, 1).
    """

    summary: ClassVar[str] = "near-duplicates of earlier images leave the training set"
    paper: ClassVar[str] = "arXiv 2301.13188, section 6; threshold of SSCD, arXiv 2202.10261"

    threshold: float = 0.75

    def __post_init__(self) -> None:
        if not -1 <= number("threshold", self.threshold, "a similarity from -1, below 1") < 1:
            raise ConfigError(
                "out of range",
                where="threshold",
                got=repr(self.threshold),
                want="a number from -1 and below 1",
            )

    def dataset(self, data: Examples, ctx: Context) -> Examples:
        """The examples that stay, in their order."""
        assert ctx.vectors is not None, "dedup needs the run's embedder"
        kept = kept_rows(ctx.vectors(data), self.threshold)
        ctx.memo["dedup"] = (len(data), len(data) - len(kept))
        return Examples(tuple(data[row] for row in kept))

    def facts(self, facts: tuple[Measurement, ...], data: Examples, ctx: Context) -> tuple[Measurement, ...]:
        """``dedup_dropped``: images that left the training set."""
        name, (n, dropped) = "dedup_dropped", ctx.memo.get("dedup", (None, None))
        if n is None:
            return (
                *facts,
                Measurement(name=name, value=None, reason="the training set was not deduplicated"),
            )
        note = f"near-duplicates above {self.threshold:g}; {n - dropped} of {n} images were trained on"
        return (*facts, Measurement(name=name, value=dropped, n=n, unit="count", note=note))
