"""The table of matches: what each generated image resembles, and what is known of that training image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from replication_bench.audit.index import Index
from replication_bench.audit.labels import CopyThreshold, label
from replication_bench.duplicates import Alike
from replication_bench.evidence import find_sources
from replication_bench.metrics.metric import Floats
from replication_bench.search import Neighbours
from replication_bench.store import write_atomic

SCHEMA = pa.schema(
    [
        ("generated", pa.string()),
        ("rank", pa.int64()),
        ("train", pa.string()),
        ("similarity", pa.float64()),
        ("own_prompt", pa.float64()),
        ("label", pa.string()),
        ("group", pa.int64()),
        ("group_size", pa.int64()),
        ("prompt", pa.string()),
        ("train_caption", pa.string()),
    ]
)


class Found(NamedTuple):
    """What the table is made of."""

    generated: Index
    train: Index
    matches: Neighbours
    own_prompt: Floats
    threshold: CopyThreshold
    alike: Alike


def own_sources(generated: Index, train: Index) -> list[tuple[int, ...]]:
    """Rows of the training images whose caption is the prompt of each generated image."""
    prompts = [row.captions[0] if row.captions else None for row in generated.rows]
    known = find_sources([prompt or "" for prompt in prompts], [row.captions for row in train.rows])
    return [rows if prompt is not None else () for prompt, rows in zip(prompts, known, strict=True)]


def rows_of(found: Found) -> Iterator[dict[str, Any]]:
    """One row a generated image and rank."""
    sizes = found.alike.sizes
    for place, row in enumerate(found.generated.rows):
        own = float(found.own_prompt[place])
        for rank in range(found.matches.ids.shape[1]):
            index = int(found.matches.ids[place, rank])
            similarity = float(found.matches.similarity[place, rank])
            train = found.train.rows[index]
            yield {
                "generated": row.id,
                "rank": rank + 1,
                "train": train.id,
                "similarity": similarity,
                "own_prompt": None if np.isnan(own) else own,
                "label": label(similarity, found.threshold.value),
                "group": int(found.alike.labels[index]),
                "group_size": int(sizes[index]),
                "prompt": row.captions[0] if row.captions else "",
                "train_caption": train.captions[0] if train.captions else "",
            }


def write_matches(folder: Path, name: str, found: Found) -> None:
    """``<name>.parquet`` and ``<name>.csv``."""
    table = pa.Table.from_pylist(list(rows_of(found)), schema=SCHEMA)
    write_atomic(folder / f"{name}.parquet", lambda path: pq.write_table(table, path))
    write_atomic(folder / f"{name}.csv", lambda path: pa_csv.write_csv(table, path))
