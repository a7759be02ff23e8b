"""Datasets: ids, images and captions in named splits."""

from replication_bench.data.example import Dataset, Embed, Example, Examples, Splits

__all__ = ["Dataset", "Embed", "Example", "Examples", "Splits"]
