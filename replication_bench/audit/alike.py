"""Which images of a gallery resemble each other: compared once, then kept for every later audit against it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np

from replication_bench.duplicates import SAME, Alike, Floats, find_alike
from replication_bench.store import cache_folder, read_arrays, write_arrays

VERSION = 1  # of what is kept: raise it when ``find_alike`` comes to find something else


def alike_cached(vectors: Floats, threshold: float, progress: Callable[[int], None]) -> Alike:
    """As ``find_alike``, whose time grows with the square of the rows, computed once for each content.

    Args:
        vectors: unit vectors float32 [n, d].
        threshold: cosine similarity, strict.
        progress: told how many rows are done.

    Raises:
        ConfigError: see ``find_alike``.
    """
    path = cache_folder() / "alike" / f"{key_of(vectors, threshold)}.npz"
    kept = read_arrays(path, "labels", "closest", "same")
    if kept is not None and len(kept[0]) == len(vectors):
        progress(len(vectors))
        labels, closest, same = kept
        return Alike(labels, closest, threshold, same)
    found = find_alike(vectors, threshold, progress)
    write_arrays(path, labels=found.labels, closest=found.closest, same=found.same)
    return found


def key_of(vectors: Floats, threshold: float) -> str:
    """A name for all that decides what is found."""
    told = [VERSION, SAME, threshold, vectors.dtype.str, *vectors.shape]
    digest = hashlib.sha256(json.dumps(told).encode())
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()
