"""Images to vectors for an index: in this process, or shared out among several of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial

import numpy as np
from PIL import Image

from replication_bench.audit.embedders import build_embedder
from replication_bench.config import NamedOptions
from replication_bench.embedders.norms import Embedded, with_norms
from replication_bench.embedders.pool import new_pool, state
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import ReplbenchError

Embed = Callable[[Sequence[Image.Image]], Embedded]


def work(images: Sequence[Image.Image]) -> Embedded:
    """A part of a chunk, in a worker."""
    return with_norms(state["embedder"], images)


def shares(images: Sequence[Image.Image], workers: int) -> list[Sequence[Image.Image]]:
    """``images`` in as many even parts as there are workers, or images."""
    count = min(workers, len(images))
    edges = [len(images) * part // count for part in range(1, count + 1)]
    return [images[start:stop] for start, stop in zip([0, *edges], edges, strict=False)]


@contextmanager
def embedding(chosen: NamedOptions, embedder: Embedder, workers: int = 1) -> Iterator[Embed]:
    """What embeds, for as long as the context lasts; processes start at the first image that is new.

    Args:
        chosen: name and options that make the embedder again, in another process.
        embedder: it, in this process.
        workers: number of processes; 1 is this one.

    Raises:
        ReplbenchError: a worker died.
    """
    if workers == 1:
        yield partial(with_norms, embedder)
        return
    pool = new_pool(partial(build_embedder, chosen), workers)

    def embed(images: Sequence[Image.Image]) -> Embedded:
        try:
            parts = list(pool.map(work, shares(images, workers)))
        except BrokenProcessPool as error:
            hint = "Run the same command again with fewer workers; what was embedded is kept."
            raise ReplbenchError(
                "a worker died, perhaps out of memory", where="--workers", got=workers, hint=hint
            ) from error
        return np.concatenate([vectors for vectors, _ in parts]), [one for _, norms in parts for one in norms]

    try:
        yield embed
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
