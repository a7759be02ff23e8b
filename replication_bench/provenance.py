"""Where a number comes from: methods, data and embedders as they stand in a result."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from replication_bench import plugins
from replication_bench.config import NamedOptions
from replication_bench.data.example import Splits
from replication_bench.embedders.protocol import ImageProtocol
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


def embedder_record(chosen: NamedOptions, protocol: ImageProtocol) -> dict[str, Any]:
    """An embedder under its own name, with every field of its protocol; the protocol's name is ``protocol``."""
    fields = asdict(protocol)
    name = fields.pop("name")
    return {"name": chosen.name, "protocol": name, **fields, "options": dict(chosen.options)}
