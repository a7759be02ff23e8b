"""Let the linear algebra that FAISS brings along use what the processor can do.

The wheel faiss-cpu holds an OpenBLAS of 2021 that knows processors by their model number, and computes with the SSE3
kernels of 2004 on every x86 that is newer than itself: five times slower than its AVX-512 kernels. Its documented
variable ``OPENBLAS_CORETYPE`` names the kernels; it is read once, when the library is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
KERNELS = (  # the best first; each with the processor's features that its code uses
    ("SkylakeX", frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})),
    ("Haswell", frozenset({"avx2", "fma"})),
)


def cpu_features(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The features of the first x86 processor as Linux names them; empty elsewhere."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def best_kernels(features: Set[str]) -> str | None:
    """OpenBLAS's name of the fastest kernels that a processor with ``features`` can run; None: let it choose."""
    return next((name for name, needed in KERNELS if needed <= features), None)


@contextmanager
def fast_kernels() -> Iterator[None]:
    """Libraries loaded inside use the fastest kernels; the user's own choice of ``OPENBLAS_CORETYPE`` stands."""
    kernels = best_kernels(cpu_features())
    if kernels is None or VARIABLE in os.environ:
        yield
        return
    os.environ[VARIABLE] = kernels
    try:
        yield
    finally:
        del os.environ[VARIABLE]
