"""From vectors and prompts to ``Evidence``: the one way a run and an audit come to their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replication_bench.metrics.metric import Evidence, Floats
from replication_bench.search import Neighbours, nearest


def find_sources(prompts: Sequence[str], captions: Sequence[Sequence[str]]) -> list[tuple[int, ...]]:
    """The training images of which a caption is the prompt, for each prompt.

    Args:
        prompts: the prompt of each generated image, before a method changed it.
        captions: all captions of each training image.
    """
    rows: dict[str, list[int]] = {}
    for i, texts in enumerate(captions):
        for text in dict.fromkeys(texts):
            rows.setdefault(text, []).append(i)
    return [tuple(rows.get(prompt, ())) for prompt in prompts]


def own_similarity(generated: Floats, train: Floats, sources: Sequence[Sequence[int]]) -> Floats:
    """Similarity to the nearest of each image's ``sources``, float32 [g]; NaN where it has none."""
    found = [
        float((train[list(rows)] @ image).max()) if rows else float("nan")
        for image, rows in zip(generated, sources, strict=True)
    ]
    return np.array(found, dtype=np.float32)


def self_similarity(train: Floats) -> Floats:
    """Similarity of each training image to its nearest other one, self excluded by id; empty for a single image."""
    if len(train) < 2:
        return np.zeros(0, dtype=np.float32)
    return nearest(train, train, exclude=np.arange(len(train), dtype=np.int64)).similarity[:, 0]


def top(rows: Floats | None, train: Floats) -> Floats:
    """Similarity of each row to its nearest training row; empty without rows."""
    if rows is None or not len(rows):
        return np.zeros(0, dtype=np.float32)
    return nearest(rows, train).similarity[:, 0]


def build_evidence(
    generated: Floats,
    train: Floats,
    heldout: Floats,
    *,
    matches: Neighbours | None = None,
    background: Floats | None = None,
    ceiling: Floats | None = None,
) -> Evidence:
    """Search in all directions and put together what metrics may look at.

    Args:
        generated: unit vectors float32 [g, d].
        train: unit vectors [t, d], at least one.
        heldout: unit vectors [h, d]; [0, d] where there are none.
        matches: generated against train, best first, where the search is done already.
        background: train against train, self excluded by id, [t], where it is known already.
        ceiling: vectors [t, d] of the training images after the backbone's VAE round trip.

    Raises:
        DataError: rows that cannot be searched.
    """
    matches = matches or nearest(generated, train)
    return Evidence(
        generated=generated,
        train=train,
        heldout=heldout,
        top1=matches.similarity[:, 0],
        nearest=matches.ids[:, 0],
        background=self_similarity(train) if background is None else background,
        floor=top(heldout, train),
        ceiling=top(ceiling, train),
    )
