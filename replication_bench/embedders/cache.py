"""Vectors on disk, addressed by everything that can change them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from replication_bench.embedders.protocol import Embedder, FeatureEmbedder, Vectors
from replication_bench.processes import ALONE, Processes
from replication_bench.store import read_arrays, write_arrays

CHUNK = 64
VERSION = 2


def embed(
    embedder: Embedder,
    load: Callable[[int], Image.Image],
    count: int,
    progress: Callable[[int], None] | None = None,
    processes: Processes = ALONE,
    raw: bool = False,
) -> Vectors:
    """Vectors float32 [count, dim] of the images ``load(0) .. load(count - 1)``, opened in chunks.

    Chunks are shared out among ``processes``, all of which call this and get all vectors. With ``raw``, as the network
    of a ``FeatureEmbedder`` gives them, before they are brought to norm 1.
    """
    compute = cast(FeatureEmbedder, embedder).features if raw else embedder
    rows: list[Vectors] = processes.share(
        [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)],
        lambda chunk: compute([load(i) for i in chunk]),
        lambda chunks: progress(min(chunks * CHUNK, count)) if progress else None,
    )
    return np.concatenate(rows) if rows else np.zeros((0, embedder.dim), dtype=np.float32)


def address(embedder: Embedder, contents: Sequence[str], raw: bool = False) -> str:
    """Hash of the embedder's protocol and of the images' own hashes, in order."""
    key = json.dumps([VERSION, embedder.protocol.hash, *(["raw"] if raw else []), *contents])
    return hashlib.sha256(key.encode()).hexdigest()


def read_vectors(path: Path, rows: int, dim: int) -> Vectors | None:
    """Cached vectors; None where the file is missing, damaged or of another shape."""
    found = read_arrays(path, "vectors")
    if found is None or found[0].shape != (rows, dim) or found[0].dtype != np.float32:
        return None
    return found[0]


def write_vectors(path: Path, vectors: Vectors) -> None:
    """Write an .npz file atomically."""
    write_arrays(path, vectors=vectors)


def embed_cached(
    embedder: Embedder,
    load: Callable[[int], Image.Image],
    contents: Sequence[str],
    folder: Path,
    progress: Callable[[int], None] | None = None,
    processes: Processes = ALONE,
    raw: bool = False,
) -> Vectors:
    """As ``embed``, computed once for each protocol and content.

    Args:
        embedder: images to vectors.
        load: opens the i-th image.
        contents: one hash an image that names everything its pixels depend on.
        folder: the cache; where there are several processes, the main one's counts.
        progress: called with the number of images done.
        processes: share the work; all of them call this.
        raw: see ``embed``.
    """
    path = folder / "vectors" / f"{address(embedder, contents, raw)}.npz"
    vectors = processes.first(lambda: read_vectors(path, len(contents), embedder.dim))
    if vectors is None:
        vectors = embed(embedder, load, len(contents), progress, processes, raw)
        if processes.is_main:
            write_vectors(path, vectors)
    elif progress:
        progress(len(contents))
    return vectors
