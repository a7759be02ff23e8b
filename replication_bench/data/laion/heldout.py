"""The held-out split of a subset: a share of the groups of near-duplicates, chosen by content alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from replication_bench.data.images import choose_groups, decode_image, groups_of
from replication_bench.data.laion.download import Fetched
from replication_bench.data.laion.manifest import HELDOUT, TRAIN, Row
from replication_bench.data.laion.request import Preparation
from replication_bench.duplicates import connected
from replication_bench.embedders.cache import CHUNK, embed_cached
from replication_bench.embedders.protocol import Embedder
from replication_bench.store import cache_folder

Advance = Callable[[int], None]


def vectors_of(readers: Sequence[tuple[str, Fetched]], embedder: Embedder, advance: Advance) -> Any:
    """Unit vectors [n, d] of images given by hash; each chunk is kept, so that an interrupted command goes on."""
    rows = []
    for start in range(0, len(readers), CHUNK):
        chunk = readers[start : start + CHUNK]

        def load(index: int, chunk: Sequence[tuple[str, Fetched]] = chunk) -> Image.Image:
            sha256, fetched = chunk[index]
            assert fetched.read is not None, "only images that arrived are embedded"
            return decode_image(fetched.read(), sha256).image

        rows.append(embed_cached(embedder, load, [sha256 for sha256, _ in chunk], cache_folder()))
        advance(start + len(chunk))
    return np.concatenate(rows)


def hold_out(
    rows: Sequence[Row],
    images: Mapping[str, Fetched],
    asked: Preparation,
    embedder: Embedder | None,
    step: Callable[[str, int], Advance],
) -> list[Row]:
    """The rows with their split: equal contents, and near-duplicates by ``embedder``, are on one side.

    Args:
        rows: all picked links.
        images: what opens each that arrived, by id.
        asked: share and threshold.
        embedder: judges likeness; None for equal content alone.
        step: begins a progress bar.
    """
    by_hash = {row.sha256: images[row.id] for row in rows if row.present}
    hashes = sorted(by_hash)  # equal contents in equal batches on every machine
    labels = list(range(len(hashes)))
    if embedder is not None:
        readers = [(sha256, by_hash[sha256]) for sha256 in hashes]
        labels = connected(
            vectors_of(readers, embedder, step("embed", len(hashes))), asked.duplicate_threshold
        )
    chosen = choose_groups(groups_of(hashes, labels), asked.heldout_share)
    return [
        replace(row, split=HELDOUT if row.sha256 in chosen else TRAIN) if row.present else row for row in rows
    ]


def split_facts(asked: Preparation, embedder: Embedder | None) -> dict[str, Any]:
    """How the split was made."""
    protocol = "equal content" if embedder is None else embedder.protocol.hash
    return {"by": asked.embedder, "protocol": protocol, "threshold": asked.duplicate_threshold}
