"""``replbench index``."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from replication_bench.audit.embedding import embedding
from replication_bench.audit.index import Index, check_place
from replication_bench.audit.indexing import update_index
from replication_bench.audit.request import choose_embedders, measure_settings
from replication_bench.commands import corpus
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.embedders.pool import check_workers
from replication_bench.errors import ConfigError
from replication_bench.sources.opening import open_source


@dataclass(frozen=True)
class Asked:
    """What was typed.

    Attributes:
        paths: one folder, parquet or index, or tar shards.
        out: the index.
        embedder: ``NAME[@PROTOCOL][,key=value ...]``; None for the default.
        settings: ``measure.key=value``.
        force: replace an index of another protocol.
        workers: processes, or actors with ``ray``; None for one, or one a CPU.
        ray: whether Ray Data runs the workers.
        gpus: GPUs that each actor reserves.
    """

    paths: tuple[str, ...]
    out: Path
    embedder: str | None = None
    settings: tuple[str, ...] = ()
    force: bool = False
    workers: int | None = None
    ray: bool = False
    gpus: float = 0

    @property
    def of_shards(self) -> bool:
        """Whether each tar is embedded by itself, as in ``replbench corpus``."""
        return self.ray or bool(self.gpus) or len(self.paths) > 1


def summary(index: Index) -> dict[str, object]:
    """What was made."""
    return {
        "index": str(index.folder),
        "images": len(index.rows),
        "found": index.facts.found,
        "skipped": [{"id": id, "reason": reason} for id, reason in index.facts.skipped],
        "first_frame": sum(row.frames > 1 for row in index.rows),
        "embedder": index.facts.embedder,
        "protocol": index.facts.protocol["name"],
        "protocol_hash": index.facts.protocol_hash,
        "fingerprint": index.facts.fingerprint,
    }


def lines(index: Index) -> list[str]:
    """The same for people; every image that was skipped has its line."""
    facts = index.facts
    animated = sum(row.frames > 1 for row in index.rows)
    return [
        f"{len(index.rows)} images in {index.folder}, {facts.protocol['name']} {facts.protocol_hash[:12]}",
        *([f"first frame of {animated} animated images"] if animated else []),
        *(f"skipped {id}: {reason}" for id, reason in facts.skipped),
        *facts.notes,
    ]


def check_shards(asked: Asked) -> None:
    """ConfigError for an option that has no meaning for shards."""
    for flag, given, want in (
        ("--set", asked.settings, "options of the embedder behind its name, as --embedder sscd,pixels=320"),
        ("--force", asked.force, "another --out; shards of another protocol are embedded again anyway"),
    ):
        if given:
            raise ConfigError("this is for one folder in one process", where=flag, got=given, want=want)


def shards(asked: Asked) -> corpus.Request:
    """What was asked of shards, for the command that embeds them one by one."""
    check_shards(asked)
    request = corpus.Request(asked.paths, asked.out, workers=asked.workers, ray=asked.ray, gpus=asked.gpus)
    return replace(request, embedder=asked.embedder) if asked.embedder else request


def run(asked: Asked, as_json: bool) -> None:
    """Make or update the index, then say what it holds."""
    if asked.of_shards:
        corpus.run(shards(asked), as_json)
        return
    index = build(asked)
    if as_json:
        sys.stdout.write(json.dumps(summary(index), indent=1) + "\n")
        return
    console = Console()
    for line in lines(index):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def build(asked: Asked) -> Index:
    """The index of one path."""
    workers = 1 if asked.workers is None else asked.workers
    check_workers(workers)
    source = open_source(asked.paths[0])
    check_place(asked.out)  # before anything is loaded
    names = (asked.embedder,) if asked.embedder else ()
    chosen = choose_embedders(names, measure_settings(asked.settings), [])[0]
    made = embedding(chosen.options, chosen.embedder, workers)
    with made as embed, new_progress(Console(stderr=True)) as progress:
        advance = Bars(progress).step(f"{chosen.options.name}: embed", len(source.entries))
        return update_index(source, asked.out, chosen.options, chosen.embedder, advance, asked.force, embed)
