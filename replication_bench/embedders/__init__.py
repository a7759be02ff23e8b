"""Embedders: image -> unit vector, each with a named, hashed protocol."""

from replication_bench.embedders.protocol import Embedder, ImageProtocol, Vectors

__all__ = ["Embedder", "ImageProtocol", "Vectors"]
