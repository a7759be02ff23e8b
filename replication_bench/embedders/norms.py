"""Unit vectors with the lengths that they had: what a store keeps, so that features can be had from it again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from replication_bench.embedders.protocol import Embedder, FeatureEmbedder, Vectors
from replication_bench.evidence import unit_rows

Embedded = tuple[Vectors, list[float]]


def with_norms(embedder: Embedder, images: Sequence[Image.Image]) -> Embedded:
    """Unit vectors, and the length that each had as the network gave it; 1 where only unit vectors are to be had."""
    if not isinstance(embedder, FeatureEmbedder):
        return embedder(images), [1.0] * len(images)
    rows = embedder.features(images)
    return unit_rows(rows), np.linalg.norm(rows.astype(np.float64), axis=1).tolist()
