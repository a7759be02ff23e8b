"""Where a number comes from: the methods and data of a run as they stand in its result."""

from __future__ import annotations

from replication_bench import plugins
from replication_bench.config import NamedOptions
from replication_bench.data.example import Splits
from replication_bench.results import DatasetRecord, MethodRecord


def method_record(method: NamedOptions) -> MethodRecord:
    """Name, parameters, distributions, papers and published numbers of a method and its parts."""
    found = [plugins.find("methods", part) for part in method.name.split("+")]
    loaded = [plugin.load() for plugin in found]
    return MethodRecord(
        name=method.name,
        parameters=method.options,
        distribution="+".join(dict.fromkeys(plugin.distribution for plugin in found)),
        version="+".join(dict.fromkeys(plugin.version for plugin in found)),
        paper="; ".join(dict.fromkeys(target.paper for target in loaded if target.paper)),
        reported=tuple(claim._asdict() for target in loaded for claim in target.reported),
    )


def dataset_record(dataset: NamedOptions, splits: Splits) -> DatasetRecord:
    """Name, options, fingerprint and sizes of a dataset."""
    return DatasetRecord(
        name=dataset.name,
        options=dataset.options,
        fingerprint=splits.fingerprint,
        train=len(splits.train),
        heldout=len(splits.heldout),
        note=splits.note,
    )
