"""Everything that trained weights depend on: runs in which it is equal need one training."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replication_bench import machine, resolve
from replication_bench.acceleration import settled
from replication_bench.config import NamedOptions, flatten
from replication_bench.data.example import Examples
from replication_bench.provenance import method_record

if TYPE_CHECKING:
    from replication_bench.pipeline import Run


def trained_part(method: NamedOptions) -> NamedOptions:
    """The parts of a method that change training; ``none`` where all of them only sample."""
    parts = {name: {name: options} for name, options in method.options.items()}
    names = [
        name for name, options in parts.items() if resolve.build_method(name, options)[0].changes_training
    ]
    return resolve.build_method("+".join(names) or "none", method.options)[1]


def training_facts(run: Run, data: Examples) -> dict[str, Any]:
    """Everything that can change the weights of a run: two runs of equal facts need one training.

    How a run samples is not among them, so training hooks are handed nothing that tells it.

    Args:
        run: the run.
        data: its training set after the hook ``dataset``.
    """
    config, bench = run.config, run.bench
    method = trained_part(config.method)
    record = method_record(method)
    facts = {
        "method": method.model_dump(mode="json"),
        "distribution": [record.distribution, record.version],
        "dataset": {**config.dataset.model_dump(mode="json"), "fingerprint": bench.splits.fingerprint},
        "training": data.fingerprint,
        "public": bench.splits.public.fingerprint,
        "files": named_files(method.options),
        "backbone": bench.backbone.sha256,
        "embedder": bench.embedder.protocol.hash,
        "seed": config.seed,
        "train": settled(config.train, bench.device).resolved(),
        "device": machine.device_name(bench.device),
        "precision": run.precision,
        "packages": machine.package_versions(),
        "commit": machine.commit(),
    }
    # as it will be read again: JSON knows no tuples
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def named_files(options: dict[str, Any]) -> dict[str, str]:
    """A stamp of every file and folder that an option names, by option: its content is no part of the options."""
    paths = {key: Path(value) for key, value in flatten(options).items() if isinstance(value, str) and value}
    # unlike Path.exists, this takes a text that is too long for a name
    return {key: stamp(path) for key, path in paths.items() if os.path.exists(path)}


def stamp(path: Path) -> str:
    """SHA-256 over name, size and time of change of a file, or of all files in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            found = file.stat()
            digest.update(f"{file.relative_to(path)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
