"""Shards of vectors -> one index that answers as if all had been embedded in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from replication_bench.corpus.shard import NORM, read_shard_facts
from replication_bench.errors import DataError
from replication_bench.search.approximate import Plan
from replication_bench.search.files import FACTS, VECTORS, write_rows
from replication_bench.search.index import Index, build_index
from replication_bench.search.rows import NpyRows, ShardedRows
from replication_bench.store import write_atomic

IDS = "ids.parquet"
Facts = dict[str, Any]


def finished_facts(folders: Sequence[Path]) -> list[Facts]:
    """``shard.json`` of every shard.

    Raises:
        DataError: no shard, one that is unfinished, or shards of unlike protocols or number formats.
    """
    if not folders:
        raise DataError("no shard gave vectors", got="none", want="at least one that can be read")
    found = []
    for folder in folders:
        facts = read_shard_facts(folder)
        if facts is None:
            raise DataError("an unfinished shard", where=folder, hint="Run the same command again.")
        found.append(facts)
    for key in ("dim", "dtype", "protocol"):
        for facts, folder in zip(found, folders, strict=True):
            if facts[key] != found[0][key]:
                want = f"that of {folders[0].name}"
                raise DataError(f"shards of unlike {key}", where=folder, got=facts[key], want=want)
    return found


def without_images(facts: Sequence[Facts]) -> DataError:
    """The mistake of shards in which no image can be read, with the first reason."""
    skipped = [f"{fact['shard']}/{one['key']}: {one['reason']}" for fact in facts for one in fact["skipped"]]
    more = f" and {len(facts) - 1} more" if len(facts) > 1 else ""
    return DataError(
        "the shards hold no image that can be read",
        where=f"{facts[0]['shard']}.tar{more}",
        got=f"{len(skipped)} left out, first {skipped[0]}" if skipped else "no samples",
        want="images such as .jpg or .png",
        hint="Download or pack them again.",
    )


def with_column(table: pa.Table) -> pa.Table:
    """The table with the column of norms; empty where the shard was embedded before there was one."""
    return (
        table if NORM in table.column_names else table.append_column(NORM, pa.nulls(len(table), pa.float64()))
    )


def merge_ids(folders: Sequence[Path], facts: Sequence[Facts], path: Path) -> None:
    """Write all ``ids.parquet`` one below the other, one shard in memory at a time.

    Raises:
        DataError: a shard's table is damaged or has another number of rows.
        StoreError: the disk is full.
    """

    def tables() -> Any:
        for folder, fact in zip(folders, facts, strict=True):
            try:
                table = pq.read_table(folder / IDS)
            except (OSError, pa.ArrowInvalid) as error:
                hint = "Remove this folder, then run the same command again."
                raise DataError("the ids cannot be read", where=folder / IDS, got=error, hint=hint) from error
            if len(table) != fact["rows"]:
                raise DataError("ids that do not fit", where=folder, got=len(table), want=fact["rows"])
            yield with_column(table)

    def write(temporary: Path) -> None:
        every = tables()
        first = next(every)
        with pq.ParquetWriter(temporary, first.schema) as writer:
            writer.write_table(first)
            for table in every:
                writer.write_table(table)

    write_atomic(path, write)


def merge(
    folders: Sequence[Path],
    out: Path,
    kind: str = "exact",
    *,
    plan: Plan | None = None,
    missing: Sequence[str] = (),
    embedder: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Index:
    """Merge shards of vectors into an index folder: ``vectors.npy``, ``ids.parquet``, ``index.json``.

    The order of ``folders`` is the order of rows; memory holds a block of vectors and the ids of one shard.

    Args:
        folders: what ``embed_shard`` returned.
        out: the index.
        kind: see ``build_index``.
        plan: see ``build_index``.
        missing: names of shards that are left out on purpose; they stand in ``index.json``.
        embedder: name and options that make the embedder again, for whoever embeds queries.
        progress: told the number of vectors written.

    Raises:
        DataError: see ``finished_facts`` and ``merge_ids``; no image in any shard.
        StoreError: the disk is full.
    """
    facts = finished_facts(folders)
    rows = ShardedRows([NpyRows(folder / VECTORS) for folder in folders])
    counted = [fact["rows"] for fact in facts]
    if len(rows) != sum(counted):
        raise DataError("vectors that do not fit", where=folders[0].parent, got=len(rows), want=sum(counted))
    if not len(rows):
        raise without_images(facts)
    (out / FACTS).unlink(missing_ok=True)  # not an index until it is complete again
    merge_ids(folders, facts, out / IDS)
    write_rows(out / VECTORS, rows, facts[0]["dtype"], progress)
    extra = {
        "shards": [
            {"shard": fact["shard"], "rows": fact["rows"], "skipped": len(fact["skipped"])} for fact in facts
        ],
        "missing": list(missing),
        "embedder": dict(embedder or {}),
    }
    return build_index(out / VECTORS, out, kind, plan=plan, protocol=facts[0]["protocol"], extra=extra)
