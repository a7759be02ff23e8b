"""How much an approximate index finds, measured against exact search on a sample of queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.search.exact import nearest
from replication_bench.search.index import Index, write_facts
from replication_bench.search.neighbours import Neighbours
from replication_bench.search.rows import Rows


class Searchable(Protocol):
    """What recall can be measured of: ``Index`` and ``ShardedIndex``."""

    @property
    def rows(self) -> Rows: ...  # noqa: D102

    def search(self, queries: Any, k: int = 1, *, exclude: NDArray[np.int64] | None = None) -> Neighbours: ...  # noqa: D102


@dataclass(frozen=True)
class Recall:
    """Share of the exact answers that an index gives.

    Attributes:
        value: share in [0, 1] of the ``k`` exact neighbours that were found, over all queries.
        k: neighbours a query.
        queries: size of the sample.
        interval: 95 % interval of ``value`` (Wilson, over queries times k).
        threshold: similarity above which a pair counts as a copy.
        copies: queries of the sample whose nearest row is above the threshold.
        copies_found: share of those whose nearest row was found; None where there are none.
        reason: why ``copies_found`` is None.
    """

    value: float
    k: int
    queries: int
    interval: tuple[float, float]
    threshold: float
    copies: int
    copies_found: float | None
    reason: str | None = None


def measured_recall(
    index: Searchable,
    sample: Rows | NDArray[Any],
    k: int = 1,
    *,
    threshold: float = 0.5,
    exclude: NDArray[np.int64] | None = None,
) -> Recall:
    """Search ``sample`` in the index and exactly; a row as similar as the k-th exact one counts as found.

    Args:
        index: the index.
        sample: float [n, d], queries like those that will be asked: recall depends on them.
        k: neighbours a query.
        threshold: see ``Recall``.
        exclude: int64 [n], as for ``nearest``.

    Raises:
        DataError: an empty sample; see also ``nearest``.
    """
    from replication_bench.statistics import wilson_interval

    if not len(sample):
        raise DataError("recall needs a sample of queries", got="none", want="at least one row")
    exact = nearest(sample, index.rows, k, exclude=exclude)
    similarity = index.search(sample, k, exclude=exclude).similarity
    found = similarity >= exact.similarity[:, -1:]
    value = float(found.mean())
    copied = exact.similarity[:, 0] > threshold
    nearest_found = similarity[:, 0] >= exact.similarity[:, 0]
    share = float(nearest_found[copied].mean()) if copied.any() else None
    reason = None if copied.any() else f"no query of the sample has a row above {threshold}"
    interval = wilson_interval(value, found.size, 0.95)
    return Recall(value, k, len(sample), interval, threshold, int(copied.sum()), share, reason)


def own_recall(index: Searchable, count: int = 256, k: int = 1, seed: int = 0) -> Recall:
    """Recall measured with rows of the index itself as queries, each excluded from its own answer.

    Training images stand in for generated ones that are not there yet: a duplicate is found as a copy would be.

    Args:
        index: the index.
        count: size of the sample, at most.
        k: neighbours a query.
        seed: of the sample.
    """
    rows = len(index.rows)
    ids = np.sort(np.random.default_rng(seed).choice(rows, min(count, rows), replace=False))
    return measured_recall(index, np.asarray(index.rows[ids], np.float32), k, exclude=ids)


def record_recall(index: Index, recall: Recall) -> Index:
    """Write a measured recall into the index's ``index.json``; returns the index with it."""
    facts = replace(index.facts, recall=asdict(recall))
    write_facts(index.folder, facts)
    return Index(index.folder, facts)
