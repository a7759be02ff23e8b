"""FAISS, imported when it is needed, on the GPU where it sees one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import WeightsError
from replication_bench.search.blas import fast_kernels
from replication_bench.search.neighbours import Neighbours

GPU_MOST = 2048  # neighbours a query that FAISS can select on a GPU (faiss/gpu/utils/DeviceDefs.cuh)


def library() -> Any:
    """The package ``faiss``.

    Raises:
        WeightsError: it is not installed; the line names both extras.
    """
    try:
        with fast_kernels():
            import faiss
    except ImportError as error:
        raise WeightsError(
            "the package faiss is missing",
            hint="pip install 'replbench[cpu]', or 'replbench[gpu]' on a CUDA machine.",
        ) from error
    return faiss


@cache
def resources_of(faiss: Any) -> Any:
    """Scratch memory and streams of the first GPU, made once: making them takes a second."""
    return faiss.StandardGpuResources()


def gpu_resources() -> Any | None:
    """What FAISS needs to compute on a GPU; None where the package was built without, or sees no device."""
    faiss = library()
    if not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
        return None
    return resources_of(faiss)


def block_neighbours(queries: NDArray[np.float32], gallery: NDArray[np.float32], k: int) -> Neighbours:
    """The ``k`` rows of a block with the largest inner product for each query; the order of ties is open.

    Args:
        queries: float32 [n, d], contiguous.
        gallery: float32 [m, d], contiguous, m at least ``k``.
        k: neighbours a query.
    """
    faiss = library()
    gpu = gpu_resources() if k <= GPU_MOST else None
    metric = faiss.METRIC_INNER_PRODUCT
    if gpu is None:
        similarity, ids = faiss.knn(queries, gallery, k, metric=metric)
    else:
        similarity, ids = faiss.knn_gpu(gpu, queries, gallery, k, metric=metric)
    return Neighbours(ids, similarity)


def flat_index(gallery: NDArray[np.float32]) -> Any:
    """An exact inner-product index of FAISS over ``gallery``, on all GPUs that FAISS sees.

    It holds a copy of the gallery in memory; ``nearest`` does not.

    Raises:
        WeightsError: FAISS is not installed.
    """
    faiss = library()
    index: Any = faiss.IndexFlatIP(gallery.shape[1])
    if gpu_resources() is not None:
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(gallery)
    return index
