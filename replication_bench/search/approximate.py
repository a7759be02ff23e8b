"""Inverted lists, of float16 rows or of product-quantised codes (Jegou et al., TPAMI 2011), by FAISS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import ConfigError, DataError
from replication_bench.search.library import gpu_resources, library
from replication_bench.search.rows import Rows, check_finite, read_block

BLOCK = 16384
CODEWORDS = 256  # of each byte of a code
SAMPLES_PER_LIST = 40  # FAISS's own least for k-means without a warning is 39
LEAST_SAMPLE = 20_000
GPU_CODES = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)  # faiss/gpu/impl/IVFPQ.cu


@dataclass(frozen=True)
class Plan:
    """Numbers of an approximate index; 0 lets the number of rows decide.

    Attributes:
        lists: inverted lists, about 2 sqrt(n) by default.
        probes: lists that a query looks into; an eighth of them, at least 16, by default at most 64.
        code_bytes: bytes of a row's code in ``ivf-pq``; must divide the width.
        rescore: candidates a wanted neighbour that are scored with the stored vectors.
        seed: of the training sample and of k-means.
    """

    lists: int = 0
    probes: int = 0
    code_bytes: int = 64
    rescore: int = 32
    seed: int = 0

    def fitted(self, kind: str, rows: int, dim: int) -> Plan:
        """The plan with every number decided.

        Raises:
            ConfigError: a number that cannot be meant.
            DataError: too few rows.
        """
        if min(self.lists, self.probes) < 0 or min(self.code_bytes, self.rescore) < 1:
            raise ConfigError(
                "no such index plan", got=self, want="lists and probes 0 or more, others 1 or more"
            )
        least = max(CODEWORDS if kind == "ivf-pq" else 1, self.lists)
        if rows < least:
            raise DataError(f"too few rows for {kind}", got=rows, want=f"at least {least}", hint="Use exact.")
        lists = self.lists or max(1, min(round(2 * rows**0.5), rows // SAMPLES_PER_LIST))
        probes = min(self.probes or min(max(16, lists // 8), 64), lists)
        fits = [size for size in range(1, self.code_bytes + 1) if dim % size == 0]
        return replace(self, lists=lists, probes=probes, code_bytes=fits[-1] if kind == "ivf-pq" else 2 * dim)


def sample(rows: Rows, plan: Plan) -> NDArray[np.float32]:
    """Rows for k-means, float32, drawn without replacement and read in order."""
    count = min(len(rows), max(plan.lists * SAMPLES_PER_LIST, LEAST_SAMPLE))
    ids = np.random.default_rng(plan.seed).choice(len(rows), count, replace=False, shuffle=False)
    return check_finite(rows[np.sort(ids)], "feature")


def trained(rows: Rows, kind: str, plan: Plan) -> Any:
    """An empty FAISS index whose lists and codes were learned from a sample; the k-means runs on a GPU if there is one.

    Args:
        rows: float [n, d].
        kind: ``ivf-flat`` or ``ivf-pq``.
        plan: a fitted plan.
    """
    faiss = library()
    # np: without the polysemous ordering of codes, which costs minutes and serves only Hamming filters
    codes = f"PQ{plan.code_bytes}np" if kind == "ivf-pq" else "SQfp16"
    index = faiss.index_factory(rows.shape[1], f"IVF{plan.lists},{codes}", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = plan.seed + 1
    index.cp.min_points_per_centroid = 1  # the plan sees to it; few rows are not worth a warning
    if kind == "ivf-pq":
        index.pq.cp.seed = plan.seed + 1
        index.pq.cp.min_points_per_centroid = 1
    if gpu_resources() is not None:
        index.clustering_index = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(rows.shape[1]))
    index.train(sample(rows, plan))
    index.clustering_index = None
    return index


def with_rows(index: Any, rows: Rows, progress: Callable[[int], None] | None) -> Any:
    """``index`` with all rows added, a block at a time; their ids are their numbers."""
    for start in range(0, len(rows), BLOCK):
        index.add(read_block(rows, start, BLOCK, "feature"))
        if progress:
            progress(min(start + BLOCK, len(rows)))
    return index


def proposed(index: Any, queries: NDArray[np.float32], wide: int, probes: int) -> NDArray[np.int64]:
    """Candidates of each query, int64 [n, wide], -1 where the probed lists hold fewer."""
    parameters = library().SearchParametersIVF(nprobe=probes)
    ids: NDArray[np.int64] = index.search(queries, wide, params=parameters)[1]
    return ids
