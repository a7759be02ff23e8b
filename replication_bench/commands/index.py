"""``replbench index``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from replication_bench.audit.embedding import embedding
from replication_bench.audit.index import Index
from replication_bench.audit.indexing import update_index
from replication_bench.audit.request import choose_embedders, measure_settings
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.embedders.pool import check_workers
from replication_bench.sources.opening import open_source


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


def run(
    path: str,
    out: Path,
    embedder: str | None,
    settings: Sequence[str],
    force: bool,
    as_json: bool,
    workers: int = 1,
) -> None:
    """Make or update the index, then say what it holds."""
    check_workers(workers)
    source = open_source(path)
    chosen = choose_embedders((embedder,) if embedder else (), measure_settings(tuple(settings)), [])[0]
    made = embedding(chosen.options, chosen.embedder, workers)
    with made as embed, new_progress(Console(stderr=True)) as progress:
        advance = Bars(progress).step(f"{chosen.options.name}: embed", len(source.entries))
        index = update_index(source, out, chosen.options, chosen.embedder, advance, force, embed)
    if as_json:
        sys.stdout.write(json.dumps(summary(index), indent=1) + "\n")
        return
    console = Console()
    for line in lines(index):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
