"""The replbench harness: trains, samples, measures. It knows no method by name."""

from replication_bench._version import __version__

__all__ = ["__version__"]
