"""Which links are picked: those of the smallest seeded hashes, whatever the order of files and rows."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import NamedTuple

from replication_bench.data.laion.filters import filters_of
from replication_bench.data.laion.metadata import Funnel, Link, Table, metadata_files
from replication_bench.data.laion.request import Preparation
from replication_bench.errors import DataError


class Picked(NamedTuple):
    """The links in the order of their hashes, and what became of the other rows."""

    links: list[Link]
    funnel: Funnel


def rank(seed: int, url: str) -> int:
    """Where a link stands: the head of SHA-256 over seed and URL, so that no other row matters to it."""
    return int.from_bytes(hashlib.sha256(f"{seed}\x1f{url}".encode()).digest()[:16], "big")


class Picker:
    """Keeps the ``size`` links of the smallest ranks; memory grows with ``size`` alone."""

    def __init__(self, size: int, seed: int):
        self.size, self.seed = size, seed
        self.heap: list[tuple[int, str]] = []  # the largest kept rank first
        self.captions: dict[str, str] = {}
        self.repeated = 0

    def offer(self, link: Link) -> None:
        """Keep a link if it stands low enough; of equal URLs the smallest caption stays."""
        if link.url in self.captions:
            self.repeated += 1
            self.captions[link.url] = min(self.captions[link.url], link.caption)
            return
        entry = (-rank(self.seed, link.url), link.url)
        if len(self.heap) < self.size:
            heapq.heappush(self.heap, entry)
        elif entry > self.heap[0]:
            del self.captions[heapq.heapreplace(self.heap, entry)[1]]
        else:
            return
        self.captions[link.url] = link.caption

    def links(self) -> list[Link]:
        """What was kept, by rank."""
        return [Link(url, self.captions[url]) for _, url in sorted(self.heap, reverse=True)]


def pick(asked: Preparation, progress: Callable[[str, int], Callable[[int], None]]) -> Picked:
    """Read all metadata once and pick.

    Raises:
        DataError: no metadata, columns that are not there, or fewer rows than asked.
    """
    tables = [Table(path, asked.url_column, asked.caption_column) for path in metadata_files(asked.metadata)]
    advance = progress("read metadata", sum(table.file.metadata.num_rows for table in tables))
    picker, funnel, filters = Picker(asked.size, asked.seed), Funnel(), filters_of(asked)
    for table in tables:
        for batch in table.batches(filters, funnel):
            for link in batch:
                picker.offer(link)
            advance(funnel.rows)
    links = picker.links()
    if len(links) < asked.size:
        raise too_few(asked, len(links), picker.repeated, funnel)
    return Picked(links, funnel)


def too_few(asked: Preparation, found: int, repeated: int, funnel: Funnel) -> DataError:
    """The line that tells where the rows went."""
    reasons = {**funnel.left_out, "a link that stood before": repeated}
    lost = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    return DataError(
        "the metadata holds fewer rows than asked",
        where=", ".join(asked.metadata),
        got=f"{found} of {funnel.rows} rows" + (f" (left out: {lost})" if lost else ""),
        want=f"{asked.size}",
        hint="Give more metadata, a smaller --size, or looser filters.",
    )
