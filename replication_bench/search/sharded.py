"""Several indexes searched as one: each lies in its own folder, on its own disk, and may be of its own kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.search.exact import check_search
from replication_bench.search.index import Index, open_index
from replication_bench.search.neighbours import Neighbours, cut, merged, nothing, without
from replication_bench.search.rows import Rows, ShardedRows


class ShardedIndex:
    """Indexes one below the other; row ids go on from each to the next. Exact shards answer as one exact index.

    Args:
        parts: the shards, in the order that gives the ids.

    Raises:
        DataError: no shard, unlike widths, or unlike protocols.
    """

    def __init__(self, parts: Sequence[Index]):
        protocols = sorted({str(part.facts.protocol.get("hash")) for part in parts})
        if len(protocols) != 1:
            got = f"protocols {', '.join(name[:12] for name in protocols) or 'none'}"
            raise DataError("shards must share one protocol", got=got, want="one")
        self.parts = list(parts)

    @cached_property
    def rows(self) -> Rows:
        """All stored vectors, float [n, d]."""
        return ShardedRows([part.rows for part in self.parts])

    def search(
        self, queries: Rows | NDArray[Any], k: int = 1, *, exclude: NDArray[np.int64] | None = None
    ) -> Neighbours:
        """As ``Index.search``; the best ``k`` of all shards, ties by lowest id.

        Raises:
            DataError: see ``nearest``.
        """
        check_search(queries, self.rows, k, exclude)
        keep = k + (exclude is not None)
        best, first = nothing(len(queries)), 0
        for part in self.parts:
            found = part.search(queries, min(keep, part.facts.rows))
            ids = np.where(found.ids < 0, -1, found.ids + first)
            best = merged(best, Neighbours(ids, found.similarity), keep)
            first += part.facts.rows
        return cut(best if exclude is None else without(best, exclude), k)


def open_shards(folders: Sequence[str | Path]) -> ShardedIndex:
    """Open several index folders as one.

    Raises:
        DataError: see ``open_index`` and ``ShardedIndex``.
    """
    return ShardedIndex([open_index(folder) for folder in folders])
