"""An index that ``replbench corpus`` merged, in the form of an audit's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from replication_bench.audit.index import Facts, Index, Row, is_corpus, read_index
from replication_bench.audit.indexing import absolute, fingerprint_of
from replication_bench.corpus.merge import IDS
from replication_bench.corpus.shard import NORM, read_shard_facts
from replication_bench.errors import DataError
from replication_bench.evidence import unit_rows
from replication_bench.search.index import Index as Searched
from replication_bench.search.index import open_index as open_searched

KIND = "corpus"
BLOCK = 16_384


class Widened:
    """Stored rows as unit vectors float32 [n, d], read at the first use: float16 keeps three digits of a length."""

    dtype = np.dtype(np.float32)

    def __init__(self, index: Searched):
        self.index = index
        self.shape = (index.facts.rows, index.facts.dim)
        self.read: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.float32]:
        if self.read is None:
            # block by block, since float64 on the way would take four times the memory of the answer
            self.read = np.empty(self.shape, np.float32)
            for start in range(0, len(self), BLOCK):
                self.read[start : start + BLOCK] = unit_rows(
                    np.asarray(self.index.rows[start : start + BLOCK])
                )
        return self.read.copy() if copy else self.read


def open_index(folder: Path) -> Index:
    """A saved index, whichever command made it.

    Raises:
        DataError: a file of it is missing or broken, or its parts do not belong together.
    """
    return read_corpus(folder) if is_corpus(folder) else read_index(folder)


def read_corpus(folder: Path) -> Index:
    """The index of a corpus; its vectors are read when they are used, and its images are not at hand.

    Raises:
        DataError: see ``open_index``.
    """
    found = open_searched(folder)
    rows = read_ids(folder / IDS)
    if len(rows) != found.facts.rows:
        raise DataError("ids that do not fit", where=folder / IDS, got=len(rows), want=found.facts.rows)
    vectors: Any = Widened(found)
    return Index(folder, facts_of(found, rows), rows, vectors)


def read_ids(path: Path) -> tuple[Row, ...]:
    """The images of a corpus.

    Raises:
        DataError: the table is missing or broken.
    """
    try:
        known = NORM in pq.read_schema(path).names
        columns = ["id", "sha256", "caption", *([NORM] if known else [])]
        table = pq.read_table(path, columns=columns).to_pylist()
    except (OSError, pa.ArrowException) as error:
        hint = "Run 'replbench corpus' again."
        raise DataError("the ids cannot be read", where=path, got=error, hint=hint) from error
    return tuple(
        Row(r["id"], r["sha256"], (r["caption"],) if r["caption"] else (), norm=r.get(NORM)) for r in table
    )


def facts_of(index: Searched, rows: tuple[Row, ...]) -> Facts:
    """What an audit's own index would say of the same images.

    Raises:
        DataError: the index does not say what its vectors are.
    """
    facts, skipped = index.facts, skipped_of(index)
    if "hash" not in facts.protocol:
        hint = "Make it with 'replbench corpus' or 'replbench index'."
        raise DataError("the index does not name its protocol", where=index.folder, hint=hint)
    missing: list[str] = facts.extra.get("missing", [])
    return Facts(
        source=absolute(str(index.folder)),
        kind=KIND,
        embedder=dict(facts.extra.get("embedder") or {}),
        protocol={key: value for key, value in facts.protocol.items() if key != "hash"},
        protocol_hash=str(facts.protocol["hash"]),
        dim=facts.dim,
        found=len(rows) + len(skipped),
        skipped=skipped,
        notes=[f"shards left out: {', '.join(missing)}"] if missing else [],
        fingerprint=fingerprint_of(rows),
        vectors=facts.vectors[0],
        rows=IDS,
    )


def skipped_of(index: Searched) -> list[list[str]]:
    """Pairs of id and reason."""
    shards: list[Mapping[str, Any]] = index.facts.extra.get("shards", [])
    found = []
    for shard in shards:
        told = read_shard_facts(index.folder / "shards" / str(shard["shard"])) or {}
        found += [[f"{shard['shard']}/{one['key']}", str(one["reason"])] for one in told.get("skipped", [])]
    return found
