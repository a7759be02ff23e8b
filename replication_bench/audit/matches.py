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
from replication_bench.duplicates import Alike
from replication_bench.evidence import find_sources
from replication_bench.metrics.local import labelled, labels
from replication_bench.metrics.metric import Evidence, Floats, Ints
from replication_bench.search import Neighbours
from replication_bench.store import write_atomic

SCHEMA = pa.schema(
    [
        ("generated", pa.string()),
        ("rank", pa.int64()),
        ("train", pa.string()),
        ("similarity", pa.float64()),
        ("own_prompt", pa.float64()),
        ("local", pa.float64()),
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
    evidence: Evidence
    alike: Alike


def own_sources(generated: Index, train: Index) -> list[tuple[int, ...]]:
    """Rows of the training images whose caption is the prompt of each generated image."""
    prompts = [row.captions[0] if row.captions else None for row in generated.rows]
    known = find_sources([prompt or "" for prompt in prompts], [row.captions for row in train.rows])
    return [rows if prompt is not None else () for prompt, rows in zip(prompts, known, strict=True)]


def with_templates(found: Found, local: Floats | None) -> tuple[Neighbours, Floats, Ints]:
    """The matches, their local similarities and ranks, and the source of each template copy that is not among them.

    Such a source resembles the image in half of its tiles, and need not be near as a whole. It is a last column, whose
    id is -1 where there is nothing to add.
    """
    ids, similarity = found.matches.ids, found.matches.similarity
    ranks = np.tile(np.arange(1, ids.shape[1] + 1, dtype=np.int64), (len(ids), 1))
    if local is None:
        return found.matches, np.full(ids.shape, np.nan, dtype=np.float32), ranks
    evidence = found.evidence
    extra = np.where(labels(evidence) == "template", evidence.local_source, -1)
    extra[(ids == extra[:, None]).any(axis=1)] = -1
    whole, place = np.full(len(ids), np.nan, dtype=np.float32), np.zeros(len(ids), dtype=np.int64)
    for row in np.flatnonzero(extra >= 0):
        every = evidence.train @ evidence.generated[row]
        whole[row], place[row] = every[extra[row]], 1 + (every > every[extra[row]]).sum()
    wider = Neighbours(np.c_[ids, extra], np.c_[similarity, whole])
    return wider, np.c_[local, evidence.local], np.c_[ranks, place]


def rows_of(found: Found, local: Floats | None) -> Iterator[dict[str, Any]]:
    """One row a generated image and rank."""
    matches, parts, ranks = with_templates(found, local)
    names = labelled(found.evidence, matches.similarity, parts)
    own_prompt, sizes = found.evidence.own_prompt, found.alike.sizes
    for place, row in enumerate(found.generated.rows):
        own = float(own_prompt[place]) if len(own_prompt) else float("nan")
        for column, index in enumerate(matches.ids[place].tolist()):
            if index < 0:
                continue
            train, part = found.train.rows[index], float(parts[place, column])
            yield {
                "generated": row.id,
                "rank": int(ranks[place, column]),
                "train": train.id,
                "similarity": float(matches.similarity[place, column]),
                "own_prompt": None if np.isnan(own) else own,
                "local": None if np.isnan(part) else part,
                "label": str(names[place, column]),
                "group": int(found.alike.labels[index]),
                "group_size": int(sizes[index]),
                "prompt": row.captions[0] if row.captions else "",
                "train_caption": train.captions[0] if train.captions else "",
            }


def write_matches(folder: Path, name: str, found: Found, local: Floats | None) -> None:
    """``<name>.parquet`` and ``<name>.csv``; ``local`` holds the local similarity of each match, where it is known."""
    table = pa.Table.from_pylist(list(rows_of(found, local)), schema=SCHEMA)
    write_atomic(folder / f"{name}.parquet", lambda path: pq.write_table(table, path))
    write_atomic(folder / f"{name}.csv", lambda path: pa_csv.write_csv(table, path))
