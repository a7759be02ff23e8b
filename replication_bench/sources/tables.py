"""Parquet files of images, in a column of bytes or of paths, with captions where they have a column of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from replication_bench.data.images import natural_key
from replication_bench.errors import DataError
from replication_bench.sources.cells import CAPTIONS, as_texts, cell_bytes
from replication_bench.sources.source import Entry, Source, reading, unique_ids

Reader = Callable[[], bytes]
PATHS = ("path", "image_path", "file_name", "filename", "filepath", "file", "image")
IMAGES = ("image", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "img", "content")


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def is_image(kind: pa.DataType) -> bool:
    """Whether a column holds the bytes of images, plain or as Hugging Face keeps them."""
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return "bytes" in names and is_image(kind.field(names.index("bytes")).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def choose(schema: pa.Schema, names: Sequence[str], fits: Any) -> str | None:
    """The first of ``names`` whose column fits."""
    return next((name for name in names if name in schema.names and fits(schema.field(name).type)), None)


class Images:
    """Reads one image after another of a column; one row group is in memory."""

    def __init__(self, path: Path, column: str):
        self.path, self.column, self.lock = path, column, Lock()
        self.file = pq.ParquetFile(path)
        groups = self.file.metadata
        self.ends = list(accumulate(groups.row_group(i).num_rows for i in range(groups.num_row_groups)))
        self.group, self.cells = -1, pa.chunked_array([], pa.binary())

    def read(self, row: int) -> bytes:
        """The bytes of a row's image.

        Raises:
            DataError: the cell is empty, or the file cannot be read any more.
        """
        where, group = f"{self.path} row {row}", bisect_right(self.ends, row)
        try:
            with self.lock:
                if group != self.group:
                    self.cells = self.file.read_row_group(group, columns=[self.column])[self.column]
                    self.group = group
                cell = self.cells[row - (self.ends[group - 1] if group else 0)].as_py()
        except (OSError, pa.ArrowException) as error:
            raise DataError("the image cannot be read", where=where, got=error) from error
        return cell_bytes(cell, self.path.parent, where)


def image_readers(path: Path, column: str) -> dict[str, Reader]:
    """What reads each image, by file name and row number."""
    images = Images(path, column)
    return {
        f"{path.name}/{row:06d}": partial(images.read, row)
        for row in range(images.ends[-1] if images.ends else 0)
    }


def path_readers(path: Path, names: Sequence[str | None]) -> dict[str, Reader]:
    """What reads each file, by its path as the table has it; a path that stands again gets a number.

    Raises:
        DataError: a row without a path.
    """
    known = [name for name in names if name]
    if len(known) < len(names):
        raise DataError(
            "a row without a path", where=path, got=f"row {[bool(name) for name in names].index(False)}"
        )
    return {id: reading(path.parent / name) for id, name in zip(unique_ids(known), known, strict=True)}


def open_file(path: Path) -> list[Entry]:
    """The entries of one parquet file.

    Raises:
        DataError: no parquet file; no column of images or paths (its columns are listed); a row without a path.
    """
    try:
        schema = pq.read_schema(path)
        image, paths = choose(schema, IMAGES, is_image), choose(schema, PATHS, is_text)
        if image is None and paths is None:
            want = f"bytes in one of {', '.join(IMAGES)}, or text in one of {', '.join(PATHS)}"
            got = f"columns {', '.join(schema.names) or 'none'}"
            raise DataError(
                "the parquet file has no column of paths or images", where=path, got=got, want=want
            )
        caption = next((name for name in CAPTIONS if name in schema.names), None)
        readers = image_readers(path, image) if image else path_readers(path, column_of(path, paths or ""))
        texts = column_of(path, caption) if caption else [None] * len(readers)
    except (OSError, pa.ArrowException) as error:
        raise DataError("the parquet file cannot be read", where=path, got=error) from error
    return [Entry(id, read, as_texts(text)) for (id, read), text in zip(readers.items(), texts, strict=True)]


def column_of(path: Path, name: str) -> list[Any]:
    """One column of a parquet file."""
    return list(pq.read_table(path, columns=[name])[name].to_pylist())


def open_table(path: str, files: Sequence[Path]) -> Source:
    """Parquet files as one source, in natural order of their names; relative paths start at a file's folder.

    Raises:
        DataError: see ``open_file``; or no row.
    """
    entries = [
        entry for file in sorted(files, key=lambda f: natural_key(f.as_posix())) for entry in open_file(file)
    ]
    if not entries:
        raise DataError("the parquet file holds no row", where=path)
    ids = unique_ids([entry.id for entry in entries])
    named = (Entry(id, entry.read, entry.captions) for id, entry in zip(ids, entries, strict=True))
    return Source(path, "parquet", tuple(named))
