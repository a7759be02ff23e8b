"""Datasets: ids, images and captions in named splits."""

from replication_bench.data.example import Example, Examples, Splits

__all__ = ["Example", "Examples", "Splits"]
