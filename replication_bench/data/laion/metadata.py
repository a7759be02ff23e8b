"""Parquet files of links: found, their columns named, read in batches with only the rows that pass the filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from replication_bench.data.laion.filters import Filter, passing
from replication_bench.errors import DataError
from replication_bench.sources.opening import expand, is_pattern

BATCH = 65_536
URLS, CAPTIONS = ("url",), ("text", "caption")


class Link(NamedTuple):
    """One row of the metadata."""

    url: str
    caption: str


@dataclass
class Funnel:
    """What became of the rows.

    Attributes:
        rows: rows read.
        left_out: rows that a filter left out, by its reason; the first that applies counts.
        not_applied: filters whose columns do not exist, each with the columns and files.
    """

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    not_applied: dict[str, str] = field(default_factory=dict)


def metadata_files(given: Sequence[str]) -> list[Path]:
    """The parquet files that were named, folders and patterns opened.

    Raises:
        DataError: none, or one that is not there.
    """
    files: dict[Path, None] = {}
    for text in given:
        place = Path(text).expanduser()
        found = (
            expand(text)
            if is_pattern(text)
            else sorted(place.rglob("*.parquet"))
            if place.is_dir()
            else [place]
        )
        if missing := [path for path in found if not path.is_file()] or ([place] if not found else []):
            raise DataError(
                "no metadata there", where=missing[0], want="parquet files of links, or a folder of them"
            )
        files |= dict.fromkeys(found)
    if not files:
        raise DataError(
            "no metadata was given", want="--metadata FILE.parquet with a URL and a caption column"
        )
    return list(files)


def described(given: Sequence[str]) -> list[list[Any]]:
    """Name, rows and bytes of each metadata file, sorted: tells without reading that they are others.

    Raises:
        DataError: one is not there, or no parquet file.
    """
    return sorted(
        [path.name, parquet(path).metadata.num_rows, path.stat().st_size] for path in metadata_files(given)
    )


def parquet(path: Path) -> pq.ParquetFile:
    """The file, opened.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            "the metadata cannot be read", where=path, got=error, want="a parquet file"
        ) from error


def find_column(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of ``wanted`` among ``names``, whatever its case."""
    by_lower = {name.lower(): name for name in reversed(names)}
    return next((by_lower[word.lower()] for word in wanted if word.lower() in by_lower), None)


def required(names: Sequence[str], given: str, wanted: Sequence[str], kind: str, path: Path) -> str:
    """The column of ``kind``.

    Raises:
        DataError: there is none; lists the columns that there are.
    """
    column = find_column(names, (given,) if given else wanted)
    if column is None:
        raise DataError(
            f"the metadata has no {kind} column",
            where=path,
            got=f"columns {', '.join(names) or 'none'}",
            want=f"{given or ' or '.join(wanted)}, in any case",
            hint=f"Name it with --{kind}-column.",
        )
    return column


class Table:
    """One parquet file with its columns resolved.

    Raises:
        DataError: no parquet file, or no column of links or captions.
    """

    def __init__(self, path: Path, url_column: str, caption_column: str):
        self.path, self.file = path, parquet(path)
        self.names = list(self.file.schema_arrow.names)
        self.url = required(self.names, url_column, URLS, "url", path)
        self.caption = required(self.names, caption_column, CAPTIONS, "caption", path)

    def batches(self, filters: Sequence[Filter], funnel: Funnel) -> Iterator[list[Link]]:
        """The rows that pass, batch by batch, so that memory does not grow with the file."""
        applied = self.resolved(filters, funnel)
        columns = dict.fromkeys([self.url, self.caption, *(name for _, found in applied for name in found)])
        try:
            for batch in self.file.iter_batches(BATCH, columns=list(columns)):
                funnel.rows += len(batch)
                yield list(self.links(passing(batch, applied, funnel.left_out), funnel))
        except (OSError, pa.ArrowException) as error:
            raise DataError("the metadata cannot be read", where=self.path, got=error) from error

    def resolved(self, filters: Sequence[Filter], funnel: Funnel) -> list[tuple[Filter, tuple[str, ...]]]:
        """The filters whose columns are here, with the columns' names here; the others are noted."""
        applied: list[tuple[Filter, tuple[str, ...]]] = []
        for one in filters:
            found = [find_column(self.names, (name,)) for name in one.needs]
            if None in found:
                funnel.not_applied.setdefault(
                    one.option, f"no column {' and '.join(one.needs)} in {self.path.name}"
                )
            else:
                applied.append((one, tuple(name for name in found if name)))
        return applied

    def links(self, batch: pa.RecordBatch, funnel: Funnel) -> Iterator[Link]:
        """Links that can be fetched and have a caption."""
        urls, captions = (pc.cast(batch[name], pa.string()).to_pylist() for name in (self.url, self.caption))
        for url, caption in zip(urls, captions, strict=True):
            text = " ".join((caption or "").split())
            # other schemes would read files of this machine
            if not (url or "").lower().startswith(("http://", "https://")):
                funnel.left_out["no http link"] += 1
            elif not text:
                funnel.left_out["no caption"] += 1
            else:
                yield Link(url, text)
