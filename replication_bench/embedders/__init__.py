"""Embedders: image -> unit vector, each with a named, hashed protocol."""

from replication_bench.embedders.presets import parse
from replication_bench.embedders.protocol import (
    DifferentiableEmbedder,
    Embedder,
    FeatureEmbedder,
    ImageProtocol,
    ImageTextEmbedder,
    Vectors,
    check_comparable,
)

__all__ = [
    "DifferentiableEmbedder",
    "Embedder",
    "FeatureEmbedder",
    "ImageProtocol",
    "ImageTextEmbedder",
    "Vectors",
    "check_comparable",
    "parse",
]
